"""One dataclass is the whole architecture of the latent network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PaperConfig:
    """The sizes of one latent network; the defaults are Stable Diffusion 1.5's.

    Raises ValueError for sizes that do not fit each other.
    """

    preset: str = 'paper'
    image_size: int = 512  # pixels, square
    layers: int = 7  # MLO layers: 7, or 13 with the hands apart
    latent_channels: int = 4  # of the autoencoder, at 1/8 of the image
    block_out_channels: tuple[int, int, int, int] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_head_dim: int = 8  # heads, in fact: SD 1.5's configuration has the name wrong
    norm_groups: int = 32
    cross_attention_dim: int = 768  # of every token that a transformer block attends to
    motion_heads: int = 8
    motion_positions: int = 32  # frames of the longest window
    motion_mid_block: bool = True  # mm_sd_v15_v2 has one, mm_sd_v15 and v3_sd15_mm have none
    temporal_context: int = 15  # past frames that causal attention sees
    guider_channels: tuple[int, int, int, int] = (16, 32, 96, 256)
    token_side: int = 8  # E_F has token_side^2 tokens a frame, and so has H_o's share of E_N
    view_size: int = 256  # pixels of the six views and the hand view; the background has image_size
    num_points: int = 2048  # surface points of the object
    vae_channels: tuple[int, int, int, int] = (128, 256, 512, 512)
    mlo: Literal['full', 'noise_only', 'depth_only'] = 'full'
    object: Literal['views+geometry', 'none'] = 'views+geometry'
    human: bool = False  # the second pose guider G1, for skeleton maps

    def __post_init__(self) -> None:
        if self.layers not in (7, 13):
            raise ValueError(f'layers is {self.layers}; MLO has 7, or 13 with the hands apart')
        for name in ('image_size', 'view_size'):
            if getattr(self, name) % 64:  # the latents are halved three times
                raise ValueError(f'{name} is {getattr(self, name)}; use a multiple of 64')
        cell = self.image_size / self.token_side
        if cell not in (8, 16, 32, 64, 128):
            raise ValueError(
                f'image_size {self.image_size} over token_side {self.token_side} is {cell:g}; '
                'choose token_side so that it is 8, 16, 32, 64 or 128'
            )
        if self.temporal_context >= self.motion_positions:
            raise ValueError(
                f'temporal_context {self.temporal_context} must be below motion_positions '
                f'{self.motion_positions}: the present frame needs a position too'
            )

    @property
    def latent_size(self) -> int:
        """Cells along the side of the frame's latents."""
        return self.image_size // 8

    @classmethod
    def base(cls) -> PaperConfig:
        """The preset for one workstation GPU: the same network, narrower, at 256x256."""
        return cls(
            preset='base',
            image_size=256,
            block_out_channels=(96, 192, 384, 384),
            cross_attention_dim=384,
            guider_channels=(16, 32, 64, 128),
            view_size=128,
        )

    @classmethod
    def small(cls) -> PaperConfig:
        """A few channels at 128x128, for tests."""
        return cls(
            preset='small',
            image_size=128,
            block_out_channels=(8, 16, 16, 16),
            layers_per_block=1,
            attention_head_dim=2,
            norm_groups=4,
            cross_attention_dim=16,
            motion_heads=2,
            motion_positions=8,
            temporal_context=3,
            guider_channels=(8, 8, 8, 8),
            token_side=2,
            view_size=128,
            num_points=16,
            vae_channels=(4, 4, 8, 8),
            human=True,
        )
