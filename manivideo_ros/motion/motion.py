"""A motion: hands and objects over time, seen by one camera, which may move.

World frame: z up, metres. Sides are 'left' and 'right'. theta is axis-angle in radians, relative
to the flat hand, MANO's joint order (index, middle, pinky, ring, thumb, three joints each).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, Camera, invert_rigid
from manivideo_ros.hand.interpolation import interpolate_hands, interpolate_rigid
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.hand.state import SIDES, HandState
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.state import RobotState, interpolate_robots


@dataclass(frozen=True, eq=False)
class HandTrack:
    """One hand over F frames.

    present bool[F]; theta f32[F,45]; betas f32[10]; wrist_rotation f32[F,3,3] and wrist_position
    f32[F,3] of joint 0 in the world; elbow f32[F,3], NaN in frames in which it is unknown, None
    where it always is. Raises ValueError for wrong shapes or non-finite values.
    """

    present: NDArray[np.bool_]
    theta: NDArray[np.float32]
    betas: NDArray[np.float32]
    wrist_rotation: NDArray[np.float32]
    wrist_position: NDArray[np.float32]
    elbow: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        frames = len(self.present)
        if self.elbow is not None and self.elbow.shape != (frames, 3):
            raise ValueError(f'hand: elbow must be {[frames, 3]}, got {[*self.elbow.shape]}')
        _check(self, 'hand', theta=(frames, 45), betas=(10,))
        _check(self, 'hand', wrist_rotation=(frames, 3, 3), wrist_position=(frames, 3))

    def state(self, frame: int) -> HandState:
        """The hand in one frame, whether or not it is present there."""
        elbow = None if self.elbow is None else self.elbow[frame]
        return HandState(
            self.theta[frame],
            self.betas,
            self.wrist_rotation[frame],
            self.wrist_position[frame],
            None if elbow is None or not np.isfinite(elbow).all() else elbow,
        )


@dataclass(frozen=True, eq=False)
class ObjectTrack:
    """One rigid object over F frames.

    mesh: a name for objects/named.py: of a generated shape ('mug'), a file, a package:// URI or
    triangles; scale: metres per unit of a mesh file; present bool[F]; poses f32[F,4,4],
    world_from_object. Raises ValueError for wrong shapes or non-finite values.
    """

    mesh: str
    scale: float
    present: NDArray[np.bool_]
    poses: NDArray[np.float32]

    def __post_init__(self) -> None:
        _check(self, f'object {self.mesh}', poses=(len(self.present), 4, 4))


@dataclass(frozen=True, eq=False)
class RobotTrack:
    """A robot over F frames: positions [F, J] of model.kinematics.joints, world_from_root
    [F, 4, 4]; present bool[F]; effort [F, J], NaN where none was recorded, None for none at all.

    Raises ValueError for wrong shapes or non-finite values.
    """

    model: RobotModel
    present: NDArray[np.bool_]
    positions: NDArray[np.floating]
    world_from_root: NDArray[np.floating]
    effort: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        frames, joints = len(self.present), len(self.model.kinematics.joints)
        _check(self, 'robot', positions=(frames, joints), world_from_root=(frames, 4, 4))

    def state(self, frame: int) -> RobotState:
        """The robot in one frame, whether or not it is present there."""
        return RobotState(self.model, self.positions[frame], self.world_from_root[frame])


class MotionSample(NamedTuple):
    """Hands by side and world_from_object [4,4] by object id at one time."""

    hands: dict[str, HandState]
    objects: dict[str, NDArray[np.float32]]


def scene_json(meshes: Mapping[str, tuple[str, float]]) -> str:
    """The JSON of /scene: mesh and scale by object id, as `motion.tracks.read_scene` reads it."""
    objects = [{'id': i, 'mesh': mesh, 'scale': scale} for i, (mesh, scale) in meshes.items()]
    return json.dumps({'objects': objects})


@dataclass(frozen=True, eq=False)
class Motion:
    """Hands and objects at strictly increasing times stamps_ns int64[F] (ns), F >= 1.

    hands: tracks by side; objects: tracks by object id; camera: its view, in the first frame if it
    moves, or None; camera_track [F,4,4]: camera_from_world of each frame, None for a fixed
    camera; robots: tracks by name. Raises ValueError for times that do not increase and tracks of
    another length.
    """

    stamps_ns: NDArray[np.int64]
    hands: Mapping[str, HandTrack]
    objects: Mapping[str, ObjectTrack]
    camera: Camera | None = None
    hand_model: str = 'default'
    frame_id: str = 'world'
    name: str = field(default='motion')
    camera_track: Array | None = None
    robots: Mapping[str, RobotTrack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.stamps_ns.ndim != 1 or len(self.stamps_ns) == 0:
            raise ValueError(f'motion {self.name}: it has no frames')
        if np.any(np.diff(self.stamps_ns) <= 0):
            raise ValueError(f'motion {self.name}: stamps_ns must increase from frame to frame')
        if not set(self.hands) <= set(SIDES):
            raise ValueError(f'motion {self.name}: hands are left and right, got {[*self.hands]}')
        if self.camera_track is not None:
            if self.camera is None:
                raise ValueError(f'motion {self.name}: camera_track needs a camera')
            _check(self, f'motion {self.name}', camera_track=(len(self), 4, 4))
        presences = {i: t.present for i, t in self.hands.items()}
        presences |= {i: t.present for i, t in self.objects.items()}
        presences |= {i: t.present for i, t in self.robots.items()}
        for name, present in presences.items():
            if len(present) != len(self.stamps_ns):
                raise ValueError(
                    f'motion {self.name}: {name} has {len(present)} frames'
                    f' where stamps_ns has {len(self.stamps_ns)}'
                )

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.stamps_ns[-1] - self.stamps_ns[0]) * 1e-9

    @property
    def meshes(self) -> dict[str, tuple[str, float]]:
        """Mesh and scale by object id."""
        return {name: (track.mesh, track.scale) for name, track in self.objects.items()}

    def frame(self, index: int) -> MotionSample:
        """The recorded frame of this index."""
        return self.sample_between(index, index, 0.0)

    def interpolate_at(self, stamp_ns: int) -> MotionSample:
        """Hands and objects at a time, clamped to the first and last frame.

        Between two frames positions are interpolated linearly, rotations by slerp. A hand or object
        that is absent in one of the two is that of the nearer frame, if it is present there.
        """
        return self.sample_between(*self._between(stamp_ns))

    def robots_in(self, index: int) -> dict[str, RobotState]:
        """The robots in the frame of this index, by name."""
        return {n: track.state(index) for n, track in self.robots.items() if track.present[index]}

    def robots_at(self, stamp_ns: int) -> dict[str, RobotState]:
        """The robots at a time, interpolated as hands and objects."""
        out = {}
        for name, robot in self.robots.items():
            pair = _pair(robot.present, *self._between(stamp_ns))
            if pair is not None:
                first, last, part = pair
                out[name] = interpolate_robots(robot.state(first), robot.state(last), part)
        return out

    def camera_in(self, index: int) -> Camera | None:
        """The camera in the frame of this index; None without a camera."""
        if self.camera is None or self.camera_track is None:
            return self.camera
        return replace(self.camera, camera_from_world=self.camera_track[index])

    def camera_at(self, stamp_ns: int) -> Camera | None:
        """The camera at a time, interpolated as hands and objects; None without a camera."""
        if self.camera is None or self.camera_track is None:
            return self.camera
        first, last, part = self._between(stamp_ns)
        before, after = (invert_rigid(self.camera_track[index]) for index in (first, last))
        pose = invert_rigid(interpolate_rigid(before, after, part))
        return replace(self.camera, camera_from_world=pose)

    def _between(self, stamp_ns: int) -> tuple[int, int, float]:
        """The frames before and after a time, and the fraction of it between them."""
        after = int(np.searchsorted(self.stamps_ns, stamp_ns, side='right'))
        first, last = max(after - 1, 0), min(after, len(self) - 1)
        gap = int(self.stamps_ns[last] - self.stamps_ns[first])
        part = (stamp_ns - int(self.stamps_ns[first])) / gap if gap else 0.0
        return first, last, part

    def resampled(self, stamps_ns: NDArray[np.int64]) -> Motion:
        """The same motion at other times (ns, strictly increasing)."""
        samples = [self.interpolate_at(int(stamp)) for stamp in stamps_ns]
        hands = {
            side: hand_track([s.hands.get(side) for s in samples], track.betas)
            for side, track in self.hands.items()
        }
        objects = {
            name: object_track(track.mesh, track.scale, [s.objects.get(name) for s in samples])
            for name, track in self.objects.items()
        }
        moved = [self.robots_at(int(stamp)) for stamp in stamps_ns]
        robots = {
            name: robot_track(track.model, [of.get(name) for of in moved])
            for name, track in self.robots.items()
        }
        resampled = replace(self, stamps_ns=stamps_ns, hands=hands, objects=objects,
                            camera_track=None, robots=robots)  # fmt: skip
        if self.camera_track is None:
            return resampled
        cameras = [c for stamp in stamps_ns if (c := self.camera_at(int(stamp))) is not None]
        return resampled.seen_from(np.array([camera.camera_from_world for camera in cameras]))

    def seen_from(self, camera_track: Array) -> Motion:
        """The motion with its camera at camera_from_world [F, 4, 4] in each frame."""
        assert self.camera is not None
        first = replace(self.camera, camera_from_world=camera_track[0])
        return replace(self, camera=first, camera_track=camera_track)

    def sample_between(self, first: int, last: int, part: float) -> MotionSample:
        """Hands and objects at a fraction of the way between two frames."""
        hands, objects = {}, {}
        for side, hand in self.hands.items():
            pair = _pair(hand.present, first, last, part)
            if pair is not None:
                a, b, s = pair
                hands[side] = interpolate_hands(hand.state(a), hand.state(b), s)
        for name, track in self.objects.items():
            pair = _pair(track.present, first, last, part)
            if pair is not None:
                a, b, s = pair
                objects[name] = interpolate_rigid(track.poses[a], track.poses[b], s)
        return MotionSample(hands, objects)


def _pair(
    present: NDArray[np.bool_], first: int, last: int, part: float
) -> tuple[int, int, float] | None:
    """The two frames to interpolate and the fraction; None if absent in the nearer one."""
    if present[first] and present[last]:
        return first, last, part
    near = first if part < 0.5 else last
    return (near, near, 0.0) if present[near] else None


def hand_track(states: list[HandState | None], betas: NDArray[np.float32]) -> HandTrack:
    """The track of a hand's state in each frame, None where it is absent; betas f32[10]."""
    rest = HandState(np.zeros(45, np.float32), betas, np.eye(3, dtype=np.float32), np.zeros(3))
    filled = [rest if state is None else state for state in states]
    unknown = np.full(3, np.nan)
    elbows = [unknown if state.elbow is None else state.elbow for state in filled]
    return HandTrack(
        np.array([state is not None for state in states]),
        np.array([s.theta for s in filled], np.float32),
        betas,
        np.array([s.wrist_rotation for s in filled], np.float32),
        np.array([s.wrist_position for s in filled], np.float32),
        np.array(elbows, np.float32) if np.isfinite(elbows).any() else None,
    )


def object_track(mesh: str, scale: float, poses: list[Array | None]) -> ObjectTrack:
    """The track of an object's pose [4, 4] in each frame, None where it is absent."""
    filled = [np.eye(4) if pose is None else pose for pose in poses]
    present = np.array([pose is not None for pose in poses])
    return ObjectTrack(mesh, scale, present, np.array(filled, np.float32))


def robot_track(model: RobotModel, states: Sequence[RobotState | None]) -> RobotTrack:
    """The track of a robot's state in each frame, None where it is absent."""
    rest = RobotState(model, np.zeros(len(model.kinematics.joints)), np.eye(4))
    filled = [rest if state is None else state for state in states]
    return RobotTrack(
        model,
        np.array([state is not None for state in states]),
        np.array([state.positions for state in filled]).reshape(len(states), -1),
        np.array([state.world_from_root for state in filled]),
    )


def _check(track: object, name: str, **shapes: tuple[int, ...]) -> None:
    for attribute, shape in shapes.items():
        value = np.asarray(getattr(track, attribute))
        if value.shape != shape:
            raise ValueError(f'{name}: {attribute} must be {list(shape)}, got {[*value.shape]}')
        if not np.all(np.isfinite(value)):
            raise ValueError(f'{name}: {attribute} holds NaN or infinite values')


def shaped_for(motion: Motion, model: str) -> Motion:
    """The motion for a hand model; betas of another model, which are other shapes, become 0."""
    if motion.hand_model == model:
        return motion
    tracks = {
        side: replace(track, betas=np.zeros(10, np.float32)) for side, track in motion.hands.items()
    }
    return replace(motion, hands=tracks, hand_model=model)


def in_shape(motion: Motion, shape: HandShape) -> Motion:
    """The motion with hands of this shape, but for those that have one of their own.

    A shape of another hand model changes nothing.
    """
    if motion.hand_model != shape.model:
        return motion
    tracks = {
        side: track
        if side not in shape.betas or track.betas.any()
        else replace(track, betas=np.asarray(shape.betas[side], np.float32))
        for side, track in motion.hands.items()
    }
    return replace(motion, hands=tracks)
