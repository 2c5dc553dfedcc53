"""Engine specifications, engines/*.yaml: the checkpoint, and how to run it."""

from __future__ import annotations

import os
import sys
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path

import yaml

from manivideo_ros.engine.processor import ON_X86, reduced_precision, reduced_reason
from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.model.config import GRID_STEP, LatentTrunk, ModelConfig
from manivideo_ros.model.grid import grid_for
from manivideo_ros.process.folders import expanded

ON_CPU = ('openvino', 'onnxruntime') if ON_X86 else ('onnxruntime',)
AUTO = ('tensorrt', 'tensorrt_rtx', 'torch_cuda', 'onnxruntime_cuda', *ON_CPU)
"""The backends that `auto` tries, in order."""

PRECISIONS: dict[str, tuple[str, ...]] = {
    'tensorrt': ('fp32', 'fp16', 'bf16'),
    'tensorrt_rtx': ('fp32', 'fp16', 'bf16'),
    'torch_cuda': ('fp32', 'fp16', 'bf16'),
    'onnxruntime_cuda': ('fp32', 'fp16'),
    'onnxruntime': ('fp32',),
    'openvino': ('fp32', 'bf16', 'int8'),
    'torch': ('fp32', 'bf16'),
}
"""The backends and their precisions."""


class SpecError(ValueError):
    """An invalid specification; the message names the file, the field and a fix."""


@dataclass(frozen=True)
class EngineSpec:
    """A checkpoint, and how to run it.

    checkpoint: a file of weights, '' for the shipped ones. resolution: side of the square maps that
    the network was trained with, in pixels. layers: MLO layers, 7 or 13. backend: one of
    PRECISIONS, or 'auto'. A backend chosen by 'auto' that does not support `precision` runs in
    fp32; OpenVINO, unless fp32 is asked for, runs in the fastest precision of this processor, bf16
    or else int8. vae: a file with the autoencoder's weights, for latent models; '' for none.
    grid_width, grid_height: of the maps that a patch model reads; 0 for those that fit the camera.
    """

    preset: str
    checkpoint: str
    resolution: int
    layers: int
    steps: int
    precision: str
    backend: str
    vae: str = ''
    grid_width: int = 0
    grid_height: int = 0

    @property
    def weights(self) -> Path:
        """The file of the checkpoint."""
        return expanded(self.checkpoint) if self.checkpoint else SHIPPED

    @property
    def grid(self) -> tuple[int, int] | None:
        """Width and height of the maps that the network reads; None for `resolution` squared."""
        return (self.grid_width, self.grid_height) if self.grid_width else None

    def seen_by(self, config: ModelConfig, width: int, height: int) -> EngineSpec:
        """This specification on the grid for a camera of width x height pixels.

        A grid that the specification names stays.
        """
        if self.grid_width:
            return self
        columns, rows = grid_for(config, width, height)
        square = columns == rows == self.resolution
        return self if square else replace(self, grid_width=columns, grid_height=rows)

    @property
    def autoencoder(self) -> Path:
        """The file of the autoencoder. Raises SpecError if none is named."""
        if not self.vae:
            raise SpecError(
                f'engine specification: the preset {self.preset} needs an autoencoder: name as vae '
                'the file of sd-vae-ft-mse, in diffusers layout'
            )
        return expanded(self.vae)

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends to try, in order."""
        return AUTO if self.backend == 'auto' else (self.backend,)

    def precision_on(self, backend: str) -> str:
        """The precision in which a backend runs this specification."""
        if backend == 'openvino' and self.backend == 'auto' and self.precision != 'fp32':
            return reduced_precision()
        return self.precision if self.precision in PRECISIONS[backend] else 'fp32'

    def precision_reason(self, backend: str) -> str:
        """Why a backend runs in another precision than `precision`; '' if it does not."""
        chosen = self.precision_on(backend)
        if chosen == self.precision:
            return ''
        if backend == 'openvino' and self.precision != 'fp32':
            return f'{chosen} for {self.precision}: {reduced_reason()}'
        return f'{chosen} for {self.precision}: {backend} supports no other precision here'

    def check(self, config: ModelConfig) -> None:
        """Raise SpecError if the configuration of the checkpoint does not match this."""
        if not self.checkpoint and self.preset != config.preset:
            raise SpecError(
                f'engine specification: no weights ship for the preset {self.preset}: name a '
                'trained checkpoint'
            )
        if self.grid and isinstance(config.trunk, LatentTrunk):
            raise SpecError(
                'engine specification: grid_width and grid_height: a latent model reads square '
                'maps: leave them out'
            )
        found = {
            'preset': config.preset, 'resolution': config.image_size, 'layers': config.layers,
        }  # fmt: skip
        for name, value in found.items():
            if getattr(self, name) != value:
                raise SpecError(
                    f'engine specification: {name} is {getattr(self, name)}, the checkpoint has '
                    f'{value}: choose the specification made for it'
                )

    def as_dict(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


def spec_files() -> dict[str, Path]:
    """The shipped specifications by name: from the checkout, or from the installed package."""
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    folders = [Path(__file__).resolve().parents[2] / 'engines']
    folders += [Path(p) / 'share' / 'manivideo_ros' / 'engines' for p in prefixes if p]
    found = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {file.stem: file for file in sorted(found.glob('*.yaml'))}


def find_spec(name: str) -> EngineSpec:
    """A shipped specification by its name, or one from a YAML file. Raises SpecError."""
    if name.endswith(('.yaml', '.yml')):
        return load_spec(expanded(name))
    files = spec_files()
    if name not in files:
        raise SpecError(
            f'engine specification {name!r}: is none of {", ".join(files)}; '
            'name one of these, or a YAML file'
        )
    return load_spec(files[name])


def load_spec(path: Path) -> EngineSpec:
    """Read a specification. Raises SpecError for missing, unknown or unsupported fields."""
    try:
        values = load_yaml(path.read_text())
    except OSError as error:
        raise SpecError(f'engine specification {path}: {error.strerror}') from None
    except (yaml.YAMLError, ValueError):  # ValueError: invalid dates and encodings
        raise SpecError(f'engine specification {path}: is not YAML') from None
    known = {entry.name: entry for entry in fields(EngineSpec)}
    required = [name for name, entry in known.items() if entry.default is MISSING]
    if not isinstance(values, dict) or not {*required} <= {*values} <= {*known}:
        optional = ', '.join(known.keys() - {*required})
        raise SpecError(
            f'engine specification {path}: must have exactly {", ".join(required)}, and may have '
            f'{optional}'
        )
    for name in values:
        expected = int if known[name].type == 'int' else str
        if type(values[name]) is not expected:
            raise SpecError(
                f'engine specification {path}: {name} must be of type {expected.__name__}'
            )
    spec = EngineSpec(**values)
    if spec.backend not in ('auto', *PRECISIONS):
        listed = ', '.join(('auto', *PRECISIONS))
        raise SpecError(f'engine specification {path}: backend must be one of {listed}')
    allowed = PRECISIONS.get(spec.backend, ('fp32', 'fp16', 'bf16'))
    if spec.precision not in allowed:
        raise SpecError(
            f'engine specification {path}: precision must be one of {", ".join(allowed)} '
            f'with the backend {spec.backend}'
        )
    if bool(spec.grid_width) != bool(spec.grid_height) or any(
        n and (n < 64 or n % GRID_STEP) for n in (spec.grid_width, spec.grid_height)
    ):
        raise SpecError(
            f'engine specification {path}: grid_width and grid_height must both be multiples of '
            f'{GRID_STEP} of at least 64, or both 0 for a grid that fits the camera'
        )
    if not 1 <= spec.steps <= 50:
        raise SpecError(f'engine specification {path}: steps must be 1 to 50')
    return spec
