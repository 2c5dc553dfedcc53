"""A scene folder: background and hand reference of one camera, person and room.

`manivideo calibrate` makes it of a recording; nodes and commands take it as `scene`. It holds
background.png, hand_reference.png and hand_reference.parts.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.camera.background import BACKGROUND as SHIPPED_BACKGROUND
from manivideo_ros.camera.background import load_background
from manivideo_ros.estimation.hand_photo import hand_reference_of
from manivideo_ros.hand.reference import HAND_REFERENCE as SHIPPED_HAND
from manivideo_ros.hand.reference import HandReference, parts_file

BACKGROUND, HAND = 'background.png', 'hand_reference.png'


def write_scene_folder(
    folder: Path,
    background: NDArray[np.uint8],  # [H, W, 3]
    hand: NDArray[np.uint8],  # [S, S, 3] around a hand
    parts: NDArray[np.uint8],  # [S, S] 1 skin, 2 nails, 3 sleeve
) -> None:
    """Write a scene folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(background).save(folder / BACKGROUND)
    Image.fromarray(hand).save(folder / HAND)
    Image.fromarray(parts).save(parts_file(folder / HAND))


def scene_background(scene: Path | None, given: Path | None) -> NDArray[np.uint8]:
    """The background [H, W, 3]: the given file, else the scene folder's, else the shipped one.

    Raises ValueError that names the file.
    """
    return load_background(given or _of(scene, BACKGROUND) or SHIPPED_BACKGROUND)


def scene_hand(scene: Path | None, given: Path | None) -> HandReference:
    """The hand reference, likewise. Raises ValueError and EstimatorError."""
    return hand_reference_of(given or _of(scene, HAND) or SHIPPED_HAND)


def _of(scene: Path | None, name: str) -> Path | None:
    if scene is None:
        return None
    if not (scene / name).is_file():
        raise ValueError(f'{scene}: no {name}: make a scene folder with manivideo calibrate')
    return scene / name
