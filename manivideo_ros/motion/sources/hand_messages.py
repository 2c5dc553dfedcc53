"""Reads the hand messages of drivers: pure functions, one per source, that use only fields.

Message packages of drivers are optional and are not imported here. Published layouts:
IsaacCapture's NamedPoseArray {header, name[], pose[], is_valid[]}; manus_ros2_msgs/ManusGlove
{glove_id, side, raw_nodes[] {node_id, parent_node_id, joint_type, chain_type, pose}, ...} without
a header; leap_msgs/Hands {header, hands[] {type, fingers[] {type, bones[] {type, prev_joint,
next_joint}}, arm}}; leap_motion_interface/LeapFrame {header, hands[] {type, digits[5] {bones[4]
{prev_joint, next_joint}}, arm}}, in the order of LeapC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import invert_rigid, quaternion_to_matrix, transform_points
from manivideo_ros.hand.state import Side
from manivideo_ros.inputs import tables
from manivideo_ros.inputs.tables import TrackedHand
from manivideo_ros.messages.read import read_pose, stamp_ns

Array = NDArray[np.floating]


@dataclass
class Reading:
    """The content of one message; stamp_ns 0 and frame_id '' if it has none."""

    stamp_ns: int = 0
    frame_id: str = ''
    hands: list[TrackedHand] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A type of source: message type, reader, default axes and unit (metres per unit)."""

    kind: str
    read: Callable[[Any, Side | None], Reading]
    axes: str = 'ros'
    unit: float = 1.0
    one_side: bool = False  # a topic has one hand; no field contains its side
    one_hand: bool = False  # a message has one hand; a field contains its side


def read_openxr(message: Any, side: Side | None) -> Reading:
    """A PoseArray of 25 (WebXR) or 26 (OpenXR) joints of one hand."""
    assert side is not None
    return _one_hand(message, lambda: tables.openxr(side, *_poses(message.poses)))


def read_mediapipe(message: Any, side: Side | None) -> Reading:
    """A PoseArray of MediaPipe's 21 world landmarks of one hand; orientations are ignored."""
    assert side is not None
    return _one_hand(message, lambda: tables.mediapipe(side, _places(message.poses)))


def read_isaac(message: Any, _: Side | None) -> Reading:
    """IsaacCapture's NamedPoseArray of both hands, joints by name."""
    out = _empty(message)
    if not len(message.name) == len(message.pose) == len(message.is_valid):
        out.problems.append(
            f'name, pose, is_valid: {len(message.name)}, {len(message.pose)} and '
            f'{len(message.is_valid)} entries: the counts must be equal'
        )
        return out
    # The placeholders of invalid joints may have invalid orientations.
    valid = [pose for pose, there in zip(message.pose, message.is_valid, strict=True) if there]
    places = _places(message.pose)
    turns: NDArray[np.floating] | None = None
    known = _poses(valid)[1]
    if known is not None:
        turns = np.tile(np.eye(3), (len(places), 1, 1))
        turns[np.asarray(message.is_valid, bool)] = known
    out.hands, out.problems = tables.named(message.name, places, turns, message.is_valid)
    return out


def read_manus(message: Any, _: Side | None) -> Reading:
    """A ManusGlove: points in the frame of its Hand node, with the side of the message."""
    out = Reading()
    root = next((node for node in message.raw_nodes if node.chain_type == 'Hand'), None)
    nodes = [(n.chain_type, n.joint_type, _place(n.pose)) for n in message.raw_nodes]
    try:
        side, points = tables.manus(message.side, nodes)
        if side is None or points is None or root is None:
            return out
        from_glove = invert_rigid(read_pose(root.pose, 'raw_nodes: Hand.pose'))
        hand = tables.seen(side, transform_points(from_glove, points))
        out.hands += [] if hand is None else [hand]
    except ValueError as error:
        out.problems.append(str(error))
    return out


def read_manus_skeleton(message: Any, side: Side | None) -> Reading:
    """A PoseArray of manus_ros2 (iotdesignshop): a skeleton's nodes, each in its parent's frame."""
    assert side is not None
    return _one_hand(
        message, lambda: tables.seen(side, tables.manus_skeleton(*_poses(message.poses)))
    )


def read_leap_frame(message: Any, _: Side | None) -> Reading:
    """A LeapFrame: digits and bones in LeapC's order; the arm ends at elbow and wrist."""
    out = _empty(message)
    for n, hand in enumerate(message.hands):
        fingers = {
            finger: {k: (_xyz(b.prev_joint), _xyz(b.next_joint)) for k, b in enumerate(digit.bones)}
            for finger, digit in enumerate(hand.digits)
        }
        _add_leap(out, n, hand, fingers)
    return out


def read_ultraleap(message: Any, _: Side | None) -> Reading:
    """leap_msgs/Hands: bones by finger and type; the arm, if present, ends at elbow and wrist."""
    out = _empty(message)
    for n, hand in enumerate(message.hands):
        fingers = {
            finger.type: {b.type: (_xyz(b.prev_joint), _xyz(b.next_joint)) for b in finger.bones}
            for finger in hand.fingers
        }
        _add_leap(out, n, hand, fingers)
    return out


def _add_leap(out: Reading, n: int, hand: Any, fingers: dict[int, Any]) -> None:
    """Add the hand of bones by finger and type; the wrist is the end of the arm, if present."""
    try:
        side: Side | None = {'left': 'left', 'right': 'right'}.get(hand.type.lower())  # type: ignore[assignment]
        if side is None:
            raise ValueError(f"type: {hand.type!r} is neither 'Left' nor 'Right'")
        # An arm that is not filled in starts and ends at the same point.
        arm = getattr(hand, 'arm', None)
        ends = [_xyz(p) for p in (getattr(arm, n, None) for n in ARM) if p is not None]
        wrist = ends[0] if ends and (any(ends[0]) or ends[0] != ends[-1]) else None
        found = tables.seen(side, tables.ultraleap(fingers, wrist))
        if found is not None and wrist is not None and any(ends[-1]):
            found = replace(found, elbow=np.array(ends[-1]))
        out.hands += [] if found is None else [found]
    except ValueError as error:
        out.problems.append(f'hands[{n}].{error}')


ARM = ('next_joint', 'prev_joint')  # end and start of an arm

SOURCES = {
    'openxr': Source('geometry_msgs/msg/PoseArray', read_openxr, one_side=True),
    'mediapipe': Source('geometry_msgs/msg/PoseArray', read_mediapipe, one_side=True),
    'isaac': Source('teleop_ros2_interfaces/msg/NamedPoseArray', read_isaac),
    'manus': Source('manus_ros2_msgs/msg/ManusGlove', read_manus, one_hand=True),
    'manus_skeleton': Source('geometry_msgs/msg/PoseArray', read_manus_skeleton, one_side=True),
    'ultraleap': Source('leap_msgs/msg/Hands', read_ultraleap, 'y_up', 0.001),
    'leap_frame': Source('leap_motion_interface/msg/LeapFrame', read_leap_frame, 'y_up', 0.001),
}


def _one_hand(message: Any, read: Callable[[], TrackedHand | None]) -> Reading:
    out = _empty(message)
    try:
        hand = read()
    except ValueError as error:
        out.problems.append(f'poses: {error}')
    else:
        out.hands = [] if hand is None else [hand]
    return out


def _empty(message: Any) -> Reading:
    return Reading(stamp_ns(message.header), message.header.frame_id)


def _poses(poses: Sequence[Any]) -> tuple[Array, Array | None]:
    """Positions [N, 3] and rotations [N, 3, 3]; None if these are not filled in or all equal."""
    quaternions = np.array(
        [[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in poses]
    ).reshape(-1, 4)
    filled = (np.linalg.norm(quaternions, axis=1) > 0.5).all() and np.isfinite(quaternions).all()
    filled = filled and len(quaternions) > 1 and np.ptp(quaternions, axis=0).max() > 1e-6
    return _places(poses), quaternion_to_matrix(quaternions) if filled else None


def _places(poses: Sequence[Any]) -> Array:
    return np.array([_place(pose) for pose in poses]).reshape(-1, 3)


def _place(pose: Any) -> list[float]:
    return _xyz(pose.position)


def _xyz(point: Any) -> list[float]:
    return [point.x, point.y, point.z]
