"""The hand estimator: palm detection and landmarks of MediaPipe's models."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.estimation.crops import crop_of_keypoints, crop_of_palm
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.estimation.palms import anchors, decode
from manivideo_ros.estimation.runtime import EstimatorError, TfliteModel
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole

SIZE = 256


def flat_hand():
    """Keypoints [21, 2] of an open hand that points up, wrist at the bottom."""
    points = np.zeros((21, 2))
    for finger in range(5):
        spread = (finger - 2) * np.array([14.0, 0.0])
        for joint in range(4):
            points[1 + 4 * finger + joint] = spread * (1 + 0.2 * joint) + (0, -50 - 18 * joint)
    return points + np.array([128, 200])


def turned(points, angle):
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points @ axes


@pytest.fixture(scope='module')
def estimator():
    pytest.importorskip('ai_edge_litert')
    return HandEstimator()


@pytest.fixture(scope='module')
def painted_hand():
    """An image of an open right hand seen from above, and its keypoints [21, 2]."""
    import torch

    from manivideo_ros.drawing.base_image import Painter, hand_material
    from manivideo_ros.evaluation.measures.baselines import to_bytes
    from manivideo_ros.hand.lbs import keypoints21, lbs
    from manivideo_ros.hand.load import load_hand
    from manivideo_ros.hand.reference import HandReference
    from manivideo_ros.hand.state import HandState
    from manivideo_ros.mlo.rasterizer import Rasterizer
    from manivideo_ros.mlo.surfaces import hand_surface

    hand = load_hand('right')
    skin = np.full((128, 128, 3), (224, 172, 140), np.uint8)
    background = np.full((SIZE, SIZE, 3), (60, 80, 90), np.uint8)
    rasterizer = Rasterizer([hand_surface(hand)], 2 * SIZE, 2 * SIZE, threads=1, merge=True)
    looks = [hand_material(hand, HandReference(skin, np.ones((128, 128), np.uint8)))]
    state = HandState(
        np.full(45, 0.04), np.zeros(10), axis_angle_to_matrix([np.pi / 2, 0, 0]), np.zeros(3)
    )
    view = look_at([-0.09, -0.02, 0.5], [-0.09, 0, 0])
    camera = Camera(pinhole(SIZE, SIZE, 0.7), view, SIZE, SIZE)
    painter = Painter(rasterizer, looks, background)
    image = to_bytes(painter.paint(camera, [state])[0])
    arrays = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
    vertices, joints = lbs(hand, *(torch.as_tensor(a, dtype=torch.float32)[None] for a in arrays))
    return image, camera.project(keypoints21(hand, vertices, joints)[0].numpy())[0]


def test_landmarks_on_the_known_crop_lie_on_the_hand(estimator, painted_hand):
    image, keypoints = painted_hand
    estimate = estimator.on_crop(image, crop_of_keypoints(keypoints))
    assert estimate.found
    size = np.linalg.norm(np.ptp(keypoints, axis=0))
    assert np.linalg.norm(estimate.keypoints - keypoints, axis=1).mean() < 0.07 * size


def test_an_empty_table_shows_no_hand(estimator):
    empty = np.full((SIZE, SIZE, 3), (60, 80, 90), np.uint8)
    assert not estimator.on_crop(empty, crop_of_keypoints(flat_hand())).found
    assert estimator.detect(empty) == []


def test_a_hand_is_found_by_palm_detection(estimator, painted_hand):
    image, keypoints = painted_hand
    found = estimator.detect(image)
    assert len(found) == 1
    size = np.linalg.norm(np.ptp(keypoints, axis=0))
    assert np.linalg.norm(found[0].keypoints - keypoints, axis=1).mean() < 0.1 * size


def test_a_missing_interpreter_is_one_line_with_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(EstimatorError, match='pip install ai-edge-litert') as error:
        TfliteModel('hand_landmark_full')
    assert '\n' not in str(error.value)


def test_the_number_of_anchors_is_that_of_the_models_outputs():
    centres = anchors(192)
    assert centres.shape == (2016, 2)
    assert centres[0] == pytest.approx([0.5 / 24, 0.5 / 24])
    assert centres[-1] == pytest.approx([11.5 / 12, 11.5 / 12])
    assert np.unique(centres, axis=0).shape == (24 * 24 + 12 * 12, 2)


def test_a_palm_of_several_anchors_is_returned_once():
    size, raw, logits = 192, np.zeros((2016, 18)), np.full((2016, 1), -9.0)
    place = np.array([70.0, 90.0])
    for index in (0, 3, 1500):  # three anchors that agree, the second least sure
        logits[index] = {0: 4.0, 3: 0.5, 1500: 3.0}[index]
        raw[index, 2:4] = 40
        raw[index, [0, 1]] = place - size * anchors(size)[index]
    other = 900
    logits[other] = 1.0
    raw[other, 2:4] = 30
    palms = decode(raw, logits, size)
    assert len(palms) == 2
    assert palms[0].box == pytest.approx([70, 90, 40, 40])
    assert palms[0].score > palms[1].score > 0.5


@given(st.floats(-np.pi, np.pi), st.floats(0.3, 3.0), st.floats(-200, 200))
@settings(max_examples=30, deadline=None)
def test_the_crop_follows_the_hands_rotation_scale_and_position(angle, scale, shift):
    upright = crop_of_keypoints(flat_hand())
    crop = crop_of_keypoints(turned(flat_hand() * scale, angle) + shift)
    assert crop.side == pytest.approx(scale * upright.side)
    assert crop.centre == pytest.approx(turned(upright.centre * scale, angle) + shift)
    assert np.cos(crop.turn - upright.turn - angle) == pytest.approx(1)


def test_the_fingers_point_up_in_the_crop():
    palm = crop_of_palm([100, 100, 40, 40], wrist=[80, 100], middle_knuckle=[120, 100])
    to_image = palm.image_from_crop(224)
    up = to_image[:, :2] @ (0, -1)
    assert up == pytest.approx([104 / 224, 0], abs=1e-9)
    assert palm.centre == pytest.approx([120, 100])  # half a palm towards the fingers


def test_the_crop_agrees_with_its_coordinates():
    image = np.zeros((64, 64, 3), np.uint8)
    image[40, 20] = 255
    points = turned(flat_hand() * 0.15, 0.7)
    crop = crop_of_keypoints(points - points.mean(0) + (22, 38))
    cut = crop.cut(image, 224)[..., 0].astype(float)
    rows, columns = np.mgrid[:224, :224] + 0.5
    seen = np.array([(columns * cut).sum(), (rows * cut).sum()]) / cut.sum()
    affine = crop.image_from_crop(224)
    assert affine[:, :2] @ seen + affine[:, 2] == pytest.approx([20.5, 40.5], abs=0.05)
