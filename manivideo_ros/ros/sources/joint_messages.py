"""Messages of joint positions and planned motions: pure functions, typed by fields alone.

A message is judged by the joints that are needed: what it has of others is not looked at.

Message packages are optional: nothing here imports them. Layouts, as published:
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
    """Positions by joint, of those that are needed (None: all); not finite where the message is.

    Raises ValueError where they do not match the names.
    """
    if needed is not None and not set(needed) & set(message.name):
        return {}
    if len(message.position) != len(message.name):
        counts = f'{len(message.position)} values for {len(message.name)} names'
        raise ValueError(f'position: {counts}')
    told = zip(message.name, map(float, message.position), strict=True)
    return {name: value for name, value in told if needed is None or name in needed}


def not_finite(positions: dict[str, float]) -> list[str]:
    """The joints whose position is no number."""
    return [name for name, value in positions.items() if not np.isfinite(value)]


def read_joint_trajectory(message: Any, needed: Collection[str] | None = None) -> Trajectory:
    """The one piece of a JointTrajectory. Raises ValueError naming the field."""
    return Trajectory((_piece(message, needed),))


def read_display_trajectory(message: Any, needed: Collection[str] | None = None) -> Trajectory:
    """What MoveIt's DisplayTrajectory shows, piece after piece. Raises ValueError naming the field.

    Of its multi-DOF joints the first is the one that the robot's root hangs from, as MoveIt orders
    them. The start tells of the joints that the first piece does not.
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
            raise ValueError(f'joint_state.position: of {bad[0]} not finite')
        state = start.multi_dof_joint_state
        base = _bases('multi_dof_joint_state', state.joint_names, [state], root)
    except ValueError as error:
        raise ValueError(f'trajectory_start.{error}') from None
    if base:
        frames.add(start.multi_dof_joint_state.header.frame_id)
    if len(frames) > 1:
        raise ValueError(f'header.frame_id: poses of the base in {", ".join(sorted(frames))}')
    return Trajectory(tuple(pieces), positions, base[0] if base else None, *frames)


def _root_joint(message: Any) -> str:
    """The multi-DOF joint that the robot's root hangs from; '' where there is none."""
    parts = [part.multi_dof_joint_trajectory for part in message.trajectory]
    told = [message.trajectory_start.multi_dof_joint_state, *parts]
    return next((part.joint_names[0] for part in told if len(part.joint_names)), '')


def _piece(
    message: Any, needed: Collection[str] | None, bases: Any = None, root: str = ''
) -> Piece:
    points = message.points
    velocities = [p.velocities for p in points]
    told = bool(points) and all(len(v) == len(message.joint_names) for v in velocities)
    moved = [] if bases is None or root not in bases.joint_names else bases.points
    names = [] if bases is None else bases.joint_names
    return piece(
        message.joint_names,
        [_seconds(p.time_from_start) for p in points],
        [p.positions for p in points],
        velocities if told and message.joint_names else None,
        [_seconds(p.time_from_start) for p in moved],
        _bases('multi_dof_joint_trajectory', names, moved, root),
        needed,
    )


def _bases(name: str, joints: Sequence[str], messages: Sequence[Any], root: str) -> list[Array]:
    """Where the root is by each of the messages of these joints' transforms."""
    out = []
    for message in messages if root in joints else ():
        count = len(message.transforms)
        if count != len(joints):
            there = 'one transform' if count == 1 else f'{count} transforms'
            raise ValueError(f'{name}.joint_names: {len(joints)}, only {there}')
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
