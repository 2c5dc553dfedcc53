"""Reads joint positions and planned motions: pure functions that use only fields.

Only the required joints of a message are checked; others are ignored.

Message packages are optional and are not imported here. Published layouts:
sensor_msgs/JointState; trajectory_msgs/JointTrajectory {header, joint_names, points[] {positions,
velocities, time_from_start}}; moveit_msgs/DisplayTrajectory {trajectory[] {joint_trajectory,
multi_dof_joint_trajectory {header, joint_names, points[] {transforms, time_from_start}}},
trajectory_start {joint_state, multi_dof_joint_state {header, joint_names, transforms}}}.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import quaternion_to_matrix, rigid
from manivideo_ros.inputs.trajectories import Piece, Trajectory, piece

Array = NDArray[np.floating]

STATES, TRAJECTORY, DISPLAY = 'joint_states', 'joint_trajectory', 'display_trajectory'
KINDS = {
    STATES: 'sensor_msgs/msg/JointState',
    TRAJECTORY: 'trajectory_msgs/msg/JointTrajectory',
    DISPLAY: 'moveit_msgs/msg/DisplayTrajectory',
}


def read_joint_state(message: Any, needed: Collection[str] | None = None) -> dict[str, float]:
    """Positions of the needed joints (None: all), possibly not finite.

    Raises ValueError if they do not match the names.
    """
    if needed is not None and not set(needed) & set(message.name):
        return {}
    if len(message.position) != len(message.name):
        counts = f'{len(message.position)} values for {len(message.name)} names'
        raise ValueError(f'position: {counts}')
    pairs = zip(message.name, map(float, message.position), strict=True)
    return {name: value for name, value in pairs if needed is None or name in needed}


def not_finite(positions: dict[str, float]) -> list[str]:
    """The joints whose position is not finite."""
    return [name for name, value in positions.items() if not np.isfinite(value)]


def read_joint_trajectory(message: Any, needed: Collection[str] | None = None) -> Trajectory:
    """A JointTrajectory, as one piece. Raises ValueError with the name of the field."""
    return Trajectory((_piece(message, needed),))


def read_display_trajectory(message: Any, needed: Collection[str] | None = None) -> Trajectory:
    """MoveIt's DisplayTrajectory, piece by piece. Raises ValueError with the name of the field.

    Of its multi-DOF joints the first, in MoveIt's order, is the parent of the robot's root. The
    start state has the joints that the first piece does not move.
    """
    root, start = _root_joint(message), message.trajectory_start
    pieces, frames = [], set()
    for n, part in enumerate(message.trajectory):
        bases = part.multi_dof_joint_trajectory
        try:
            pieces.append(_piece(part.joint_trajectory, needed, bases, root))
        except ValueError as error:
            raise ValueError(f'trajectory[{n}].{error}') from None
        if len(pieces[-1].bases):
            frames.add(bases.header.frame_id)
    try:
        moved = set(pieces[0].joints) if pieces and len(pieces[0].times) else set()
        still = None if needed is None else set(needed) - moved
        positions = read_joint_state(start.joint_state, still)
        if bad := not_finite(positions):
            raise ValueError(f'joint_state.position: {bad[0]} is not finite')
        state = start.multi_dof_joint_state
        base = _bases('multi_dof_joint_state', state.joint_names, [state], root)
    except ValueError as error:
        raise ValueError(f'trajectory_start.{error}') from None
    if base:
        frames.add(start.multi_dof_joint_state.header.frame_id)
    if len(frames) > 1:
        raise ValueError(
            f'header.frame_id: several frames of the base: {", ".join(sorted(frames))}'
        )
    return Trajectory(tuple(pieces), positions, base[0] if base else None, *frames)


def _root_joint(message: Any) -> str:
    """The multi-DOF joint above the robot's root; '' if there is none."""
    parts = [part.multi_dof_joint_trajectory for part in message.trajectory]
    states = [message.trajectory_start.multi_dof_joint_state, *parts]
    return next((state.joint_names[0] for state in states if len(state.joint_names)), '')


def _piece(
    message: Any, needed: Collection[str] | None, bases: Any = None, root: str = ''
) -> Piece:
    points = message.points
    velocities = [p.velocities for p in points]
    complete = bool(points) and all(len(v) == len(message.joint_names) for v in velocities)
    moved = [] if bases is None or root not in bases.joint_names else bases.points
    names = [] if bases is None else bases.joint_names
    return piece(
        message.joint_names,
        [_seconds(p.time_from_start) for p in points],
        [p.positions for p in points],
        velocities if complete and message.joint_names else None,
        [_seconds(p.time_from_start) for p in moved],
        _bases('multi_dof_joint_trajectory', names, moved, root),
        needed,
    )


def _bases(name: str, joints: Sequence[str], messages: Sequence[Any], root: str) -> list[Array]:
    """The pose of the root in each of the messages with transforms of these joints."""
    out = []
    for message in messages if root in joints else ():
        count = len(message.transforms)
        if count != len(joints):
            there = 'one transform' if count == 1 else f'{count} transforms'
            raise ValueError(f'{name}.joint_names: {len(joints)} for {there}')
        transform = message.transforms[list(joints).index(root)]
        t, q = transform.translation, transform.rotation
        try:
            matrix = rigid(quaternion_to_matrix([q.x, q.y, q.z, q.w]), [t.x, t.y, t.z])
        except ValueError as error:
            raise ValueError(f'{name}.transforms: {error}') from None
        if not np.isfinite(matrix).all():
            raise ValueError(f'{name}.transforms: not finite')
        out.append(matrix)
    return out


def _seconds(duration: Any) -> float:
    return float(duration.sec + 1e-9 * duration.nanosec)
