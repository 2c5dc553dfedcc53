"""One YAML describes a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.model.config import ModelConfig


class TrainConfigError(ValueError):
    """A training file with a wrong field; the message names it."""


@dataclass(frozen=True)
class TrainConfig:
    """What a run needs to be told; saved with every checkpoint."""

    model: ModelConfig = field(default_factory=ModelConfig)
    light_views: int = 8000  # hand views for the first stage, which learns the light
    light_iterations: int = 4000
    light_batch: int = 48
    iterations: int = 9000
    scenes_per_batch: int = 4
    frames_per_scene: int = 2
    mirror_share: float = 0.5  # of the iterations, seen in a mirror
    clip_share: float = 0.15  # of the iterations that train on consecutive frames
    learning_rate: float = 8e-4
    final_learning_rate: float = 2e-5
    warmup: int = 200
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    pure_noise_share: float = 0.85  # of the frames at t = 1; the others at random times
    drop_references: float = 0.04
    drop_base: float = 0.02
    drop_both: float = 0.04
    unpainted_weight: float = 0.25  # of the loss of frames without base, which is far larger
    background_weight: float = 0.3  # of the loss outside of the hand-object mask
    gradient_weight: float = 0.7
    square_weight: float = 2.0
    checkpoint_every: int = 250
    seed: int = 0

    def to_yaml(self) -> str:
        """This run as YAML."""
        plain = asdict(self)
        plain['model'] = {
            k: list(v) if isinstance(v, tuple) else v for k, v in plain['model'].items()
        }
        return yaml.safe_dump(plain, sort_keys=False)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """The run that a file describes. Raises TrainConfigError naming the wrong field."""
        try:
            content: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise TrainConfigError(f'training file {path} cannot be read: {error}') from None
        known = {f.name for f in fields(cls)}
        unknown = set(content) - known
        if unknown:
            raise TrainConfigError(f'training file {path}: unknown field {sorted(unknown)[0]!r}')
        model = content.pop('model', {})
        try:
            return cls(model=ModelConfig.from_fields(model), **content)
        except TypeError as error:
            raise TrainConfigError(f'training file {path}: {error}') from None
