"""Published weights into the latent network: all of them, or an error that names what is wrong.

Layouts: diffusers' UNet of SD 1.5 (and of its image variations), diffusers' AutoencoderKL with
the old and the new names of its attention, AnimateDiff's motion modules in diffusers' layout
(MotionAdapter) and in their own (mm_sd_v15_v2.ckpt). Nothing is written before all has been
checked: motion weights that silently fail to load give flicker.
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
"""A key of the published file -> the tensors of ours that it fills."""

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
    """A weight file that does not fit; the message names the file, the key and the mend."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a torch file, read without running anything.

    Raises WeightsError for a file that is absent, damaged, or that holds more than tensors.
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
            f'weights {path} hold more than tensors, which could run code; convert them to '
            'safetensors where you trust them'
        ) from None
    except Exception as error:  # torch raises what it likes on bytes that make no sense
        reason = reason_of(error)
        raise WeightsError(f'weights {path} cannot be read ({reason}); copy them anew') from None
    if isinstance(state, dict) and isinstance(state.get('state_dict'), dict):
        state = state['state_dict']  # a training checkpoint: steps and epochs lie beside it
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f'weights {path} are no mapping of names to tensors')
    return {name.removeprefix('module.'): value for name, value in state.items()}


def load_sd15(network: LatentManiVideoNet, unet_state: State, name: str = 'SD 1.5 UNet') -> None:
    """Fill the denoising UNet's image layers and all of R from one UNet. Raises WeightsError."""
    published = {key: key for key in unet_state}
    hint = 'use the UNet of SD 1.5 in diffusers layout'
    _fill(sd15_targets(network), unet_state, name, hint, published)


def load_motion(network: LatentManiVideoNet, state: State, name: str = 'motion modules') -> None:
    """Fill the motion modules from AnimateDiff's, in either layout. Raises WeightsError.

    Positions are sinusoids and no weights: where the file has them, they must be ours.
    """
    published = _renamed(state, _from_animatediff, name)
    ours = motion_positions(network)
    weights = dict(published)
    for key, original in published.items():
        position = ours.get(_POSITION.sub('', key)) if _POSITION.search(key) else None
        if position is not None:
            _check_position(state[original], position, f'{name}: {original}')
            del weights[key]
    hint = 'set motion_mid_block: false for mm_sd_v15 and v3_sd15_mm, true for mm_sd_v15_v2'
    _fill(motion_targets(network), state, name, hint, weights)


def load_vae(vae: AutoencoderKL, state: State, name: str = 'sd-vae-ft-mse') -> None:
    """Fill the autoencoder; its attention may have the old names. Raises WeightsError."""
    published = _renamed(state, _from_old_attention, name)
    _fill(vae_targets(vae), state, name, 'use an AutoencoderKL in diffusers layout', published)


def sd15_targets(network: LatentManiVideoNet) -> Targets:
    """What a UNet of SD 1.5 fills: the denoising UNet beside what was added to it, and R."""
    targets: Targets = {key: [value] for key, value in network.appearance.unet.state_dict().items()}
    for key, value in network.unet.state_dict().items():
        if 'motion_modules.' in key or re.search(r'transformer_blocks\.0\.(mlo|geometry)_', key):
            continue
        published = key.replace('transformer_blocks.0.block.', 'transformer_blocks.0.')
        targets.setdefault(published, []).append(value)
    return targets


def motion_targets(network: LatentManiVideoNet) -> Targets:
    """What a MotionAdapter fills: the parameters of all motion modules."""
    named = network.unet.named_parameters()
    return {key: [value.data] for key, value in named if 'motion_modules.' in key}


def motion_positions(network: LatentManiVideoNet) -> State:
    """The sinusoids [1, positions, C] under the names of their blocks."""
    found = {}
    for key, value in network.unet.named_buffers():
        if key.endswith('.pos_embed.pe'):
            found[key.removesuffix('.pos_embed.pe')] = value
    return found


def vae_targets(vae: AutoencoderKL) -> Targets:
    """What a published autoencoder fills: all of ours."""
    return {key: [value] for key, value in vae.state_dict().items()}


def _from_animatediff(key: str) -> str:
    for theirs, diffusers in _ANIMATEDIFF:
        key = key.replace(theirs, diffusers)
    return key


def _from_old_attention(key: str) -> str:
    head, _, last = key.rpartition('.')
    block, _, layer = head.rpartition('.')
    if 'mid_block.attentions.' in key and layer in _OLD_ATTENTION:
        return f'{block}.{_OLD_ATTENTION[layer]}.{last}'
    return key


def _renamed(state: State, rename: Callable[[str], str], name: str) -> dict[str, str]:
    """Our key -> the file's."""
    published: dict[str, str] = {}
    for key in state:
        if (ours := rename(key)) in published:
            raise WeightsError(f'{name}: {key} and {published[ours]} are the same weight; keep one')
        published[ours] = key
    return published


def _check_position(given: Tensor, ours: Tensor, where: str) -> None:
    if given.shape != ours.shape:
        raise WeightsError(
            f'{where} has the shape {tuple(given.shape)}, this network {tuple(ours.shape)}; '
            f'set motion_positions: {given.shape[1]}'
        )
    if not torch.allclose(given.float(), ours.float(), atol=2e-3):  # files may be in half precision
        raise WeightsError(f"{where} is not AnimateDiff's sinusoid; use its own file")


def _fill(
    targets: Targets,
    state: State,
    name: str,
    hint: str,
    published: Mapping[str, str],  # our key -> the file's
) -> None:
    missing, unexpected = targets.keys() - published.keys(), published.keys() - targets.keys()
    if missing or unexpected:
        theirs = [published[key] for key in unexpected]
        raise WeightsError(f'{name}: {_some(missing)} missing, {_some(theirs)} unexpected; {hint}')
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
