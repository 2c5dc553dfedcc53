"""A surface's pose checked and packed into the numbers that posing_kernels.py reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, rigid
from manivideo_ros.hand.arm.bones import arm_axis, arm_bones
from manivideo_ros.hand.arm.direction import with_arm
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.robot.state import RobotState

NO_LINKS = np.zeros((0, 4, 4))


class PoseState(NamedTuple):
    """What posing_kernels.py reads of one surface; what it has no use for is 0."""

    camera_from_root: NDArray[np.float64]  # [4, 4]
    theta: NDArray[np.float64]  # [15, 3] axis-angle, of the joints after the wrist
    betas: NDArray[np.float64]  # [10]
    arm: NDArray[np.float64]  # [2, 3, 4] bones of forearm and upper arm, see arm_bones
    links: NDArray[np.float64]  # [K, 4, 4] camera_from_link of a robot's links, else none


def pack_pose(
    index: int,
    surface: Surface,
    pose: SurfacePose,
    camera: Camera,
) -> PoseState:
    """The state of one surface; the arm of a hand is completed for the view of the camera.

    The root transform is composed in float64, so that a distant world origin costs no precision.
    Raises ValueError naming the surface and the field that is not finite or has a wrong shape.
    """
    camera_from_world = np.asarray(camera.camera_from_world, np.float64)
    if surface.robot is not None:
        return _robot_state(f'pose of surface {index} (robot)', surface, pose, camera_from_world)
    if surface.hand is None:
        world_from_object = checked(f'pose of surface {index} (object)', pose, (4, 4))
        still = np.zeros((15, 3)), np.zeros(10), np.zeros((2, 3, 4))
        return PoseState(camera_from_world @ world_from_object, *still, NO_LINKS)
    name = f'pose of surface {index} ({surface.hand.side} hand)'
    if not isinstance(pose, HandState):
        raise ValueError(f'{name} must be a HandState or None, got {type(pose).__name__}')
    world_from_root = rigid(
        checked(f'{name}: wrist_rotation', pose.wrist_rotation, (3, 3)),
        checked(f'{name}: wrist_position', pose.wrist_position, (3,)),
    )
    for part in ('elbow', 'shoulder'):
        if getattr(pose, part) is not None:
            checked(f'{name}: {part}', getattr(pose, part), (3,))
    axis = arm_axis(surface.hand)
    return PoseState(
        camera_from_world @ world_from_root,
        checked(f'{name}: theta', pose.theta, (45,)).reshape(15, 3),
        checked(f'{name}: betas', pose.betas, (10,)),
        arm_bones(with_arm(pose, axis, camera), axis),
        NO_LINKS,
    )


def _robot_state(
    name: str, surface: Surface, pose: SurfacePose, camera_from_world: NDArray[np.float64]
) -> PoseState:
    # A model in other colours has the same kinematics.
    own = None if surface.robot is None else surface.robot.kinematics
    if not isinstance(pose, RobotState) or pose.model.kinematics is not own:
        raise ValueError(f'{name} must be a RobotState of its model or None')
    root = checked(f'{name}: world_from_root', pose.world_from_root, (4, 4))
    checked(f'{name}: positions', pose.positions, (len(pose.model.kinematics.joints),))
    links = camera_from_world @ pose.link_poses
    still = np.zeros((15, 3)), np.zeros(10), np.zeros((2, 3, 4))
    return PoseState(camera_from_world @ root, *still, links)


def checked(name: str, value: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The value as float64. Raises ValueError if it has another shape or is not finite."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f'{name} must be numbers of shape {shape}') from None
    if array.shape != shape:
        raise ValueError(f'{name} must have shape {shape}, got {array.shape}')
    if not np.all(np.isfinite(array)):
        raise ValueError(f'{name} must be finite')
    return array
