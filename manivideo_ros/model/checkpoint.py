"""Checkpoints: safetensors in fp16, the configuration and the run's description in the header."""

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

if TYPE_CHECKING:  # the networks need diffusers, whose import takes seconds; their graphs do not
    from manivideo_ros.model.latent.network import LatentManiVideoNet
    from manivideo_ros.model.patch.network import ManiVideoNet

SHIPPED = ASSETS / 'weights' / 'tiny.safetensors'


class CheckpointError(ValueError):
    """A weight file that cannot be used; the message names the file and the mend."""


def save_checkpoint(
    state: Mapping[str, torch.Tensor],
    config: ModelConfig,
    path: Path,
    run: Mapping[str, str] | None = None,
) -> None:
    """Write weights as fp16, whole or not at all; `run` is kept beside the configuration."""
    partial = path.with_suffix('.partial')
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {
        name: value.detach().to('cpu', torch.float16).contiguous() for name, value in state.items()
    }
    save_file(half, partial, {'config': config.to_json(), **(run or {})})
    partial.chmod(0o644)  # safetensors writes for the owner alone
    partial.replace(path)


def read_config(path: Path) -> ModelConfig:
    """The configuration in a checkpoint's header. Raises CheckpointError."""
    return _open(path, ())[0]


def load_checkpoint(path: Path) -> ManiVideoNet:
    """The network over pixels of a checkpoint; raises as `load_network`, and for one in latents."""
    from manivideo_ros.model.patch.network import ManiVideoNet

    network = load_network(path)
    if not isinstance(network, ManiVideoNet):
        raise CheckpointError(
            f'checkpoint {path}: preset {network.config.preset} is a network in latents; '
            'use one over pixels here, as the preset tiny is'
        )
    return network


def load_network(path: Path) -> ManiVideoNet | LatentManiVideoNet:
    """The network of a checkpoint, float32, in evaluation mode.

    Raises CheckpointError for a file that is absent, truncated, of another layout, or with a
    missing or unexpected key, which it names.
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
    """Copy the weights of a checkpoint that fit into a network; the names of those that do not.

    A convolution that has gained input channels takes the old ones, and zeros for the new.
    Raises CheckpointError as load_checkpoint, and where nothing fits.
    """
    state, own = _open(path)[1], network.state_dict()
    fresh = []
    for name, value in own.items():
        given = state.get(name)
        if given is not None and given.shape == value.shape:
            value.copy_(given)
        elif given is not None and given.dim() == 4 and given.shape[1] < value.shape[1]:
            value.zero_()
            value[:, : given.shape[1]] = given
        else:
            fresh.append(name)
    if len(fresh) == len(own):
        raise CheckpointError(f'checkpoint {path}: nothing in it fits this configuration')
    return fresh


def checkpoint_sha256(path: Path) -> str:
    """The hash that names a checkpoint in reports, bags and caches."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _open(
    path: Path, names: Collection[str] | None = None
) -> tuple[ModelConfig, dict[str, torch.Tensor]]:
    """The configuration, and the tensors of these names; None for all."""
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
        raise CheckpointError(f'checkpoint {path} cannot be read ({error}); copy it anew') from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f'checkpoint {path} holds no configuration of this project ({error})'
        ) from None
    return config, state
