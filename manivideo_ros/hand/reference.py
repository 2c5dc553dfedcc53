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

    image uint8 [128, 128, 3] sRGB; parts uint8 [128, 128]: 0 none, 1 skin, 2 nail, 3 sleeve.
    """

    image: NDArray[np.uint8]
    parts: NDArray[np.uint8]

    def mean_colours(self) -> NDArray[np.float32]:
        """Mean sRGB [3, 3] in 0..1 of skin, nail and sleeve.

        A part that is not in the image has the skin's mean colour, or mid grey without any skin.
        """
        colours = np.full((len(PARTS), 3), 0.5, np.float32)
        for part in range(len(PARTS)):
            seen = self.parts == part + 1
            colours[part] = self.image[seen].mean(0) / 255 if seen.any() else colours[0]
        return colours


def load_hand_reference(path: Path) -> HandReference:
    """Load a hand reference from an image file; `<name>.parts.png` beside it has the parts.

    Without that file, opaque pixels are skin; without alpha, the centre of the image is. Raises as
    load_image, and ValueError for an invalid parts file.
    """
    image = square(load_image(path))
    parts_file = path.with_suffix('.parts.png')
    if parts_file.is_file():
        if parts_file.resolve().parent != path.resolve().parent:
            raise ValueError(f'{parts_file}: is a link to elsewhere: copy the file')
        parts = square(np.asarray(Image.fromarray(load_image(parts_file)[..., :3]).convert('L')))
        if parts.shape != image.shape[:2] or parts.max() > 3:
            raise ValueError(f'{parts_file}: must have the size of {path.name} and values 0 to 3')
    elif image.shape[2] == 4:
        parts = (image[..., 3] > 127).astype(np.uint8)
    else:
        parts = np.zeros(image.shape[:2], np.uint8)
        quarter = len(image) // 4
        parts[quarter:-quarter, quarter:-quarter] = 1
    colours = Image.fromarray(np.ascontiguousarray(image[..., :3]))
    return HandReference(
        np.asarray(colours.resize((HAND_SIZE, HAND_SIZE), Image.Resampling.BOX)),
        np.asarray(Image.fromarray(parts).resize((HAND_SIZE, HAND_SIZE), Image.Resampling.NEAREST)),
    )
