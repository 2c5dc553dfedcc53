"""Composition: the correction of the network's grid applied at the image's size."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.camera.crop import Crop
from manivideo_ros.drawing.base_image import Material
from manivideo_ros.drawing.composition import TOLERANCE, Composer
from manivideo_ros.drawing.foreground import ForegroundPainter
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface

WIDTH, HEIGHT, COLUMNS, ROWS = 48, 36, 20, 16
CAMERA = Camera(pinhole(WIDTH, HEIGHT, 0.9), look_at((0, -1, 0.6), (0, 0, 0)), WIDTH, HEIGHT)
WHOLE = Crop(0, 0, WIDTH, HEIGHT)
PLANE = np.array([0.0, 0.0, 1.0, 0.0])


PLATE = Surface(
    np.array([[-0.3, -0.3, 0], [0.3, -0.3, 0], [0, 0.4, 0.1]], np.float32),
    np.array([[0, 1, 2]], np.int32),
    np.zeros(1, np.int32),
    np.zeros((1, 3, 2), np.float32),
)


def composer_of(seed=0, lit=False):
    """A composer with random maps of foreground, base image, shadows and correction."""
    rng = np.random.default_rng(seed)
    material = Material(np.full((1, 1, 3), 90, np.uint8), np.full((1, 3, 2), 0.5, np.float32))
    rasterizer = Rasterizer([PLATE], 2 * WIDTH, 2 * HEIGHT, threads=1, merge=True)
    painter = ForegroundPainter(rasterizer, [material])
    base = torch.from_numpy(rng.random((3, ROWS, COLUMNS), dtype=np.float32))
    cells = np.clip(rng.normal(0, 1, (ROWS, COLUMNS)), 0, 1).astype(np.float32)
    shadow, opened = (
        torch.from_numpy(-np.clip(rng.normal(0, 0.3, (*size, 3)), 0, 0.9).astype('f4'))
        for size in ((ROWS // 2, COLUMNS // 2), (ROWS, COLUMNS))
    )
    lights = shadow, opened if lit else None
    out = Composer(painter, COLUMNS, ROWS, base, torch.from_numpy(cells), *lights)
    maps = painter.maps
    coverage = np.clip(rng.normal(0, 1, (HEIGHT, WIDTH)), 0, 1).astype(np.float32)
    maps.coverage.copy_(torch.from_numpy(coverage))
    maps.colour.copy_(torch.from_numpy(rng.random((HEIGHT, WIDTH, 3)).astype('f4')))
    maps.colour.mul_(maps.coverage[..., None])
    depth = rng.uniform(0.5, 1.5, (HEIGHT, WIDTH)).astype('f4') * (coverage > 0)
    maps.depth.copy_(torch.from_numpy(depth))
    painter.overwritten()
    made = rng.normal(0, 0.05, (6, ROWS, COLUMNS)).astype('f4')
    made[:3] += 1
    out.set_background(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    return out, torch.from_numpy(made)


def reference(composer, made, crop, scene_depth=None, plane=None):
    """`Composer.compose`, pixel by pixel in numpy."""
    maps = composer.foreground.maps
    colour, coverage, depth = (getattr(maps, n).numpy() for n in ('colour', 'coverage', 'depth'))
    base, cells = (composer._arrays[n].numpy() for n in ('cell_base', 'cell_coverage'))
    base, cells = base.reshape(3, ROWS, COLUMNS), cells.reshape(ROWS, COLUMNS)
    behind = composer._background.numpy() / 255
    gain, residual = made.numpy()[:3], made.numpy()[3:]
    change = base * (gain - 1) + residual
    factor = np.clip(change / np.maximum(base, 0.05), -1, 1)
    dark = np.zeros((3, ROWS, COLUMNS))
    if plane is not None:
        half = composer._arrays['shadow'].numpy().reshape(ROWS // 2, COLUMNS // 2, 3)
        enlarged = cv2.resize(half, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
        dark = np.moveaxis(enlarged, 2, 0)
    if composer._layout.lit:
        opened = np.moveaxis(composer._arrays['opened'].numpy().reshape(ROWS, COLUMNS, 3), 2, 0)
        factor, gain = (1 + factor) * (1 + dark) - 1, gain * (1 + opened)
    else:
        factor = np.where(dark < 0, np.minimum(factor, dark), factor)
    out = np.zeros((HEIGHT, WIDTH, 3))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            share = 1.0
            z = depth[y, x]
            if coverage[y, x] > 0 and scene_depth is not None:
                near = scene_depth[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                with np.errstate(invalid='ignore'):
                    share = 1 - np.mean((near > 0) & (near < z - TOLERANCE))
            if coverage[y, x] > 0 and plane is not None:
                k = CAMERA.intrinsics
                ray = np.array([(x + 0.5 - k[0, 2]) / k[0, 0], (y + 0.5 - k[1, 2]) / k[1, 1], 1])
                world = np.linalg.inv(CAMERA.camera_from_world) @ [*(z * ray), 1]
                share *= np.clip(1 + (world @ plane + TOLERANCE) / 0.004, 0, 1)
            alpha = coverage[y, x] * share
            gx = (x + 0.5 - crop.left) * COLUMNS / crop.width - 0.5
            gy = (y + 0.5 - crop.top) * ROWS / crop.height - 0.5
            x0, y0 = int(np.floor(gx)), int(np.floor(gy))
            front, back = [], []
            for dy in (0, 1):
                for dx in (0, 1):
                    j = np.clip(y0 + dy, 0, ROWS - 1), np.clip(x0 + dx, 0, COLUMNS - 1)
                    w = abs(1 - dx - (gx - x0)) * abs(1 - dy - (gy - y0))
                    front.append((w * (0.02 + cells[j]), gain[:, *j], residual[:, *j]))
                    back.append((w * (1.02 - cells[j]), factor[:, *j]))
            g = sum(w * v for w, v, _ in front) / sum(w for w, *_ in front) - 1
            r = sum(w * v for w, _, v in front) / sum(w for w, *_ in front)
            c = sum(w * v for w, v in back) / sum(w for w, _ in back)
            sides = [(crop.left > 0.5, gx), (crop.top > 0.5, gy)]
            sides.append((crop.left + crop.width < WIDTH - 0.5, COLUMNS - 1 - gx))
            sides.append((crop.top + crop.height < HEIGHT - 0.5, ROWS - 1 - gy))
            fade = np.clip(min([24.0, *(d for inside, d in sides if inside)]) / 24, 0, 1)
            c = np.sign(c) * np.maximum(np.abs(c) - 0.015, 0)
            value = share * colour[y, x] * (1 + g) + alpha * r
            out[y, x] = value + (1 - alpha) * behind[y, x] * (1 + fade * c)
    return out.clip(0, 1) * 255


crops = st.builds(
    Crop, st.floats(0, 20), st.floats(0, 15), st.floats(10, 28), st.floats(8, 21)
) | st.just(WHOLE)


@settings(deadline=None, max_examples=10)
@given(
    crop=crops,
    seed=st.integers(0, 100),
    occluded=st.booleans(),
    supported=st.booleans(),
    lit=st.booleans(),
)
def test_every_pixel_is_that_of_the_reference_on_the_cpu_and_in_lanes(
    crop, seed, occluded, supported, lit
):
    composer, made = composer_of(seed, lit)
    scene_depth = None
    if occluded:
        rng = np.random.default_rng(seed)
        scene_depth = rng.uniform(0.4, 1.6, (HEIGHT, WIDTH)).astype('f4')
        scene_depth[rng.random((HEIGHT, WIDTH)) < 0.2] = 0
        scene_depth[rng.random((HEIGHT, WIDTH)) < 0.2] = np.nan
    composer.set_scene_depth(scene_depth)
    plane = PLANE if supported else None
    composer.place(CAMERA, crop, plane)
    expected = reference(composer, made, crop, scene_depth, plane)
    on_cpu = composer.compose(made).numpy().astype(float)
    # A cell that changes the background by less than the threshold is skipped: no difference.
    assert np.abs(on_cpu - expected).max() <= 1.01
    composer._on_cpu = False  # a thread per pixel, as on CUDA
    np.testing.assert_array_equal(composer.compose(made).numpy(), on_cpu)


def test_where_nothing_changes_the_background_keeps_its_pixels():
    composer, _ = composer_of()
    for name in ('colour', 'coverage', 'depth'):
        getattr(composer.foreground.maps, name).zero_()
    composer._arrays['cell_coverage'].zero_()
    made = torch.zeros(6, ROWS, COLUMNS)
    made[:3] = 1.004
    composer.place(CAMERA, WHOLE)
    image = composer.compose(made).numpy()
    np.testing.assert_array_equal(image, composer._background.numpy())
    assert not composer.shown.any()


def test_a_shadow_darkens_light_and_dark_background_by_the_same_factor():
    composer, _ = composer_of()
    composer.foreground.maps.coverage.zero_()
    composer.foreground.maps.colour.zero_()
    composer._arrays['cell_coverage'].zero_()
    composer._arrays['cell_base'].fill_(0.5)
    made = torch.zeros(6, ROWS, COLUMNS)
    made[:3], made[3:] = 0.6, 0.05  # 0.5 becomes 0.35: 30 % darker
    background = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    background[:, : WIDTH // 2] = 40
    composer.set_background(background)
    composer.place(CAMERA, WHOLE)
    image = composer.compose(made).numpy()
    np.testing.assert_allclose(image / background, 0.7 + 0.015, atol=0.02)


def test_a_nearer_scene_hides_the_foreground_and_unknown_depths_do_not():
    composer, made = composer_of()
    composer.foreground.maps.coverage.fill_(1)
    composer.foreground.maps.depth.fill_(1)
    for depth, visible in ((0.8, 0.0), (0.995, 1.0), (1.2, 1.0), (0.0, 1.0), (np.nan, 1.0)):
        composer.set_scene_depth(np.full((HEIGHT, WIDTH), depth, np.float32))
        composer.place(CAMERA, WHOLE)
        composer.compose(made)
        assert torch.all(composer.shown == visible), depth
    edge = np.full((HEIGHT, WIDTH), 1.2, np.float32)
    edge[:, : WIDTH // 2] = 0.8
    composer.set_scene_depth(edge)
    composer.place(CAMERA, WHOLE)
    composer.compose(made)
    across = composer.shown[HEIGHT // 2].numpy()
    assert across[0] == 0 and across[-1] == 1 and 0 < across[WIDTH // 2] < 1


def test_a_crop_is_what_its_camera_sees():
    crop = Crop(12, 9, 24, 18)
    small = crop.camera(CAMERA, COLUMNS, ROWS)
    points = np.random.default_rng(1).uniform(-0.2, 0.2, (20, 3))
    pixels, cells = CAMERA.project(points)[0], small.project(points)[0]
    expected = (pixels - [crop.left, crop.top]) * [COLUMNS / crop.width, ROWS / crop.height]
    np.testing.assert_allclose(cells, expected, atol=1e-9)
    ramp = np.tile(np.arange(WIDTH, dtype=np.uint8)[None, :, None] * 4, (HEIGHT, 1, 3))
    cut = crop.cut(ramp, COLUMNS, ROWS)
    middle = 12 + (np.arange(COLUMNS) + 0.5) * 24 / COLUMNS - 0.5
    np.testing.assert_allclose(cut[ROWS // 2, :, 0], 4 * middle, atol=1.5)


@pytest.mark.parametrize('size', [(47, 36), (48, 35)])
def test_images_may_have_odd_sides(size):
    rasterizer = Rasterizer([PLATE], 2 * size[0], 2 * size[1], threads=1, merge=True)
    material = Material(np.full((1, 1, 3), 90, np.uint8), np.full((1, 3, 2), 0.5, np.float32))
    painter = ForegroundPainter(rasterizer, [material])
    rasterizer.write_state(CAMERA, [np.eye(4)])
    maps = painter.draw()
    assert maps.coverage.shape == (size[1], size[0]) and maps.coverage.max() == 1
