"""Highlights and mirrored light of robots in the lit base, against numpy."""

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light, middle_grey
from manivideo_ros.drawing.base_image import UNLIT, Painter, robot_material
from manivideo_ros.drawing.foreground import ForegroundPainter
from manivideo_ros.drawing.lighting.finish import finishes, terms, unit_of
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.drawing.lighting.lit_base import LitBase
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.hand.load import load_hand
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, hand_surface, robot_surface
from manivideo_ros.model.patch.light import grey_at
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot
from manivideo_ros.robot.recolouring import face_colours, recoloured
from manivideo_ros.robot.state import RobotState

SIZE = 64
CAMERA = Camera(pinhole(SIZE, SIZE, 0.3), look_at((0, -0.5, 0), (0, 0, 0)), SIZE, SIZE)
TURN = CAMERA.camera_from_world[:3, :3]
COLOUR = np.array([0.8, 0.5, 0.3])
URDF = """<robot name="ball"><link name="root"><visual><geometry><sphere radius="0.06"/></geometry>
<material name="{}"><color rgba="0.8 0.5 0.3 1"/></material></visual></link></robot>"""


def ball_of(material):
    return load_robot(URDF.format(material), MeshFiles())[0]


def drawn(model, light, as_object=False):
    """The lit base [H, W, 3], the foreground, the normals, and where both show the ball alone."""
    surface, pose = robot_surface(model), RobotState(model, np.zeros(0), np.eye(4))
    if as_object:
        surface = Surface(model.vertices, model.faces, 0 * model.face_part, model.corner_uv)
        pose = np.eye(4)
    posed = PosedSurfaces([surface], threads=1)
    layers = Rasterizer(posed, SIZE, SIZE)
    visible, fine = (Rasterizer(posed, 2 * SIZE, 2 * SIZE, merge=True) for _ in range(2))
    behind = np.full((SIZE, SIZE, 3), 90, np.uint8)
    painter = Painter(visible, [robot_material(model)], behind, UNLIT)
    maps = LightMaps(posed, SIZE, SIZE)
    lit = LitBase(layers, maps, *painter.images, painter.background)
    foreground = ForegroundPainter(fine, [robot_material(model)], maps)
    posed.write_state(CAMERA, [pose])
    posed.pose()
    for rasterizer in (layers, visible, fine):
        rasterizer.write_view(CAMERA)
    maps.place(CAMERA, Crop(0, 0, SIZE, SIZE), [pose], light, None)
    layers.draw()
    maps.draw()
    mask = painter.draw()[1].numpy()
    base = lit.draw().permute(1, 2, 0).numpy()
    normal = layers.buffers.visible_normal.permute(1, 2, 0).numpy()
    shown = foreground.draw().colour.numpy()
    return base, shown, normal, (mask == 1) & (np.abs(normal).sum(-1) > 0)


def lamp(towards, ball=None):
    """A light from a direction in the camera's frame."""
    at = np.asarray(towards, float)
    there = TURN.T @ (at / np.linalg.norm(at))
    return Light(
        there, np.full(3, 0.6), np.full(3, 0.4), 0.05, middle_grey() if ball is None else ball
    )


def mixed_ball():
    ball = np.random.default_rng(3).normal(0, 0.05, (16, 3)).astype(np.float32)
    ball[0] += 0.55
    return ball


def expected(normal, light, gloss, metal):
    """finished() of an unoccluded surface, in numpy; normals [N, 3] in the camera's frame."""
    towards = TURN @ light.towards
    unit = unit_of(replace(light, towards=towards))
    rows, columns = np.nonzero(np.abs(normal).sum(-1) > 0)
    n = normal[rows, columns].astype(float)
    k = CAMERA.intrinsics
    ray = np.stack([(columns + 0.5 - k[0, 2]) / k[0, 0], (rows + 0.5 - k[1, 2]) / k[1, 1],
                    np.ones(len(rows))], -1)  # fmt: skip
    view = -ray / np.linalg.norm(ray, axis=-1, keepdims=True)

    def grey(at):
        return np.clip(np.array([terms(a) for a in at]) @ light.ball, 0.03, 1) / 0.735357

    rough, f0 = 0.8 - 0.6 * gloss, 0.02 + 0.03 * min(2 * gloss, 1)
    ndv = np.maximum((n * view).sum(-1), 0)
    bent = 2 * (n * view).sum(-1, keepdims=True) * n - view
    bent[:, 2] = np.minimum(bent[:, 2], -0.05)
    bent /= np.linalg.norm(bent, axis=-1, keepdims=True)
    power, ambient = light.lamp * unit, light.ambient * unit
    mirrored = grey(bent) ** 2 - power * np.maximum(bent @ towards, 0)[:, None]
    mirrored = np.maximum(mirrored, 0.5 * ambient)

    def ggx(at_normal):
        half = towards + view
        half /= np.linalg.norm(half, axis=-1, keepdims=True)
        ndl, ndh = np.maximum(n @ towards, 0), np.maximum((n * half).sum(-1), 0)
        alpha = rough**2
        wide = min(alpha + 0.5 * np.tan(light.size), 1)
        d = ndh**2 * (wide**2 - 1) + 1
        distribution = alpha**2 / (np.pi * d**2)
        kk = 0.5 * alpha + 0.05
        floor = np.maximum((n * view).sum(-1), 0.05)
        geometry = 0.25 / ((ndl * (1 - kk) + kk) * (floor * (1 - kk) + kk))
        fresnel = at_normal + (1 - at_normal) * (1 - np.maximum((view * half).sum(-1), 0)) ** 5
        return (np.pi * distribution * geometry * fresnel * ndl)[:, None]

    fresnel = (f0 + (max(0.5 * gloss + 0.05, f0) - f0) * (1 - ndv) ** 5)[:, None]
    colour = np.round(255 * COLOUR) / 255
    plain = (colour * grey(n)) ** 2 + mirrored * fresnel + power * ggx(f0)
    metallic = colour**2 * (mirrored + power * ggx(1.0))
    out = np.zeros((*normal.shape[:2], 3))
    out[rows, columns] = np.minimum(np.sqrt(plain * (1 - metal) + metallic * metal), 1)
    return out


@pytest.mark.parametrize(
    ('material', 'gloss', 'metal'),
    [
        ('rubber', 0.05, 0),
        ('chrome', 0.8, 1),
        ('anodised aluminium', 0.5, 0.7),
        ('plastic', 0.35, 0),
    ],
)
def test_materials_of_urdfs_reflect_as_they_are_named(material, gloss, metal):
    model, light = ball_of(material), lamp((-0.4, -0.6, -0.7), mixed_ball())
    assert np.unique(model.gloss) == pytest.approx(gloss)
    assert np.unique(model.metal) == pytest.approx(metal)
    _, shown, normal, inside = drawn(model, light)
    wanted = expected(normal, light, gloss, metal)
    # Facets: normals of the grid's and of the finer image's samples differ a little.
    assert np.abs(shown - wanted)[inside].mean() < 0.01


def test_the_grid_and_the_image_show_the_same_highlights():
    light = lamp((-0.4, -0.6, -0.7), mixed_ball())
    base, shown, normal, inside = drawn(ball_of('chrome'), light)
    # Where neither the lamp nor the dome is hidden by the ball itself.
    open_ = inside & (normal @ (TURN @ light.towards) > 0.5) & (normal[..., 1] < -0.3)
    assert open_.sum() > 100 and np.abs(base - shown)[open_].mean() < 0.02


def test_the_lamp_is_mirrored_between_it_and_the_camera():
    light = lamp((-0.5, -0.5, -0.7))
    _, shown, normal, inside = drawn(ball_of('chrome'), light)
    half = TURN @ light.towards + [0, 0, -1]
    brightest = np.where(inside, shown.sum(-1), 0)
    at = normal[brightest > np.quantile(brightest[inside], 0.97)].mean(0)
    assert at @ half / np.linalg.norm(at) / np.linalg.norm(half) > 0.98


def test_a_robots_colours_are_albedos_as_an_objects_are():
    matt = ball_of('rubber')
    matt = replace(matt, gloss=0 * matt.gloss)
    light = lamp((0.3, -0.8, -0.5), mixed_ball())
    robot, thing = drawn(matt, light), drawn(matt, light, as_object=True)
    # What hides light from them is of fewer triangles, which are others for the two.
    assert np.abs(robot[0] - thing[0])[robot[3]].mean() < 0.01
    np.testing.assert_allclose(robot[1], thing[1], atol=1e-6)


def test_hands_alone_are_in_colours_that_were_seen_in_the_light():
    hand, robot = hand_surface(load_hand('left')), robot_surface(ball_of('steel'))
    each = finishes([hand, robot])
    assert (each[: len(hand.faces)] == [1, 0, 0]).all()
    assert (each[len(hand.faces) :, 0] == 0).all() and (each[len(hand.faces) :, 2] == 1).all()
    assert finishes([]).shape == (0, 3)


def test_calibrated_colours_of_robots_were_seen_in_the_light_too():
    model = ball_of('steel')
    calibrated = recoloured(model, {('root', face_colours(model).keys[0][1]): (90, 60, 30)})
    assert (finishes([robot_surface(calibrated)]) == [1, 0, 0]).all()


def test_the_grey_balls_terms_are_those_of_the_light_net():
    import torch

    n = np.random.default_rng(0).normal(size=3)
    n /= np.linalg.norm(n)
    ball = mixed_ball()
    wanted = grey_at(torch.from_numpy(n).float()[None, :, None], torch.from_numpy(ball)[None])
    np.testing.assert_allclose(terms(n) @ ball, wanted.numpy().reshape(3), atol=1e-5)


def test_a_lamp_that_the_ball_shows_has_the_irradiance_of_shown_colours():
    # A ball of albedo 0.5 under a light of irradiance 1 from the camera is as bright as its albedo.
    light = Light(np.array([0, 0, -1.0]), np.full(3, 0.25), np.full(3, 0.25))
    np.testing.assert_allclose(unit_of(light), 2.0, rtol=1e-6)
