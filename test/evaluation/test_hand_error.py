"""Hand error, relative to the anchors from a ground-truth image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.estimation.crops import crop_of_keypoints
from manivideo_ros.estimation.hands import HandEstimate
from manivideo_ros.evaluation.measures.hand_error import ClipHandError, aligned_error, hand_size


def hand(curl):
    """Keypoints [21, 2] of a hand; curl of the fingers from 0 (straight) to 1."""
    points = np.zeros((21, 2))
    for finger in range(5):
        place, heading = np.array([12.0 * (finger - 2), -40.0]), np.radians(8.0 * (finger - 2))
        for joint in range(4):
            points[1 + 4 * finger + joint] = place
            heading += 1.2 * curl
            place = place + 18 * np.array([np.sin(heading), -np.cos(heading)])
    return points + np.array([128, 180])


OPEN, CURLED = hand(0.0), hand(1.0)


class StubEstimator:
    """Estimator stub: the first pixel of an image encodes the hand that it shows."""

    shows = (OPEN, CURLED, None)

    def on_crop(self, image, crop):
        seen = self.shows[image[0, 0, 0]]
        noise = np.random.default_rng(int(image[0, 0, 1])).normal(0, 1.0, (21, 2))
        if seen is None:
            return HandEstimate(noise, 0.1)
        self.crop = crop
        return HandEstimate(seen + noise, 0.9)


def image(shown, noise):
    return np.full((4, 4, 3), (shown, noise, 0), np.uint8)


@pytest.fixture(scope='module')
def result():
    clip = ClipHandError(StubEstimator())
    for frame in range(12):
        images = {
            'truth': image(0, frame),
            'as good': image(0, 100 + frame),
            'wrong pose': image(1, frame),
            'half': image(frame % 2, 50 + frame),
            'no hand': image(2, frame),
        }
        clip.add(images, images['truth'], OPEN, CURLED)
    return clip.result()


def test_ground_truth_has_share_0_and_a_wrong_pose_about_1(result):
    assert result['truth'].share == 0
    assert result['as good'].share < 0.05
    assert result['wrong pose'].share > 0.8
    assert 0.4 < result['half'].share < 0.6


def test_a_miss_counts_as_another_pose(result):
    assert result['no hand'].misses == result['no hand'].hands == 12
    assert result['no hand'].share == 1 and np.isnan(result['no hand'].pixels)
    assert result['truth'].misses == 0


def test_errors_are_in_pixels_and_relative_to_the_hand(result):
    figures = result['truth']
    assert figures.pixels == pytest.approx(1.2, abs=0.2)  # noise of 1 pixel along each axis
    assert figures.of_hand == pytest.approx(figures.pixels / hand_size(OPEN))


def test_hands_missed_in_ground_truth_are_skipped():
    clip = ClipHandError(StubEstimator())
    clip.add({'any': image(0, 0)}, image(2, 0), OPEN, CURLED)
    assert clip.unmeasured == 1 and clip.result() == {}
    clip.add({'any': image(0, 0)}, image(0, 0), OPEN, CURLED)
    assert clip.result()['any'].hands == 1


def test_the_crop_is_that_of_the_known_pose():
    estimator = StubEstimator()
    clip = ClipHandError(estimator)
    clip.add({'any': image(1, 0)}, image(0, 0), OPEN, CURLED)
    assert estimator.crop.side == crop_of_keypoints(OPEN).side


def test_equal_anchors_give_no_share():
    clip = ClipHandError(StubEstimator())
    clip.add({'any': image(1, 0)}, image(0, 0), OPEN, OPEN)
    assert np.isnan(clip.result()['any'].share)


@given(st.floats(-np.pi, np.pi), st.floats(0.2, 5.0), st.floats(-300, 300))
@settings(max_examples=25, deadline=None)
def test_the_error_is_invariant_to_similarity_but_not_to_reflection(angle, scale, shift):
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert aligned_error(CURLED @ axes * scale + shift, CURLED) == pytest.approx(0, abs=1e-6)
    assert aligned_error((CURLED * (-1, 1)) @ axes * scale + shift, CURLED) > 3


def test_the_estimator_distinguishes_an_open_from_a_bent_hand():
    """End to end on painted images: another pose has a high share."""
    pytest.importorskip('ai_edge_litert')
    from manivideo_ros.drawing.base_image import Painter, hand_material
    from manivideo_ros.estimation.hands import HandEstimator
    from manivideo_ros.evaluation.measures.baselines import to_bytes
    from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
    from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole
    from manivideo_ros.hand.load import load_hand
    from manivideo_ros.hand.reference import HandReference
    from manivideo_ros.hand.state import HandState
    from manivideo_ros.mlo.rasterizer import Rasterizer
    from manivideo_ros.mlo.surfaces import hand_surface

    model, size = load_hand('right'), 256
    skin = HandReference(
        np.full((128, 128, 3), (224, 172, 140), np.uint8), np.ones((128, 128), np.uint8)
    )
    rasterizer = Rasterizer([hand_surface(model)], 2 * size, 2 * size, threads=1, merge=True)
    table = np.full((size, size, 3), (60, 80, 90), np.uint8)
    painter = Painter(rasterizer, [hand_material(model, skin)], table)
    view = look_at([-0.09, -0.02, 0.5], [-0.09, 0, 0])
    camera = Camera(pinhole(size, size, 0.7), view, size, size)
    palm_up = axis_angle_to_matrix([-np.pi / 2, 0, 0])
    opened = HandState(np.full(45, 0.04), np.zeros(10), palm_up, np.zeros(3))
    bent = np.zeros((15, 3))
    bent[3:12, 2] = 1.1  # all fingers except index and thumb
    pointing = replace(opened, theta=bent.ravel())
    images = {
        name: to_bytes(painter.paint(camera, [state])[0])
        for name, state in (('own', opened), ('wrong', pointing))
    }
    clip = ClipHandError(HandEstimator())
    keypoints = [projected_keypoints(model, state, camera) for state in (opened, pointing)]
    clip.add(images, images['own'], *keypoints)
    result = clip.result()
    assert result['own'].share == 0 and result['own'].of_hand < 0.06
    assert result['wrong'].share > 0.5
