"""Which pictures from elsewhere are unpacked: those of plain formats and of a size that fits."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'TIFF', 'PPM')
"""What is read: Pillow knows formats for which it starts other programs (EPS)."""
MAX_PIXELS = 64_000_000


def check_size(picture: Image.Image) -> None:
    """Raise ValueError for a picture that would take too much memory once unpacked."""
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f'{picture.width}x{picture.height} is too large a picture')


def check_bytes(data: bytes) -> None:
    """Raise ValueError for bytes that are no picture, or one that is too large."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as picture:
            check_size(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f'is no {", ".join(FORMATS)} ({error})') from None
