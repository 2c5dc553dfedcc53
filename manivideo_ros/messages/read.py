"""Pose messages to arrays. Messages are typed by their fields alone: rclpy's and rosbags' both do.

A reader returns what it could use and a list of problems, one line each, which starts with the
field ('hands[0].theta: ...'). A live node logs them and goes on; `checked` raises the first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, quaternion_to_matrix, rigid
from manivideo_ros.hand.arm.bones import elbow_problem
from manivideo_ros.hand.state import SIDES, HandState

State = TypeVar('State')
NUM_KEYPOINTS = 134
"""Of a SkeletonPose."""


@dataclass
class Received(Generic[State]):
    """What one message holds: states by side or object id, and the problems with the rest."""

    stamp_ns: int
    frame_id: str
    states: dict[str, State] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def checked(topic: str, received: Received[State]) -> dict[str, State]:
    """The states of a message. Raises ValueError naming topic and field if it has problems."""
    if received.problems:
        raise ValueError(f'{topic}: {received.problems[0]}')
    return received.states


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def read_hands(message: Any, hand_model: str | None = 'default') -> Received[HandState]:
    """Hands of a HandPoses by side, in the header's frame; confidence 0 counts as absent.

    hand_model: whose betas are used, zeros where they are of another; None: betas of any.
    """
    out: Received[HandState] = Received(stamp_ns(message.header), message.header.frame_id)
    if len(message.hands) > len(SIDES):
        out.problems.append(f'hands: {len(message.hands)} of them, the first of each side is used')
    for i, hand in enumerate(message.hands):
        try:
            if hand.side >= len(SIDES):
                raise ValueError(f'side: {hand.side} is neither LEFT (0) nor RIGHT (1)')
            side = SIDES[hand.side]
            if side in out.states:
                raise ValueError(f'side: {side} a second time')
            if not _present(hand.confidence):
                continue
            own_betas = hand_model in (None, hand.hand_model)
            if not own_betas and len(hand.betas):
                out.problems.append(
                    f'hands[{i}].hand_model: betas of {hand.hand_model!r} are not used by '
                    f'{hand_model!r}, zeros are'
                )
            state = _hand_state(hand, own_betas)
            elbow, problem = _elbow(hand, state)
            out.problems += [] if problem is None else [f'hands[{i}].elbow: {problem}: not used']
            out.states[side] = replace(state, elbow=elbow)
        except ValueError as error:
            out.problems.append(f'hands[{i}].{error}')
    return out


def read_objects(message: Any, known: Collection[str] | None) -> Received[NDArray[np.floating]]:
    """Poses [4, 4] of an ObjectPoses by id, in the header's frame; confidence 0 counts as absent.

    known: the ids that the scene has, any other is a problem; None: all.
    """
    out: Received[NDArray[np.floating]] = Received(
        stamp_ns(message.header), message.header.frame_id
    )
    for i, item in enumerate(message.objects):
        name = item.object_id
        try:
            if known is not None and name not in known:
                scene = ', '.join(sorted(known)) or 'no object'
                raise ValueError(
                    f'object_id: {name!r} is not in the scene ({scene}): use set_scene'
                )
            if name in out.states:
                raise ValueError(f'object_id: {name!r} a second time')
            if _present(item.confidence):
                out.states[name] = _object_pose(item)
        except ValueError as error:
            out.problems.append(f'objects[{i}].{error}')
    return out


def read_people(message: Any, width: int, height: int) -> tuple[NDArray[np.float32], list[str]]:
    """People [P, 134, 3] of a SkeletonPoses, in pixels of a width x height image, and problems."""
    size = np.array([message.image_width, message.image_height], np.float64)
    if np.any(size <= 0):
        nobody = np.zeros((0, NUM_KEYPOINTS, 3), np.float32)
        return nobody, ['image_width, image_height: must be the size of the image in pixels']
    scale = np.append(np.array([width, height]) / size, 1.0)
    people: list[NDArray[np.floating]] = []
    problems: list[str] = []
    for i, person in enumerate(message.people):
        numbers = np.asarray(person.keypoints, np.float64)
        if numbers.shape != (3 * NUM_KEYPOINTS,):
            problems.append(
                f'people[{i}].keypoints: {numbers.size} values, must be {3 * NUM_KEYPOINTS}'
            )
        elif not np.isfinite(numbers).all():
            problems.append(f'people[{i}].keypoints: not finite')
        else:
            people.append(numbers.reshape(-1, 3) * scale)
    return np.array(people, np.float32).reshape(-1, NUM_KEYPOINTS, 3), problems


def read_pose(pose: Any, name: str) -> NDArray[np.floating]:
    """The transform [4, 4] of a Pose. Raises ValueError that starts with name and the field."""
    return _rigid(pose.position, pose.orientation, f'{name}.position', f'{name}.orientation')


def read_transform(transform: Any, name: str) -> NDArray[np.floating]:
    """The matrix [4, 4] of a Transform. Raises ValueError that starts with name and the field."""
    names = f'{name}.translation', f'{name}.rotation'
    return _rigid(transform.translation, transform.rotation, *names)


def read_camera(message: Any, rectified: bool = False) -> Camera:
    """The pinhole of a CameraInfo's image, at the origin of its own frame.

    Its image is the region of interest, binned, where there is one. Distortion (`d`) is left to
    camera/lens.py; rectified: use P, that of the image without it, where it is set. Raises
    ValueError that starts with the field: a size of zero, K that is no pinhole's, a region outside
    the image.
    """
    if message.width == 0 or message.height == 0:
        raise ValueError(f'width, height: {message.width}x{message.height} is no image size')
    roi, whole = message.roi, (message.width, message.height)
    size = (roi.width or message.width, roi.height or message.height)
    offset = np.array([roi.x_offset, roi.y_offset])
    if np.any(offset + size > whole):
        region = f'{size[0]}x{size[1]} at {roi.x_offset}, {roi.y_offset}'
        raise ValueError(f'roi: {region} is not in the image of {whole[0]}x{whole[1]}')
    bins = np.array([message.binning_x or 1, message.binning_y or 1])
    name, k = 'k', np.array(message.k, np.float64).reshape(3, 3)
    if rectified and message.p[0] > 0:
        name, k = 'p', np.array(message.p, np.float64).reshape(3, 4)[:, :3]
    k[:2, 2] -= offset
    k[:2] /= bins[:, None]
    width, height = (int(v) for v in size // bins)
    if width == 0 or height == 0:
        raise ValueError(f'binning_x, binning_y: leave {width}x{height} pixels')
    try:
        return Camera(k, np.eye(4), width, height)
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None


def _hand_state(hand: Any, own_betas: bool) -> HandState:
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


def _elbow(hand: Any, state: HandState) -> tuple[NDArray[np.floating] | None, str | None]:
    """The elbow [3] of a hand, None where it has none that can be used, and the problem with it.

    Messages that were recorded before there were elbows lack the fields.
    """
    if not getattr(hand, 'has_elbow', False):
        return None, None
    elbow = np.array([hand.elbow.x, hand.elbow.y, hand.elbow.z])
    problem = elbow_problem(elbow, state.wrist_position)
    return (elbow if problem is None else None), problem


def _object_pose(item: Any) -> NDArray[np.floating]:
    try:
        return read_pose(item.pose, 'pose')
    except ValueError as error:
        raise ValueError(f'{error} (object {item.object_id!r})') from None


def _rigid(position: Any, rotation: Any, *names: str) -> NDArray[np.floating]:
    translation = np.array([position.x, position.y, position.z])
    if not np.isfinite(translation).all():
        raise ValueError(f'{names[0]}: not finite')
    try:
        matrix = quaternion_to_matrix([rotation.x, rotation.y, rotation.z, rotation.w])
    except ValueError as error:
        raise ValueError(f'{names[1]}: {error}') from None
    return rigid(matrix, translation)


def _present(confidence: float) -> bool:
    if not np.isfinite(confidence):
        raise ValueError('confidence: not finite')
    return confidence > 0
