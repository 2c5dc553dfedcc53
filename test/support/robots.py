"""What tests share: robots."""

from builtin_interfaces.msg import Duration
from driver_messages import (
    DisplayTrajectory,
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
    RobotState,
    RobotTrajectory,
)
from hand_sources import only, wrists
from sensor_msgs.msg import JointState
from tracked_hands import bent_hand

from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    rigid,
)
from manivideo_ros.inputs.robot_hands import ROBOTS
from manivideo_ros.motion.sources.hand_intake import HandIntake
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.ros.message_types import RCLPY

STEP = 33_000_000

LINKS = ROBOTS['shadow']['right']

SHADOW = HandSourceParameters(source='joint_states', right_frames=('shadow:',), smooth=False)


def urdf(points=None, links=LINKS, root='base'):
    """A robot whose links are at these points [21, 3] when its joints are at 0.

    A sliding joint `lift` carries the palm up; each finger's joints turn about y, its last mimics
    the one before by a half.
    """
    points = bent_hand('right') if points is None else points
    lines = [f'<robot name="hand"><link name="{root}"/>']

    def link(name, parent, place, joint, kind, more=''):
        x, y, z = (float(v) for v in place)
        lines.append(
            f'<link name="{name}"/><joint name="{joint}" type="{kind}"><parent link="{parent}"/>'
            f'<child link="{name}"/><origin xyz="{x} {y} {z}"/>{more}</joint>'
        )

    lift = '<axis xyz="0 0 1"/><limit lower="0" upper="1" effort="1" velocity="1"/>'
    link(links[0], root, points[0], 'lift', 'prismatic', lift)
    for first in range(1, 21, 4):
        parent, at = links[0], points[0]
        for k in range(first, first + 4):
            axis = '<axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="1" velocity="1"/>'
            if k == first + 2:
                axis += f'<mimic joint="j_{links[k - 1]}" multiplier="0.5"/>'
            kind, more = ('fixed', '') if k == first + 3 else ('revolute', axis)
            link(links[k], parent, points[k] - at, f'j_{links[k]}', kind, more)
            parent, at = links[k], points[k]
    return ''.join([*lines, '</robot>'])


JOINTS = ['lift', *(f'j_{LINKS[k]}' for k in range(1, 21) if (k - 1) % 4 < 2)]


def states(stamp=STEP, **positions):
    """A JointState of all joints, 0 but for these."""
    all_joints = {name: positions.get(name, 0.0) for name in JOINTS}
    return JointState(
        header=RCLPY.header(stamp, ''),
        name=list(all_joints),
        position=[float(v) for v in all_joints.values()],
    )


def intake_of(parameters=SHADOW, points=None):
    intake = HandIntake(parameters)
    assert intake.joints.take_urdf(urdf(points)) == []
    return intake


def seconds(value):
    return Duration(sec=int(value), nanosec=round((value % 1) * 1e9))


def trajectory(*lifts, joints=JOINTS, stamp=0):
    """A JointTrajectory that has the lift at these heights at these seconds."""
    points = [
        JointTrajectoryPoint(
            [height if name == 'lift' else 0.0 for name in joints], time_from_start=seconds(at)
        )
        for at, height in lifts
    ]
    return JointTrajectory(RCLPY.header(stamp, ''), list(joints), points)


def height(answer):
    return wrists(only(answer))['right'][2] - bent_hand('right')[0][2]


def transform(x, angle=0.0):
    matrix = rigid(axis_angle_to_matrix([0, 0, angle]), [x, 0, 0])
    return RCLPY.transform(RCLPY.header(0, ''), '', matrix).transform


def display():
    """A plan of two pieces on a base that drives 1 m, whose hand is given by the start alone."""
    pieces = []
    for first, last in ((0.0, 0.1), (0.1, 0.3)):
        bases = MultiDOFJointTrajectory(
            RCLPY.header(0, 'odom'),
            ['virtual_joint'],
            [
                MultiDOFJointTrajectoryPoint([transform(5 * x)], time_from_start=seconds(t))
                for t, x in ((0, first), (2, last))
            ],
        )
        moved = trajectory((0, first), (2, last), joints=['lift'])
        pieces.append(RobotTrajectory(moved, bases))
    rest = JointState(name=JOINTS[1:], position=[0.0] * len(JOINTS[1:]))
    return DisplayTrajectory('hand', pieces, RobotState(rest))
