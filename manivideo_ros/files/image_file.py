"""Untrusted image files: accepted formats and sizes, and conversion to 8-bit sRGB."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from manivideo_ros.files.errors import reason_of

FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'TIFF', 'PPM', 'DDS', 'GIF')
"""Formats that are read, besides TGA. For some others (EPS) Pillow starts external programs."""
TGA = ('.tga', '.icb', '.vda', '.vst')
"""Suffixes of TGA, which has no magic number: other files are not tried as TGA."""
MAX_PIXELS = 64_000_000
KNOWN = {  # First bytes of formats that are not read.
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
    """An image of more than MAX_PIXELS."""


def check_size(image: Image.Image) -> None:
    """Raise TooLargeError for an image of more than MAX_PIXELS."""
    if image.width * image.height > MAX_PIXELS:
        raise TooLargeError(f'{image.width}x{image.height} is too large an image')


def check_bytes(data: bytes) -> None:
    """Raise ValueError for bytes that are no image in one of FORMATS, or of too many pixels."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            check_size(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f'is no {", ".join(FORMATS)} ({error})') from None


def read_image(source: Path | bytes, name: str = '', upright: bool = True) -> NDArray[np.uint8]:
    """Read an image as sRGB [H, W, 3], or [H, W, 4] if it has transparency.

    source: a file, or its bytes; name: the file's name if source is bytes. 16 bits are reduced to
    8; palettes, grey and CMYK are converted. upright: apply the EXIF orientation, as viewers do;
    a mesh's texture coordinates refer to the image as stored.

    Raises TooLargeError, ValueError whose text does not name the file, OSError.
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
        if image.mode.startswith('I'):  # up to 65535, which Pillow would clip at 255
            values = np.clip(np.asarray(image, np.int64), 0, 65535)
            image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
        alpha = image.has_transparency_data
        return np.asarray(image.convert('RGBA' if alpha else 'RGB'))


def opaque(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image [H, W, 3 or 4] as [H, W, 3]; transparent pixels are blended with white."""
    if image.shape[-1] == 3 or bool((image[..., 3] == 255).all()):
        return image[..., :3]
    alpha = image[..., 3:].astype(np.float32) / 255
    return np.round(image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def load_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file as `read_image` does. Raises ValueError that names the file."""
    try:
        return read_image(path)
    except FileNotFoundError:
        raise ValueError(f'{path}: no such image') from None
    except UnidentifiedImageError:
        raise ValueError(
            f'{path}: cannot be read as an image: give one of {", ".join(FORMATS)}'
        ) from None
    except Exception as error:  # Pillow's parsers raise many types
        raise ValueError(f'{path}: cannot be read as an image ({reason_of(error)})') from None


def square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest centred square of an image [H, W, ...]."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
