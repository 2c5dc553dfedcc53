"""Engine specifications, engines/*.yaml: how a checkpoint is to be run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from manivideo_ros.model.config import ModelConfig

BACKENDS = ('onnxruntime',)
PRECISIONS = ('fp32',)


class SpecError(ValueError):
    """A specification that cannot be used; the message names the file, the field and the mend."""


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is built for: the preset, pictures of image_size x image_size, and how."""

    preset: str
    image_size: int
    backend: str
    precision: str
    steps: int

    def check(self, config: ModelConfig) -> None:
        """Raise SpecError where a checkpoint of this configuration is another kind of model."""
        for name in ('preset', 'image_size'):
            if getattr(self, name) != getattr(config, name):
                raise SpecError(
                    f'engine specification: {name} is {getattr(self, name)}, the checkpoint has '
                    f'{getattr(config, name)}: choose the specification made for it'
                )


def load_spec(path: Path) -> EngineSpec:
    """Read a specification. Raises SpecError for what is absent, misspelt or not supported."""
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SpecError(f'engine specification {path}: {error.strerror}') from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SpecError(f'engine specification {path}: is not YAML') from None
    names = [entry.name for entry in fields(EngineSpec)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise SpecError(f'engine specification {path}: must have exactly {", ".join(names)}')
    spec = EngineSpec(**values)
    if spec.backend not in BACKENDS:
        raise SpecError(f'engine specification {path}: backend must be one of {BACKENDS}')
    if spec.precision not in PRECISIONS:
        raise SpecError(f'engine specification {path}: precision must be one of {PRECISIONS}')
    if not isinstance(spec.steps, int) or not 1 <= spec.steps <= 50:
        raise SpecError(f'engine specification {path}: steps must be 1 to 50')
    return spec
