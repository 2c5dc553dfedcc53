"""Loads published weights into the latent model: all of them, or an error naming the problem.

Supported layouts: diffusers' UNet of SD 1.5 (and of its image variations), diffusers' AutoencoderKL
with old or new names of its attention, AnimateDiff's motion modules in diffusers' layout
(MotionAdapter) and in their own (mm_sd_v15_v2.ckpt). Nothing is written before everything has been
checked, because motion weights that silently fail to load cause flicker.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor

from manivideo_ros.files.errors import reason_of
from manivideo_ros.model.latent.network import LatentManiVideoNet

State = Mapping[str, Tensor]
Targets = dict[str, list[Tensor]]
"""Key of the published file -> the tensors of the network that it fills."""

_OLD_ATTENTION = {'query': 'to_q', 'key': 'to_k', 'value': 'to_v', 'proj_attn': 'to_out.0'}
_ANIMATEDIFF = (  # AnimateDiff's names -> diffusers'
    ('.temporal_transformer.', '.'),
    ('.attention_blocks.0.', '.attn1.'),
    ('.attention_blocks.1.', '.attn2.'),
    ('.norms.0.', '.norm1.'),
    ('.norms.1.', '.norm2.'),
    ('.ff_norm.', '.norm3.'),
)
_POSITION = re.compile(r'\.(pos_embed|attn[12]\.pos_encoder)\.pe$')


class WeightsError(ValueError):
    """Raised for a weight file that does not match; the message names file, key and a fix."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or torch file; code in it is not executed.

    Raises WeightsError for a file that is missing, damaged, or contains more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f'weights {path} do not exist; name a .safetensors, .bin or .ckpt file')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(
            f'weights {path} contain more than tensors, which could run code; if you trust them, '
            'convert them to safetensors'
        ) from None
    except Exception as error:  # torch raises any kind of exception for invalid bytes
        reason = reason_of(error)
        raise WeightsError(f'weights {path} cannot be read ({reason}); copy them again') from None
    if isinstance(state, dict) and isinstance(state.get('state_dict'), dict):
        state = state['state_dict']  # a training checkpoint, with steps and epochs beside it
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f'weights {path} are no mapping of names to tensors')
    return {name.removeprefix('module.'): value for name, value in state.items()}


def load_sd15(network: LatentManiVideoNet, unet_state: State, name: str = 'SD 1.5 UNet') -> None:
    """Load one UNet into the denoising UNet's image layers and R. Raises WeightsError."""
    published = {key: key for key in unet_state}
    hint = 'use the UNet of SD 1.5 in diffusers layout'
    _fill(sd15_targets(network), unet_state, name, hint, published)


def load_motion(network: LatentManiVideoNet, state: State, name: str = 'motion modules') -> None:
    """Load AnimateDiff's motion modules, in either layout. Raises WeightsError.

    Position embeddings are sinusoids and not weights: if the file has them, they must equal the
    network's.
    """
    published = _renamed(state, _from_animatediff, name)
    positions = motion_positions(network)
    weights = dict(published)
    for key, original in published.items():
        position = positions.get(_POSITION.sub('', key)) if _POSITION.search(key) else None
        if position is not None:
            _check_position(state[original], position, f'{name}: {original}')
            del weights[key]
    hint = 'set motion_mid_block: false for mm_sd_v15 and v3_sd15_mm, true for mm_sd_v15_v2'
    _fill(motion_targets(network), state, name, hint, weights)


def load_vae(vae: AutoencoderKL, state: State, name: str = 'sd-vae-ft-mse') -> None:
    """Load the autoencoder, with old or new names of its attention. Raises WeightsError."""
    published = _renamed(state, _from_old_attention, name)
    _fill(vae_targets(vae), state, name, 'use an AutoencoderKL in diffusers layout', published)


def sd15_targets(network: LatentManiVideoNet) -> Targets:
    """The targets of an SD 1.5 UNet: R, and the denoising UNet without the paper's additions."""
    targets: Targets = {key: [value] for key, value in network.appearance.unet.state_dict().items()}
    for key, value in network.unet.state_dict().items():
        if 'motion_modules.' in key or re.search(r'transformer_blocks\.0\.(mlo|geometry)_', key):
            continue
        published = key.replace('transformer_blocks.0.block.', 'transformer_blocks.0.')
        targets.setdefault(published, []).append(value)
    return targets


def motion_targets(network: LatentManiVideoNet) -> Targets:
    """The targets of a MotionAdapter: the parameters of all motion modules."""
    named = network.unet.named_parameters()
    return {key: [value.data] for key, value in named if 'motion_modules.' in key}


def motion_positions(network: LatentManiVideoNet) -> State:
    """The position embeddings [1, positions, C] by the names of their blocks."""
    ending = '.pos_embed.pe'
    buffers = network.unet.named_buffers()
    return {key.removesuffix(ending): value for key, value in buffers if key.endswith(ending)}


def vae_targets(vae: AutoencoderKL) -> Targets:
    """The targets of a published autoencoder: all tensors."""
    return {key: [value] for key, value in vae.state_dict().items()}


def _from_animatediff(key: str) -> str:
    for animatediff, diffusers in _ANIMATEDIFF:
        key = key.replace(animatediff, diffusers)
    return key


def _from_old_attention(key: str) -> str:
    head, _, last = key.rpartition('.')
    block, _, layer = head.rpartition('.')
    if 'mid_block.attentions.' in key and layer in _OLD_ATTENTION:
        return f'{block}.{_OLD_ATTENTION[layer]}.{last}'
    return key


def _renamed(state: State, rename: Callable[[str], str], name: str) -> dict[str, str]:
    """The network's key -> the file's key."""
    published: dict[str, str] = {}
    for key in state:
        if (own := rename(key)) in published:
            raise WeightsError(f'{name}: {key} and {published[own]} are the same weight; keep one')
        published[own] = key
    return published


def _check_position(loaded: Tensor, own: Tensor, where: str) -> None:
    if loaded.shape != own.shape:
        raise WeightsError(
            f'{where} has the shape {tuple(loaded.shape)}, this network {tuple(own.shape)}; '
            f'set motion_positions: {loaded.shape[1]}'
        )
    if not torch.allclose(loaded.float(), own.float(), atol=2e-3):  # files may be in half precision
        raise WeightsError(f"{where} is not AnimateDiff's sinusoid; use its original file")


def _fill(
    targets: Targets,
    state: State,
    name: str,
    hint: str,
    published: Mapping[str, str],  # the network's key -> the file's key
) -> None:
    missing, unexpected = targets.keys() - published.keys(), published.keys() - targets.keys()
    if missing or unexpected:
        extra = [published[key] for key in unexpected]
        raise WeightsError(f'{name}: {_some(missing)} missing, {_some(extra)} unexpected; {hint}')
    for key, tensors in targets.items():
        value = state[published[key]]
        for tensor in tensors:
            if tensor.shape != value.shape:
                raise WeightsError(
                    f'{name}: {published[key]} has the shape {tuple(value.shape)}, this network '
                    f'{tuple(tensor.shape)}; {hint}'
                )
    with torch.no_grad():
        for key, tensors in targets.items():
            for tensor in tensors:
                tensor.copy_(state[published[key]])


def _some(keys: Iterable[str]) -> str:
    ordered = sorted(keys)
    return (
        ', '.join(ordered[:3]) + f' and {len(ordered) - 3} more' * (len(ordered) > 3) or 'nothing'
    )
