"""The lit base image, against numpy."""

import numpy as np
import pytest
import torch
import warp as wp

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light, middle_grey
from manivideo_ros.drawing.base_image import UNLIT, Material, Painter
from manivideo_ros.drawing.foreground import ForegroundPainter
from manivideo_ros.drawing.lighting import kernels
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.drawing.lighting.lit_base import LitBase
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import object_surface
from manivideo_ros.model.patch.light import grey_at, lamp_and_ambient
from manivideo_ros.objects.household.shapes import generate

COLUMNS, ROWS = 64, 48
CAMERA = Camera(pinhole(COLUMNS, ROWS, 0.5), look_at((0, -0.5, 0.3), (0, 0, 0.04)), COLUMNS, ROWS)
WHOLE = Crop(0, 0, COLUMNS, ROWS)
MESH = generate('mug')
POSES = [np.eye(4)]
ALBEDO, BEHIND = 100, 150


class Lit:
    """A grey mug over a plain background, lit."""

    def __init__(self, light, plane=None, lanes=False, albedo=ALBEDO):
        posed = PosedSurfaces([object_surface(MESH)], threads=1)
        layers = Rasterizer(posed, COLUMNS, ROWS)
        uv = np.full((len(MESH.faces), 3, 2), 0.5, np.float32)
        material = [Material(np.full((1, 1, 3), albedo, np.uint8), uv)]
        visible = Rasterizer(posed, 2 * COLUMNS, 2 * ROWS, merge=True)
        background = np.full((ROWS, COLUMNS, 3), BEHIND, np.uint8)
        painter = Painter(visible, material, background, UNLIT)
        posed.on_cpu = not lanes  # as on CUDA: a thread per cell
        maps = LightMaps(posed, COLUMNS, ROWS)
        lit = LitBase(layers, maps, *painter.images, painter.background)
        posed.on_cpu = True
        fine = Rasterizer(posed, 2 * COLUMNS, 2 * ROWS, merge=True)
        foreground = ForegroundPainter(fine, material, maps)
        posed.write_state(CAMERA, POSES)
        posed.pose()
        for rasterizer in (layers, visible, fine):
            rasterizer.write_view(CAMERA)
        maps.place(CAMERA, WHOLE, POSES, light, plane)
        layers.draw()
        maps.draw()
        self.unlit, self.mask = (image.numpy() for image in painter.draw())
        self.base, self.opened = lit.draw().numpy(), lit.opened.numpy()
        self.normal = layers.buffers.visible_normal.numpy()
        self.inside = (self.mask == 1) & (np.abs(self.normal).sum(0) > 0)
        self.fine = foreground.draw().colour.numpy()


def test_rows_and_lanes_are_the_same():
    light = Light(np.array([0.6, 0, 0.8]), np.ones(3), np.full(3, 0.3), ball=ball())
    rows, lanes = (Lit(light, np.array([0, 0, 1.0, 0]), lanes) for lanes in (False, True))
    np.testing.assert_array_equal(rows.base, lanes.base)


def ball(seed=0):
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(0, 0.04, (16, 3)).astype(np.float32)
    coefficients[0] += 0.5
    return coefficients


def even(coefficients):
    """A light without a lamp, whose grey ball has these coefficients."""
    return Light(np.array([0, 0, 1.0]), np.zeros(3), np.ones(3), ball=coefficients)


def test_materials_are_multiplied_by_the_grey_ball_at_their_normals():
    drawn, coefficients = Lit(even(ball())), ball()
    normals = torch.from_numpy(drawn.normal[None])
    grey = grey_at(normals, torch.from_numpy(coefficients[None]))[0].clamp(0.03, 1).numpy()
    expected = ALBEDO / 255 * grey / 0.735357 * (1 + np.moveaxis(drawn.opened, 2, 0))
    error = np.abs(drawn.base - expected)[:, drawn.inside]
    assert drawn.inside.sum() > 200 and error.max() < 1e-3


def test_middle_grey_leaves_materials_and_background_as_they_are():
    drawn = Lit(even(middle_grey()))
    opened = 1 + np.moveaxis(drawn.opened, 2, 0)
    whole = drawn.mask == 1
    error = np.abs(drawn.base - drawn.unlit * opened)[:, whole]
    assert error.max() < 1e-3
    np.testing.assert_allclose(drawn.base[:, drawn.mask == 0], BEHIND / 255, atol=1e-3)


def test_the_foreground_has_the_colours_of_the_base_before_shadows():
    drawn = Lit(even(ball()))
    base = np.moveaxis(drawn.base, 0, 2) / (1 + drawn.opened)
    error = np.abs(drawn.fine - base)[drawn.inside]
    assert np.median(error) < 0.01


def test_the_inside_of_a_cup_gets_less_of_the_dome():
    drawn = Lit(even(middle_grey()))
    rows, columns = np.nonzero(drawn.inside)
    centre = int(columns.mean())
    top = rows[columns == centre].min()
    within = drawn.opened[top + 2 : top + 5, centre].mean()
    assert within < drawn.opened[drawn.inside].max() - 0.1


def test_a_bright_cup_lights_its_inside_by_bounces():
    black, white = (Lit(even(middle_grey()), albedo=albedo) for albedo in (20, 230))
    hidden = black.inside & (black.opened.mean(2) < -0.1)
    free = black.inside & (black.opened.mean(2) > -0.02)
    assert hidden.sum() > 20 < free.sum()
    assert (white.opened[hidden] > black.opened[hidden] + 0.02).all()
    np.testing.assert_allclose(white.opened[free], black.opened[free], atol=0.02)
    assert white.opened.max() <= 0


@pytest.mark.parametrize('albedo', [0.1, 0.5, 0.8])
def test_bounces_are_those_of_the_published_fit(albedo):
    free = np.linspace(0, 1, 11)
    a = 2.0404 * albedo - 0.3324
    b = -4.7951 * albedo + 0.6417
    c = 2.7552 * albedo + 0.6903
    expected = np.minimum(np.maximum(free, ((free * a + b) * free + c) * free), 1)
    out = wp.zeros(len(free), dtype=wp.float32, device='cpu')
    shares = wp.array(free.astype(np.float32), dtype=wp.float32, device='cpu')
    wp.launch(bounced, len(free), inputs=[shares, float(albedo), out], device='cpu')
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-5)


@wp.kernel
def bounced(free: wp.array(dtype=wp.float32), albedo: float, out: wp.array(dtype=wp.float32)):
    i = wp.tid()
    out[i] = kernels.with_bounces(free[i], albedo)


def test_a_lamp_behind_a_surface_leaves_it_in_the_ambient_light():
    towards = CAMERA.camera_from_world[:3, :3].T @ np.array([0, 0, 1.0])
    behind = Light(towards, np.full(3, 5.0), np.ones(3), ball=middle_grey())
    facing = Lit(behind), Lit(even(middle_grey()))
    front = facing[0].inside & (facing[0].normal[2] < -0.6)
    np.testing.assert_allclose(
        facing[0].opened[front], facing[1].opened[front], atol=1e-4, err_msg='the lamp adds nothing'
    )


def test_the_plane_has_shadows_in_the_base_too():
    light = Light(np.array([0.6, 0, 0.8]), np.ones(3), np.full(3, 0.3), ball=middle_grey())
    plane = np.array([0, 0, 1.0, 0])
    open_ = (1 - Lit(light).mask) > 0.99
    without, with_plane = Lit(light).base[:, open_], Lit(light, plane).base[:, open_]
    assert (with_plane <= without + 1e-6).all() and with_plane.min() < 0.75 * without.min()


@pytest.mark.parametrize('towards', [(0.5, -0.5, -0.7), (-0.7, -0.6, -0.4)])
def test_lamp_and_surrounding_are_found_in_a_grey_ball(towards):
    """The ball is the order-3 fit of what lamp and surrounding show."""
    towards = np.asarray(towards) / np.linalg.norm(towards)
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(3, 4000))
    normals /= np.linalg.norm(normals, axis=0)
    linear = 0.5 * (0.15 + 0.8 * np.maximum(towards @ normals, 0))
    shown = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    basis = grey_at(torch.from_numpy(normals[None]), torch.eye(16, dtype=torch.float64)[None])
    basis = basis[0].numpy().T if basis.shape[1] == 16 else None
    fitted = np.linalg.lstsq(basis, shown, rcond=None)[0]
    found = lamp_and_ambient(torch.from_numpy(np.tile(fitted[:, None], 3).astype('f4'))[None])
    assert np.degrees(np.arccos(found.towards @ towards)) < 5
    np.testing.assert_allclose(found.lamp, 0.8, rtol=0.2)
    np.testing.assert_allclose(found.ambient, 0.15, atol=0.06)
