"""Checkpoints: safetensors in fp16, with the configuration and the run in the header."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.model.config import ModelConfig

if TYPE_CHECKING:  # diffusers takes seconds to import, and exported graphs do not need it
    from manivideo_ros.model.latent.network import LatentManiVideoNet
    from manivideo_ros.model.patch.light import LightNet
    from manivideo_ros.model.patch.network import ManiVideoNet

SHIPPED = ASSETS / 'weights' / 'tiny.safetensors'


class CheckpointError(ValueError):
    """Raised for a checkpoint that cannot be used; the message names the file and a fix."""


def save_checkpoint(
    state: Mapping[str, torch.Tensor],
    config: ModelConfig,
    path: Path,
    run: Mapping[str, str] | None = None,
) -> None:
    """Write weights in fp16, atomically; `run` is stored beside the configuration."""
    partial = path.with_suffix('.partial')
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {
        name: value.detach().to('cpu', torch.float16).contiguous() for name, value in state.items()
    }
    save_file(half, partial, {'config': config.to_json(), **(run or {})})
    partial.chmod(0o644)  # safetensors writes files that only the owner can read
    partial.replace(path)


def read_config(path: Path) -> ModelConfig:
    """The configuration in a checkpoint's header. Raises CheckpointError."""
    return _open(path, ())[0]


def load_checkpoint(path: Path, grid: tuple[int, int] | None = None) -> ManiVideoNet:
    """The patch model of a checkpoint; raises as `load_network`, and for a latent model.

    grid: width and height of the maps that it reads; None for those it was trained with.
    """
    from manivideo_ros.model.grid import on_grid
    from manivideo_ros.model.patch.network import ManiVideoNet
    from manivideo_ros.model.patch.positions import moved_to

    network = load_network(path)
    if not isinstance(network, ManiVideoNet):
        raise CheckpointError(
            f'checkpoint {path}: preset {network.config.preset} is a latent model; use a patch '
            'model, such as the preset tiny'
        )
    if grid is None or grid == network.config.size:
        return network
    moved = ManiVideoNet(on_grid(network.config, grid))
    moved.load_state_dict(moved_to(network.state_dict(), network.config, moved.config))
    return moved.eval()


def load_light_net(path: Path) -> LightNet | None:
    """The light estimator of a checkpoint, float32; None for a latent model, which has none.

    Raises CheckpointError.
    """
    from manivideo_ros.model.patch.light import LightNet

    config = read_config(path)
    if config.trunk.kind != 'patch':
        return None
    network = LightNet(config)
    state = _open(path, [f'light.{name}' for name in network.state_dict()])[1]
    network.load_state_dict({name.removeprefix('light.'): v for name, v in state.items()})
    return network.eval()


def load_network(path: Path) -> ManiVideoNet | LatentManiVideoNet:
    """The network of a checkpoint, float32, in evaluation mode.

    Raises CheckpointError for a file that is missing, truncated or of another layout; it names
    missing and unexpected keys.
    """
    from manivideo_ros.model.build import build_network

    config, state = _open(path)
    network = build_network(config)
    expected = network.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unexpected:
        raise CheckpointError(
            f'checkpoint {path}: {len(missing)} missing keys {sorted(missing)[:3]}, '
            f'{len(unexpected)} unexpected keys {sorted(unexpected)[:3]}; '
            'use a checkpoint of this version'
        )
    wrong = [name for name in expected if expected[name].shape != state[name].shape]
    if wrong:
        raise CheckpointError(f'checkpoint {path}: {wrong[0]} has the wrong shape; retrain it')
    network.load_state_dict(state)
    return network.eval()


def initialise(network: torch.nn.Module, path: Path) -> list[str]:
    """Copy all matching weights of a checkpoint to a network; returns the names of the others.

    A convolution with more input channels than in the checkpoint gets zeros for the new ones.
    Raises CheckpointError as load_checkpoint, and if no weight matches.
    """
    state, own = _open(path)[1], network.state_dict()
    untouched = []
    for name, value in own.items():
        loaded = state.get(name)
        if loaded is not None and loaded.shape == value.shape:
            value.copy_(loaded)
        elif loaded is not None and loaded.dim() == 4 and loaded.shape[1] < value.shape[1]:
            value.zero_()
            value[:, : loaded.shape[1]] = loaded
        else:
            untouched.append(name)
    if len(untouched) == len(own):
        raise CheckpointError(f'checkpoint {path}: no weight in it matches this configuration')
    return untouched


def stage_of(path: Path) -> str:
    """The stage of training that wrote a checkpoint, '' if unknown. Raises CheckpointError."""
    _open(path, ())
    with safe_open(path, framework='pt') as file:
        return str((file.metadata() or {}).get('stage', ''))


def checkpoint_sha256(path: Path) -> str:
    """The hash that identifies a checkpoint in reports, bags and caches."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _open(
    path: Path, names: Collection[str] | None = None
) -> tuple[ModelConfig, dict[str, torch.Tensor]]:
    """The configuration, and the tensors of the given names; None: all of them."""
    if not path.is_file():
        raise CheckpointError(f'checkpoint {path} does not exist; name a .safetensors file')
    try:
        with safe_open(path, framework='pt') as file:
            config = ModelConfig.from_json((file.metadata() or {})['config'])
            state = {
                name: file.get_tensor(name).float()
                for name in (file.keys() if names is None else names)
            }
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f'checkpoint {path} cannot be read ({error}); copy it again'
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f'checkpoint {path} has no configuration of this package ({error})'
        ) from None
    return config, state
