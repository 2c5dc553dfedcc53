"""Image files from elsewhere: which formats are read, of what size, and how they become 8 bits."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from manivideo_ros.files.errors import reason_of

FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'TIFF', 'PPM', 'DDS', 'GIF')
"""What is read, TGA besides: Pillow knows formats for which it starts other programs (EPS)."""
TGA = ('.tga', '.icb', '.vda', '.vst')
"""A TGA has no mark of its own: nothing else is tried as one."""
MAX_PIXELS = 64_000_000
KNOWN = {  # Others that come under the names of images, by how they begin.
    b'\xabKTX 20\xbb': 'KTX2 (Basis Universal)',
    b'\xabKTX 11\xbb': 'KTX',
    b'8BPS': 'PSD',
    b'v/1\x01': 'OpenEXR',
    b'#?RADIANCE': 'Radiance HDR',
    b'\0\0\0\x0cjP  ': 'JPEG 2000',
    b'version https://git-lfs': 'a pointer of Git LFS, not the image itself,',
    b'<svg': 'SVG',
    b'<?xml': 'SVG',
}


class TooLargeError(ValueError):
    """An image that takes too much memory once unpacked."""


def check_size(image: Image.Image) -> None:
    """Raise TooLargeError for an image that would take too much memory once unpacked."""
    if image.width * image.height > MAX_PIXELS:
        raise TooLargeError(f'{image.width}x{image.height} is too large an image')


def check_bytes(data: bytes) -> None:
    """Raise ValueError for bytes that are no image, or one that is too large."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            check_size(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f'is no {", ".join(FORMATS)} ({error})') from None


def read_image(source: Path | bytes, name: str = '', upright: bool = True) -> NDArray[np.uint8]:
    """An image [H, W, 3], sRGB, or [H, W, 4] where it has transparency.

    source: a file, or the bytes of one; name: what its ending is taken from where it is bytes.
    16 bits become 8, palettes and grey become RGB, CMYK (of JPEGs as Adobe writes it) too. upright:
    turned as EXIF says, as viewers show a photograph; the texture of a mesh is looked up as stored.

    Raises TooLargeError, ValueError in words that do not name the file, OSError.
    """
    suffix = (source if isinstance(source, Path) else Path(name)).suffix.lower()
    if isinstance(source, Path):
        with source.open('rb') as file:
            head = file.read(32)
    else:
        head = source[:32]
    for start, known in KNOWN.items():
        if head.startswith(start):
            raise ValueError(f'{known} is not read: save it as PNG or JPEG')
    if head[4:8] == b'ftyp':
        raise ValueError('HEIC and AVIF are not read: save it as PNG or JPEG')
    formats = (*FORMATS, 'TGA') if suffix in TGA else FORMATS
    stream = BytesIO(source) if isinstance(source, bytes) else source
    with Image.open(stream, formats=formats) as opened:
        check_size(opened)
        image = ImageOps.exif_transpose(opened) if upright else opened
        if image.mode == 'F':
            raise ValueError('its values are floats: save it with 8 or 16 bits a channel')
        if image.mode.startswith('I'):  # Pillow would cut at 255 what goes up to 65535.
            values = np.clip(np.asarray(image, np.int64), 0, 65535)
            image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
        alpha = image.has_transparency_data
        return np.asarray(image.convert('RGBA' if alpha else 'RGB'))


def opaque(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image [H, W, 3 or 4] as [H, W, 3]: what is transparent lies on white."""
    if image.shape[-1] == 3 or bool((image[..., 3] == 255).all()):
        return image[..., :3]
    alpha = image[..., 3:].astype(np.float32) / 255
    return np.round(image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def load_image(path: Path) -> NDArray[np.uint8]:
    """An image [H, W, 3], or [H, W, 4] where it has alpha, upright as EXIF says.

    Raises ValueError naming a file that is absent or no image.
    """
    try:
        return read_image(path)
    except FileNotFoundError:
        raise ValueError(f'{path}: no such image') from None
    except UnidentifiedImageError:
        raise ValueError(
            f'{path}: cannot be read as an image: give one of {", ".join(FORMATS)}'
        ) from None
    except Exception as error:  # each format's parser raises what it likes
        raise ValueError(f'{path}: cannot be read as an image ({reason_of(error)})') from None


def square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest centred square of an image [H, W, ...]."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
