"""The architecture of a network as one dataclass."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

GRID_STEP = 32
"""The patch model halves its maps five times."""


@dataclass(frozen=True)
class PatchTrunk:
    """The patch model (patch/network.py), a UNet over patches of pixels; the defaults are `tiny`'s.

    High-resolution skip connections pass the base image and the visible normals around the trunk;
    they do not see the noise.
    """

    kind: str = field(default='patch', init=False)
    patch: int = 8  # side of a trunk cell in pixels
    channels: tuple[int, int, int] = (96, 192, 192)  # at 1/8, 1/16, 1/32 of the image
    skip_channels: tuple[int, int] = (32, 64)  # at 1/2 and 1/4 of the image
    guider_channels: tuple[int, int, int] = (32, 64, 96)
    embed_dim: int = 128  # of E_F and E_N
    time_dim: int = 256  # of the time embedding and the appearance vector
    head_dim: int = 32

    @property
    def latent_channels(self) -> int:
        """Channels of a latent cell: the RGB pixels of one patch."""
        return 3 * self.patch * self.patch


@dataclass(frozen=True)
class LatentTrunk:
    """The latent model (latent/network.py), Stable Diffusion's UNet with motion modules.

    The defaults are SD 1.5's.
    """

    kind: str = field(default='latent', init=False)
    latent_channels: int = 4  # of the autoencoder
    block_out_channels: tuple[int, int, int, int] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_head_dim: int = 8  # the number of heads: the name in SD 1.5's configuration is wrong
    norm_groups: int = 32
    cross_attention_dim: int = 768  # of the tokens that a transformer block attends to
    motion_heads: int = 8
    motion_positions: int = 32  # frames of the longest window
    motion_mid_block: bool = True  # mm_sd_v15_v2 has one, mm_sd_v15 and v3_sd15_mm have none
    guider_channels: tuple[int, int, int, int] = (16, 32, 96, 256)
    token_side: int = 8  # E_F has token_side^2 tokens per frame, as has H_o's part of E_N
    vae_channels: tuple[int, int, int, int] = (128, 256, 512, 512)

    @property
    def patch(self) -> int:
        """Side of a latent cell in pixels: the autoencoder halves three times."""
        return 8


@dataclass(frozen=True)
class ModelConfig:
    """The sizes and variants of a network, and its trunk; the default is `tiny`.

    Raises ValueError for sizes that do not fit together.
    """

    preset: str = 'tiny'
    image_size: int = 256  # pixels, square: the size at which the weights were trained
    # Width and height of the maps that the network reads, where they are not image_size squared.
    grid: tuple[int, int] | None = None
    layers: int = 7  # MLO layers: 7, or 13 with separate layers for the two hands
    # Pixels of views and hand reference, and for a PatchTrunk of the background, which for a
    # LatentTrunk has the image's size.
    reference_size: int = 128
    num_points: int = 2048  # surface points of the object
    temporal_context: int = 4  # past frames that causal attention sees
    base: Literal['painted', 'lit', 'none'] = 'painted'
    mlo: Literal['full', 'noise_only', 'depth_only'] = 'full'
    object: Literal['views+geometry', 'none'] = 'views+geometry'
    human: bool = False  # the second pose guider G1, for skeleton maps
    trunk: PatchTrunk | LatentTrunk = field(default_factory=PatchTrunk)

    def __post_init__(self) -> None:
        if self.layers not in (7, 13):
            raise ValueError(f'layers is {self.layers}; use 7, or 13 to separate the hands')
        # The latent UNet halves latents three times; the patch model's embedders halve images six
        # times.
        latent = isinstance(self.trunk, LatentTrunk)
        for name, step in (('image_size', 64), ('reference_size', 64 if latent else 32)):
            if getattr(self, name) % step:
                raise ValueError(f'{name} is {getattr(self, name)}; use a multiple of {step}')
        if self.grid is not None and (latent or any(n < 64 or n % GRID_STEP for n in self.grid)):
            raise ValueError(
                f'grid is {self.grid}; use multiples of {GRID_STEP} of at least 64 for a patch '
                'model, and none for a latent model'
            )
        if isinstance(self.trunk, LatentTrunk):
            self._check_latent(self.trunk)

    def _check_latent(self, trunk: LatentTrunk) -> None:
        cell = self.image_size / trunk.token_side
        if cell not in (8, 16, 32, 64, 128):
            raise ValueError(
                f'image_size {self.image_size} over token_side {trunk.token_side} is {cell:g}; '
                'choose token_side so that it is 8, 16, 32, 64 or 128'
            )
        if self.temporal_context >= trunk.motion_positions:
            raise ValueError(
                f'temporal_context {self.temporal_context} must be below motion_positions '
                f'{trunk.motion_positions}: the present frame needs a position too'
            )
        if self.base != 'none':
            raise ValueError('base must be none: a latent model has no base image')

    @classmethod
    def of(cls, preset: str) -> ModelConfig:
        """A preset: `tiny` for a CPU, `base` for a workstation GPU, `paper` with SD 1.5's sizes.

        Raises ValueError for another name.
        """
        if preset == 'tiny':
            return cls()
        if preset not in ('base', 'paper'):
            raise ValueError(f'preset is {preset!r}; use tiny, base or paper')
        paper = cls(
            preset='paper',
            image_size=512,
            reference_size=256,
            temporal_context=15,
            base='none',
            trunk=LatentTrunk(),
        )
        if preset == 'paper':
            return paper
        narrow = LatentTrunk(
            block_out_channels=(96, 192, 384, 384),
            cross_attention_dim=384,
            guider_channels=(16, 32, 64, 128),
        )
        return replace(paper, preset='base', image_size=256, reference_size=128, trunk=narrow)

    @property
    def patch_trunk(self) -> PatchTrunk:
        """The trunk of a patch model. Raises TypeError for a latent model."""
        if not isinstance(self.trunk, PatchTrunk):
            raise TypeError(f'preset {self.preset} is a latent model, not a patch model')
        return self.trunk

    @property
    def latent_trunk(self) -> LatentTrunk:
        """The trunk of a latent model. Raises TypeError for a patch model."""
        if not isinstance(self.trunk, LatentTrunk):
            raise TypeError(f'preset {self.preset} is a patch model, not a latent model')
        return self.trunk

    @property
    def num_references(self) -> int:
        """Number of reference images: six views, the background, the hand reference."""
        return 8

    @property
    def patch(self) -> int:
        """Side of a latent cell in pixels."""
        return self.trunk.patch

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the maps that the network reads, pixels."""
        return self.grid or (self.image_size, self.image_size)

    @property
    def latent_size(self) -> tuple[int, int]:
        """Rows and columns of the latents, cells."""
        width, height = self.size
        return height // self.patch, width // self.patch

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return self.trunk.latent_channels

    def differences(self, other: ModelConfig) -> list[str]:
        """Names of the fields, including the trunk's, in which another configuration differs."""
        own, others = (asdict(config) | asdict(config.trunk) for config in (self, other))
        names = (own.keys() | others.keys()) - {'trunk'}
        return sorted(name for name in names if own.get(name) != others.get(name))

    def to_json(self) -> str:
        """This configuration as JSON, as stored in a checkpoint."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """The configuration from a checkpoint's JSON; raises as `from_fields`."""
        return cls.from_fields(json.loads(text))

    @classmethod
    def from_fields(cls, values: dict[str, Any]) -> ModelConfig:
        """The configuration of a preset, with the given JSON or YAML fields replaced.

        Raises TypeError for an unknown field, ValueError for sizes that do not fit together.
        """
        values = _nested(values)
        preset = values.get('preset', 'tiny')
        start = cls.of(preset) if preset in ('base', 'paper') else cls()
        if values.get('grid') is not None:
            values['grid'] = tuple(values['grid'])
        return replace(start, trunk=_trunk(start.trunk, values.pop('trunk')), **values)


def _trunk(start: PatchTrunk | LatentTrunk, values: dict[str, Any]) -> PatchTrunk | LatentTrunk:
    """A trunk with the given fields replaced; `kind` selects a default trunk of another kind."""
    sizes: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    kind = sizes.pop('kind', start.kind)
    if kind not in ('patch', 'latent'):
        raise ValueError(f'trunk.kind is {kind!r}; use patch or latent')
    if kind == 'patch':
        return replace(start if isinstance(start, PatchTrunk) else PatchTrunk(), **sizes)
    return replace(start if isinstance(start, LatentTrunk) else LatentTrunk(), **sizes)


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """The fields with a `trunk`: in older checkpoints, a PatchTrunk's fields were not nested."""
    flat = {'trunk_channels': 'channels', **{f.name: f.name for f in fields(PatchTrunk)}}
    trunk = {flat[name]: value for name, value in values.items() if name in flat}
    return {'trunk': trunk} | {name: value for name, value in values.items() if name not in flat}
