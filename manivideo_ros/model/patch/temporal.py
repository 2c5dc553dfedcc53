"""Causal temporal attention: over a window in training, with a cache in a stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.zero_init import zero_init

MASKED = -3e4
"""Added to the scores of empty slots. Not -inf: a softmax over masked slots only must be finite.
Twice the value must be representable in float16 (at most 65504), because -inf times 0 is NaN.
"""


class CausalTemporalAttention(nn.Module):
    """Every position attends to itself in this frame and the last `context` frames.

    A learned embedding of their age is added to keys when they are used, so that cached keys do not
    change. The output projection starts at zero: training starts from the image model.
    """

    def __init__(self, channels: int, head_dim: int, context: int) -> None:
        super().__init__()
        self.context, self.heads = context, channels // head_dim
        self.norm = nn.LayerNorm(channels)
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.age = nn.Parameter(0.02 * torch.randn(context + 1, channels))  # oldest first
        self.to_out = zero_init(nn.Linear(channels, channels))

    def _attend(
        self,
        query: Tensor,  # [B, S, C]
        keys: Tensor,  # [B, context + 1, S, C], oldest first, the present frame last
        values: Tensor,  # [B, context + 1, S, C]
        valid: Tensor,  # [B, context + 1], 1 where the slot holds a frame
    ) -> Tensor:
        shape = (self.heads, -1)
        query = (query / (query.shape[-1] / self.heads) ** 0.5).unsqueeze(1).unflatten(-1, shape)
        keys = (keys + self.age.unsqueeze(1)).unflatten(-1, shape)
        scores = (query * keys).sum(-1)  # [B, context + 1, S, heads]
        scores = scores + (1 - valid).unsqueeze(-1).unsqueeze(-1) * MASKED
        weights = scores.softmax(1).unsqueeze(-1)
        attended: Tensor = self.to_out((weights * values.unflatten(-1, shape)).sum(1).flatten(-2))
        return attended

    def window(self, hidden: Tensor, frames: int) -> Tensor:  # [B * F, S, C] -> the same
        """The attention's output for clips of consecutive frames."""
        normed = self.norm(hidden).unflatten(0, (-1, frames))
        query, key, value = self.to_q(normed), self.to_k(normed), self.to_v(normed)
        pad = (0, 0, 0, 0, self.context, 0)
        key, value = (nn.functional.pad(x, pad) for x in (key, value))
        outputs = []
        for frame in range(frames):
            slots = slice(frame, frame + self.context + 1)
            age = torch.arange(frame - self.context, frame + 1, device=hidden.device)
            valid = (age >= 0).to(hidden.dtype).expand(normed.shape[0], -1)
            outputs.append(self._attend(query[:, frame], key[:, slots], value[:, slots], valid))
        return torch.stack(outputs, 1).flatten(0, 1)

    def stream(
        self,
        hidden: Tensor,  # [B, S, C]
        cache: Tensor,  # [2, B, context, S, C]: keys and values of the past frames
        valid: Tensor,  # [B, context]
    ) -> tuple[Tensor, Tensor]:
        """The output for one frame, and the cache with this frame in it."""
        normed = self.norm(hidden)
        present = torch.stack([self.to_k(normed), self.to_v(normed)]).unsqueeze(2)
        slots = torch.cat([cache, present], 2)
        all_valid = torch.cat([valid, torch.ones_like(valid[:, :1])], 1)
        out = self._attend(self.to_q(normed), slots[0], slots[1], all_valid)
        return out, slots[:, :, 1:]
