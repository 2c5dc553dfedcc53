"""A clip of one person: images and skeletons, cropped to a square, and the background.

CLIP/frames/*.png, *.jpg           the images, ordered by name, at about 30 Hz
CLIP/keypoints.npz                 keypoints [F, P, 134, 3] of all frames; or else
CLIP/keypoints/<image name>.npz    one file per image, or .json, or _keypoints.json
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.human.keypoints import KeypointError, in_pixels, read_npz, read_people
from manivideo_ros.data.shards import resized
from manivideo_ros.drawing.skeleton import LEFT_HAND, RIGHT_HAND, largest_person, person_box, seen
from manivideo_ros.files.image_file import load_image, opaque

IMAGES = ('.png', '.jpg', '.jpeg')
BACKGROUND_FRAMES = 25  # maximum, evenly spaced over the clip
BOX_MARGIN = 0.15
"""Margin of a box relative to its longer side: keypoints lie inside hair, clothes and fingers."""
_LEAST_HAND_POINTS = 15  # of 21, for a hand to be used as reference


class ClipError(ValueError):
    """A clip is not usable; one line names the file and suggests a fix."""


@dataclass(frozen=True, eq=False)
class HumanFrame:
    """image u8 [S, S, 3]; skeleton [134, 3] in its pixels with confidence, zeros without a person;
    box u8 [S, S]: 1 around the person, including a margin."""

    image: NDArray[np.uint8]
    skeleton: NDArray[np.float32]
    box: NDArray[np.uint8]


class HumanClip:
    """The images and the largest person of a clip's folder; skeletons are read eagerly.

    window: left, top and side in pixels of the square to which all frames are cropped. It has the
    images' shorter side and is centred on the person's mean position; it does not move.

    Raises ClipError and KeypointError.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        frames = self.folder / 'frames'
        inside = sorted(frames.iterdir()) if frames.is_dir() else []
        self.files = [f for f in inside if f.suffix.lower() in IMAGES]
        if not self.files:
            raise ClipError(f'{frames}: no images found; put the frames there as PNG or JPEG')
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
        """A frame at size x size. Raises ClipError for an unreadable image or another size."""
        image = _image(self.files[index])
        if image.shape[:2] != (self.height, self.width):
            raise ClipError(
                f'{self.files[index]}: {image.shape[1]}x{image.shape[0]}, but the first frame is '
                f'{self.width}x{self.height}; all frames must have one size'
            )
        left, top, side = self.window
        small = resized(image[top : top + side, left : left + side], size)
        skeleton = self.skeleton(index, size)
        return HumanFrame(small, skeleton, _box_mask(skeleton, size))

    def skeleton(self, index: int, size: int) -> NDArray[np.float32]:
        """The person's keypoints [134, 3] in a frame, in pixels of the size x size image."""
        left, top, side = self.window
        skeleton = self.skeletons[index].copy()
        skeleton[:, :2] = (skeleton[:, :2] - (left, top)) * (size / side)
        return skeleton

    def background(self, size: int) -> NDArray[np.uint8]:
        """The background u8 [S, S, 3]: per pixel the median over time outside the person's box;
        pixels that are always inside the box are inpainted."""
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
        """A crop u8 [S, S, 3] of the clip's largest clearly visible hand; black without any."""
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
        # Pixel centres are at integers in OpenCV, at half-integers here.
        shift = -low * scale + 0.5 * scale - 0.5
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        image = _image(self.files[index])
        return np.asarray(cv2.warpAffine(image, matrix, (size, size)), np.uint8)


def _image(file: Path) -> NDArray[np.uint8]:
    try:
        return np.ascontiguousarray(opaque(load_image(file)))
    except ValueError as error:
        raise ClipError(f'{error}; extract the frame again') from None


def _box_mask(skeleton: NDArray, size: int) -> NDArray[np.uint8]:
    """1 inside a person's box [S, S], including the margin."""
    out = np.zeros((size, size), np.uint8)
    box = person_box(skeleton)
    if box is not None:
        margin = BOX_MARGIN * max(box[2] - box[0], box[3] - box[1])
        left, top = (int(np.clip(np.floor(v - margin), 0, size)) for v in box[:2])
        right, bottom = (int(np.clip(np.ceil(v + margin), 0, size)) for v in box[2:])
        out[top:bottom, left:right] = 1
    return out
