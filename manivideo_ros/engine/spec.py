"""Engine specifications, engines/*.yaml: which checkpoint is to be run, and how."""

from __future__ import annotations

import os
import sys
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

import yaml

from manivideo_ros.engine.processor import ON_X86, reduced_precision, reduced_reason
from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.process.folders import expanded

ON_CPU = ('openvino', 'onnxruntime') if ON_X86 else ('onnxruntime',)
AUTO = ('tensorrt', 'tensorrt_rtx', 'torch_cuda', 'onnxruntime_cuda', *ON_CPU)
"""The order in which the backend `auto` tries them."""

PRECISIONS: dict[str, tuple[str, ...]] = {
    'tensorrt': ('fp32', 'fp16', 'bf16'),
    'tensorrt_rtx': ('fp32', 'fp16', 'bf16'),
    'torch_cuda': ('fp32', 'fp16', 'bf16'),
    'onnxruntime_cuda': ('fp32', 'fp16'),
    'onnxruntime': ('fp32',),
    'openvino': ('fp32', 'bf16', 'int8'),
    'torch': ('fp32', 'bf16'),
}
"""The backends, and what each computes in."""


class SpecError(ValueError):
    """A specification that cannot be used; the message names the file, the field and the mend."""


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is built for, and how.

    checkpoint: a file of weights, '' for those that ship. resolution: the side of the square
    images, pixels. layers: of the MLO. backend: one of PRECISIONS, or 'auto'; where the backend
    that `auto` comes to does not compute in `precision`, it computes in fp32, and OpenVINO, for any
    but fp32, in what this processor computes fastest in: bf16, or else int8. vae: the file of the
    autoencoder's weights, for the presets in latents; '' for none.
    """

    preset: str
    checkpoint: str
    resolution: int
    layers: int
    steps: int
    precision: str
    backend: str
    vae: str = ''

    @property
    def weights(self) -> Path:
        """The file of the checkpoint."""
        return expanded(self.checkpoint) if self.checkpoint else SHIPPED

    @property
    def autoencoder(self) -> Path:
        """The file of the autoencoder. Raises SpecError where none is named."""
        if not self.vae:
            raise SpecError(
                f'engine specification: the preset {self.preset} needs an autoencoder: name as vae '
                'the file of sd-vae-ft-mse, in diffusers layout'
            )
        return expanded(self.vae)

    @property
    def backends(self) -> tuple[str, ...]:
        """What is tried, in order."""
        return AUTO if self.backend == 'auto' else (self.backend,)

    def precision_on(self, backend: str) -> str:
        """What a backend computes in for this specification."""
        if backend == 'openvino' and self.backend == 'auto' and self.precision != 'fp32':
            return reduced_precision()
        return self.precision if self.precision in PRECISIONS[backend] else 'fp32'

    def precision_reason(self, backend: str) -> str:
        """Why a backend computes in something else than `precision`; '' where it does not."""
        chosen = self.precision_on(backend)
        if chosen == self.precision:
            return ''
        if backend == 'openvino' and self.precision != 'fp32':
            return f'{chosen} for {self.precision}: {reduced_reason()}'
        return f'{chosen} for {self.precision}: {backend} computes in no other here'

    def check(self, config: ModelConfig) -> None:
        """Raise SpecError where a checkpoint of this configuration is another kind of model."""
        if not self.checkpoint and self.preset != config.preset:
            raise SpecError(
                f'engine specification: no weights ship for the preset {self.preset}: name a '
                'trained checkpoint'
            )
        given = {'preset': self.preset, 'resolution': self.resolution, 'layers': self.layers}
        found = {
            'preset': config.preset, 'resolution': config.image_size, 'layers': config.layers,
        }  # fmt: skip
        for name, value in given.items():
            if value != found[name]:
                raise SpecError(
                    f'engine specification: {name} is {value}, the checkpoint has '
                    f'{found[name]}: choose the specification made for it'
                )

    def told(self) -> dict[str, object]:
        """Its fields by name, flat."""
        return asdict(self)


def spec_files() -> dict[str, Path]:
    """The specifications that ship, by name: of the checkout, or of where the package is."""
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    folders = [Path(__file__).resolve().parents[2] / 'engines']
    folders += [Path(p) / 'share' / 'manivideo_ros' / 'engines' for p in prefixes if p]
    found = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {file.stem: file for file in sorted(found.glob('*.yaml'))}


def find_spec(name: str) -> EngineSpec:
    """The specification of a name that ships, or of a YAML file. Raises SpecError."""
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
    """Read a specification. Raises SpecError for what is absent, misspelt or not supported."""
    try:
        values = load_yaml(path.read_text())
    except OSError as error:
        raise SpecError(f'engine specification {path}: {error.strerror}') from None
    except (yaml.YAMLError, ValueError):  # ValueError: dates and text that are none
        raise SpecError(f'engine specification {path}: is not YAML') from None
    known = {entry.name: entry for entry in fields(EngineSpec)}
    names = [name for name, entry in known.items() if entry.default is MISSING]
    if not isinstance(values, dict) or not {*names} <= {*values} <= {*known}:
        others = ', '.join(known.keys() - {*names})
        raise SpecError(
            f'engine specification {path}: must have exactly {", ".join(names)}, and may have '
            f'{others}'
        )
    for name in values:
        wanted = int if known[name].type == 'int' else str
        if type(values[name]) is not wanted:
            raise SpecError(
                f'engine specification {path}: {name} must be of type {wanted.__name__}'
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
    if not 1 <= spec.steps <= 50:
        raise SpecError(f'engine specification {path}: steps must be 1 to 50')
    return spec
