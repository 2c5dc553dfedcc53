"""Keyframes of hands and objects, and smooth trajectories through them.

A key is in the world's or an object's frame: between two keys in one object's frame the hand moves
with the object. Other segments are cubic Hermite curves of position, quaternion and joint angles,
with zero velocity at all keys except `via` ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import (
    Camera,
    invert_rigid,
    matrix_to_quaternion,
    quaternion_to_matrix,
    rigid,
)
from manivideo_ros.motion.authoring.grasp import Grasp
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack

Pose = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ObjectKey:
    """world_from_object [4,4] at a time (s)."""

    time: float
    pose: Pose
    via: bool = False


@dataclass(frozen=True, eq=False)
class HandKey:
    """A wrist pose [4,4] at a time (s) in the world or in the frame of an object id, and theta."""

    time: float
    pose: Pose
    theta: NDArray[np.floating]
    frame: str | None = None
    via: bool = False


@dataclass
class Script:
    """A sequence: keys in order of time, per hand and per object; duration in seconds."""

    duration: float
    camera: Camera
    objects: dict[str, list[ObjectKey]] = field(default_factory=dict)
    hands: dict[str, list[HandKey]] = field(default_factory=dict)
    meshes: dict[str, str] = field(default_factory=dict)

    def place(self, name: str, mesh: str, pose: Pose) -> None:
        """Add an object at its first pose."""
        self.meshes[name] = mesh
        self.objects[name] = [ObjectKey(0.0, pose)]

    def move(self, name: str, time: float, pose: Pose, via: bool = False) -> None:
        """The object moves from its last key to a pose at a time."""
        self.objects[name].append(ObjectKey(time, pose, via))

    def wait(self, name: str, time: float) -> None:
        """The object rests until a time."""
        self.objects[name].append(ObjectKey(time, self.objects[name][-1].pose))

    def free(
        self, side: str, time: float, pose: Pose, theta: NDArray[np.floating], via: bool = False
    ) -> None:
        """A hand is at a pose in the world."""
        self.hands.setdefault(side, []).append(HandKey(time, pose, theta, None, via))

    def at(self, time: float, name: str, grasp: Grasp, via: bool = False) -> None:
        """A hand is at a grasp, or an opened one, of an object."""
        key = HandKey(time, grasp.object_from_wrist, grasp.theta, name, via)
        self.hands.setdefault(grasp.side, []).append(key)

    def play(self, name: str, rate: float = 30.0) -> Motion:
        """The motion of the script, rate frames a second from time 0 on."""
        times = np.arange(round(self.duration * rate)) / rate
        poses = {i: np.stack([object_pose(k, t) for t in times]) for i, k in self.objects.items()}
        present = np.ones(len(times), bool)
        hands = {}
        for side, keys in self.hands.items():
            states = [self.hand_state(keys, float(t)) for t in times]
            wrist = np.stack([pose for pose, _ in states]).astype(np.float32)
            theta = np.stack([t for _, t in states]).astype(np.float32)
            betas = np.zeros(10, np.float32)
            hands[side] = HandTrack(present, theta, betas, wrist[:, :3, :3], wrist[:, :3, 3])
        objects = {
            i: ObjectTrack(self.meshes[i], 1.0, present, p.astype(np.float32))
            for i, p in poses.items()
        }
        stamps = np.round(times * 1e9).astype(np.int64)
        return Motion(stamps, hands, objects, self.camera, name=name)

    def hand_state(self, keys: Sequence[HandKey], time: float) -> tuple[Pose, NDArray[np.float64]]:
        """Wrist pose [4,4] in the world and theta [45] at a time."""
        i = _segment([k.time for k in keys], time)
        a, b = keys[i], keys[min(i + 1, len(keys) - 1)]
        frame = a.frame if a.frame == b.frame else None

        def locate(key: HandKey) -> Pose:
            """The key's pose in the frame of this segment."""
            if key.frame == frame:
                return key.pose
            world = key.pose
            if key.frame is not None:
                world = object_pose(self.objects[key.frame], key.time) @ key.pose
            if frame is None:
                return world
            return invert_rigid(object_pose(self.objects[frame], key.time)) @ world

        around = [keys[max(i - 1, 0)], a, b, keys[min(i + 2, len(keys) - 1)]]
        vectors = _align(
            [np.concatenate([_vector(locate(k)), k.theta]).astype(np.float64) for k in around]
        )
        value = _hermite(vectors, [k.time for k in around], a.via, b.via, time)
        pose = rigid(quaternion_to_matrix(value[3:7]), value[:3])
        if frame is not None:
            pose = object_pose(self.objects[frame], time) @ pose
        return pose, value[7:]


def object_pose(keys: Sequence[ObjectKey], time: float) -> Pose:
    """world_from_object [4,4] at a time (s)."""
    i = _segment([k.time for k in keys], time)
    around = [keys[max(i - 1, 0)], keys[i], *(keys[min(i + d, len(keys) - 1)] for d in (1, 2))]
    vectors = _align([_vector(k.pose) for k in around])
    value = _hermite(vectors, [k.time for k in around], around[1].via, around[2].via, time)
    return rigid(quaternion_to_matrix(value[3:7]), value[:3])


def _segment(times: Sequence[float], time: float) -> int:
    return int(np.clip(np.searchsorted(times, time, side='right') - 1, 0, len(times) - 1))


def _vector(pose: Pose) -> NDArray[np.float64]:
    return np.concatenate([pose[:3, 3], matrix_to_quaternion(pose[:3, :3])])


def _align(vectors: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The vectors with quaternions (parts 3..7) of one sign, for the shorter arc."""
    for before, vector in itertools.pairwise(vectors):
        if before[3:7] @ vector[3:7] < 0:
            vector[3:7] *= -1
    return vectors


def _hermite(
    vectors: list[NDArray[np.float64]],
    times: list[float],
    via_first: bool,
    via_second: bool,
    time: float,
) -> NDArray[np.float64]:
    """The curve between the second and the third of four keys; zero velocity unless via."""
    p0, p1, p2, p3 = vectors
    t0, t1, t2, t3 = times
    length = t2 - t1
    if length <= 0 or time <= t1:
        return p1 if time <= t1 or (length <= 0 and time < t2) else p2
    if time >= t2:
        return p2
    s = (time - t1) / length
    if not via_first and not via_second:  # Minimum jerk (Flash and Hogan 1985).
        return p1 + (p2 - p1) * s**3 * (10 - 15 * s + 6 * s * s)
    m1 = (p2 - p0) / (t2 - t0) * length if via_first else 0.0
    m2 = (p3 - p1) / (t3 - t1) * length if via_second else 0.0
    h00, h10 = 2 * s**3 - 3 * s**2 + 1, s**3 - 2 * s**2 + s
    h01, h11 = -2 * s**3 + 3 * s**2, s**3 - s**2
    return h00 * p1 + h10 * m1 + h01 * p2 + h11 * m2
