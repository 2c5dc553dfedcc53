"""The robot of the running synthesizer, from parameters."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from manivideo_ros.geometry import Array, quaternion_to_matrix, rigid
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.motion.robots.intake import RobotIntake
from manivideo_ros.motion.sources.joint_messages import DISPLAY, KINDS, TRAJECTORY
from manivideo_ros.robot.demo_robot import demo_robot
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import RobotModel, load_robot, read_corrections
from manivideo_ros.ros.allowed_files import resolve
from manivideo_ros.ros.message_types import message_class
from manivideo_ros.ros.parameters import NodeParameters

log = logging.getLogger(__name__)
ROBOT = RobotIntake.NAME
DEMO, DESCRIPTION = 'demo', 'robot_description'
PLAN_TOPICS = {TRAJECTORY: 'joint_trajectory', DISPLAY: 'display_planned_path'}
"""The usual topic of each source of planned motions."""


def robot_of(parameters: NodeParameters, description: str = '') -> RobotModel | None:
    """The robot that is shown in place of hands; None with embodiment human.

    description: the URDF of the topic robot_description, which may name files of packages only.
    Raises ValueError, one line, for a URDF that cannot be used.
    """
    if parameters.embodiment != 'robot':
        return None
    robot_place(parameters)  # to report errors now
    if parameters.robot == DEMO:
        return demo_robot()
    layers = resolve(parameters.robot_layers, (), None) if parameters.robot_layers else None
    corrections = None if layers is None else read_corrections(Path(layers))
    path = None if description else Path(resolve(parameters.robot, (), None))
    try:
        model, problems = load_robot(
            description or (b'' if path is None else path.read_bytes()),
            MeshFiles.of(path, parameters.robot_packages),
            corrections,
            'none' if parameters.robot_missing == 'none' else 'collision',
            parameters.robot_triangles,
            '' if path is None else path.stem,
            outer_faces,
        )
    except (OSError, ValueError) as error:
        raise ValueError(f'{path or DESCRIPTION}: {error}') from None
    for problem in problems:
        log.warning('robot: %s', problem)
    found = ', '.join(f'{finger.side} {finger.name}' for finger in model.fingers)
    log.info('robot %s: %d triangles; fingers: %s', model.name, len(model.faces), found or 'none')
    return model


def plans_of(parameters: NodeParameters) -> tuple[type, str] | None:
    """Message class and topic of the planned motions that move the robot; None for others.

    Raises ValueError if the package of the class is not installed.
    """
    source = parameters.robot_source
    if parameters.embodiment != 'robot' or source not in PLAN_TOPICS:
        return None
    return message_class(KINDS[source]), parameters.robot_plans or PLAN_TOPICS[source]


def robot_place(parameters: NodeParameters) -> tuple[Array, str]:
    """world_from_root [4, 4] where TF has none, and the world's frame. Raises ValueError."""
    pose = np.asarray(parameters.robot_pose, np.float64)
    if pose.shape != (7,) or not np.isfinite(pose).all():
        raise ValueError('robot_pose: must be x y z and a quaternion x y z w')
    try:
        return rigid(quaternion_to_matrix(pose[3:]), pose[:3]), parameters.robot_frame
    except ValueError as error:
        raise ValueError(f'robot_pose: {error}') from None
