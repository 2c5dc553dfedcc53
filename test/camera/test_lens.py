"""Lens distortion: points are where OpenCV projects them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked_hands import bent_hand

from manivideo_ros.camera.lens import lens_of
from manivideo_ros.geometry import Camera

SIZE = (256, 256)
LENSES = {
    'plumb_bob': (-0.3, 0.1, 0.002, -0.001, -0.02),
    'rational_polynomial': (0.4, -0.2, 0.0005, -0.0003, 0.02, 0.7, -0.1, 0.01),
    'equidistant': (0.02, -0.01, 0.003, -0.001),
}
K = np.array([[240.0, 0, 130.5], [0, 242.0, 125.2], [0, 0, 1]])
CAMERA = Camera(K, np.eye(4), *SIZE)


def projected(model, points):
    """Pixels projected by OpenCV."""
    project = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    nothing, d = np.zeros(3), np.array(LENSES[model])
    if model == 'equidistant':
        return project(points[:, None], nothing, nothing, K, d)[0].reshape(-1, 2)
    return project(points, nothing, nothing, K, d)[0].reshape(-1, 2)


def hand_in_view():
    """Points [21, 3] of a hand in front of the camera, metres."""
    points = bent_hand('right')
    return points - points.mean(0) + [0.03, -0.02, 0.28]


@pytest.mark.parametrize('model', LENSES)
def test_keypoints_are_where_opencv_projects_them(model):
    lens, points = lens_of(CAMERA, model, LENSES[model]), hand_in_view()
    expected = projected(model, points)
    straight, _ = CAMERA.project(points)
    assert np.abs(straight - expected).max() > 2, 'the distortion is visible'
    np.testing.assert_allclose(lens.pixels(points), expected, atol=1e-6)
    drawn, _ = lens.drawn.project(points)
    np.testing.assert_allclose(lens.unbent(expected), drawn, atol=1e-4)


@pytest.mark.parametrize('model', LENSES)
def test_a_drawn_blob_is_distorted_to_where_opencv_projects_it(model):
    """To within a tenth of a pixel."""
    lens, points = lens_of(CAMERA, model, LENSES[model]), hand_in_view()
    rows, columns = np.indices(SIZE[::-1]) + 0.5
    drawn, _ = lens.drawn.project(points)
    for (x, y), expected in zip(drawn, projected(model, points), strict=True):
        blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8).astype(np.float32)
        seen = lens.bend(blob)
        centre = [float((c * seen).sum() / seen.sum()) for c in (columns, rows)]
        np.testing.assert_allclose(centre, expected, atol=0.1)


@pytest.mark.parametrize('model', LENSES)
def test_every_pixel_is_sampled_where_its_ray_is_drawn(model):
    lens = lens_of(CAMERA, model, LENSES[model])
    rows, columns = np.indices(SIZE[::-1]).astype(np.float32) + 0.5
    found = np.stack([lens.bend(columns), lens.bend(rows)], -1)[::7, ::7].reshape(-1, 2)
    shown = np.stack([columns, rows], -1)[::7, ::7].reshape(-1, 2)
    expected = np.clip(lens.unbent(shown), 0.5, 255.5)
    assert np.abs(found - expected).max() < 0.04, 'OpenCV interpolates in steps of 1/32 pixel'


@pytest.mark.parametrize('model', LENSES)
def test_the_whole_image_is_covered_and_masks_keep_their_values(model):
    lens = lens_of(CAMERA, model, LENSES[model])
    marked = np.full(SIZE[::-1], 7, np.uint8)
    marked[:4], marked[-4:], marked[:, :4], marked[:, -4:] = 1, 1, 1, 1
    seen = lens.bend(marked, smooth=False)
    assert set(np.unique(seen)) <= {1, 7} and (seen == 7).mean() > 0.8
    edge = np.array([[0.5, 128], [255.5, 128], [128, 0.5], [128, 255.5], [0.5, 0.5]])
    drawn = lens.unbent(edge)
    assert np.all((drawn >= 0) & (drawn <= SIZE))
    assert np.ptp(drawn[:4], axis=0).max() > 0.8 * SIZE[0], 'most of the drawn image is used'


@settings(max_examples=25, deadline=None)
@given(
    k1=st.floats(-0.18, 0.25),
    k2=st.floats(-0.02, 0.05),
    p=st.tuples(st.floats(-0.005, 0.005), st.floats(-0.005, 0.005)),
    pixel=st.tuples(st.floats(0, 64), st.floats(0, 64)),
)
def test_bending_and_unbending_are_inverse(k1, k2, p, pixel):
    lens = lens_of(CAMERA.resized(64, 64), 'plumb_bob', (k1, k2, *p, 1e-4))
    drawn = lens.unbent([pixel])[0]
    ray = [*((drawn - lens.drawn.intrinsics[:2, 2]) / lens.drawn.intrinsics[0, 0]), 1.0]
    np.testing.assert_allclose(lens.pixels([ray])[0], pixel, atol=1e-3)
    assert lens.shows(np.array([pixel])) == all(0 <= v < 64 for v in pixel)


def test_points_far_outside_are_not_mapped_into_the_image():
    lens = lens_of(CAMERA, 'plumb_bob', LENSES['plumb_bob'])
    far = np.array([[x, 0.3 * x, 1.0] for x in (1.85, 1.9, 1.95, -1.9)] + [[0.1, 0.1, -1.0]])
    folded = projected('plumb_bob', far[:4])
    assert np.any(np.all((folded >= 0) & (folded < 256), 1)), 'the polynomial folds over'
    assert not lens.shows(lens.pixels(far))[:4].any()


def test_zero_coefficients_are_no_lens_and_too_wide_views_are_rejected():
    for model, d in (('plumb_bob', (0.0,) * 5), ('', ()), ('none', (0.0,))):
        assert lens_of(CAMERA, model, d) is None
    wide = Camera(K * [[0.3], [0.3], [1]] + [[0, 0, 90], [0, 0, 90], [0, 0, 0]], np.eye(4), *SIZE)
    with pytest.raises(ValueError, match=r'd: the lens .*camera_info of its rectified image'):
        lens_of(wide, 'equidistant', LENSES['equidistant'])
