"""Human clips as training scenes: a skeleton, no object and no hand model.

All object conditions are zeroed (arXiv 2412.16212), and so are the hand layers: only the skeleton S
locates the person, who is painted over the background in the base image.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.data.human.clip import ClipError, HumanClip
from manivideo_ros.data.mixture import held_out
from manivideo_ros.data.scenes.library import Split
from manivideo_ros.data.scenes.scene import FRAMES, SIZE
from manivideo_ros.data.shards import REFERENCE_SIZE, image_tensor, resized, skeleton_conditions
from manivideo_ros.drawing.people.painting import PersonColours, paint_person
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.layers import layer_names

_KEPT_CLIPS = 64  # cached backgrounds, 0.3 MB each


class HumanScenes:
    """Windows of consecutive frames of all clips of a folder, for training/batches.py.

    folder: has one folder per clip, as read by HumanClip; a clip's name determines its split. Scene
    i is a window of `frames` frames; the remainder of a clip is not used.

    Raises ClipError if no clip of the split is long enough, and the errors of HumanClip.
    """

    def __init__(
        self,
        folder: Path | str,
        split: Split = 'train',
        frames: int = FRAMES,
        size: int = SIZE,
        num_layers: int = 7,
        view_size: int = REFERENCE_SIZE,
        background_size: int = REFERENCE_SIZE,
    ) -> None:
        self.frames, self.size, self.layers = frames, size, len(layer_names(num_layers))
        self.view_size, self.background_size = view_size, background_size
        root = Path(folder)
        inside = sorted(root.iterdir()) if root.is_dir() else []
        names = [f for f in inside if (f / 'frames').is_dir()]
        self.clips = [HumanClip(f) for f in names if held_out(f.name) == (split == 'test')]
        self.windows = [
            (number, first)
            for number, clip in enumerate(self.clips)
            for first in range(0, len(clip) - frames + 1, frames)
        ]
        if not self.windows:
            raise ClipError(
                f'{root}: none of {len(names)} clips is in the {split} split and has {frames} '
                'frames or more; put each clip in a folder of its own with frames/ and keypoints/'
            )
        self.consecutive = np.ones(len(self.windows), bool)
        self.sided = np.ones(len(self.windows), bool)

    def __len__(self) -> int:
        return len(self.windows)

    def frames_of(self, scene: int) -> int:
        """Number of frames of a scene."""
        return self.frames

    def frame(self, scene: int, frame: int) -> dict[str, Tensor]:
        """`conditions`, plus base and rgb [3, H, W] in 0..1 and mask [1, H, W], 1 in the person's
        box and where the base image shows them."""
        number, first = self.windows[scene]
        one = self.clips[number].frame(first + frame, self.size)
        background, hand = _images_of(self.clips[number], self.size, self.view_size)
        colours = PersonColours.of(HandReference(hand, _middle(hand)))
        base, painted = paint_person(background, one.skeleton, colours)
        return self.conditions(scene, frame) | {
            'base': image_tensor(base),
            'rgb': image_tensor(one.image),
            'mask': torch.from_numpy(np.maximum(one.box, painted).astype(np.float32))[None],
        }

    def conditions(self, scene: int, frame: int) -> dict[str, Tensor]:
        """The maps of hands and objects, all zero; skeleton [3, H, W] in 0..1."""
        number, first = self.windows[scene]
        return skeleton_conditions(
            self.clips[number].skeleton(first + frame, self.size), self.layers, self.size, self.size
        )

    def references(self, scene: int) -> dict[str, Tensor]:
        """views [6, 3, V, V] and points [2048, 3], all zero; background [3, B, B] and
        hand_reference [3, V, V] in 0..1."""
        clip = self.clips[self.windows[scene][0]]
        background, hand = _images_of(clip, self.size, self.view_size)
        return {
            'views': torch.zeros(6, 3, self.view_size, self.view_size),
            'points': torch.zeros(2048, 3),
            'background': image_tensor(resized(background, self.background_size)),
            'hand_reference': image_tensor(hand),
        }


def _middle(hand: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The parts [V, V] of a hand's crop: what is in its middle counts as skin."""
    parts = np.zeros(hand.shape[:2], np.uint8)
    quarter = len(hand) // 4
    parts[quarter : len(hand) - quarter, quarter : len(hand) - quarter] = 1
    return parts


@lru_cache(maxsize=_KEPT_CLIPS)
def _images_of(
    clip: HumanClip, size: int, view_size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A clip's background and hand reference."""
    return clip.background(size), clip.hand_reference(view_size)
