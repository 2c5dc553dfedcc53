"""Pose messages to the core's arrays and back: pure functions; what is wrong is named, not raised.

Every reader returns what could be used and a list of problems, each one line that starts with the
field it is about. The node puts the topic before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from manivideo_ros.geometry import Camera, matrix_to_quaternion, quaternion_to_matrix, rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.msg import HandPose, HandPoses, ObjectPose, ObjectPoses
from manivideo_ros.ros.images import stamp_ns

SIDES = {HandPose.LEFT: 'left', HandPose.RIGHT: 'right'}
State = TypeVar('State')
LONGEST = 300  # characters of a warning


@dataclass
class Received(Generic[State]):
    """What one message holds: states by side or object id, and what was wrong with the rest."""

    stamp_ns: int
    frame_id: str
    states: dict[str, State] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_hands(message: HandPoses, hand_model: str = 'default') -> Received[HandState]:
    """The hands of a message by side, in the header's frame; confidence 0 counts as absent."""
    out: Received[HandState] = Received(stamp_ns(message.header), message.header.frame_id)
    if len(message.hands) > 2:
        out.problems.append(f'hands: {len(message.hands)} of them, the first of each side is used')
    for i, hand in enumerate(message.hands):
        try:
            side = SIDES.get(hand.side)
            if side is None:
                raise ValueError(f'side: {hand.side} is neither LEFT (0) nor RIGHT (1)')
            if side in out.states:
                raise ValueError(f'side: {side} a second time')
            if not _present(hand.confidence):
                continue
            if hand.hand_model != hand_model and len(hand.betas):
                out.problems.append(
                    f'hands[{i}].hand_model: betas of {hand.hand_model!r} are not used by '
                    f'{hand_model!r}, zeros are'
                )
            out.states[side] = _hand_state(hand, hand.hand_model == hand_model)
        except ValueError as error:
            out.problems.append(f'hands[{i}].{error}')
    return out


def read_objects(message: ObjectPoses, known: Collection[str]) -> Received[NDArray[np.floating]]:
    """Poses [4, 4] of the known objects by id, in the header's frame; confidence 0 is absent."""
    out: Received[NDArray[np.floating]] = Received(
        stamp_ns(message.header), message.header.frame_id
    )
    for i, item in enumerate(message.objects):
        try:
            if item.object_id not in known:
                scene = ', '.join(sorted(known)) or 'no object'
                raise ValueError(
                    f'object_id: {item.object_id!r} is not in the scene ({scene}): use set_scene'
                )
            if item.object_id in out.states:
                raise ValueError(f'object_id: {item.object_id!r} a second time')
            if _present(item.confidence):
                out.states[item.object_id] = read_pose(item.pose, 'pose')
        except ValueError as error:
            out.problems.append(f'objects[{i}].{error}')
    return out


def read_pose(pose: Pose, name: str) -> NDArray[np.floating]:
    """The transform [4, 4] of a pose. Raises ValueError naming the field that makes no sense."""
    position, rotation = pose.position, pose.orientation
    translation = np.array([position.x, position.y, position.z])
    if not np.isfinite(translation).all():
        raise ValueError(f'{name}.position: not finite')
    try:
        matrix = quaternion_to_matrix([rotation.x, rotation.y, rotation.z, rotation.w])
    except ValueError as error:
        raise ValueError(f'{name}.orientation: {error}') from None
    return rigid(matrix, translation)


def read_camera(message: CameraInfo) -> Camera:
    """The pinhole of a CameraInfo's image, standing at its own frame's origin.

    Its image is the region of interest, binned, where there is one. What bends it (`d`) is
    lens.py's. Raises ValueError naming the field: size zero, K not a pinhole's, a region that is
    not in the image.
    """
    if message.width == 0 or message.height == 0:
        raise ValueError(f'width, height: {message.width}x{message.height} is no camera')
    roi, whole = message.roi, (message.width, message.height)
    size = (roi.width or message.width, roi.height or message.height)
    offset = np.array([roi.x_offset, roi.y_offset])
    if np.any(offset + size > whole):
        told = f'{size[0]}x{size[1]} at {roi.x_offset}, {roi.y_offset}'
        raise ValueError(f'roi: {told} is not in the image of {whole[0]}x{whole[1]}')
    bins = np.array([message.binning_x or 1, message.binning_y or 1])
    k = np.array(message.k, np.float64).reshape(3, 3)
    k[:2, 2] -= offset
    k[:2] /= bins[:, None]
    width, height = (int(v) for v in size // bins)
    if width == 0 or height == 0:
        raise ValueError(f'binning_x, binning_y: leave {width}x{height} pixels')
    try:
        return Camera(k, np.eye(4), width, height)
    except ValueError as error:
        raise ValueError(f'k: {error}') from None


def hands_message(
    header: Header,
    hands: dict[str, HandState],
    hand_model: str,
    confidence: Mapping[str, float] | None = None,
) -> HandPoses:
    """The message of these hands by side; confidence by side where it is not 1."""
    trust = confidence or {}
    sides = {name: side for side, name in SIDES.items()}
    return HandPoses(
        header=header,
        hands=[
            HandPose(
                side=sides[name],
                hand_model=hand_model,
                wrist=pose_message(rigid(state.wrist_rotation, state.wrist_position)),
                theta=np.asarray(state.theta, np.float32),
                betas=np.asarray(state.betas, np.float32).tolist(),
                confidence=float(trust.get(name, 1.0)),
            )
            for name, state in hands.items()
        ],
    )


def objects_message(
    header: Header,
    poses: Mapping[str, NDArray[np.floating]],
    confidence: Mapping[str, float] | None = None,
) -> ObjectPoses:
    """The message of these object poses [4, 4] by id; confidence by id where it is not 1."""
    trust = confidence or {}
    return ObjectPoses(
        header=header,
        objects=[
            ObjectPose(
                object_id=name, pose=pose_message(pose), confidence=float(trust.get(name, 1.0))
            )
            for name, pose in poses.items()
        ],
    )


def camera_message(
    header: Header, camera: Camera, model: str = 'plumb_bob', d: Sequence[float] = (0.0,) * 5
) -> CameraInfo:
    """The intrinsics of a camera, with its lens's distortion model and coefficients."""
    k = np.asarray(camera.intrinsics, np.float64)
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=model,
        d=list(d),
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel(),
    )


def pose_stamped(header: Header, transform: NDArray[np.floating]) -> PoseStamped:
    """The message of one pose [4, 4] in the header's frame."""
    return PoseStamped(header=header, pose=pose_message(transform))


def pose_message(transform: NDArray[np.floating]) -> Pose:
    """The message of a rigid transform [4, 4]."""
    x, y, z = (float(v) for v in transform[:3, 3])
    qx, qy, qz, qw = (float(v) for v in matrix_to_quaternion(transform[:3, :3]))
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _hand_state(hand: HandPose, own_betas: bool) -> HandState:
    wrist = read_pose(hand.wrist, 'wrist')
    theta = np.array(hand.theta, np.float32)
    if not np.isfinite(theta).all():
        raise ValueError('theta: not finite')
    if len(hand.betas) not in (0, 10):
        raise ValueError(f'betas: {len(hand.betas)} values, must be 0 or 10')
    betas = np.zeros(10, np.float32)
    if own_betas and len(hand.betas):
        betas = np.array(hand.betas, np.float32)
        if not np.isfinite(betas).all():
            raise ValueError('betas: not finite')
    return HandState(theta, betas, wrist[:3, :3], wrist[:3, 3])


def _present(confidence: float) -> bool:
    if not np.isfinite(confidence):
        raise ValueError('confidence: not finite')
    return confidence > 0


class RateLimit:
    """Lets each text through once a period (seconds), so that warnings do not drown the log.

    Of those that come at once, the first `most`; long ones are cut: a message may hold anything.
    """

    def __init__(self, period: float = 5.0, capacity: int = 200, most: int = 10) -> None:
        self.period, self.capacity, self.most = period, capacity, most
        self._last: dict[str, float] = {}

    def due(self, texts: Iterable[str], now: float) -> list[str]:
        """Those of the texts that were not let through in the last period; now in seconds."""
        every = list(texts)
        short = [t if len(t) <= LONGEST else f'{t[:LONGEST]}...' for t in every[: self.most]]
        if len(every) > self.most:
            short.append(f'more than {self.most} problems in one message: the others are not told')
        out = [t for t in short if now - self._last.get(t, -np.inf) >= self.period]
        if len(self._last) + len(out) > self.capacity:
            self._last = {t: s for t, s in self._last.items() if now - s < self.period}
        self._last.update(dict.fromkeys(out, now))
        return out
