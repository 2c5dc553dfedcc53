"""Surface samples: on the surface, uniform by area, reproducible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.objects.mesh import ObjectMesh, surface_points


def bare(vertices, faces):
    faces = np.asarray(faces, np.int32)
    uv = np.zeros((len(faces), 3, 2), np.float32)
    texture = np.zeros((2, 2, 3), np.uint8)
    return ObjectMesh('bare', np.asarray(vertices, np.float32), faces, uv, texture)


def test_points_are_reproducible_and_depend_on_the_seed():
    mug = generate('mug')
    points = surface_points(mug)
    assert points.shape == (2048, 3)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, surface_points(mug))
    assert not np.array_equal(points, surface_points(mug, seed=1))


def test_counts_are_proportional_to_area():
    # A strip of unit height with two parts of 9 and 1 units, with very different triangles.
    x = np.concatenate([np.linspace(0, 9, 4), [10.0]])
    bottom, top = np.stack([x, 0 * x, 0 * x], -1), np.stack([x, 0 * x + 1, 0 * x], -1)
    i = np.arange(4)
    faces = np.concatenate([np.stack([i, i + 1, i + 6], -1), np.stack([i, i + 6, i + 5], -1)])
    points = surface_points(bare(np.concatenate([bottom, top]), faces), 20000)
    histogram = np.histogram(points[:, 0], 20, (0, 10))[0]
    # Chi-square with 19 degrees of freedom: 43.8 is the 0.1% point.
    assert np.sum((histogram - 1000.0) ** 2 / 1000.0) < 43.8
    histogram = np.histogram(points[:, 1], 20, (0, 1))[0]
    assert np.sum((histogram - 1000.0) ** 2 / 1000.0) < 43.8


corners = arrays(np.float64, (3, 3), elements=st.floats(-1, 1, width=32))


@settings(max_examples=40, deadline=None)
@given(corners=corners, seed=st.integers(0, 1000))
def test_points_are_uniformly_distributed_in_a_triangle(corners, seed):
    a, b, c = corners
    normal = np.cross(b - a, c - a)
    if np.linalg.norm(normal) < 1e-3:
        return
    points = surface_points(bare(corners, [[0, 1, 2]]), 4000, seed)
    basis = np.stack([b - a, c - a, normal], -1)
    weights = np.linalg.solve(basis, (points - a).T).T
    assert np.abs(weights[:, 2] * np.linalg.norm(normal)).max() < 1e-5
    assert weights[:, :2].min() > -1e-2
    assert weights[:, :2].sum(-1).max() < 1 + 1e-2
    # The mean of 4000 uniform barycentrics (variance 1/18 each) to six standard errors.
    np.testing.assert_allclose(weights[:, :2].mean(0), 1 / 3, atol=6 * np.sqrt(1 / 18 / 4000))


def test_a_surface_without_area_is_rejected():
    with pytest.raises(ValueError, match='object bare: no surface'):
        surface_points(bare([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]]))
