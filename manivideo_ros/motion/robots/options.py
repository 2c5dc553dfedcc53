"""The command-line options that show a robot in place of hands."""

from __future__ import annotations

import argparse

from manivideo_ros.motion.robots.recorded import RecordedRobot

ROBOT_OPTIONS = ('robot', 'robot_topic', 'robot_package', 'robot_layers')


def add_robot_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, named ROBOT_OPTIONS."""
    parser.add_argument('--robot', default='', metavar='URDF',
                        help='show this robot in place of hands, by its joint states')  # fmt: skip
    parser.add_argument('--robot-topic', default='', metavar='TOPIC',
                        help='JointStates of the robot (the only ones), JointTrajectory or '
                        "MoveIt's DisplayTrajectory")  # fmt: skip
    parser.add_argument('--robot-package', action='append', default=[], metavar='DIR',
                        help='folder of a package that the URDF names; repeat it')  # fmt: skip
    parser.add_argument('--robot-layers', default='', metavar='FILE',
                        help='YAML file with the layers of links')  # fmt: skip


def robot_given(args: argparse.Namespace) -> RecordedRobot | None:
    """The robot of the options, None without --robot. Raises ValueError for an unusable URDF."""
    packages = tuple(args.robot_package)
    if not args.robot:
        for name in ROBOT_OPTIONS[1:]:
            if getattr(args, name):
                raise ValueError(f'--{name.replace("_", "-")}: needs --robot')
        return None
    robot = RecordedRobot(args.robot, args.robot_topic, packages, args.robot_layers)
    _ = robot.model  # to report errors now
    return robot
