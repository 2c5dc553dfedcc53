"""Safe readers for files of published recordings; every error is one line that names the file.

Names in files (of calibrations, objects) become parts of paths, so only plain names are accepted:
nothing outside the dataset's folder is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from manivideo_ros.files import npz
from manivideo_ros.files.bounded_yaml import BoundedLoader, load_yaml
from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.image_file import load_image, opaque

Shape = Sequence[int | None]
"""Shape of an array; None stands for any length."""


class RecordedError(ValueError):
    """A recording is not usable; one line names file and field and suggests a fix."""


class _Loader(BoundedLoader):
    """A loader that reads DexYCB's `!!python/tuple` as a list."""


def _tuple(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.constructor.ConstructorError(None, None, 'a tuple must be a list')
    return loader.construct_sequence(node)


_Loader.add_constructor('tag:yaml.org,2002:python/tuple', _tuple)


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping of a YAML or JSON file. Raises RecordedError."""
    content: Any
    try:
        text = file.read_text(encoding='utf-8')
        content = json.loads(text) if file.suffix == '.json' else load_yaml(text, _Loader)
    except FileNotFoundError:
        raise missing(file) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RecordedError(f'{file}: cannot be read ({reason_of(error)}): get it again') from None
    if not isinstance(content, dict):
        raise RecordedError(f'{file}: has no fields: get it again')
    return content


def field(content: Mapping[str, Any], file: Path, *names: str) -> Any:
    """A field of a file's content, by its path of names. Raises RecordedError if it is absent."""
    value: Any = content
    for depth, name in enumerate(names):
        if not isinstance(value, Mapping) or name not in value:
            path = '.'.join(names[: depth + 1])
            raise RecordedError(f'{file}: the field {path!r} is missing: get the file again')
        value = value[name]
    return value


def items(content: Mapping[str, Any], file: Path, *names: str) -> list[Any]:
    """A field that is a list, by its path of names. Raises RecordedError."""
    value = field(content, file, *names)
    if not isinstance(value, list):
        raise RecordedError(f'{file}: {".".join(names)} must be a list: get the file again')
    return value


def plain_name(value: object, file: Path, name: str) -> str:
    """A field that names a file or folder. Raises RecordedError for more than one path part."""
    text = str(value)
    if not re.fullmatch(r'[\w.-]+', text) or text.strip('.') == '':
        raise RecordedError(f'{file}: {name} {text[:80]!r} is not a plain name: get the file again')
    return text


def numbers(value: object, shape: Shape, file: Path, name: str) -> NDArray[np.float64]:
    """A field as finite float64 of a shape. Raises RecordedError."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise RecordedError(f'{file}: {name} is not numeric: get the file again') from None
    _check_shape(array, shape, file, name)
    if not np.all(np.isfinite(array)):
        raise RecordedError(f'{file}: {name} has non-finite values: get the file again')
    return array


def read_npz(file: Path, shapes: Mapping[str, Shape]) -> dict[str, NDArray]:
    """Arrays of an npz by name, with these shapes; other arrays are not read.

    Raises RecordedError if the file or an array is missing, truncated or holds a pickle.
    """
    try:
        arrays = npz.read_npz(file, shapes)
    except (OSError, ValueError) as error:
        raise _unreadable(file, 'npz', error) from None
    for name in shapes:
        if name not in arrays:
            raise RecordedError(f'{file}: the array {name!r} is missing: get it again')
    for name, shape in shapes.items():
        _check_array(arrays[name], shape, file, name)
    return arrays


def read_npy(file: Path, shape: Shape) -> NDArray:
    """The array of an npy file, with this shape. Raises RecordedError."""
    try:
        array = np.load(file, allow_pickle=False)
    except Exception as error:
        raise _unreadable(file, 'npy', error) from None
    if not isinstance(array, np.ndarray):
        raise RecordedError(f'{file}: is an archive, not an array: get it again')
    _check_array(array, shape, file, 'the array')
    return array


def read_image(file: Path) -> NDArray[np.uint8]:
    """An RGB image [H, W, 3]. Raises RecordedError if it is missing or truncated."""
    try:
        return opaque(load_image(file))
    except ValueError as error:
        if not file.is_file():
            raise missing(file) from None
        raise RecordedError(
            f'{file}: not a readable image ({reason_of(error)}): get it again'
        ) from None


def missing(file: Path) -> RecordedError:
    """The error for a file that does not exist."""
    return RecordedError(f'{file}: no such file: get this part of the dataset too')


def folders(root: Path) -> list[str]:
    """Sorted names of the folders in a folder; empty if it does not exist."""
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def sequences_of(root: Path, subject: str) -> list[str]:
    """Sorted names '<subject>/<sequence>'; subject: a pattern of the subjects' folder names."""
    subjects = [name for name in folders(root) if re.search(subject, name)]
    return [f'{subject}/{name}' for subject in subjects for name in folders(root / subject)]


def _check_array(array: NDArray, shape: Shape, file: Path, name: str) -> None:
    if array.dtype.kind not in 'fiub':
        raise RecordedError(f'{file}: {name} holds {array.dtype}, not numbers: get it again')
    _check_shape(array, shape, file, name)


def _check_shape(array: NDArray, shape: Shape, file: Path, name: str) -> None:
    fits = array.ndim == len(shape) and all(
        b is None or a == b for a, b in zip(array.shape, shape, strict=True)
    )
    if not fits:
        expected = ', '.join('any' if n is None else str(n) for n in shape)
        raise RecordedError(
            f'{file}: {name} has shape {list(array.shape)}, not [{expected}]: get the file again'
        )


def _unreadable(file: Path, kind: str, error: Exception) -> RecordedError:
    if isinstance(error, FileNotFoundError):
        return missing(file)
    if 'allow_pickle' in str(error):
        return RecordedError(f'{file}: refused, holds a pickle, which can run code: get it again')
    return RecordedError(f'{file}: not a readable {kind} ({reason_of(error)}): get it again')
