"""Robots in the rasterizer: posed by forward kinematics, in the layers of their fingers."""

from __future__ import annotations

import numpy as np
import pytest

from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, robot_surface
from manivideo_ros.robot.demo_robot import demo_robot
from manivideo_ros.robot.state import RobotState

SIZE = 96


@pytest.fixture(scope='module')
def model():
    return demo_robot(['right'])


def state(model, angle=0.4):
    place = np.eye(4)
    place[:3, 3] = 0.02, -0.01, 0.1
    return RobotState(model, np.full(len(model.kinematics.joints), angle), place)


def view(at):
    eye = np.add(at, (0.25, 0.1, 0.3))
    return Camera(pinhole(SIZE, SIZE, 0.8), look_at(tuple(eye), tuple(at)), SIZE, SIZE)


def test_one_surface_is_posed_as_its_links_are_each_by_itself(model):
    posed = state(model)
    whole = Rasterizer([robot_surface(model)], SIZE, SIZE)
    images = whole.render(view(posed.middle), [posed])
    parts, poses = [], []
    surface = robot_surface(model)
    for n in np.unique(model.vertex_link):
        kept = model.vertex_link[model.faces[:, 0]] == n
        parts.append(Surface(surface.vertices, surface.faces[kept], surface.face_layer[kept],
                             surface.corner_uv[kept]))  # fmt: skip
        poses.append(posed.link_poses[n])
    rigid = Rasterizer(parts, SIZE, SIZE).render(view(posed.middle), poses)
    for name in ('depth', 'normal_map', 'occlusion_confidence'):
        np.testing.assert_allclose(getattr(images, name), getattr(rigid, name), atol=2e-5)
    assert {int(n) for n in np.unique(images.nearest_layer)} >= {-1, 1, 2, 3}
    assert (images.face_index[0] < 0).all()  # nothing is in the object's layer


def test_sides_have_their_own_layers_among_thirteen(model):
    assert robot_surface(model, 13).face_layer.min() == 7


def test_hands_and_objects_beside_a_robot_are_drawn_as_without_it(model):
    from manivideo_ros.hand.load import load_hand
    from manivideo_ros.hand.state import HandState
    from manivideo_ros.mlo.surfaces import hand_surface

    hand = load_hand('right')
    there = HandState(np.zeros(45), np.zeros(10), np.eye(3), np.array([0.05, 0, 0.1]))
    camera = view(np.array([0, 0, 0.1]))
    alone = Rasterizer([hand_surface(hand)], SIZE, SIZE).render(camera, [there])
    both = Rasterizer([robot_surface(model), hand_surface(hand)], SIZE, SIZE)
    beside = both.render(camera, [None, there])
    np.testing.assert_array_equal(alone.depth, beside.depth)


def test_what_is_inside_a_housing_is_not_seen_from_outside():
    import trimesh

    shell, inside = trimesh.creation.icosphere(3, 1.0), trimesh.creation.icosphere(3, 0.6)
    vertices = np.concatenate([shell.vertices, inside.vertices])
    faces = np.concatenate([shell.faces, inside.faces + len(shell.vertices)])
    seen = outer_faces(vertices + 5.0, faces)
    assert seen[: len(shell.faces)].all() and not seen[len(shell.faces) :].any()


def test_a_state_that_cannot_be_drawn_is_named(model):
    drawn = Rasterizer([robot_surface(model)], SIZE, SIZE)
    bad = RobotState(model, np.full(len(model.kinematics.joints), np.nan), np.eye(4))
    with pytest.raises(ValueError, match=r'pose of surface 0 \(robot\): positions must be finite'):
        drawn.render(view(np.zeros(3)), [bad])
    with pytest.raises(ValueError, match='must be a RobotState of its model'):
        drawn.render(view(np.zeros(3)), [np.eye(4)])
