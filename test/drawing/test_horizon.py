"""Horizon maps: elevation of surfaces around visible points, by direction and distance."""

import mlo_scenes as scenes
import numpy as np
import pytest
import torch

from manivideo_ros.drawing.horizon import RADII, HorizonMapper
from manivideo_ros.geometry import Camera, pinhole
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface

SIZE = 64
REACH = 0.22


def plate(depth: float, left: float, right: float) -> Surface:
    """A rectangle parallel to the image, between two x, 0.4 m high."""
    vertices = np.array(
        [(left, -0.2, depth), (right, -0.2, depth), (right, 0.2, depth), (left, 0.2, depth)], 'f4'
    )
    faces = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    return Surface(vertices, faces, np.zeros(2, np.int32), np.zeros((2, 3, 2), 'f4'))


def horizon_of(surfaces, camera: Camera, poses, threads: int = 1):
    rasterizer = Rasterizer(surfaces, camera.width, camera.height, threads=threads)
    mapper = HorizonMapper(rasterizer)
    layers = rasterizer.render(camera, poses)
    return mapper.map().numpy().copy(), layers, rasterizer


def reference(layers, camera: Camera) -> np.ndarray:
    """The definition, computed pixel by pixel."""
    depth, nearest = layers.depth.numpy(), layers.nearest_layer.numpy()
    height, width = nearest.shape
    z = np.where(nearest >= 0, np.take_along_axis(depth, nearest.clip(0)[None], 0)[0], 0)
    normal = layers.visible_normal.numpy()
    k = np.asarray(camera.intrinsics, np.float64)

    def point(row, column):
        y = (row + 0.5 - k[1, 2]) / k[1, 1]
        x = (column + 0.5 - k[0, 2]) / k[0, 0]
        return z[row, column] * np.array([x, y, 1.0])

    out = np.zeros((HORIZON_DIRECTIONS, height // 2, width // 2))
    for i, j in np.argwhere(z[::2, ::2] > 0):
        row, column = 2 * i, 2 * j
        here = point(row, column)
        for direction in range(HORIZON_DIRECTIONS):
            angle = direction * np.pi / 4
            for radius in RADII:
                step = np.float32(radius) / z[row, column]
                x = column + int(np.round(np.cos(angle) * step * k[0, 0]))
                y = row + int(np.round(np.sin(angle) * step * k[1, 1]))
                if 0 <= x < width and 0 <= y < height and z[y, x] > 0:
                    way = point(y, x) - here
                    length = np.linalg.norm(way)
                    if length > 1e-6:
                        near = max(1 - (length / REACH) ** 2, 0)
                        rise = near * (way @ normal[:, row, column]) / length
                        out[direction, i, j] = max(out[direction, i, j], rise)
    return out


def test_the_kernel_matches_the_definition():
    camera = scenes.camera(SIZE)
    found, layers, _ = horizon_of(scenes.surfaces(), camera, scenes.poses(2))
    expected = reference(layers, camera)
    # A sample on the border of two pixels may be rounded to either.
    assert np.mean(np.abs(found - expected) > 1e-4) < 1e-3
    assert found.max() > 0.5


def test_a_wall_on_the_right_raises_the_horizon_on_the_right_only():
    camera = Camera(pinhole(SIZE, SIZE, np.radians(40)), np.eye(4), SIZE, SIZE)
    floor, wall = plate(0.6, -0.2, 0.2), plate(0.52, 0.03, 0.2)
    found, layers, _ = horizon_of([floor, wall], camera, [np.eye(4)] * 2)
    row, column = SIZE // 4, SIZE // 4  # the image's middle, left of the wall
    here = found[:, row, column]
    assert here[0] > 0.5 and here[1] > 0.3 and here[7] > 0.3
    np.testing.assert_array_equal(here[[2, 3, 4, 5, 6]], 0)
    assert not found[:, :, -4:].any(), 'nothing rises over the wall itself'
    assert float(layers.depth.max()) > 0


def test_surfaces_far_in_front_do_not_raise_the_horizon():
    camera = Camera(pinhole(SIZE, SIZE, np.radians(40)), np.eye(4), SIZE, SIZE)
    surfaces = [plate(0.6, -0.2, 0.2), plate(0.3, 0.02, 0.2)]
    found, _, _ = horizon_of(surfaces, camera, [np.eye(4)] * 2)
    assert not found[:, :, : SIZE // 8].any()


def test_an_empty_frame_is_zero_after_another_frame():
    camera, surfaces = scenes.camera(SIZE), scenes.surfaces()
    rasterizer = Rasterizer(surfaces, SIZE, SIZE, threads=1)
    mapper = HorizonMapper(rasterizer)
    rasterizer.render(camera, scenes.poses(1))
    assert mapper.map().any()
    rasterizer.render(camera, [None] * len(surfaces))
    assert not mapper.map().any()


@pytest.mark.parametrize('threads', [2, 3])
def test_maps_do_not_depend_on_the_number_of_threads(threads):
    camera, surfaces = scenes.camera(SIZE), scenes.surfaces()
    one, _, _ = horizon_of(surfaces, camera, scenes.poses(4))
    more, _, _ = horizon_of(surfaces, camera, scenes.poses(4), threads)
    np.testing.assert_array_equal(one, more)


def test_an_image_of_odd_size_is_rejected():
    with pytest.raises(ValueError, match='even width and height, got 63x64'):
        HorizonMapper(Rasterizer(scenes.surfaces(), 63, 64, threads=1))


def test_a_non_contiguous_out_tensor_is_rejected():
    rasterizer = Rasterizer([plate(0.6, -0.2, 0.2)], SIZE, SIZE, threads=1)
    out = torch.zeros(HORIZON_DIRECTIONS, SIZE // 2, SIZE)[..., ::2]
    with pytest.raises(ValueError, match='horizon: must be contiguous'):
        HorizonMapper(rasterizer, out)


def test_the_map_is_a_torch_tensor_whose_address_does_not_change():
    rasterizer = Rasterizer([plate(0.6, -0.2, 0.2)], SIZE, SIZE, threads=1)
    mapper = HorizonMapper(rasterizer)
    first = mapper.map()
    assert isinstance(first, torch.Tensor) and mapper.map().data_ptr() == first.data_ptr()
