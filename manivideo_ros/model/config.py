"""One dataclass is the whole architecture of the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of one network of the family; `tiny` is the default.

    The trunk is a UNet over patch x patch blocks of pixels; high-resolution skips carry the base
    picture and the visible normals around it (they never see the noise).
    """

    preset: str = 'tiny'
    image_size: int = 256  # pixels, square
    layers: int = 7  # MLO layers: 7, or 13 with the hands apart
    patch: int = 8  # pixels of one trunk cell's side
    trunk_channels: tuple[int, int, int] = (96, 192, 192)  # at 1/8, 1/16, 1/32 of the image
    skip_channels: tuple[int, int] = (32, 64)  # at 1/2 and 1/4 of the image
    guider_channels: tuple[int, int, int] = (16, 32, 96)
    embed_dim: int = 128  # of E_F and E_N
    time_dim: int = 256  # of the time embedding and the appearance vector
    head_dim: int = 32
    reference_size: int = 128  # pixels of the six views, the background and the hand view
    num_points: int = 2048  # surface points of the object
    temporal_context: int = 4  # past frames that causal attention sees
    base: Literal['painted', 'none'] = 'painted'
    mlo: Literal['full', 'noise_only', 'depth_only'] = 'full'

    @property
    def num_references(self) -> int:
        """Images of the appearance net: six views, the background, the hand view."""
        return 8

    @property
    def trunk_size(self) -> int:
        """Cells along the trunk's side."""
        return self.image_size // self.patch

    @property
    def latent_channels(self) -> int:
        """Channels of a latent cell: the RGB pixels of one patch."""
        return 3 * self.patch * self.patch

    def to_json(self) -> str:
        """This configuration as JSON, as it is kept in a checkpoint."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """The configuration that a checkpoint keeps. Raises TypeError for an unknown field."""
        return cls.from_fields(json.loads(text))

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> ModelConfig:
        """The configuration of plain JSON or YAML fields. Raises TypeError for an unknown one."""
        sizes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**sizes)
