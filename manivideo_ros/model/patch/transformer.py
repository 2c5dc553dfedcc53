"""The trunk's transformer block, with attention to references, E_F, E_N and past frames."""

from __future__ import annotations

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.temporal import CausalTemporalAttention
from manivideo_ros.model.zero_init import zero_init


class ReferenceAttentionProcessor:
    """Self-attention whose keys and values are concat(own tokens, reference tokens).

    References are passed as projected keys and values, because they are constant for a scene.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,  # [B, S, C]
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        reference: Tensor | None = None,  # [2, B, R, C]
    ) -> Tensor:
        """Attention of [B, S, C] to its own or the encoder's tokens, and to the references."""
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source)
        if reference is not None:
            key = torch.cat([key, reference[0].to(key.dtype)], 1)
            value = torch.cat([value, reference[1].to(value.dtype)], 1)
        heads = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (query, key, value))
        out = nn.functional.scaled_dot_product_attention(*heads)
        attended: Tensor = attn.to_out[0](out.transpose(1, 2).flatten(-2))
        return attended


class ConditionedTransformer(nn.Module):
    """h += attention in turn over (self + references), E_F, E_N, past frames; then feed-forward.

    The cross-attentions' output projections start at zero (method: ZeroInit).
    """

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        trunk = config.patch_trunk
        heads, dim = channels // trunk.head_dim, trunk.head_dim
        self.norm_self = nn.LayerNorm(channels)

        def attention(source: int | None) -> Attention:
            made = Attention(channels, cross_attention_dim=source, heads=heads, dim_head=dim)
            made.set_processor(ReferenceAttentionProcessor())  # type: ignore[arg-type]
            return made

        self.self_attention = attention(None)
        self.norm_mlo, self.norm_geometry = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.mlo_attention = attention(trunk.embed_dim)
        self.geometry_attention = attention(trunk.embed_dim)
        zero_init(self.mlo_attention.to_out)
        zero_init(self.geometry_attention.to_out)
        self.temporal = CausalTemporalAttention(channels, dim, config.temporal_context)
        self.norm_feed = nn.LayerNorm(channels)
        self.feed_forward = FeedForward(channels, mult=2, activation_fn='geglu')
        # Reference tokens have the appearance net's width.
        width = trunk.channels[1]
        self.reference = nn.Linear(width, channels) if width != channels else nn.Identity()

    def reference_key_values(self, tokens: Tensor) -> Tensor:  # [B, R, C_r] -> [2, B, R, C]
        """The references' keys and values, computed once per scene."""
        tokens = self.reference(tokens)
        return torch.stack([self.self_attention.to_k(tokens), self.self_attention.to_v(tokens)])

    def forward(
        self,
        features: Tensor,  # [B, C, h, w]
        reference: Tensor,  # [2, B, R, C]
        mlo_tokens: Tensor,  # [B, N, E]
        geometry_tokens: Tensor,  # [B, M, E]
        frames: int,  # frames of a clip lie next to each other in B; 0 for a stream
        cache: Tensor | None = None,  # [2, B, context, h * w, C]
        valid: Tensor | None = None,  # [B, context]
    ) -> tuple[Tensor, Tensor | None]:
        """The features after this block, and for a stream the next cache."""
        height = features.shape[2]
        hidden = features.flatten(2).transpose(1, 2)
        hidden = hidden + self.self_attention(self.norm_self(hidden), reference=reference)
        hidden = hidden + self.mlo_attention(self.norm_mlo(hidden), mlo_tokens)
        hidden = hidden + self.geometry_attention(self.norm_geometry(hidden), geometry_tokens)
        if cache is not None and valid is not None:
            past, cache = self.temporal.stream(hidden, cache, valid)
        else:
            past = self.temporal.window(hidden, frames)
        hidden = hidden + past
        hidden = hidden + self.feed_forward(self.norm_feed(hidden))
        return hidden.transpose(1, 2).unflatten(2, (height, -1)), cache
