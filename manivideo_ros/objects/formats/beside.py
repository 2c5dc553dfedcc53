"""Finds and reads the files that a mesh file names: images, materials, buffers."""

from __future__ import annotations

import os
import re
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.image_file import FORMATS, TooLargeError, read_image

LARGEST_FILE = 2**28  # bytes
LARGEST_IMAGE = 1024
SHOWN = 120  # characters of a name in messages


class Beside:
    """Finds files by the names in a mesh file, and reads its images.

    Only regular files in the mesh's folder are read, after links are resolved; for a mesh of an
    installed package, files of the package `root`, whose links may lead out (symlink install).
    """

    def __init__(self, mesh: Path, root: Path | None = None) -> None:
        self.mesh = mesh
        self._folder, self._root = mesh.parent, root
        self._images: dict[str, NDArray[np.uint8] | None] = {}
        self._said: set[str] = set()

    def warn(self, text: str) -> None:
        """Warn about the mesh, once per text."""
        if text not in self._said:
            self._said.add(text)
            warnings.warn(f'{self.mesh}: {text}', stacklevel=2)

    def find(self, name: str) -> Path:
        """The file of a name.

        Names are tried as written, percent-decoded, with backslashes, in another case and Unicode
        form, and by their last part. Raises ValueError, whose text completes the name.
        """
        outside = False
        for candidate in _readings(name):
            try:
                path = self._existing(candidate)
                if path is None:
                    continue
                if not self._allowed(path):
                    outside = True
                    continue
                if path.is_file():
                    if path.stat().st_size > LARGEST_FILE:
                        raise ValueError(f'has more than {LARGEST_FILE >> 20} MiB')
                    return path
            except (OSError, RuntimeError):  # a name that is too long, a loop of links
                continue
        if outside:
            raise ValueError('lies outside the folder of the mesh')
        raise ValueError('is not in the folder of the mesh')

    def read(self, name: str) -> bytes:
        """The content of a file. Raises ValueError that names it."""
        try:
            return self.find(name).read_bytes()
        except (OSError, ValueError) as error:
            raise ValueError(f'{shown(name)} {reason_of(error)}') from None

    def image(self, name: str, instead: str, data: bytes | None = None) -> NDArray[np.uint8] | None:
        """An image u8 [h, w, 3 or 4], reduced to LARGEST_IMAGE a side; None, with a warning, if it
        cannot be read.

        instead: the replacement, for the warning; data: the image file if the mesh contains it.
        Raises TooLargeError.
        """
        key = name if data is None else f'{name}\0{len(data)}\0{hash(data)}'
        if key not in self._images:
            self._images[key] = self._image(name, instead, data)
        return self._images[key]

    def _image(self, name: str, instead: str, data: bytes | None) -> NDArray[np.uint8] | None:
        try:
            image = read_image(self.find(name) if data is None else data, name, upright=False)
        except TooLargeError as error:
            raise TooLargeError(f'image {shown(name)}: {error}') from None
        except UnidentifiedImageError:
            reason = f'is none of {", ".join(FORMATS)}, TGA: save it as PNG'
        except Exception as error:  # Pillow's parsers raise many types
            reason = f'cannot be read ({reason_of(error)})'
            if isinstance(error, ValueError) and 'the folder of the mesh' in str(error):
                reason = f'{error}: copy it there'
        else:
            pixels = Image.fromarray(image)
            pixels.thumbnail((LARGEST_IMAGE, LARGEST_IMAGE))
            return np.asarray(pixels)
        self.warn(f'image {shown(name)} {reason}; shown instead: {instead}')
        return None

    def _existing(self, name: str) -> Path | None:
        """The path of a name below the mesh's folder, ignoring case."""
        path = self._folder
        exact = path / name
        if os.path.lexists(exact):
            return exact
        for part in PurePosixPath(name).parts:
            if part == '..' or os.path.lexists(path / part):
                path = path / part
                continue
            same = [p for p in os.listdir(path) if _folded(p) == _folded(part)]
            if not same:
                return None
            path = path / min(same)
        return path

    def _allowed(self, path: Path) -> bool:
        inside = Path(os.path.normpath(path.absolute()))
        if self._root is not None and inside.is_relative_to(self._root.absolute()):
            return True
        folders = (self._folder.resolve(), self.mesh.resolve().parent)
        return any(path.resolve().is_relative_to(folder) for folder in folders)


def shown(name: str) -> str:
    """A name out of a file, quoted, on one line."""
    return repr(name if len(name) <= SHOWN else f'{name[:SHOWN]}...')


def text_of(data: bytes) -> str:
    """Decode text as UTF-16 with a byte order mark, else UTF-8, else Latin-1."""
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        return data.decode('utf-16', errors='replace')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError:
        return data.decode('latin-1')


def _readings(name: str) -> Iterator[str]:
    """Interpretations of a name as paths relative to the mesh's folder, the likeliest first."""
    text = name.strip().strip('"').replace('\0', '')
    plain = []
    for form in dict.fromkeys((text, unquote(text), text.replace('\\', '/'))):
        form = re.sub(r'^file:/*(?=[A-Za-z]:)|^file://(?=/)|^file:/*', '', form.strip())
        plain.append(form)
        plain.append(unquote(form).replace('\\', '/'))
    plain = [form for form in dict.fromkeys(plain) if form]
    for form in plain:
        if not re.match(r'^([A-Za-z]:|/|\\\\|[a-z+]+://)', form):
            yield form
    for form in plain:
        last = PurePosixPath(form.replace('\\', '/')).name
        if last and last != '..':
            yield last


def _folded(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()
