"""AnimateDiff's motion modules: bidirectional over a window, or causal with a stream's cache.

A module holds two self-attentions a block, each over the frames at one place. Over a window it
is AnimateDiff's. Causally, frame f sees itself and `context` frames before it; the frames' keys
carry the positions 0..context with the present frame last, whenever they are looked at, so that
a stream has no end. to_k is linear: the position's share is added on use, and cached keys stay
as they are. The group norm is taken per frame, since AnimateDiff's looks at the whole window.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor
from torch.nn import functional

MASKED = -1e9  # not -inf: a softmax over masked slots alone must stay finite in every engine


def window(module: AnimateDiffTransformer3D, hidden: Tensor, frames: int) -> Tensor:
    """AnimateDiff's own attention over clips, [B * F, C, h, w] -> the same."""
    return module(hidden, num_frames=frames)


def causal(
    module: AnimateDiffTransformer3D,
    hidden: Tensor,  # [B * F, C, h, w]; F is 1 in a stream
    frames: int,
    context: int,
    cache: Tensor | None = None,  # [2 * A, B, S, context, C]: keys, values of A attentions
    valid: Tensor | None = None,  # [B, context], 1 where the cache holds a frame
) -> tuple[Tensor, Tensor | None]:
    """The features after this module, and in a stream the next cache."""
    height, width = hidden.shape[-2:]
    blocks: Any = module.transformer_blocks
    tokens = module.norm(hidden).unflatten(0, (-1, frames)).flatten(3).permute(0, 3, 1, 2)
    tokens = module.proj_in(tokens)  # [B, S, F, C]
    past = cache.shape[-2] if cache is not None else 0
    slots = _slots(frames, past, context, tokens)
    mask = (1 - slots.sum(-1)) * MASKED  # [F, K]
    if valid is not None:
        seen = functional.pad(valid, (0, frames), value=1.0)
        mask = mask + ((1 - seen) * MASKED)[:, None, None, None]  # [B, 1, 1, F, K]
    kept: list[Tensor] = []
    for block in blocks:
        position = block.pos_embed.pe[0, : context + 1]
        for attention, norm in ((block.attn1, block.norm1), (block.attn2, block.norm2)):
            pair = None if cache is None else cache[len(kept) : len(kept) + 2]
            output, keys, values = _attend(attention, norm(tokens), position, pair, slots, mask)
            tokens = tokens + output
            kept += [keys, values]
        tokens = tokens + block.ff(block.norm3(tokens))
    tokens = module.proj_out(tokens).permute(0, 2, 3, 1).unflatten(-1, (height, width))
    following = None if cache is None else torch.stack(kept)[..., -context:, :]
    return tokens.flatten(0, 1) + hidden, following


def empty_cache(
    module: AnimateDiffTransformer3D,
    batch: int,
    cells: int,
    context: int,
) -> Tensor:
    """The cache [2 * A, B, S, context, C] of a stream that has seen no frame."""
    weight: Any = module.proj_in.weight
    attentions = 2 * len(module.transformer_blocks)
    return weight.new_zeros(2 * attentions, batch, cells, context, weight.shape[0])


def _slots(frames: int, past: int, context: int, like: Tensor) -> Tensor:
    """[F, past + F, context + 1], 1 where that frame sees that key in that slot."""
    query = past + torch.arange(frames, device=like.device).unsqueeze(1)
    slot = context - query + torch.arange(past + frames, device=like.device)  # [F, K]
    return (slot.unsqueeze(-1) == torch.arange(context + 1, device=like.device)).to(like.dtype)


def _attend(
    attention: Attention,
    normed: Tensor,  # [B, S, F, C]
    position: Tensor,  # [context + 1, C]
    cache: Tensor | None,  # [2, B, S, past, C]
    slots: Tensor,  # [F, K, context + 1]
    mask: Tensor,  # [(B, 1, 1,) F, K]
) -> tuple[Tensor, Tensor, Tensor]:
    """The attention's output, and all keys and values [B, S, K, C] without positions."""
    position = position.to(normed.dtype)
    keys, values = attention.to_k(normed), attention.to_v(normed)
    if cache is not None:
        keys, values = torch.cat([cache[0], keys], 2), torch.cat([cache[1], values], 2)

    def heads(x: Tensor) -> Tensor:  # [..., K, C] -> [..., heads, K, C / heads]
        return x.unflatten(-1, (attention.heads, -1)).transpose(-2, -3)

    query = heads(attention.to_q(normed + position[-1])) * attention.scale
    place_keys, place_values = heads(attention.to_k(position)), heads(attention.to_v(position))
    scores = query @ heads(keys).transpose(-1, -2) + mask  # [B, S, heads, F, K]
    by_slot = query @ place_keys.transpose(-1, -2)  # [B, S, heads, F, context + 1]
    weights = (scores + torch.einsum('...qw,qkw->...qk', by_slot, slots)).softmax(-1)
    output = weights @ heads(values)
    output = output + torch.einsum('...qk,qkw->...qw', weights, slots) @ place_values
    return attention.to_out[0](output.transpose(-2, -3).flatten(-2)), keys, values
