"""MoveIt's objects in: where they are, their shapes, and what the robot holds."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from driver_messages import (
    AttachedCollisionObject,
    CollisionObject,
    Mesh,
    MeshTriangle,
    PlanningScene,
    PlanningSceneWorld,
    RobotState,
    SolidPrimitive,
)
from geometry_msgs.msg import Point, PoseStamped
from labs import lab_in
from manivideo_ros.msg import ObjectPoses
from manivideo_ros.srv import SetScene
from object_poses import ONE, OTHER, POSE, STAMP, assert_poses, poses, stamped
from rclpy.executors import SingleThreadedExecutor
from robots import display, urdf
from tf2_msgs.msg import TFMessage
from tracked_hands import bent_hand

from manivideo_ros.geometry import axis_angle_to_matrix, invert_rigid, rigid
from manivideo_ros.nodes import object_source
from manivideo_ros.objects.mesh import MeshError, object_of
from manivideo_ros.objects.primitives import triangles_of
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.sources.object_intake import ObjectIntake

ADD, REMOVE, APPEND, MOVE = (bytes([k]) for k in range(4))
BOX, SPHERE, CYLINDER, CONE, PRISM = range(1, 6)
LINK = rigid(axis_angle_to_matrix([0, 0, 1.0]), [0.5, 0.0, 0.2])
TETRAHEDRON = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]])
FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))


def mesh(vertices=TETRAHEDRON, faces=FACES):
    corners = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in vertices]
    return Mesh([MeshTriangle(face) for face in faces], corners)


def thing(name='cup', pose=POSE, operation=ADD, frame='map', **shapes):
    return CollisionObject(stamped(frame, 0), RCLPY.pose(pose), name, operation=operation, **shapes)


def boxed(name='cup', pose=POSE, size=(0.1, 0.2, 0.3), **more):
    return thing(name, pose, primitives=[SolidPrimitive(BOX, list(size))], **more)


@pytest.fixture
def intake():
    return ObjectIntake(replace(ONE, source='moveit', ids=()))


def frame_moves(intake, child, parent, pose, stamp=STAMP):
    moved = RCLPY.transform(stamped(parent, stamp), child, pose)
    assert intake.take_transforms(TFMessage(transforms=[moved])) == ([], [])


def take(intake, message, problems=()):
    assert intake.take(message, 0) == ([], list(problems))


def test_objects_stay_until_they_are_moved_or_removed():
    intake = ObjectIntake(replace(ONE, source='moveit', ids=('mug',), names=('cup',)))
    assert intake.scene(1) == []
    take(intake, thing())
    take(intake, thing('table'))
    for now in (STAMP, STAMP + 9):
        (out,) = intake.scene(now)
        assert_poses(out, {'mug': POSE}, 'map', now)
    take(intake, thing(pose=OTHER, operation=MOVE))
    assert_poses(intake.scene(STAMP)[0], {'mug': OTHER}, 'map')
    take(intake, thing(operation=REMOVE))
    assert intake.scene(STAMP)[0].objects[0].confidence == 0
    assert intake.scene(STAMP) == []


def test_solids_and_meshes_become_one_shape_in_the_objects_frame(intake):
    up = rigid(np.eye(3), [0, 0, 1.0])
    take(
        intake,
        thing(
            primitives=[SolidPrimitive(BOX, [0.2, 0.4, 0.6]), SolidPrimitive(CYLINDER, [0.5, 0.1])],
            primitive_poses=[RCLPY.pose(np.eye(4)), RCLPY.pose(up)],
            meshes=[mesh()],
            mesh_poses=[RCLPY.pose(rigid(np.eye(3), [2.0, 0, 0]))],
        ),
    )
    (item,) = intake.scene_objects()
    shape = object_of(
        item.id, np.reshape(item.vertices, (-1, 3)), np.reshape(item.triangles, (-1, 3))
    )
    low, high = shape.vertices.min(0), shape.vertices.max(0)
    np.testing.assert_allclose(low, [-0.1, -0.2, -0.3], atol=1e-6)
    np.testing.assert_allclose(high, [2.1, 0.2, 1.25], atol=1e-6)
    changes = intake.moveit.changes
    take(intake, thing(pose=OTHER, operation=MOVE))
    assert intake.moveit.changes == changes and len(intake.scene_objects()) == 1
    take(intake, boxed(operation=APPEND))
    assert len(intake.scene_objects()[0].triangles) == len(item.triangles) + 36


@pytest.mark.parametrize(
    ('kind', 'dimensions', 'low', 'high'),
    [
        ('box', (0.2, 0.4, 0.6), (-0.1, -0.2, -0.3), (0.1, 0.2, 0.3)),
        ('sphere', (0.2,), (-0.2,) * 3, (0.2,) * 3),
        ('cylinder', (0.6, 0.1), (-0.1, -0.1, -0.3), (0.1, 0.1, 0.3)),
        ('cone', (0.6, 0.1), (-0.1, -0.1, -0.3), (0.1, 0.1, 0.3)),
    ],
)
def test_solids_have_their_size_about_their_middle_and_face_outwards(kind, dimensions, low, high):
    vertices, faces = triangles_of(kind, dimensions)
    np.testing.assert_allclose(vertices.min(0), low, atol=2e-3)
    np.testing.assert_allclose(vertices.max(0), high, atol=2e-3)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    assert (np.sum(a * np.cross(b, c), -1).sum() / 6) > 0, 'its volume, by outward faces'


@pytest.mark.parametrize(
    ('message', 'named'),
    [
        (thing(primitives=[SolidPrimitive(PRISM, [1.0])]), 'primitives[0]: a prism is not one of'),
        (boxed(size=(0.1, 0.2)), 'primitives[0]: a box has 3 dimensions above 0'),
        (boxed(size=(0.1, 0.2, np.nan)), 'primitives[0]: a box has 3'),
        (boxed(primitive_poses=[RCLPY.pose(POSE)] * 2), 'primitive_poses: 2 for 1 primitives'),
        (thing(meshes=[mesh(faces=[(0, 1, 4)])]), 'meshes[0].triangles: an index that is not'),
        (thing(meshes=[mesh(np.full((4, 3), np.nan))]), 'meshes[0].vertices: not finite'),
        (thing(''), 'id: is empty'),
        (thing(operation=b'\x07'), 'operation: 7 is unknown'),
    ],
)
def test_invalid_shapes_are_refused(intake, message, named):
    take(intake, boxed('before'))
    messages, problems = intake.take(message, 0)
    assert not messages and problems[0].startswith(named)
    scene = PlanningScene(world=PlanningSceneWorld([message]), is_diff=True)
    scene.robot_state.is_diff = True
    assert intake.take(scene, 0)[1][0].startswith(f'world.collision_objects[0].{named}')
    assert set(intake.moveit.things) == {'before'}


def attach(name='cup', link='hand', operation=ADD, item=None):
    return AttachedCollisionObject(link, item or thing(name, operation=operation, frame=''))


def test_an_attached_object_follows_the_link_and_stays_where_it_is_detached(intake):
    take(intake, boxed())
    take(intake, attach(), ["no transform connects 'map' with 'hand'"])
    frame_moves(intake, 'hand', 'map', LINK)
    take(intake, attach())
    (out,) = intake.scene(STAMP)
    held = invert_rigid(LINK) @ POSE
    assert_poses(out, {'cup': held}, 'hand')
    assert len(intake.scene_objects()) == 1, 'with its shape'
    frame_moves(intake, 'hand', 'map', OTHER @ LINK, STAMP + 10)
    assert_poses(intake.scene(STAMP)[0], {'cup': held}, 'hand')
    take(intake, attach(operation=REMOVE))
    (out,) = intake.scene(STAMP)
    assert_poses(out, {'cup': OTHER @ POSE}, 'map')


def test_an_object_may_be_attached_at_once_and_all_be_detached_together(intake):
    frame_moves(intake, 'hand', 'map', LINK)
    take(intake, attach(item=boxed('tool', OTHER, frame='hand')))
    take(intake, attach(item=boxed('pen', POSE, frame='map')))
    found = {}
    for message in intake.scene(STAMP):
        assert message.header.frame_id == 'hand'
        found |= poses(message)
    np.testing.assert_allclose(found['tool'], OTHER, atol=1e-9)
    np.testing.assert_allclose(found['pen'], invert_rigid(LINK) @ POSE, atol=1e-9)
    take(intake, attach(name='', link='hand', operation=REMOVE))
    assert not any(t.held for t in intake.moveit.things.values())
    take(intake, thing('', operation=REMOVE))
    assert intake.moveit.things == {} and intake.scene_objects() == []


def planning_scene(*items, held=(), is_diff=False):
    state = RobotState(attached_collision_objects=list(held), is_diff=is_diff)
    return PlanningScene(robot_state=state, world=PlanningSceneWorld(list(items)), is_diff=is_diff)


def test_a_whole_planning_scene_replaces_and_a_difference_adds(intake):
    frame_moves(intake, 'hand', 'map', LINK)
    tool = attach(item=boxed('tool', OTHER, frame='hand'))
    take(intake, planning_scene(boxed(), boxed('table', OTHER), held=[tool]))
    assert set(intake.moveit.things) == {'cup', 'table', 'tool'}
    changes = intake.moveit.changes
    take(intake, planning_scene(boxed(), boxed('table', OTHER), held=[tool]))
    assert intake.moveit.changes == changes, 'the same shapes are not given again'
    take(intake, planning_scene(boxed('plate'), is_diff=True))
    assert set(intake.moveit.things) == {'cup', 'table', 'tool', 'plate'}
    take(intake, planning_scene(boxed('plate')))
    assert set(intake.moveit.things) == {'plate'}
    gone = {o.object_id for m in intake.scene(STAMP) for o in m.objects if o.confidence == 0}
    assert gone == {'cup', 'table', 'tool'}


def test_held_objects_follow_a_displayed_plan(intake):
    start = 10**9
    take(intake, boxed('table'))
    message = display()
    held = attach(item=boxed('tool', OTHER, frame='palm'), link='palm')
    message.trajectory_start.attached_collision_objects = [held]
    problem = 'the robot is not known yet: robot_description must be published'
    assert intake.take(message, 0, start) == ([], [problem])
    assert intake.plan.take_urdf(urdf()) == []
    assert intake.take(message, 0, start) == ([], [])
    for seconds, x, lift in ((0, 0.0, 0.0), (2, 0.5, 0.1), (9, 1.5, 0.3)):
        found = {m.header.frame_id: m for m in intake.scene(start + seconds * 10**9)}
        palm = rigid(np.eye(3), bent_hand('right')[0] + [x, 0, lift])
        np.testing.assert_allclose(poses(found['odom'])['tool'], palm @ OTHER, atol=1e-6)
        assert set(poses(found['map'])) == {'table'}
    intake.reset()
    assert {m.header.frame_id for m in intake.scene(start)} == {'map', 'palm'}


def test_the_type_of_a_topic_depends_on_its_name(intake):
    for topic, kind in (
        ('collision_object', 'CollisionObject'),
        ('/attached_collision_object', 'AttachedCollisionObject'),
        ('monitored_planning_scene', 'PlanningScene'),
        ('display_planned_path', 'DisplayTrajectory'),
    ):
        assert intake.type_of(topic) == f'moveit_msgs/msg/{kind}'


def test_meshes_of_messages_are_no_files_and_are_checked():
    square = object_of('plate', TETRAHEDRON, np.array(FACES))
    assert square.name == 'plate' and len(square.faces) == 4
    for faces, named in (
        ([[0, 1, 9]], 'corner'),
        ([[0, 1]], 'three numbers'),
        ([[0, 0, 0]], 'area'),
    ):
        with pytest.raises(MeshError, match=named):
            object_of('plate', TETRAHEDRON, np.array(faces))


def test_the_node_sends_shapes_to_the_scene_when_they_change(monkeypatch, motion):
    """As with MoveIt's packages installed; its messages are handed over, not sent."""
    monkeypatch.setattr(object_source, 'message_class', lambda _: PoseStamped)
    domain = int(os.environ['ROS_DOMAIN_ID'])
    arguments = ['--ros-args', '-p', 'source:=moveit', '-p', "ids:=['']"]
    rclpy.init(args=arguments, domain_id=domain)
    node = object_source.ObjectSource()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    requests = []

    def answer(request, response):
        requests.append(request)
        response.success = True
        return response

    def spin(done, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not done():
            executor.spin_once(timeout_sec=0.02)
            lab.spin(0.02)

    try:
        with lab_in(domain, motion) as lab:
            lab.create_service(SetScene, 'set_scene', answer)
            lab.listen(ObjectPoses, 'object_poses')
            node._intake.take(boxed(), 0)
            spin(lambda: requests and lab.got['object_poses'])
            (request,) = requests
            assert [o.id for o in request.objects] == ['cup'] and request.keep_noise_seed
            assert len(request.objects[0].triangles) == 36
            assert set(poses(lab.got['object_poses'][-1])) == {'cup'}
            node._intake.take(thing(pose=OTHER, operation=MOVE), 0)
            spin(lambda: False, 0.3)
            assert len(requests) == 1, 'it only moved'
            node._intake.take(boxed('plate'), 0)
            spin(lambda: len(requests) == 2)
            assert [o.id for o in requests[1].objects] == ['cup', 'plate']
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
