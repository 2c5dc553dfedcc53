"""Reads the object messages of trackers: pure functions that use only fields.

Message packages of drivers are optional and are not imported here. Published layouts:
vision_msgs 4 Detection3DArray {header, detections[] {header, results[] {hypothesis {class_id,
score}, pose {pose}}, id}}; mocap4r2_msgs (formerly mocap_msgs) RigidBodies {header,
rigidbodies[] {rigid_body_name, pose}}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import rigid
from manivideo_ros.messages.read import read_hands, read_pose, stamp_ns

Array = NDArray[np.floating]


@dataclass
class Objects:
    """Poses [4, 4] and confidences by the source's names of the objects, and problems."""

    stamp_ns: int
    frame_id: str
    poses: dict[str, Array] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, pose: Any, where: str, confidence: float = 1.0) -> None:
        """Add a pose message; an invalid one becomes a problem."""
        try:
            self.poses[name], self.confidence[name] = read_pose(pose, where), confidence
        except ValueError as error:
            self.problems.append(str(error))


def read_pose_stamped(message: Any, names: Sequence[str]) -> Objects:
    """A PoseStamped of the only object in `names`."""
    out = _empty(message)
    out.add(names[0], message.pose, 'pose')
    return out


def read_pose_array(message: Any, names: Sequence[str]) -> Objects:
    """A PoseArray of objects in the order of `names`."""
    out = _empty(message)
    if len(message.poses) != len(names):
        out.problems.append(f'poses: {len(message.poses)} for {len(names)} ids: must be equal')
        return out
    for n, (name, pose) in enumerate(zip(names, message.poses, strict=True)):
        out.add(name, pose, f'poses[{n}]')
    return out


def read_detections(message: Any, _: Sequence[str]) -> Objects:
    """A Detection3DArray: for each class the hypothesis with the highest score."""
    out = _empty(message)
    for n, detection in enumerate(message.detections):
        if not detection.results:
            continue
        frame = detection.header.frame_id
        if frame not in ('', out.frame_id):
            out.problems.append(
                f'detections[{n}].header.frame_id: {frame!r} is not that of the message, '
                f'{out.frame_id!r}: dropped'
            )
            continue
        best = max(detection.results, key=lambda result: result.hypothesis.score)
        name, score = best.hypothesis.class_id, min(1.0, float(best.hypothesis.score))
        if score > out.confidence.get(name, 0.0):
            out.add(name, best.pose.pose, f'detections[{n}].results.pose.pose', score)
    return out


def read_rigid_bodies(message: Any, _: Sequence[str]) -> Objects:
    """RigidBodies of motion capture, by name; lost bodies (not finite) are absent."""
    out = _empty(message)
    for body in message.rigidbodies:
        at = body.pose.position
        if np.isfinite([at.x, at.y, at.z]).all():
            out.add(body.rigid_body_name, body.pose, f'{body.rigid_body_name}.pose')
    return out


def read_held(message: Any, name: str, side: str, wrist_from_object: Array, model: str) -> Objects:
    """The object that a hand of HandPoses holds, at a fixed transform [4, 4] from its wrist."""
    out = _empty(message)
    hands = read_hands(message, model)
    out.problems = hands.problems
    state = hands.states.get(side)
    if state is not None:
        wrist = rigid(state.wrist_rotation, state.wrist_position)
        out.poses[name], out.confidence[name] = wrist @ wrist_from_object, 1.0
    return out


Read = Callable[[Any, Sequence[str]], Objects]

# Message type and reader of each source; the intake itself handles tf, grasp and moveit.
SOURCES: dict[str, tuple[str, Read]] = {
    'pose': ('geometry_msgs/msg/PoseStamped', read_pose_stamped),
    'pose_array': ('geometry_msgs/msg/PoseArray', read_pose_array),
    'detections': ('vision_msgs/msg/Detection3DArray', read_detections),
    'mocap': ('mocap4r2_msgs/msg/RigidBodies', read_rigid_bodies),
}


def _empty(message: Any) -> Objects:
    return Objects(stamp_ns(message.header), message.header.frame_id)
