"""AnimateDiff's motion modules: bidirectional over a window, or causal with a stream's cache.

Each block of a module has two self-attentions over the frames at one place. Over a window it is
AnimateDiff's. In causal mode, frame f attends to itself and the `context` frames before it. Keys
get the positions 0..context relative to the present frame, which is last, so that a stream can run
indefinitely. Because to_k is linear, the position's part is added when keys are used, and cached
keys do not change. The group norm is computed per frame; AnimateDiff's spans the whole window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_motion_model import (
    AnimateDiffTransformer3D as AnimateDiffTransformer3D,
)
from torch import Tensor
from torch.nn import functional

from manivideo_ros.model.patch.temporal import MASKED


def window(module: AnimateDiffTransformer3D, hidden: Tensor, frames: int) -> Tensor:
    """AnimateDiff's own attention over clips, [B * F, C, h, w] -> the same."""
    moved: Tensor = module(hidden, num_frames=frames)
    return moved


def causal(
    module: AnimateDiffTransformer3D,
    hidden: Tensor,  # [B * F, C, h, w]; F is 1 in a stream
    frames: int,
    context: int,
    cache: Tensor | None = None,  # [2 * A, B, S, context, C]: keys, values of A attentions
    valid: Tensor | None = None,  # [B, context], 1 where the cache holds a frame
) -> tuple[Tensor, Tensor | None]:
    """The features after this module, and for a stream the next cache."""
    past = cache.shape[-2] if cache is not None else 0
    slots = _slots(frames, past, context, hidden)
    mask = (1 - slots.sum(-1)) * MASKED  # [F, K]
    if valid is not None:
        seen = functional.pad(valid, (0, frames), value=1.0)
        mask = mask + ((1 - seen) * MASKED)[:, None, None, None]  # [B, 1, 1, F, K]
    used: list[Tensor] = []

    def attend(attention: Attention, normed: Tensor, position: Tensor) -> Tensor:
        keys, values = attention.to_k(normed), attention.to_v(normed)
        if cache is not None:
            pair = cache[len(used) : len(used) + 2]
            keys, values = torch.cat([pair[0], keys], 2), torch.cat([pair[1], values], 2)
        used.extend([keys, values])
        split = _heads(attention, keys), _heads(attention, values)
        return _weigh(attention, normed, position, *split, slots, mask)

    out = _through(module, hidden, frames, context, attend)
    return out, None if cache is None else torch.stack(used)[..., -context:, :]


def in_place(
    module: AnimateDiffTransformer3D,
    hidden: Tensor,  # [B, C, h, w], one frame of a stream
    ring: Tensor,  # [2 * A, B, S, heads, context + 1, C / heads]: keys, values; written
    place: Tensor,  # [1], int64: this frame's position in the ring
    slots: Tensor,  # [1, K, context + 1], from `ring_slots`
    mask: Tensor,  # [B, 1, 1, 1, K]
) -> Tensor:
    """`causal` for one frame of a stream, with a ring buffer whose past is not moved.

    The newest frame overwrites the oldest; `slots` has the age of each key.
    """
    count, pairs = ring.shape[-2], iter(ring)

    def attend(attention: Attention, normed: Tensor, position: Tensor) -> Tensor:
        keys, values = next(pairs), next(pairs)
        keys.index_copy_(-2, place, _heads(attention, attention.to_k(normed)))
        values.index_copy_(-2, place, _heads(attention, attention.to_v(normed)))
        return _weigh(attention, normed, position, keys, values, slots, mask)

    return _through(module, hidden, 1, count - 1, attend)


def ring_slots(
    valid: Tensor,  # [B, context + 1], 1 where the rings hold a frame, including this one
    place: Tensor,  # [1], int64: this frame's position in the rings
) -> tuple[Tensor, Tensor]:
    """The age of each key as one-hot slots [1, K, context + 1], and the mask of empty keys.

    The mask is [B, 1, 1, 1, K]. Both are the same for all modules of a frame.
    """
    count = valid.shape[-1]
    places = torch.arange(count, device=valid.device)
    slot = count - 1 - (place - places) % count
    slots = (slot.unsqueeze(-1) == places).to(valid.dtype).unsqueeze(0)
    return slots, ((1 - valid) * MASKED)[:, None, None, None]


def empty_cache(
    module: AnimateDiffTransformer3D,
    batch: int,
    cells: int,
    context: int,
) -> Tensor:
    """The cache [2 * A, B, S, context, C] of a stream without past frames."""
    weight: Any = module.proj_in.weight
    attentions = 2 * len(module.transformer_blocks)
    cache: Tensor = weight.new_zeros(2 * attentions, batch, cells, context, weight.shape[0])
    return cache


def empty_ring(
    module: AnimateDiffTransformer3D,
    batch: int,
    cells: int,
    context: int,
) -> Tensor:
    """The ring [2 * A, B, S, heads, context + 1, C / heads] of a stream without past frames."""
    cache = empty_cache(module, batch, cells, context + 1)
    blocks: Any = module.transformer_blocks
    return _heads(blocks[0].attn1, cache).contiguous()


def _slots(frames: int, past: int, context: int, like: Tensor) -> Tensor:
    """[F, past + F, context + 1]: 1 where a frame sees a key in a slot."""
    query = past + torch.arange(frames, device=like.device).unsqueeze(1)
    slot = context - query + torch.arange(past + frames, device=like.device)  # [F, K]
    return (slot.unsqueeze(-1) == torch.arange(context + 1, device=like.device)).to(like.dtype)


def _through(
    module: AnimateDiffTransformer3D,
    hidden: Tensor,  # [B * F, C, h, w]
    frames: int,
    context: int,
    attend: Callable[[Attention, Tensor, Tensor], Tensor],
) -> Tensor:
    """The features after a module, whose attentions are computed by `attend`.

    attend: takes the attention, normed tokens [B, S, F, C] and positions [context + 1, C].
    """
    height, width = hidden.shape[-2:]
    blocks: Any = module.transformer_blocks
    tokens = module.norm(hidden).unflatten(0, (-1, frames)).flatten(3).permute(0, 3, 1, 2)
    tokens = module.proj_in(tokens)  # [B, S, F, C]
    for block in blocks:
        position = block.pos_embed.pe[0, : context + 1].to(tokens.dtype)
        for attention, norm in ((block.attn1, block.norm1), (block.attn2, block.norm2)):
            tokens = tokens + attend(attention, norm(tokens), position)
        tokens = tokens + block.ff(block.norm3(tokens))
    tokens = module.proj_out(tokens).permute(0, 2, 3, 1).unflatten(-1, (height, width))
    moved: Tensor = tokens.flatten(0, 1) + hidden
    return moved


def _heads(attention: Attention, x: Tensor) -> Tensor:  # [..., K, C] -> [..., heads, K, C / heads]
    heads: Tensor = x.unflatten(-1, (attention.heads, -1)).transpose(-2, -3)
    return heads


def _weigh(
    attention: Attention,
    normed: Tensor,  # [B, S, F, C]
    position: Tensor,  # [context + 1, C]
    keys: Tensor,  # [B, S, heads, K, C / heads], without positions
    values: Tensor,
    slots: Tensor,  # [F, K, context + 1]
    mask: Tensor,  # [(B, 1, 1,) F, K]
) -> Tensor:
    """The attention's output [B, S, F, C]."""
    query = _heads(attention, attention.to_q(normed + position[-1])) * attention.scale
    place_keys = _heads(attention, attention.to_k(position))
    place_values = _heads(attention, attention.to_v(position))
    scores = query @ keys.transpose(-1, -2) + mask  # [B, S, heads, F, K]
    by_slot = query @ place_keys.transpose(-1, -2)  # [B, S, heads, F, context + 1]
    weights = (scores + torch.einsum('...qw,qkw->...qk', by_slot, slots)).softmax(-1)
    output = weights @ values
    output = output + torch.einsum('...qk,qkw->...qw', weights, slots) @ place_values
    out: Tensor = attention.to_out[0](output.transpose(-2, -3).flatten(-2))
    return out
