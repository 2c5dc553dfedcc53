"""A bag with images and poses as a recorded clip; its labels are drawn from the poses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.scenes.library import Split
from manivideo_ros.geometry import Array
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import SLEEVE
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.files import camera_topics, load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.recording.episode import Episode, Topics
from manivideo_ros.recording.image_topics import images_topic, require_rectified

PURPOSE = 'comparison with its images'
ARM = 255
"""Label of forearms, which are neither background nor measured: poses do not have their clothes."""
BESIDE_ARM = 0.04
"""By how much forearms are grown, in image heights: only the wrist is known of them."""
OUTLINE = 0.035
"""Uncertainty of the poses' outlines, in image heights."""
SHARES: dict[Split, tuple[float, float]] = {
    'train': (0.0, 0.85),
    'test': (0.85, 1.0),
}
"""The part of a bag's frames, in time, that is a split."""
NEAR_NS = 60_000_000
"""Images farther from every pose are left out."""


def read_bag_clip(
    path: Path,
    hands: Mapping[Side, HandModel],
    images: str = '',
    camera: str = '',
    motion: Motion | None = None,
) -> RecordedClip:
    """The images of a bag whose stamps its poses cover, as a recorded clip.

    hands: models of the poses by side; images, camera: topics of images and CameraInfo, '' for the
    only ones. motion: that of the bag, if it was loaded already. Labels are drawn from the poses: 1
    and up for the hands, then the objects, ARM for forearms. Raises ValueError (BagError,
    MotionError, EpisodeError, RecordedError) that names the bag.
    """
    reader = BagReader(path)
    topic = images_topic(path, reader.topics, images, PURPOSE)
    motion = load_motion(path, camera) if motion is None else motion
    if motion.camera is None:
        raise RecordedError(f'{path}: no CameraInfo: record it, and /tf_static')
    infos = camera or next(iter(camera_topics(reader)), '')
    require_rectified(path, reader, topic, infos, PURPOSE)
    frames = _Frames(Episode(path, Topics(topic)))
    covered = _covered(frames.episode.stamps_ns, motion.stamps_ns)
    if not len(covered):
        raise RecordedError(
            f'{path}: no image of {topic} has the time of a pose: record both with one clock'
        )
    height, width = frames(0).shape[:2]
    given = motion.camera.width, motion.camera.height
    if (width, height) != given:
        raise RecordedError(
            f'{path}: topic {topic}: images are {width}x{height}, its CameraInfo has '
            f'{given[0]}x{given[1]}: give --images, the topic of that camera'
        )
    seen = motion.resampled(frames.episode.stamps_ns[covered])
    labels = DrawnLabels(seen, hands)
    return RecordedClip(
        path.resolve().name,
        seen,
        frames.episode.rate_hz,
        lambda index: frames(int(covered[index])),
        labels,
        labels.hand_values,
        labels.object_values,
        round(OUTLINE * height),
    )


def read_bag_and_hands(
    path: Path, images: str = '', camera: str = '', mano: Path | None = None
) -> tuple[RecordedClip, dict[Side, HandModel]]:
    """The clip of a bag as `read_bag_clip`, and the hand models of its poses, by side.

    mano: folder of the user's MANO, for poses of it. Raises as `read_bag_clip`, RecordedError if
    that is missing; HandFileError.
    """
    motion = load_motion(path, camera)
    hands = _hands_of(path, motion, mano)
    return read_bag_clip(path, hands, images, camera, motion), hands


def _hands_of(path: Path, motion: Motion, mano: Path | None) -> dict[Side, HandModel]:
    if motion.hand_model == 'default':
        return {side: load_hand(side) for side in SIDES}
    if mano is None:
        raise RecordedError(
            f'{path}: its poses are of MANO: give its folder (manivideo convert-mano)'
        )
    return {side: load_hand(side, mano / f'{side}.npz') for side in SIDES}


@dataclass(frozen=True)
class BagView:
    """A bag as a view of training data, split by time.

    images, camera: topics, '' for the only ones; mano: as for `read_bag_and_hands`.
    """

    path: Path
    split: Split
    images: str = ''
    camera: str = ''
    mano: Path | None = None

    @property
    def sequence(self) -> str:
        """The bag's name."""
        return self.path.resolve().name

    def read(self, *_: object) -> RecordedClip:
        """The frames of the split. Raises as `read_bag_clip`."""
        clip = read_bag_and_hands(self.path, self.images, self.camera, self.mano)[0]
        first, last = (round(share * len(clip)) for share in SHARES[self.split])
        if last - first < 1:
            raise RecordedError(f'{self.path}: no frame of {len(clip)} is left for {self.split}')
        return part(clip, first, last)


def _covered(images_ns: NDArray[np.int64], poses_ns: NDArray[np.int64]) -> NDArray[np.intp]:
    """Indices of the images that lie between two poses, and near one."""
    after = np.searchsorted(poses_ns, images_ns).clip(1, max(1, len(poses_ns) - 1))
    neighbours = poses_ns[np.stack([after - 1, np.minimum(after, len(poses_ns) - 1)])]
    near = np.abs(neighbours - images_ns).min(0) <= NEAR_NS
    within = (images_ns >= poses_ns[0]) & (images_ns <= poses_ns[-1])
    return np.flatnonzero(near & within)


class _Frames:
    """The images of an episode by index. Reading forwards is fast; a video cannot jump."""

    def __init__(self, episode: Episode) -> None:
        self.episode = episode
        self._images: Iterator[NDArray[np.uint8]] = iter(())
        self._at, self._last = len(episode), np.zeros((0, 0, 3), np.uint8)

    def __call__(self, index: int) -> NDArray[np.uint8]:
        if index < self._at:
            self._images, self._at = self.episode.images(), -1
        if index > self._at:
            self._last = next(islice(self._images, index - self._at - 1, None)).copy()
            self._at = index
        return self._last


class DrawnView(NamedTuple):
    """labels [H, W]; normals [H, W, 3] of the visible surfaces, camera frame; depth [H, W], m.

    Normals and depth are 0 where no surface is. Valid until the next frame is drawn.
    """

    labels: NDArray[np.int64]
    normals: NDArray[np.float32]
    depth: NDArray[np.float32]


class DrawnLabels:
    """Labels [H, W] of a motion's frames, drawn from its poses as its camera sees them.

    hand_values: side by label; object_values: object id by label; 0 is background.
    """

    def __init__(self, motion: Motion, hands: Mapping[Side, HandModel]) -> None:
        assert motion.camera is not None
        self._motion = motion
        self._sides = [side for side in hands if side in motion.hands]
        tracks = motion.objects
        surfaces = [hand_surface(hands[side]) for side in self._sides]
        surfaces += [object_surface(load_mesh(t.mesh, t.scale)) for t in tracks.values()]
        names = [*self._sides, *tracks]
        values = dict(enumerate(names, 1))
        self.hand_values = {v: n for v, n in values.items() if v <= len(self._sides)}
        self.object_values = {v: n for v, n in values.items() if v > len(self._sides)}
        self._of_face = np.concatenate(
            [np.full(len(s.faces), value, np.int64) for value, s in enumerate(surfaces, 1)]
            + [np.zeros(1, np.int64)]  # of face -1
        )
        first = 0
        for side, surface in zip(self._sides, surfaces, strict=False):
            parts = hands[side].vertex_part[hands[side].faces]
            of = self._of_face[first : first + len(surface.faces)]
            of[: len(parts)][(parts == SLEEVE).any(1)] = ARM
            first += len(surface.faces)
        size = motion.camera.width, motion.camera.height
        width = 2 * round(BESIDE_ARM * motion.camera.height) + 1
        self._around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        self._view = Rasterizer(surfaces, *size, threads=1, merge=True)

    def __call__(self, index: int) -> NDArray[np.int64]:
        """The labels of a frame."""
        return self.view(index).labels

    def view(self, index: int) -> DrawnView:
        """What is drawn of a frame."""
        sample = self._motion.frame(index)
        poses: list[SurfacePose] = [sample.hands.get(side) for side in self._sides]
        poses += [sample.objects.get(name) for name in self._motion.objects]
        camera = self._motion.camera_in(index)
        assert camera is not None
        drawn = self._view.render(camera, poses)
        labels = self._of_face[drawn.face_index[0].numpy()]
        arms = cv2.dilate((labels == ARM).astype(np.uint8), self._around)
        labels[(labels == 0) & (arms > 0)] = ARM
        normals = drawn.visible_normal.permute(1, 2, 0).numpy()
        return DrawnView(labels, normals, drawn.depth[0].numpy())


def part(clip: RecordedClip, first: int, last: int) -> RecordedClip:
    """Frames first to last (exclusive) of a clip."""
    return chosen(clip, range(first, last))


def chosen(clip: RecordedClip, frames: Sequence[int]) -> RecordedClip:
    """Some frames of a clip, in order."""
    labels = clip.read_labels
    return replace(
        clip,
        motion=clip.motion.resampled(clip.motion.stamps_ns[np.asarray(frames)]),
        read_image=lambda index: clip.read_image(frames[index]),
        read_labels=None if labels is None else lambda index: labels(frames[index]),
    )


def mean_colour(clip: RecordedClip, values: list[int], frames: int = 8) -> Array:
    """The mean colour [3] (0..255) of the pixels with these labels. Raises RecordedError."""
    spread = np.unique(np.linspace(0, len(clip) - 1, min(frames, len(clip))).astype(int))
    pixels = []
    for index in spread.tolist():
        labels = clip.segmentation(index)
        assert labels is not None  # they are drawn
        pixels.append(clip.image(index)[np.isin(labels, values)])
    seen = np.concatenate(pixels)
    if not len(seen):
        raise RecordedError(f'{clip.name}: no hand or object is in view')
    return np.asarray(seen.mean(0, dtype=np.float64))
