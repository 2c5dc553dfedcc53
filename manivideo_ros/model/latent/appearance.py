"""AppearanceNet R: a second SD 1.5 UNet, run once per scene at t = 0."""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent.unet import call, embed_time, image_unet, modules_in_order, walk

VIEWS = 6
REFERENCES = VIEWS + 2  # the six views, the hand reference, the background


class RecordingProcessor(AttnProcessor2_0):
    """diffusers' attention processor that also records the inputs of self-attentions."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,  # [B, S, C]
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        record: list[Tensor] | None = None,
    ) -> Tensor:
        """The attention's output [B, S, C]."""
        if record is not None and encoder_hidden_states is None:
            record.append(hidden_states)
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def _attend_and_record(
    transformer: nn.Module, hidden: Tensor, context: Tensor
) -> tuple[Tensor, Tensor]:
    record: list[Tensor] = []
    hidden = transformer(
        hidden,
        encoder_hidden_states=context,
        cross_attention_kwargs={'record': record},
        return_dict=False,
    )[0]
    return hidden, record[0]


class LatentAppearanceNet(nn.Module):
    """Reference latents -> tokens for every self-attention, and the appearance tokens E_A.

    The model takes no text. In R, attn2 attends to learned tokens of the reference's role (which of
    the six views, the hand reference, the background). In the denoising UNet, attn2 attends to E_A,
    which has one token per reference: the projected mean of R's middle block. E_A replaces the
    global image embedding of SD image variations, without a second encoder.
    """

    ROLE_TOKENS = 4

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        trunk = config.latent_trunk
        width, deepest = trunk.cross_attention_dim, trunk.block_out_channels[-1]
        self.unet = image_unet(config)
        self.unet.set_attn_processor(RecordingProcessor())  # type: ignore[no-untyped-call]
        self.role = nn.Parameter(torch.randn(REFERENCES, self.ROLE_TOKENS, width))
        self.project = nn.Linear(deepest, width)
        self.norm = nn.LayerNorm(width)
        # Index of the middle block among the self-attentions: the last down block has none.
        self.middle = trunk.layers_per_block * (len(trunk.block_out_channels) - 1)
        self.gradient_checkpointing = False
        # Layers after the input of the last self-attention do not affect the denoising network.
        # They are kept because the published file contains them, but not trained.
        last = list(modules_in_order(self.unet, 'attentions'))[-1]
        block = last.transformer_blocks[0]
        for unused in (
            *(block.attn1, block.norm2, block.attn2, block.norm3, block.ff, last.proj_out),
            *(self.unet.conv_norm_out, self.unet.conv_out),
        ):
            unused.requires_grad_(False)

    def _tokens(self, latents: Tensor, first_role: int) -> list[Tensor]:
        """Latents [B, K, 4, h, w] of K successive roles -> per self-attention [B, K, S, C]."""
        batch, count = latents.shape[:2]
        role = self.role[first_role : first_role + count].repeat(batch, 1, 1)
        time = embed_time(self.unet, latents.new_zeros(batch * count), latents.dtype)
        recorded: list[Tensor] = []

        def attend(transformer: nn.Module, hidden: Tensor) -> Tensor:
            recompute = self.gradient_checkpointing
            hidden, tokens = call(recompute, _attend_and_record, transformer, hidden, role)
            recorded.append(tokens.unflatten(0, (batch, count)))
            return hidden

        recompute = self.gradient_checkpointing
        walk(self.unet, latents.flatten(0, 1), time, attend, recompute=recompute)
        return recorded

    def forward(
        self,
        views: Tensor | None,  # [B, 6, 4, v, v] latents; None without an object
        hand_reference: Tensor,  # [B, 4, v, v]
        background: Tensor,  # [B, 4, h, w]
    ) -> tuple[list[Tensor], Tensor]:
        """Tokens [B, R, C] for each self-attention of the UNet, and E_A [B, A, E]."""
        close = hand_reference.unsqueeze(1)
        if views is not None:
            close = torch.cat([views, close], 1)
        sets = [
            self._tokens(close, REFERENCES - 1 - close.shape[1]),
            self._tokens(background.unsqueeze(1), REFERENCES - 1),
        ]
        tokens = [
            torch.cat([t.flatten(1, 2) for t in layer], 1) for layer in zip(*sets, strict=True)
        ]
        means = torch.cat([recorded[self.middle].mean(2) for recorded in sets], 1)
        return tokens, self.norm(self.project(means))
