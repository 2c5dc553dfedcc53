"""Fewer triangles hide the sky than a lamp, and the sky's shadows stay."""

import numpy as np
import pytest

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.lighting import light_maps
from manivideo_ros.drawing.lighting.casters import SKY_CASTERS, lamp_casters, sky_casters
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.geometry import Camera, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.surfaces import hand_surface, object_surface, robot_surface
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.robot.demo_robot import write_demo_robot
from manivideo_ros.robot.model import load_robot_file
from manivideo_ros.robot.state import RobotState

CAMERA = Camera(pinhole(192, 192, 0.7), look_at((0.1, -0.6, 0.5), (0, 0, 0.05)), 192, 192)
PLANE = np.array([0.0, 0.0, 1.0, 0.0])
EVEN = Light(np.array([0.0, 0, 1]), np.zeros(3), np.ones(3))
HANDS = [hand_surface(load_hand(side)) for side in ('left', 'right')]
MUG = object_surface(load_mesh('mug', 1.0))


@pytest.mark.parametrize('surface', [*HANDS, MUG])
def test_a_surface_has_few_casters_of_its_own_vertices(surface):
    fewer = sky_casters(surface)
    assert SKY_CASTERS / 2 < len(fewer) <= SKY_CASTERS < len(lamp_casters(surface))
    assert np.isin(fewer, surface.faces).all() and fewer.dtype == np.int32


@pytest.mark.parametrize('surface', HANDS)
def test_fingers_that_touch_in_the_rest_pose_are_not_joined(surface):
    """Layers meet in faces of the palm's edge only, as in the mesh itself."""
    layer = np.zeros(len(surface.vertices), int)
    layer[surface.faces] = surface.face_layer[:, None]
    meeting = {tuple(sorted(set(layer[face]))) for face in surface.faces}
    assert {tuple(sorted(set(layer[face]))) for face in sky_casters(surface)} <= meeting


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    """The package's robot: an arm of seven joints with a hand of four fingers."""
    urdf = write_demo_robot(tmp_path_factory.mktemp('robot'), ['right'], fingers=4, arm=True)
    return load_robot_file(urdf)[0]


def test_a_robot_has_few_casters_of_each_link(robot):
    fewer = sky_casters(robot_surface(robot))
    assert SKY_CASTERS / 2 < len(fewer) <= SKY_CASTERS < len(robot.casters)
    of = robot.vertex_link[fewer]
    assert (of == of[:, :1]).all() and fewer.dtype == np.int32
    assert set(of[:, 0]) == set(robot.vertex_link[robot.faces[:, 0]])


def shadow(surfaces, poses):
    posed = PosedSurfaces(surfaces, threads=1)
    maps = LightMaps(posed, 192, 192)
    posed.write_state(CAMERA, poses)
    posed.pose()
    maps.place(CAMERA, Crop(0, 0, 192, 192), poses, EVEN, PLANE)
    maps.draw()
    return maps.shadow.numpy().copy()


def hold_by_hands(motion, index, robot):
    sample = motion.frame(index)
    poses = [*(sample.hands.get(side) for side in ('left', 'right')), sample.objects['mug']]
    return [*HANDS, MUG], poses


def hold_by_robot(motion, index, robot):
    sample = motion.frame(index)
    positions = np.clip(np.full(len(robot.kinematics.joints), 0.3), *robot.kinematics.limits.T)
    state = RobotState(robot, positions, np.eye(4))
    place = sample.hands['right'].wrist_position - state.middle
    state = RobotState(robot, positions, rigid(np.eye(3), place))
    return [robot_surface(robot), MUG], [state, sample.objects['mug']]


@pytest.mark.parametrize('hold', [hold_by_hands, hold_by_robot])
def test_the_shadow_of_the_sky_is_that_of_all_triangles(hold, robot, monkeypatch):
    motion = motion_named('turn_mug')
    shown = hold(motion, len(motion) // 2, robot)
    fewer = shadow(*shown)
    whole = with_casters(lambda surface: surface.faces, shown, monkeypatch)
    assert whole.min() < -0.2, 'there is a shadow'
    change = np.abs(fewer - whole)[whole < -0.05]
    assert change.mean() < 0.01 and np.quantile(change, 0.99) < 0.07


def test_a_robots_hulls_are_nearer_to_all_triangles_than_more_clustered_ones(robot, monkeypatch):
    motion = motion_named('turn_mug')
    shown = hold_by_robot(motion, len(motion) // 2, robot)
    whole, hulls, clustered = (
        with_casters(of, shown, monkeypatch)
        for of in (lambda surface: surface.faces, sky_casters, lamp_casters)
    )
    assert np.abs(hulls - whole).mean() < np.abs(clustered - whole).mean()


def with_casters(casters_of, shown, monkeypatch):
    monkeypatch.setattr(light_maps, 'sky_casters', casters_of)
    return shadow(*shown)
