"""Shadows on the support plane, against rays."""

import numpy as np
import pytest
import trimesh

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.lighting.light_maps import LIGHTS, LightMaps, lights_of, up_of
from manivideo_ros.geometry import Camera, look_at, pinhole, rigid
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.surfaces import Surface

COLUMNS, ROWS = 192, 144
CAMERA = Camera(pinhole(COLUMNS, ROWS, 0.6), look_at((0.1, -0.7, 0.6), (0, 0, 0)), COLUMNS, ROWS)
WHOLE = Crop(0, 0, COLUMNS, ROWS)
PLANE = np.array([0.0, 0.0, 1.0, 0.0])
BOX = trimesh.creation.box((0.1, 0.14, 0.08))
PLACE = rigid(np.eye(3), (0.02, 0.0, 0.1))


def surface_of(mesh):
    faces = np.asarray(mesh.faces, np.int32)
    layer, uv = np.zeros(len(faces), np.int32), np.zeros((len(faces), 3, 2), np.float32)
    return Surface(np.asarray(mesh.vertices, np.float32), faces, layer, uv)


def lamp_at(towards, ambient=0.0, size=0.001):
    towards = np.asarray(towards, np.float64)
    return Light(towards / np.linalg.norm(towards), np.ones(3), np.full(3, ambient), size)


def shadow_of(light, poses=(PLACE,), plane=PLANE, camera=CAMERA, lanes=False):
    posed = PosedSurfaces([surface_of(BOX)], threads=1)
    posed.on_cpu = not lanes  # as on CUDA: a thread per cell
    maps = LightMaps(posed, COLUMNS, ROWS)
    posed.write_state(camera, poses)
    posed.pose()
    maps.place(camera, WHOLE, poses, light, plane)
    maps.draw()
    return maps.shadow.numpy()


def plane_points(camera=CAMERA):
    """The points [R, C, 3] of the plane at the cells of the shadow map."""
    k = camera.resized(COLUMNS // 2, ROWS // 2).intrinsics
    y, x = np.mgrid[0 : ROWS // 2, 0 : COLUMNS // 2] + 0.5
    rays = np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], np.ones_like(x)], -1)
    matrix = np.linalg.inv(camera.camera_from_world)
    rays = rays @ matrix[:3, :3].T
    return matrix[:3, 3] - rays * (matrix[2, 3] / rays[..., 2:])


@pytest.mark.parametrize('towards', [(0, 0, 1), (1, 0.3, 1.2), (-0.8, -0.4, 0.9)])
def test_a_small_lamp_casts_the_shadow_that_rays_find(towards):
    dark = shadow_of(lamp_at(towards))[..., 0] < -0.5
    points = plane_points().reshape(-1, 3)
    mesh = BOX.copy().apply_transform(PLACE)
    direction = lamp_at(towards).towards
    hit = mesh.ray.intersects_any(points, np.tile(direction, (len(points), 1)))
    hit = hit.reshape(ROWS // 2, COLUMNS // 2)
    assert hit.sum() > 20
    assert (dark & hit).sum() / (dark | hit).sum() > 0.85, 'but for the edges'


def test_rows_and_lanes_are_the_same():
    light = lamp_at((1, 0.3, 1.2), ambient=0.5)
    np.testing.assert_array_equal(shadow_of(light), shadow_of(light, lanes=True))


def test_ambient_light_fills_shadows():
    light = lamp_at((0, 0, 1), ambient=1.0)
    deepest = shadow_of(light).min()
    # Below the box half of the light, the lamp's, is gone, and some of the dome's.
    assert -1 < deepest < np.sqrt(0.5) - 1


def test_a_lamp_below_the_plane_casts_no_shadow():
    below = shadow_of(lamp_at((0, 0.5, -1), ambient=1.0))
    _, share, _ = lights_of(lamp_at((0, 0.5, -1), ambient=1.0), np.array([0, 0, 1.0]))
    assert not share[0].any() and below.min() < 0, 'only the dome does'


def test_a_larger_lamp_casts_a_softer_shadow():
    hard, soft = (shadow_of(lamp_at((0, 0, 1), size=size))[..., 0] for size in (0.001, 0.25))
    partly = [((s < -0.05) & (s > -0.95)).sum() for s in (hard, soft)]
    assert partly[1] > partly[0] + 10


def test_what_is_absent_casts_no_shadow_and_nothing_falls_beyond_the_horizon():
    assert not shadow_of(lamp_at((0, 0, 1)), poses=(None,)).any()
    level = Camera(pinhole(COLUMNS, ROWS, 0.9), look_at((0, -0.7, 0.2), (0, 0, 0.2)), COLUMNS, ROWS)
    shadow = shadow_of(lamp_at((0.5, 0, 1)), camera=level)
    assert shadow.min() < -0.5 and not shadow[: ROWS // 4 - 1].any(), 'above the horizon'


def test_without_a_plane_there_is_no_shadow():
    assert not shadow_of(lamp_at((0, 0, 1)), plane=None).any()


def test_without_a_light_it_comes_from_above():
    shadow = shadow_of(None)[..., 0]
    row, column = np.argwhere(shadow < 0.8 * shadow.min()).mean(0).round().astype(int)
    assert np.linalg.norm(plane_points()[row, column, :2] - PLACE[:2, 3]) < 0.05


def test_the_lights_of_a_plane_are_its_whole_light():
    light = Light(np.array([0.36, 0.48, 0.8]), np.array([3.0, 2, 1]), np.array([0.5, 1, 2]))
    towards, share, _ = lights_of(light, np.array([0, 0, 1.0]))
    assert towards.shape == (LIGHTS, 3) and (towards[:, 2] > 0).all()
    np.testing.assert_allclose(np.linalg.norm(towards, axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(share.sum(0), 1)


def test_up_is_z_except_where_the_camera_would_look_up_at_the_scene():
    np.testing.assert_array_equal(up_of(CAMERA), [0, 0, 1])
    optical = Camera(CAMERA.intrinsics, np.eye(4), COLUMNS, ROWS)
    np.testing.assert_array_equal(up_of(optical), [0, -1, 0])
