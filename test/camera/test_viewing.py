"""The view of a frame: fitted cameras, default cameras, hands in view."""

import numpy as np
import pytest

from manivideo_ros.camera.viewing import default_camera, fitted, hands_in_view
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.hand.state import HandState


def hand(position):
    zeros = np.zeros(45, np.float32)
    return HandState(zeros, zeros[:10], np.eye(3), np.asarray(position, float))


@pytest.mark.parametrize(('width', 'height'), [(640, 480), (480, 640), (256, 256), (1920, 1080)])
def test_fitting_keeps_square_pixels_and_the_centre(width, height):
    camera = Camera(pinhole(width, height, 0.8), look_at([0, -1, 0.5], [0, 0, 0]), width, height)
    out = fitted(camera, 256, 256)
    assert (out.width, out.height) == (256, 256)
    assert out.intrinsics[0, 0] == pytest.approx(out.intrinsics[1, 1])
    pixels, _ = out.project(np.zeros((1, 3)))
    np.testing.assert_allclose(pixels[0], [128, 128], atol=1e-9)


def test_fitting_scales_pixels():
    camera = Camera(pinhole(640, 480, 0.8), look_at([0, -1, 0.5], [0, 0, 0]), 640, 480)
    point = np.array([[0.1, 0.05, 0.02]])
    before = (camera.project(point)[0] - [320, 240]) * 256 / 480
    np.testing.assert_allclose(fitted(camera, 256, 256).project(point)[0] - 128, before, atol=1e-9)


@pytest.mark.parametrize('positions', [[(0, 0, 0.1)], [(-0.3, 0, 0.1), (0.3, 0.1, 0.3)]])
def test_the_default_camera_has_the_hands_in_view(positions):
    hands = dict(zip(('left', 'right'), map(hand, positions), strict=False))
    camera = default_camera(hands, [np.eye(4)], 256, 256)
    for side, state in hands.items():
        assert hands_in_view({side: state}, camera)
    pixels, depth = camera.project(np.array(positions))
    assert np.all(depth > 0) and np.all((pixels > 20) & (pixels < 236))


def test_hands_behind_or_beside_the_camera_are_not_in_view():
    camera = Camera(pinhole(256, 256, 0.8), look_at([0, -1, 0], [0, 0, 0]), 256, 256)
    assert hands_in_view({'right': hand((0, 0, 0))}, camera)
    assert not hands_in_view({'right': hand((0, -2, 0))}, camera)
    assert not hands_in_view({'right': hand((5, 0, 0))}, camera)
    assert not hands_in_view({}, camera)
