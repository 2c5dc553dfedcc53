"""Hands are fitted to their outlines in images."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manivideo_ros.estimation.outline_fit import HandView, fitted_shape, refined
from manivideo_ros.estimation.refined_poses import refine_poses
from manivideo_ros.estimation.silhouette import PosedHand, drawn_over, pose_vector
from manivideo_ros.geometry import pinhole
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState

HAND = load_hand('right')
SIZE = 480, 640
CAMERA = PosedHand(HAND, pinhole(640, 480, 0.8))
FINE = PosedHand(HAND, pinhole(1280, 960, 0.8))
SKIN, ROOM = np.array([205, 150, 120]), np.array([90, 100, 160])
# The palm of a raised hand before the camera, fingers up.
TURN = Rotation.from_matrix([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def state(bend=0.0, betas=0.0, aside=0.0, turn=(0.0, 0.0, 0.0)):
    theta = np.zeros(45, np.float32)
    theta[2::9] = bend  # the first joint of each finger
    return HandState(
        theta,
        np.full(10, betas, np.float32),
        (Rotation.from_rotvec(turn) * TURN).as_matrix(),
        np.array([aside, 0.09, 0.45]),
    )


def image_of(shown):
    mask = drawn_over((2 * SIZE[0], 2 * SIZE[1]), [(FINE, shown)]).astype(np.float32)
    cover = cv2.resize(mask, SIZE[::-1], interpolation=cv2.INTER_AREA)[..., None]
    image = cover * SKIN + (1 - cover) * ROOM + np.random.default_rng(1).normal(0, 4, (*SIZE, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def apart(first, second):
    """The mean distance of keypoints, pixels."""
    places = [CAMERA.project(pose_vector(s)[None], s.betas[None])[1][0] for s in (first, second)]
    return np.linalg.norm(places[0] - places[1], axis=1).mean()


@pytest.mark.parametrize(
    'wrong', [state(aside=0.012), state(turn=(0, 0, 0.08)), state(bend=0.25, aside=-0.006)]
)
def test_a_pose_that_is_pixels_off_is_moved_to_the_outline(wrong):
    true = state()
    found = refined(HandView(CAMERA, image_of(true), wrong), np.zeros(10))
    assert found.overlap > 0.93 > found.before
    assert apart(found.state, true) < 0.4 * apart(wrong, true)


def test_an_exact_pose_stays(tmp_path):
    true = state()
    found = refined(HandView(CAMERA, image_of(true), true), np.zeros(10))
    assert found is None or apart(found.state, true) < 1.0


def test_the_shape_is_found_in_several_images():
    larger = [
        state(betas=1.0, turn=(0, 0, turn), aside=aside) for turn, aside in ((0, 0), (0.3, 0.02))
    ]
    views = [
        HandView(CAMERA, image_of(true), replace(true, betas=0 * true.betas)) for true in larger
    ]
    before = views[0].segment(np.zeros(10), 14) and views[0].overlap(np.zeros(10))
    betas, used = fitted_shape(views, np.zeros(10))
    assert len(used) == 2 and used[0].overlap(betas) > max(before, 0.93)


def test_a_hand_of_the_colour_of_its_background_is_left_as_it_was():
    plain = np.full((*SIZE, 3), 120, np.uint8)
    assert refined(HandView(CAMERA, plain, state()), np.zeros(10)) is None


def test_a_finger_that_something_hides_is_not_pulled_to_what_hides_it():
    true = state()
    hidden = np.zeros(SIZE, np.uint8)
    hidden[:220] = 1  # all fingertips
    image = image_of(true)
    image[:220] = 30
    found = refined(HandView(CAMERA, image, state(aside=0.006), hidden), np.zeros(10))
    assert found is None or apart(found.state, true) < apart(state(aside=0.006), true)


def test_hands_that_fit_their_outlines_are_left_as_they_are():
    true = state()
    made = refine_poses(
        lambda _: iter([(0, image_of(true))]), {0: {'right': true}}, {'right': HAND},
        CAMERA.intrinsics, lambda *_: None,
    )  # fmt: skip
    assert made.hands[0]['right'] is true and not made.betas
    assert 'hands fit them as they are (overlap: right 0.9' in made.lines()[0]


def test_frames_without_an_outline_keep_their_pose_and_are_counted():
    true, wrong = state(), state(aside=0.01)
    images = [image_of(true), np.full((*SIZE, 3), 120, np.uint8), image_of(true)]
    poses = {index: {'right': wrong} for index in range(3)}
    made = refine_poses(
        lambda wanted: iter((i, images[i]) for i in sorted(wanted)),
        poses,
        {'right': HAND},
        CAMERA.intrinsics,
        lambda *_: None,
    )
    assert made.kept == 1 and len(made.overlap) == 2 and [*made.hands] == [0, 1, 2]
    assert made.hands[1]['right'] is wrong
    assert apart(made.hands[2]['right'], true) < apart(wrong, true)
    assert '2 hands fitted, 1 left as they were' in made.lines()[0]
