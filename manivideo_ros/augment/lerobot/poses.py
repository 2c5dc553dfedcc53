"""The motion of an episode of a LeRobot dataset, and its cameras, by a mapping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.augment.lerobot.mapping import Columns, Hand, MappingError, Object, PoseMapping
from manivideo_ros.camera.viewing import LARGEST, bounded
from manivideo_ros.geometry import (
    Camera,
    axis_angle_to_matrix,
    invert_rigid,
    quaternion_to_matrix,
    rigid,
)
from manivideo_ros.hand.state import Side
from manivideo_ros.motion.convert import convert
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack
from manivideo_ros.motion.recordings import Recording, checked_keypoints
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.motion.tracks import HOLD_NS
from manivideo_ros.recording.lerobot.dataset import LeRobotSet

Array = NDArray[np.floating]
START_NS = 1_000_000_000
"""Stamp of the first frame of an episode that has only timestamps: 0 is no stamp in ROS."""


@dataclass(frozen=True, eq=False)
class PosedEpisode:
    """Hands and objects of an episode at its frames, seen by the camera of each key."""

    seen: dict[str, Motion]

    @property
    def motion(self) -> Motion:
        """The motion, seen by the first camera."""
        return next(iter(self.seen.values()))


class _Reader:
    """Numbers of an episode's features."""

    def __init__(self, dataset: LeRobotSet, row: dict[str, Any]) -> None:
        self.dataset, self.row = dataset, row

    def __call__(self, name: str, columns: Columns, widths: tuple[int, ...]) -> Array:
        """Values float64 [F, N], N in `widths`. Raises MappingError naming entry and feature."""
        values = self.dataset.values(self.row, columns.feature)
        found = np.asarray(values[:, columns.start : columns.stop], np.float64)
        wanted = None if columns.stop is None else columns.stop - columns.start
        if found.shape[1] not in widths or wanted not in (None, found.shape[1]):
            raise MappingError(
                f'{name}: {columns.feature} has {found.shape[1]} numbers there, must be '
                f'{" or ".join(str(w) for w in widths)}'
            )
        return found

    def present(self, name: str, columns: Columns | None) -> NDArray[np.bool_]:
        """In which frames a hand or object is there: those whose number is not 0."""
        if columns is None:
            return np.ones(int(self.row['length']), bool)
        found = self(f'{name}: present', columns, (1,))[:, 0]
        if not np.isfinite(found).all():
            raise MappingError(f'{name}: present: {columns.feature} is not finite')
        return np.asarray(found != 0)

    def finite(self, name: str, values: Array, present: NDArray[np.bool_]) -> Array:
        """Values [F, N] with zeros where the hand or object is absent. Raises MappingError."""
        bad = np.flatnonzero(present & ~np.isfinite(values).all(1))
        if len(bad):
            raise MappingError(f'{name}: {self._at(int(bad[0]))}: not finite: mark it as absent')
        return np.where(present[:, None], values, 0.0)

    def rotations(self, name: str, values: Array, present: NDArray[np.bool_]) -> Array:
        """Rotations [F, 3, 3] of quaternions xyzw or axis-angles; identities where absent."""
        out = np.tile(np.eye(3), (len(values), 1, 1))
        make = quaternion_to_matrix if values.shape[1] == 4 else axis_angle_to_matrix
        for frame in np.flatnonzero(present).tolist():
            try:
                out[frame] = make(values[frame])
            except ValueError as error:
                raise MappingError(f'{name}: {self._at(frame)}: {error}') from None
        return out

    def poses(self, name: str, values: Array, present: NDArray[np.bool_]) -> Array:
        """Poses [F, 4, 4] of positions and quaternions."""
        values = self.finite(name, values, present)
        turns = self.rotations(name, values[:, 3:], present)
        return np.array([rigid(r, p) for r, p in zip(turns, values[:, :3], strict=True)])

    def _at(self, frame: int) -> str:
        return f'episode {self.row["episode_index"]}, frame {frame}'


def posed_episode(
    dataset: LeRobotSet, row: dict[str, Any], mapping: PoseMapping, warn: Callable[[str], None]
) -> PosedEpisode:
    """The poses of an episode; warn: called with one line for hands that are left out.

    Raises MappingError, LeRobotError, and those of bags, each one line.
    """
    for key in mapping.cameras:
        if dataset.features.get(key, {}).get('dtype') != 'video':
            there = ', '.join(k for k in dataset.cameras) or 'none'
            raise MappingError(f'cameras: {key}: no video of the dataset; its cameras are {there}')
        info = dataset.features[key].get('info') or {}
        if info.get('video.is_depth_map') or info.get('is_depth_map'):
            raise MappingError(f'cameras: {key}: is depth, which is not generated: leave it out')
    if mapping.bags:
        return _of_bag(dataset, row, mapping)
    read, stamps = _Reader(dataset, row), _stamps(dataset, row, mapping)
    name = f'episode {row["episode_index"]}'
    tracks = {side: _hand(read, stamps, side, hand, f'{dataset.name}: {name}', warn)
              for side, hand in mapping.hands.items()}  # fmt: skip
    objects = {key: _object(read, key, item) for key, item in mapping.objects.items()}
    hands = {side: track for side, track in tracks.items() if track is not None}
    if not hands and not objects:
        raise MappingError(f'hands: {name}: no hand in any frame')
    motion = Motion(stamps, hands, objects, None, mapping.hand_model, 'world', name)
    return PosedEpisode({key: _seen(read, motion, key, mapping) for key in mapping.cameras})


def size_of(dataset: LeRobotSet, key: str) -> tuple[int, int]:
    """Width and height of a camera's images."""
    feature = dataset.features[key]
    names, shape = list(feature.get('names') or ()), list(feature['shape'])
    at = {n: shape[names.index(n)] for n in ('height', 'width') if n in names}
    if len(at) < 2:
        raise MappingError(f'cameras: {key}: its feature does not name height and width')
    return int(at['width']), int(at['height'])


def _stamps(dataset: LeRobotSet, row: dict[str, Any], mapping: PoseMapping) -> NDArray[np.int64]:
    if mapping.stamps:
        stamps = dataset.values(row, mapping.stamps)[:, 0]
        if stamps.dtype.kind not in 'iu':
            raise MappingError(f'stamps: {mapping.stamps}: must be integers, ns')
        return np.asarray(stamps, np.int64)
    seconds = np.asarray(dataset.values(row, 'timestamp')[:, 0], np.float64)
    return START_NS + np.round(seconds * 1e9).astype(np.int64)


def _hand(
    read: _Reader, stamps: NDArray[np.int64], side: str, hand: Hand, what: str,
    warn: Callable[[str], None],
) -> HandTrack | None:  # fmt: skip
    name = f'hands: {side}'
    present = read.present(name, hand.present)
    if hand.keypoints is not None:
        flat = read(f'{name}: keypoints', hand.keypoints, (63,))
        points = np.where(present[:, None], flat, np.nan).reshape(-1, 21, 3)
        who = cast(Side, side)
        try:
            kept, left_out = checked_keypoints(who, points, hand.unit, hand.axes)
            if left_out:
                reasons = ', '.join(f'{count} {reason}' for reason, count in left_out.items())
                warn(f'{what}: {name}: frames without the hand: {reasons}')
            if not np.isfinite(kept).any():
                return None
            motion, _ = convert(Recording(stamps, {side: kept}, {side: left_out}))
        except ValueError as error:
            raise MappingError(f'{name}: keypoints: {error}') from None
        return motion.hands[side]
    assert hand.theta is not None and hand.position is not None and hand.rotation is not None
    if not present.any():
        return None
    theta = read.finite(f'{name}: theta', read(f'{name}: theta', hand.theta, (45,)), present)
    place = read(f'{name}: position', hand.position, (3,))
    turn = read(f'{name}: rotation', hand.rotation, (3, 4))
    turn = read.finite(f'{name}: rotation', turn, present)
    return HandTrack(
        present,
        theta.astype(np.float32),
        np.array(hand.betas, np.float32),
        read.rotations(f'{name}: rotation', turn, present).astype(np.float32),
        read.finite(f'{name}: position', place, present).astype(np.float32),
    )


def _object(read: _Reader, key: str, item: Object) -> ObjectTrack:
    name = f'objects: {key}'
    present = read.present(name, item.present)
    poses = read.poses(f'{name}: pose', read(f'{name}: pose', item.pose, (7,)), present)
    return ObjectTrack(item.mesh, item.scale, present, poses.astype(np.float32))


def _seen(read: _Reader, motion: Motion, key: str, mapping: PoseMapping) -> Motion:
    """The motion with the camera of a key."""
    view, name = mapping.cameras[key], f'cameras: {key}: pose'
    every = np.ones(len(motion), bool)
    values = np.array(view.pose) if isinstance(view.pose, tuple) else read(name, view.pose, (7,))
    if len(values) == 1:
        values, every = values[:1], every[:1]
    elif len(values) != len(motion):
        raise MappingError(f'{name}: {len(values)} poses for {len(motion)} frames')
    track = np.array([invert_rigid(pose) for pose in read.poses(name, values, every)])
    fx, fy, cx, cy = view.intrinsics
    width, height = (int(v) for v in view.size or size_of(read.dataset, key))
    try:
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        camera = Camera(matrix, track[0], width, height)
    except ValueError as error:
        raise MappingError(f'cameras: {key}: intrinsics: {error}') from None
    seen = replace(motion, camera=_sized(read.dataset, key, camera))
    return seen if len(track) == 1 else seen.seen_from(track)


def _sized(dataset: LeRobotSet, key: str, camera: Camera) -> Camera:
    """A camera with images of its feature's size. Raises MappingError for one that cannot have."""
    width, height = size_of(dataset, key)
    if camera.width * height != camera.height * width:
        raise MappingError(
            f'cameras: {key}: the camera has {camera.width}x{camera.height} pixels, its images '
            f'{width}x{height}: give intrinsics for these'
        )
    sized = camera.resized(width, height)
    if bounded(sized) is not sized or width % 2 or height % 2:
        raise MappingError(
            f'cameras: {key}: images of {width}x{height} cannot be generated: width and height '
            f'must be even, and at most {LARGEST[0]}x{LARGEST[1]}'
        )
    return sized


def _of_bag(dataset: LeRobotSet, row: dict[str, Any], mapping: PoseMapping) -> PosedEpisode:
    """The poses of an episode in a bag of its own."""
    number = int(row['episode_index'])
    path = mapping.bags.format(episode_index=number)
    reader, seen = open_bag(path, mapping.hands_from), {}
    for key, view in mapping.cameras.items():
        motion = load_motion(reader, view.topic)
        stamps = _stamps(dataset, row, mapping)
        if not mapping.stamps:
            stamps = stamps - START_NS + motion.stamps_ns[0]
        first, last = int(motion.stamps_ns[0]) - HOLD_NS, int(motion.stamps_ns[-1]) + HOLD_NS
        outside = np.flatnonzero((stamps < first) | (stamps > last))
        if len(outside):
            raise MappingError(
                f'bags: {path}: has poses from {first * 1e-9:.3f} to {last * 1e-9:.3f} s, none for '
                f'frame {outside[0]} of episode {number} at {stamps[outside[0]] * 1e-9:.3f} s'
            )
        if motion.camera is None:
            raise MappingError(f'bags: {path}: no CameraInfo was recorded for {key}')
        sized = replace(motion, camera=_sized(dataset, key, motion.camera))
        seen[key] = sized.resampled(stamps)
    return PosedEpisode(seen)
