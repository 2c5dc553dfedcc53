"""SD 1.5's transformer block with the paper's additional cross-attentions to E_F and E_N."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.transformer import ReferenceAttentionProcessor
from manivideo_ros.model.zero_init import zero_init


@dataclass
class Injected:
    """Additional tokens that a block attends to; None if absent."""

    reference: Tensor | None  # [2, B, R, C], keys and values
    mlo: Tensor | None  # [B, N, E], E_F
    geometry: Tensor | None  # [B, M, E], E_N


class ConditionedBlock(nn.Module):
    """An SD 1.5 block with two additional cross-attentions, h += ZeroInit(CrossAttn(LN(h), E)).

    attn1 attends to concat(own tokens, reference tokens), attn2 to the appearance tokens. The
    attentions to E_F and E_N follow, each with its own norm, then the feed-forward layer.
    """

    def __init__(self, block: BasicTransformerBlock, config: ModelConfig) -> None:
        super().__init__()
        self.block = block
        block.attn1.set_processor(ReferenceAttentionProcessor())  # type: ignore[arg-type]
        trunk = config.latent_trunk
        heads = trunk.attention_head_dim

        def attention() -> Attention:
            made = Attention(
                block.dim,
                cross_attention_dim=trunk.cross_attention_dim,
                heads=heads,
                dim_head=block.dim // heads,
            )
            zero_init(made.to_out)
            return made

        self.mlo_norm, self.mlo_attention = nn.LayerNorm(block.dim), attention()
        self.geometry_norm, self.geometry_attention = nn.LayerNorm(block.dim), attention()

    def reference_key_values(self, tokens: Tensor) -> Tensor:  # [B, R, C] -> [2, B, R, C]
        """The references' keys and values, computed once per scene."""
        attention = self.block.attn1
        return torch.stack([attention.to_k(tokens), attention.to_v(tokens)])

    def forward(
        self,
        hidden_states: Tensor,  # [B, S, C]
        encoder_hidden_states: Tensor,  # [B, A, E], the appearance tokens
        cross_attention_kwargs: dict[str, Injected],
        **_: Any,  # masks and labels that diffusers passes to every block
    ) -> Tensor:
        """The tokens [B, S, C] after this block."""
        block, injected, hidden = self.block, cross_attention_kwargs['injected'], hidden_states
        hidden = hidden + block.attn1(block.norm1(hidden), reference=injected.reference)
        hidden = hidden + block.attn2(block.norm2(hidden), encoder_hidden_states)
        if injected.mlo is not None:
            hidden = hidden + self.mlo_attention(self.mlo_norm(hidden), injected.mlo)
        if injected.geometry is not None:
            normed = self.geometry_norm(hidden)
            hidden = hidden + self.geometry_attention(normed, injected.geometry)
        changed: Tensor = hidden + block.ff(block.norm3(hidden))
        return changed


def attend(
    transformer: nn.Module,
    hidden: Tensor,  # [B * F, C, h, w]
    appearance: Tensor,  # [B, A, E]
    reference: Tensor | None,  # [2, B, R, C]
    mlo: Tensor | None,  # [B * F, N, E]
    geometry: Tensor | None,  # [B * F, M, E]
) -> Tensor:
    """Run a transformer of the UNet; tokens of a scene are repeated for its frames."""
    frames = len(hidden) // len(appearance)
    if frames > 1:
        appearance = appearance.repeat_interleave(frames, 0)
        reference = None if reference is None else reference.repeat_interleave(frames, 1)
    attended: Tensor = transformer(
        hidden,
        encoder_hidden_states=appearance,
        cross_attention_kwargs={'injected': Injected(reference, mlo, geometry)},
        return_dict=False,
    )[0]
    return attended
