"""Planned motions move a robot: played live, and read from bags, in which they are messages of the
packages' own definitions.
"""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from state_bags import STATE, joints
from urdfs import BOX, hand, joint, link

from manivideo_ros.augment.source import Source
from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.bags.scan import Connection
from manivideo_ros.geometry import rigid
from manivideo_ros.messages.names import OBJECTS, PLANS, STRING
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import MotionError, load_motion
from manivideo_ros.motion.motion import scene_json
from manivideo_ros.motion.robots.plans import RobotPlan
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot

SECOND, START = 10**9, 1_795_880_000 * 10**9
JOINTS = ['thumb_j0', 'index_j0']
TRAJECTORY, DISPLAY = PLANS
# moveit_msgs and object_recognition_msgs, as published.
MOVEIT = {
    'object_recognition_msgs/msg/ObjectType': 'string key\nstring db',
    'moveit_msgs/msg/CollisionObject': 'std_msgs/Header header\ngeometry_msgs/Pose pose\n'
    'string id\nobject_recognition_msgs/ObjectType type\n'
    'shape_msgs/SolidPrimitive[] primitives\ngeometry_msgs/Pose[] primitive_poses\n'
    'shape_msgs/Mesh[] meshes\ngeometry_msgs/Pose[] mesh_poses\nshape_msgs/Plane[] planes\n'
    'geometry_msgs/Pose[] plane_poses\nstring[] subframe_names\n'
    'geometry_msgs/Pose[] subframe_poses\nbyte operation',
    'moveit_msgs/msg/AttachedCollisionObject': 'string link_name\n'
    'moveit_msgs/CollisionObject object\nstring[] touch_links\n'
    'trajectory_msgs/JointTrajectory detach_posture\nfloat64 weight',
    'moveit_msgs/msg/RobotState': 'sensor_msgs/JointState joint_state\n'
    'sensor_msgs/MultiDOFJointState multi_dof_joint_state\n'
    'moveit_msgs/AttachedCollisionObject[] attached_collision_objects\nbool is_diff',
    'moveit_msgs/msg/RobotTrajectory': 'trajectory_msgs/JointTrajectory joint_trajectory\n'
    'trajectory_msgs/MultiDOFJointTrajectory multi_dof_joint_trajectory',
    DISPLAY: 'string model_id\nmoveit_msgs/RobotTrajectory[] trajectory\n'
    'moveit_msgs/RobotState trajectory_start',
}


@pytest.fixture(scope='module')
def types():
    store = get_typestore(Stores.ROS2_JAZZY)
    found = {}
    for name, text in MOVEIT.items():
        found |= get_types_from_msg(text, name)
    store.register(found)
    return store


@pytest.fixture(scope='module')
def urdf(tmp_path_factory):
    file = tmp_path_factory.mktemp('robot') / 'gripper.urdf'
    hidden = link('sensor') + joint('sensor_j', 'base', 'sensor') + link('cap', BOX)
    hidden += joint('cap_j', 'base', 'cap', kind='fixed')
    text = hand({'thumb': 1, 'index': 1}, name='gripper')
    file.write_text(text.replace('</robot>', f'{hidden}</robot>'))
    return file


@pytest.fixture
def plan(urdf):
    return RobotPlan(load_robot(urdf.read_text(), MeshFiles())[0])


def duration(types, seconds):
    return types.types['builtin_interfaces/msg/Duration'](
        sec=int(seconds), nanosec=round(seconds % 1 * SECOND)
    )


def trajectory(types, *points, names=JOINTS, stamp=0):
    """A JointTrajectory with all joints at these angles at these seconds."""
    none = np.zeros(0)
    return types.types[TRAJECTORY](
        header=ROSBAGS.header(stamp, ''),
        joint_names=list(names),
        points=[
            types.types['trajectory_msgs/msg/JointTrajectoryPoint'](
                positions=np.full(len(names), float(angle)), velocities=none, accelerations=none,
                effort=none, time_from_start=duration(types, seconds),
            )
            for seconds, angle in points
        ],
    )  # fmt: skip


def display(types, *points, drives=0.0):
    """MoveIt's plan of the thumb, on a base that drives some metres along x; the index's angle is
    in its start state.
    """
    header, make = ROSBAGS.header(0, 'odom'), types.types
    vector, turn = make['geometry_msgs/msg/Vector3'], make['geometry_msgs/msg/Quaternion']
    placed = [
        make['geometry_msgs/msg/Transform'](
            translation=vector(x=x, y=0.0, z=0.0), rotation=turn(x=0.0, y=0.0, z=0.0, w=1.0)
        )
        for x in (0.0, drives)
    ]
    bases = make['trajectory_msgs/msg/MultiDOFJointTrajectory'](
        header=header, joint_names=['virtual'],
        points=[
            make['trajectory_msgs/msg/MultiDOFJointTrajectoryPoint'](
                transforms=[place], velocities=[], accelerations=[],
                time_from_start=duration(types, seconds),
            )
            for place, (seconds, _) in zip(placed, (points[0], points[-1]), strict=True)
        ],
    )  # fmt: skip
    still = make['sensor_msgs/msg/MultiDOFJointState'](
        header=header, joint_names=[], transforms=[], twist=[], wrench=[]
    )
    return make[DISPLAY](
        model_id='gripper',
        trajectory=[
            make['moveit_msgs/msg/RobotTrajectory'](
                joint_trajectory=trajectory(types, *points, names=['thumb_j0']),
                multi_dof_joint_trajectory=bases,
            )
        ],
        trajectory_start=make['moveit_msgs/msg/RobotState'](
            joint_state=joints(0, index_j0=0.7), multi_dof_joint_state=still,
            attached_collision_objects=[], is_diff=False,
        ),
    )  # fmt: skip


def test_a_plan_begins_when_it_comes_or_at_its_stamp_and_its_end_is_held(types, plan):
    assert plan.at(START) is None
    assert plan.take(trajectory(types, (0, 0.0), (2, 1.0)), START) == []
    for seconds, angle in ((0, 0.0), (1, 0.5), (9, 1.0)):
        found = plan.at(START + seconds * SECOND)
        assert found.positions == pytest.approx(dict.fromkeys(JOINTS, angle)) and not found.base
    later = trajectory(types, (0, 0.2), (1, 0.3), stamp=START + 20 * SECOND)
    plan.take(later, START)
    assert plan.at(START + 19 * SECOND) is None
    assert plan.at(START + 21 * SECOND).positions['thumb_j0'] == pytest.approx(0.3)


def test_moveits_plan_has_a_start_state_and_may_move_the_root(types, plan):
    assert plan.take(display(types, (0, 0.0), (2, 1.0), drives=0.4), START) == []
    found = plan.at(START + SECOND)
    assert found.positions == pytest.approx({'thumb_j0': 0.5, 'index_j0': 0.7})
    frame, base = found.base
    assert frame == 'odom' and base[:3, 3].tolist() == pytest.approx([0.2, 0, 0])


def test_joints_that_the_urdf_lacks_are_named_once_and_a_bad_plan_leaves_the_last(types, plan):
    names = [*JOINTS, 'wheel']
    for expected in (["joint_names: 'wheel' is no joint of the robot 'gripper': ignored"], []):
        assert plan.take(trajectory(types, (0, 0.1), names=names), START) == expected
    # A joint that no visible link hangs from may be anything.
    hidden = trajectory(types, (0, 0.1), names=[*JOINTS, 'sensor_j'])
    hidden.points[0].positions[2] = np.nan
    assert plan.take(hidden, START) == []
    broken = trajectory(types, (0, np.nan))
    assert plan.take(broken, START) == ['points[0].positions: not finite: dropped']
    others = trajectory(types, (0, 0.5), names=['sensor_j'])
    assert plan.take(others, START) == ['joint_names: no joint that moves a visible link: dropped']
    assert plan.at(START + SECOND).positions['thumb_j0'] == 0.1


def record(folder, types, plans, objects=()):
    """A bag of plans as (seconds, message), and an object's poses at some seconds."""
    with BagWriter(folder) as bag:
        rows = []
        for topic, kind in (('/plan', TRAJECTORY), ('/display', DISPLAY)):
            text, digest = types.generate_msgdef(kind)
            bag.copy_topic(topic, Connection(kind, 'ros2msg', text.encode(), digest, ''))
        for seconds, message in plans:
            kind = message.__msgtype__
            data = types.serialize_cdr(message, kind)
            rows.append((seconds, '/plan' if kind == TRAJECTORY else '/display', bytes(data)))
        if len(objects):
            bag.add_topic('/scene', STRING, latched=True)
            scene = ROSBAGS.message(STRING)(data=scene_json({'mug': ('mug', 1.0)}))
            rows.append((0, '/scene', serialized(scene)))
            bag.add_topic('/object_poses', OBJECTS)
        for seconds in objects:
            header = ROSBAGS.header(START + round(seconds * SECOND), 'odom')
            pose = rigid(np.eye(3), [0.2, 0, 0])
            rows.append(
                (seconds, '/object_poses', serialized(ROSBAGS.objects(header, {'mug': pose})))
            )
        bag.add_topic('/other', STATE)
        rows.append((3.0, '/other', serialized(joints(START, x=1.0))))
        for seconds, topic, data in sorted(rows, key=lambda row: row[0]):
            bag.write(topic, data, START + round(seconds * SECOND))
    return folder


def test_recorded_plans_are_played_one_after_the_other_to_the_recordings_end(types, urdf, tmp_path):
    plans = [(0.5, trajectory(types, (0, 0.0), (1, 1.0))), (2, trajectory(types, (0, 0.2)))]
    bag = record(tmp_path / 'plans', types, plans)
    warned = []
    motion = load_motion(bag, None, warned.append, RecordedRobot(str(urdf), '/plan'))
    assert warned == [] and motion.frame_id == 'base'
    at = (motion.stamps_ns - START) / SECOND
    assert at[0] == pytest.approx(0.5) and at[-1] == pytest.approx(3.0, abs=0.04)
    np.testing.assert_allclose(np.diff(at), 1 / 30, atol=1e-3)
    for seconds, angle in ((0.5, 0.0), (1.0, 0.5), (1.9, 1.0), (2.5, 0.2)):
        robot = motion.robots_at(START + round(seconds * SECOND))['robot']
        assert robot.positions.max() == pytest.approx(angle, abs=0.02)
    assert len(Source(bag, robot=RecordedRobot(str(urdf), '/plan')).motion) == len(motion)


def test_recorded_plans_of_moveit_move_the_root_among_the_objects(types, urdf, tmp_path):
    plans = [(0.0, display(types, (0, 0.0), (2, 1.0), drives=0.4))]
    bag = record(tmp_path / 'display', types, plans, np.arange(0, 2, 0.05))
    robot = RecordedRobot(str(urdf), '/display')
    motion = load_motion(bag, None, robot=robot)
    assert motion.frame_id == 'odom' and set(motion.objects) == {'mug'}
    state = motion.robots_in(20)['robot']
    assert state.world_from_root[0, 3] == pytest.approx(0.2, abs=0.01)
    named = dict(zip(state.model.kinematics.joints, state.positions.tolist(), strict=True))
    assert named['thumb_j0'] == pytest.approx(0.5, abs=0.02) and named['index_j0'] == 0.7


def test_what_is_no_plan_of_the_robot_is_named(types, urdf, tmp_path):
    bag = record(tmp_path / 'none', types, [(0, trajectory(types, (0, 0.1), names=['wheel']))])
    with pytest.raises(MotionError, match=r"/plan: no plan moves the robot 'gripper': .*'wheel'"):
        load_motion(bag, None, robot=RecordedRobot(str(urdf), '/plan'))
    with pytest.raises(MotionError, match=r'/nowhere: no JointStates \(there is /other, /display'):
        load_motion(bag, None, robot=RecordedRobot(str(urdf), '/nowhere'))
