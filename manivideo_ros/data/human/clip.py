"""A clip of one person: images and skeletons, cut to a square; the background behind.

CLIP/frames/*.png, *.jpg             the images in the order of their names, at about 30 Hz
CLIP/keypoints.npz                   keypoints [F, P, 134, 3] of all frames; or else
CLIP/keypoints/<image's name>.npz  one file an image, or .json, or _keypoints.json
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.human.keypoints import KeypointError, in_pixels, read_npz, read_people
from manivideo_ros.drawing.skeleton import LEFT_HAND, RIGHT_HAND, largest_person, person_box, seen
from manivideo_ros.files.image_file import load_image, opaque

IMAGES = ('.png', '.jpg', '.jpeg')
BACKGROUND_FRAMES = 25  # at most, spread evenly over the clip
BOX_MARGIN = 0.15
"""Of a box's longer side, added on all sides: keypoints lie inside of hair, clothes and fingers."""
_LEAST_HAND_POINTS = 15  # of 21, for a hand to be a reference


class ClipError(ValueError):
    """A clip that cannot be used; one line names file and mend."""


@dataclass(frozen=True, eq=False)
class HumanFrame:
    """image u8 [S, S, 3]; skeleton [134, 3] in its pixels with confidence, zeros where nobody is;
    box u8 [S, S]: 1 around the person, margin included."""

    image: NDArray[np.uint8]
    skeleton: NDArray[np.float32]
    box: NDArray[np.uint8]


class HumanClip:
    """The images and the largest person of a clip's folder; skeletons are read at once.

    window: left, top and side in pixels of the square that all frames are cut to, which is as high
    (or wide) as the images and follows the person's mean place, not its motion.

    Raises ClipError and KeypointError.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        frames = self.folder / 'frames'
        inside = sorted(frames.iterdir()) if frames.is_dir() else []
        self.files = [f for f in inside if f.suffix.lower() in IMAGES]
        if not self.files:
            raise ClipError(f'{frames}: no images here; put the frames there as PNG or JPEG')
        self.height, self.width = _image(self.files[0]).shape[:2]
        self.skeletons = np.stack([largest_person(people) for people in self._people()])
        side = min(self.width, self.height)
        boxes = np.array([b for s in self.skeletons if (b := person_box(s))]).reshape(-1, 4)
        middle = np.array([self.width / 2, self.height / 2])
        if len(boxes):
            middle = 0.5 * (boxes[:, :2] + boxes[:, 2:]).mean(0)
        low = np.clip(middle - side / 2, 0, [self.width - side, self.height - side])
        self.window = (int(low[0]), int(low[1]), side)

    def __len__(self) -> int:
        return len(self.files)

    def _people(self) -> list[NDArray[np.float32]]:
        """People [P, 134, 3] of each frame, in pixels."""
        size = (self.width, self.height)
        whole = self.folder / 'keypoints.npz'
        if whole.is_file():
            array = read_npz(whole, clip=True)
            if len(array) != len(self.files):
                raise KeypointError(
                    f'{whole}: {len(array)} frames of keypoints for {len(self.files)} images in '
                    f'{self.folder}/frames; run DWPose on these images'
                )
            return list(in_pixels(array, *size))
        return [read_people(self._keypoint_file(f.stem), *size) for f in self.files]

    def _keypoint_file(self, stem: str) -> Path:
        folder = self.folder / 'keypoints'
        names = (f'{stem}.npz', f'{stem}.json', f'{stem}_keypoints.json')
        there = [folder / name for name in names if (folder / name).is_file()]
        return there[0] if there else folder / names[0]

    def frame(self, index: int, size: int) -> HumanFrame:
        """A frame at size x size. Raises ClipError: its image is broken or of another size."""
        image = _image(self.files[index])
        if image.shape[:2] != (self.height, self.width):
            raise ClipError(
                f'{self.files[index]}: {image.shape[1]}x{image.shape[0]}, the clip begins with '
                f'{self.width}x{self.height}; a clip has one size'
            )
        left, top, side = self.window
        cut = image[top : top + side, left : left + side]
        way = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
        small = np.asarray(cv2.resize(cut, (size, size), interpolation=way), np.uint8)
        skeleton = self.skeleton(index, size)
        return HumanFrame(small, skeleton, _box_mask(skeleton, size))

    def skeleton(self, index: int, size: int) -> NDArray[np.float32]:
        """The person [134, 3] of a frame, in pixels of its size x size image."""
        left, top, side = self.window
        skeleton = self.skeletons[index].copy()
        skeleton[:, :2] = (skeleton[:, :2] - (left, top)) * (size / side)
        return skeleton

    def background(self, size: int) -> NDArray[np.uint8]:
        """The image u8 [S, S, 3] without the person: per pixel the median over time of what lies
        outside of the person's box; where the box always lies, filled in from around."""
        chosen = np.unique(np.linspace(0, len(self) - 1, BACKGROUND_FRAMES).round().astype(int))
        frames = [self.frame(int(i), size) for i in chosen]
        stack = np.stack([f.image for f in frames]).astype(np.float32)
        stack[np.stack([f.box for f in frames]) > 0] = np.nan
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'All-NaN slice', RuntimeWarning)
            median = np.nanmedian(stack, axis=0)
        unseen = np.isnan(median[..., 0])
        if unseen.all():
            return np.full((size, size, 3), 128, np.uint8)
        out = np.round(np.nan_to_num(median)).astype(np.uint8)
        return np.asarray(cv2.inpaint(out, unseen.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)

    def hand_reference(self, size: int) -> NDArray[np.uint8]:
        """The clip's largest well-seen hand u8 [S, S, 3], cut out; black where none is seen."""
        best, found = 0.0, None
        for index, skeleton in enumerate(self.skeletons):
            for hand in (LEFT_HAND, RIGHT_HAND):
                box = person_box(skeleton[hand])
                if box is None or seen(skeleton[hand]).sum() < _LEAST_HAND_POINTS:
                    continue
                extent = max(box[2] - box[0], box[3] - box[1])
                if extent > best:
                    best, found = extent, (index, box)
        if found is None:
            return np.zeros((size, size, 3), np.uint8)
        index, box = found
        half = best * (0.5 + BOX_MARGIN)
        low = np.array([box[0] + box[2], box[1] + box[3]]) / 2 - half
        scale = size / (2 * half)
        # Pixels' centres lie at whole numbers for OpenCV, at halves here.
        shift = -low * scale + 0.5 * scale - 0.5
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        image = _image(self.files[index])
        return np.asarray(cv2.warpAffine(image, matrix, (size, size)), np.uint8)


def _image(file: Path) -> NDArray[np.uint8]:
    try:
        return np.ascontiguousarray(opaque(load_image(file)))
    except ValueError as error:
        raise ClipError(f'{error}; make the frame anew') from None


def _box_mask(skeleton: NDArray, size: int) -> NDArray[np.uint8]:
    """1 in a person's box [S, S], margin included."""
    out = np.zeros((size, size), np.uint8)
    box = person_box(skeleton)
    if box is not None:
        margin = BOX_MARGIN * max(box[2] - box[0], box[3] - box[1])
        left, top = (int(np.clip(np.floor(v - margin), 0, size)) for v in box[:2])
        right, bottom = (int(np.clip(np.ceil(v + margin), 0, size)) for v in box[2:])
        out[top:bottom, left:right] = 1
    return out
