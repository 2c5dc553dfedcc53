"""The scene's reference pictures: the empty background and a view of the hand, read from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from manivideo_ros.errors import reason_of
from manivideo_ros.mlo.surfaces import HandReference
from manivideo_ros.picture_file import FORMATS, opaque, read_image

SHIPPED = Path(__file__).parent / 'assets' / 'scene'
BACKGROUND = SHIPPED / 'background.png'
HAND = SHIPPED / 'hand_view.png'
HAND_SIZE = 128


def load_picture(path: Path) -> NDArray[np.uint8]:
    """A picture [H, W, 3], or [H, W, 4] where it has alpha, upright as EXIF says.

    Raises ValueError naming a file that is absent or no picture.
    """
    try:
        return read_image(path)
    except FileNotFoundError:
        raise ValueError(f'{path}: no such picture') from None
    except UnidentifiedImageError:
        raise ValueError(
            f'{path}: cannot be read as a picture: give one of {", ".join(FORMATS)}'
        ) from None
    except Exception as error:  # each format's parser raises what it likes
        raise ValueError(f'{path}: cannot be read as a picture ({reason_of(error)})') from None


def load_background(path: Path) -> NDArray[np.uint8]:
    """The background [H, W, 3], cut at its centre to a square; what is transparent is white.

    Raises as load_picture.
    """
    return square(opaque(load_picture(path)))


def load_hand_reference(path: Path) -> HandReference:
    """A view of the hand. Where `<name>.parts.png` lies beside it, that tells skin, nails, sleeve.

    Without it what alpha leaves opaque is skin, and without alpha the middle of the picture.
    Raises as load_picture, and for parts that do not fit.
    """
    picture = square(load_picture(path))
    parts_file = path.with_suffix('.parts.png')
    if parts_file.is_file():
        if parts_file.resolve().parent != path.resolve().parent:
            raise ValueError(f'{parts_file}: is a link to elsewhere: copy the file')
        parts = square(np.asarray(Image.fromarray(load_picture(parts_file)[..., :3]).convert('L')))
        if parts.shape != picture.shape[:2] or parts.max() > 3:
            raise ValueError(f'{parts_file}: must have the size of {path.name} and values 0 to 3')
    elif picture.shape[2] == 4:
        parts = (picture[..., 3] > 127).astype(np.uint8)
    else:
        parts = np.zeros(picture.shape[:2], np.uint8)
        quarter = len(picture) // 4
        parts[quarter:-quarter, quarter:-quarter] = 1
    size = (HAND_SIZE, HAND_SIZE)
    small = Image.fromarray(np.ascontiguousarray(picture[..., :3])).resize(
        size, Image.Resampling.BOX
    )
    small_parts = Image.fromarray(parts).resize(size, Image.Resampling.NEAREST)
    return HandReference(np.asarray(small), np.asarray(small_parts))


def square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest centred square of a picture [H, W, ...]."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]
