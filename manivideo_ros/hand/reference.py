"""The hand reference: an image of a hand, and the mask of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.files.image_file import load_image, square

HAND_REFERENCE = ASSETS / 'scene' / 'hand_reference.png'
HAND_SIZE = 128
PARTS = ('skin', 'nail', 'sleeve')


@dataclass(frozen=True, eq=False)
class HandReference:
    """An image that shows the appearance of the hands, in any pose, from any camera.

    image uint8 [128, 128, 3] sRGB; parts uint8 [128, 128]: 0 none, 1 skin, 2 nail, 3 sleeve. skin
    uint8 [S, S, 3]: a person's skin texture in sRGB, as it looks where it faces the camera; None:
    each part has its mean colour.
    """

    image: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    skin: NDArray[np.uint8] | None = None

    @property
    def sleeved(self) -> bool:
        """Whether a sleeve is seen; otherwise the forearm is bare."""
        return bool((self.parts == 1 + PARTS.index('sleeve')).any())

    def mean_colours(self) -> NDArray[np.float32]:
        """Mean sRGB [3, 3] in 0..1 of skin, nail and sleeve.

        A part that is not in the image has the skin's mean colour, or mid grey without any skin.
        """
        colours = np.full((len(PARTS), 3), 0.5, np.float32)
        for part in range(len(PARTS)):
            seen = self.parts == part + 1
            colours[part] = self.image[seen].mean(0) / 255 if seen.any() else colours[0]
        return colours


def has_mask(path: Path, image: NDArray[np.uint8]) -> bool:
    """Whether an image [H, W, 3 or 4] file has a mask: transparent pixels, or a parts file."""
    return parts_file(path).is_file() or (image.shape[2] == 4 and image[..., 3].min() < 255)


def parts_file(path: Path) -> Path:
    """The file of the parts of a hand reference."""
    return path.with_suffix('.parts.png')


def load_hand_reference(path: Path) -> HandReference:
    """Load a masked hand reference from an image file; `<name>.parts.png` beside it has the parts.

    Without that file, opaque pixels are skin. Raises as load_image, and ValueError for an invalid
    parts file, or without any mask: estimation.hand_photo finds the hand in such an image.
    """
    image = square(load_image(path))
    beside = parts_file(path)
    if beside.is_file():
        if beside.resolve().parent != path.resolve().parent:
            raise ValueError(f'{beside}: is a link to elsewhere: copy the file')
        parts = square(np.asarray(Image.fromarray(load_image(beside)[..., :3]).convert('L')))
        if parts.shape != image.shape[:2] or parts.max() > 3:
            raise ValueError(f'{beside}: must have the size of {path.name} and values 0 to 3')
    elif has_mask(path, image):
        parts = (image[..., 3] > 127).astype(np.uint8)
    else:
        raise ValueError(f'{path}: has no transparent pixels, and there is no {beside.name}')
    if not parts.any():
        raise ValueError(f'{path}: its mask is empty: no pixel of the centred square is a hand')
    return resized(np.ascontiguousarray(image[..., :3]), parts)


def resized(
    image: NDArray[np.uint8],  # [S, S, 3] sRGB
    parts: NDArray[np.uint8],  # [S, S]
) -> HandReference:
    """A hand reference of an image of any size."""
    size = (HAND_SIZE, HAND_SIZE)
    return HandReference(
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)),
        np.asarray(Image.fromarray(parts).resize(size, Image.Resampling.NEAREST)),
    )
