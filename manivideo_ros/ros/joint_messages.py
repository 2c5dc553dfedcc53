"""Messages of joint positions and planned motions: pure functions, typed by fields alone.

Message packages are optional: nothing here imports them. Layouts, as published:
sensor_msgs/JointState; trajectory_msgs/JointTrajectory {header, joint_names, points[] {positions,
velocities, time_from_start}}; moveit_msgs/DisplayTrajectory {trajectory[] {joint_trajectory,
multi_dof_joint_trajectory {header, joint_names, points[] {transforms, time_from_start}}},
trajectory_start {joint_state, multi_dof_joint_state {header, joint_names, transforms}}}.
"""

from __future__ import annotations

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


def read_joint_state(message: Any) -> dict[str, float]:
    """Positions by joint. Raises ValueError where they do not match the names."""
    if len(message.position) != len(message.name):
        counts = f'{len(message.position)} values for {len(message.name)} names'
        raise ValueError(f'position: {counts}')
    bad = [n for n, v in zip(message.name, message.position, strict=True) if not np.isfinite(v)]
    if bad:
        raise ValueError(f'position: of {bad[0]} not finite')
    return dict(zip(message.name, map(float, message.position), strict=True))


def read_joint_trajectory(message: Any) -> Trajectory:
    """The one piece of a JointTrajectory. Raises ValueError naming the field."""
    return Trajectory((_piece(message),))


def read_display_trajectory(message: Any) -> Trajectory:
    """What MoveIt's DisplayTrajectory shows, piece after piece. Raises ValueError naming the field.

    A multi-DOF joint of it is the one that the robot's root hangs from.
    """
    pieces, frames = [], set()
    for n, part in enumerate(message.trajectory):
        bases = part.multi_dof_joint_trajectory
        try:
            pieces.append(_piece(part.joint_trajectory, bases))
        except ValueError as error:
            raise ValueError(f'trajectory[{n}].{error}') from None
        if len(bases.points):
            frames.add(bases.header.frame_id)
    start = message.trajectory_start
    try:
        positions = read_joint_state(start.joint_state)
        base = _bases('multi_dof_joint_state', [start.multi_dof_joint_state])
    except ValueError as error:
        raise ValueError(f'trajectory_start.{error}') from None
    if base:
        frames.add(start.multi_dof_joint_state.header.frame_id)
    if len(frames) > 1:
        raise ValueError(f'header.frame_id: poses of the base in {", ".join(sorted(frames))}')
    return Trajectory(tuple(pieces), positions, base[0] if base else None, *frames)


def _piece(message: Any, bases: Any = None) -> Piece:
    points = message.points
    velocities = [p.velocities for p in points]
    told = bool(points) and all(len(v) == len(message.joint_names) for v in velocities)
    moved = [] if bases is None else bases.points
    name = 'multi_dof_joint_trajectory'
    if moved and len(bases.joint_names) != 1:
        raise ValueError(f'{name}.joint_names: {len(bases.joint_names)}, only one is understood')
    return piece(
        message.joint_names,
        [_seconds(p.time_from_start) for p in points],
        [p.positions for p in points],
        velocities if told and message.joint_names else None,
        [_seconds(p.time_from_start) for p in moved],
        _bases(name, moved),
    )


def _bases(name: str, messages: Any) -> list[Array]:
    out = []
    for message in messages:
        if len(getattr(message, 'joint_names', ())) > 1:
            raise ValueError(f'{name}.joint_names: {len(message.joint_names)}, one is understood')
        for transform in list(message.transforms)[:1]:
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
