"""Rotations, rigid transforms and cameras: definitions, round trips, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import expm

from manivideo_ros.geometry import (
    Camera,
    axis_angle_to_matrix,
    interpolate_rotations,
    invert_rigid,
    look_at,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    pinhole,
    quaternion_to_matrix,
    rigid,
    transform_points,
)

vectors = arrays(np.float64, 3, elements=st.floats(-3, 3))
quaternions = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(
    lambda q: np.linalg.norm(q) > 1e-2
)


def cross_matrix(v):
    return np.cross(v, np.eye(3)).T


@given(quaternions)
def test_a_quaternion_rotates_by_its_sandwich_product(q):
    matrix = quaternion_to_matrix(q)
    unit = q / np.linalg.norm(q)
    k = cross_matrix(unit[:3])
    np.testing.assert_allclose(matrix, np.eye(3) + 2 * unit[3] * k + 2 * k @ k, atol=1e-12)
    back = matrix_to_quaternion(matrix)
    assert back[3] >= 0
    assert min(np.abs(back - unit).max(), np.abs(back + unit).max()) < 1e-9


@given(vectors)
def test_an_axis_angle_is_the_exponential_of_its_cross_product_and_comes_back(v):
    matrix = axis_angle_to_matrix(v)
    np.testing.assert_allclose(matrix, expm(cross_matrix(v)), atol=1e-12)
    again = axis_angle_to_matrix(matrix_to_axis_angle(matrix))
    np.testing.assert_allclose(again, matrix, atol=1e-7)


@given(vectors, vectors)
def test_stacks_of_rotations_are_converted_one_by_one(a, b):
    stack = np.stack([[a, b], [b, a]])
    matrices = axis_angle_to_matrix(stack)
    assert matrices.shape == (2, 2, 3, 3)
    np.testing.assert_array_equal(matrices[0, 1], axis_angle_to_matrix(b))
    assert matrix_to_quaternion(matrices).shape == (2, 2, 4)
    assert matrix_to_axis_angle(matrices).shape == (2, 2, 3)


@given(vectors, vectors, vectors)
def test_a_rigid_transform_and_its_inverse_cancel(v, translation, point):
    transform = rigid(axis_angle_to_matrix(v), translation)
    there = transform_points(transform, point[None])
    np.testing.assert_allclose(
        transform_points(invert_rigid(transform), there)[0], point, atol=1e-9
    )


@given(quaternions, quaternions, st.floats(0, 1))
def test_rotations_are_interpolated_the_shorter_way_at_an_even_rate(a, b, fraction):
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)

    def angle(p, q):
        return 2 * np.arccos(np.clip(abs(np.dot(p, q)), 0, 1))

    ends = quaternion_to_matrix(a), quaternion_to_matrix(b)
    between = matrix_to_quaternion(interpolate_rotations(*ends, fraction))
    assert angle(a, between) == pytest.approx(fraction * angle(a, b), abs=1e-4)


@given(vectors, vectors)
def test_look_at_puts_the_target_on_the_optical_axis_upright(eye, target):
    if np.linalg.norm(np.cross(target - eye, [0, 0, 1])) < 1e-3:
        return
    camera = Camera(pinhole(320, 240, 0.8), look_at(eye, target), 320, 240)
    pixels, depth = camera.project(np.stack([target, np.add(target, [0, 0, 0.01])]))
    np.testing.assert_allclose(pixels[0], [160, 120], atol=1e-6)
    assert depth[0] == pytest.approx(np.linalg.norm(target - eye))
    assert pixels[1, 1] < pixels[0, 1]  # up in the world is up in the image: y points down


def test_a_resized_camera_sees_the_same_view():
    camera = Camera(pinhole(320, 240, 0.8), look_at((1, -1, 1), (0, 0, 0)), 320, 240)
    point = np.array([[0.1, 0.05, 0.02]])
    small, _ = camera.resized(160, 120).project(point)
    np.testing.assert_allclose(2 * small, camera.project(point)[0])


@pytest.mark.parametrize('bad', [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 1]])
def test_quaternions_that_are_no_rotation_are_refused(bad):
    with pytest.raises(ValueError, match='quaternion'):
        quaternion_to_matrix(bad)


@pytest.mark.parametrize(
    ('intrinsics', 'width'), [(np.eye(3), 0), (np.zeros((3, 3)), 4), (np.eye(3) * np.nan, 4)]
)
def test_cameras_that_see_nothing_are_refused(intrinsics, width):
    with pytest.raises(ValueError, match='camera'):
        Camera(intrinsics, np.eye(4), width, 4)


def test_looking_along_up_is_refused():
    with pytest.raises(ValueError, match='look_at'):
        look_at((0, 0, 1), (0, 0, 0))
