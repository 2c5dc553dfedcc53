"""One dataclass is the whole architecture of the model, whichever family it is of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal


@dataclass(frozen=True)
class PatchTrunk:
    """A UNet over patch x patch blocks of pixels (network.py); the defaults are `tiny`'s.

    High-resolution skips carry the base image and the visible normals around it (they never see
    the noise).
    """

    kind: str = field(default='patch', init=False)
    patch: int = 8  # pixels of one trunk cell's side
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
    """Stable Diffusion's UNet with motion modules (paper/network.py); the defaults are SD 1.5's."""

    kind: str = field(default='latent', init=False)
    latent_channels: int = 4  # of the autoencoder
    block_out_channels: tuple[int, int, int, int] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_head_dim: int = 8  # heads, in fact: SD 1.5's configuration has the name wrong
    norm_groups: int = 32
    cross_attention_dim: int = 768  # of every token that a transformer block attends to
    motion_heads: int = 8
    motion_positions: int = 32  # frames of the longest window
    motion_mid_block: bool = True  # mm_sd_v15_v2 has one, mm_sd_v15 and v3_sd15_mm have none
    guider_channels: tuple[int, int, int, int] = (16, 32, 96, 256)
    token_side: int = 8  # E_F has token_side^2 tokens a frame, and so has H_o's share of E_N
    vae_channels: tuple[int, int, int, int] = (128, 256, 512, 512)

    @property
    def patch(self) -> int:
        """Pixels of one latent cell's side: the autoencoder halves three times."""
        return 8


@dataclass(frozen=True)
class ModelConfig:
    """What every network of the family has, and the sizes of its trunk; `tiny` is the default.

    Raises ValueError for sizes that do not fit each other.
    """

    preset: str = 'tiny'
    image_size: int = 256  # pixels, square
    layers: int = 7  # MLO layers: 7, or 13 with the hands apart
    reference_size: int = (
        128  # pixels of views and hand reference; a LatentTrunk's background: image's
    )
    num_points: int = 2048  # surface points of the object
    temporal_context: int = 4  # past frames that causal attention sees
    base: Literal['painted', 'none'] = 'painted'
    mlo: Literal['full', 'noise_only', 'depth_only'] = 'full'
    object: Literal['views+geometry', 'none'] = 'views+geometry'
    human: bool = False  # the second pose guider G1, for skeleton maps
    trunk: PatchTrunk | LatentTrunk = field(default_factory=PatchTrunk)

    def __post_init__(self) -> None:
        if self.layers not in (7, 13):
            raise ValueError(f'layers is {self.layers}; MLO has 7, or 13 with the hands apart')
        # Latents are halved three times; tiny's embedders halve the image six times.
        latent = isinstance(self.trunk, LatentTrunk)
        for name, step in (('image_size', 64), ('reference_size', 64 if latent else 32)):
            if getattr(self, name) % step:
                raise ValueError(f'{name} is {getattr(self, name)}; use a multiple of {step}')
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
            raise ValueError('base must be none: a network in latents has no base image')

    @classmethod
    def of(cls, preset: str) -> ModelConfig:
        """A preset: `tiny` for a CPU, `base` for a workstation's GPU, `paper` at SD 1.5's sizes.

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
        """The trunk of a network over pixels. Raises TypeError for one in latents."""
        if not isinstance(self.trunk, PatchTrunk):
            raise TypeError(f'preset {self.preset} is a network in latents, not over pixels')
        return self.trunk

    @property
    def latent_trunk(self) -> LatentTrunk:
        """The trunk of a network in latents. Raises TypeError for one over pixels."""
        if not isinstance(self.trunk, LatentTrunk):
            raise TypeError(f'preset {self.preset} is a network over pixels, not in latents')
        return self.trunk

    @property
    def num_references(self) -> int:
        """Images of the appearance net: six views, the background, the hand reference."""
        return 8

    @property
    def patch(self) -> int:
        """Pixels of one latent cell's side."""
        return self.trunk.patch

    @property
    def trunk_size(self) -> int:
        """Cells along the trunk's side, which is the latents'."""
        return self.image_size // self.patch

    @property
    def latent_channels(self) -> int:
        """Channels of a latent cell."""
        return self.trunk.latent_channels

    def differences(self, other: ModelConfig) -> list[str]:
        """The fields, the trunk's included, in which another configuration differs from this."""
        mine, theirs = (asdict(config) | asdict(config.trunk) for config in (self, other))
        names = (mine.keys() | theirs.keys()) - {'trunk'}
        return sorted(name for name in names if mine.get(name) != theirs.get(name))

    def to_json(self) -> str:
        """This configuration as JSON, as it is kept in a checkpoint."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """The configuration that a checkpoint keeps; raises as `from_fields`."""
        return cls.from_fields(json.loads(text))

    @classmethod
    def from_fields(cls, given: dict[str, Any]) -> ModelConfig:
        """A preset's configuration with the plain JSON or YAML fields that are given.

        Raises TypeError for an unknown field, ValueError for sizes that do not fit.
        """
        given = _nested(given)
        preset = given.get('preset', 'tiny')
        start = cls.of(preset) if preset in ('base', 'paper') else cls()
        return replace(start, trunk=_trunk(start.trunk, given.pop('trunk')), **given)


def _trunk(start: PatchTrunk | LatentTrunk, given: dict[str, Any]) -> PatchTrunk | LatentTrunk:
    """A trunk with the given plain fields; `kind` where it is another kind than at the start."""
    sizes: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in given.items()}
    kind = sizes.pop('kind', start.kind)
    if kind not in ('patch', 'latent'):
        raise ValueError(f'trunk.kind is {kind!r}; use patch or latent')
    if kind == 'patch':
        return replace(start if isinstance(start, PatchTrunk) else PatchTrunk(), **sizes)
    return replace(start if isinstance(start, LatentTrunk) else LatentTrunk(), **sizes)


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """The fields with a `trunk`: older checkpoints hold a PatchTrunk's sizes beside the others."""
    flat = {'trunk_channels': 'channels', **{f.name: f.name for f in fields(PatchTrunk)}}
    trunk = {flat[name]: value for name, value in given.items() if name in flat}
    return {'trunk': trunk} | {name: value for name, value in given.items() if name not in flat}
