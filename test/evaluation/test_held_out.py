"""The held-out scene of a motion and its ground truth."""

import numpy as np
import pytest
from evaluation_samples import moved, short_motion

from manivideo_ros.camera.background import load_background
from manivideo_ros.evaluation.suites.held_out import (
    SIZE,
    HeldOutError,
    HeldOutGroundTruth,
    HeldOutScene,
    table_under,
    write_references,
)
from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.hand.reference import HandReference, load_hand_reference

SEED = 3


@pytest.fixture(scope='module')
def motion():
    return short_motion()


@pytest.fixture(scope='module')
def truth(motion):
    return HeldOutGroundTruth(HeldOutScene.of(motion, SEED))


def difference(first, second) -> float:
    return float(np.abs(first.astype(float) - second).mean())


def test_background_shows_the_scene_without_hands_and_object(motion, truth):
    sample = motion.frame(0)
    empty = truth.image({}, {}, 0)
    full = truth.image(sample.hands, sample.objects, 0)
    assert truth.background.shape == full.shape == (SIZE, SIZE, 3)
    assert difference(truth.background, empty) < 2.0  # sensor noise
    assert difference(truth.background, full) > 10.0


def test_references_can_be_read_by_the_node(motion, truth, tmp_path):
    text = write_references(tmp_path, motion, SEED)
    assert (tmp_path / 'held_out.json').read_text() == text
    reference = load_hand_reference(tmp_path / 'hand_reference.png')
    own = truth.hand_reference()
    assert isinstance(own, HandReference)
    assert np.array_equal(reference.image, own.image)
    assert np.array_equal(reference.parts, own.parts)
    assert {1, 3} <= set(np.unique(own.parts))
    assert np.array_equal(load_background(tmp_path / 'background.png'), truth.background)


def test_scene_round_trips_through_json_and_renders_the_same_image(motion, truth):
    again = HeldOutGroundTruth(HeldOutScene.from_json(truth.scene.to_json()))
    sample = motion.frame(2)
    images = [t.image(sample.hands, sample.objects, 2) for t in (truth, again)]
    assert np.array_equal(*images)
    assert np.array_equal(truth.background, again.background)


def test_another_seed_is_another_room(motion, truth):
    other = HeldOutGroundTruth(HeldOutScene.of(motion, SEED + 1))
    assert difference(truth.background, other.background) > 5.0


def test_the_upper_bound_has_the_light_but_no_shadows(motion, truth):
    sample = motion.frame(0)
    lit = truth.under_true_light(sample.hands, sample.objects)
    image = truth.image(sample.hands, sample.objects, 0)
    assert difference(lit, image) < difference(truth.background, image)
    assert difference(lit, image) > 0.5


@pytest.mark.parametrize(
    'by',
    [
        rigid(np.eye(3), [3.0, -2.0, 1.1]),
        rigid(axis_angle_to_matrix([-np.pi / 2, 0, 0]), [0.5, 1.0, -0.3]),  # y is up
    ],
)
def test_the_table_follows_a_motion_away_from_the_origin(motion, by):
    assert np.array_equal(table_under(motion, motion.camera), np.eye(4))
    far = moved(motion, by)
    table = table_under(far, far.camera)
    heights = [(table @ pose)[2, 3] for track in far.objects.values() for pose in track.poses]
    assert min(heights) > -0.05
    assert np.linalg.norm((table @ far.objects['thing'].poses[0])[:2, 3]) < 0.5
    eye = table @ np.linalg.inv(far.camera.camera_from_world)
    assert eye[2, 3] > 0.05


@pytest.mark.parametrize('text', ['', '[]', '{"seed": 1}', 'null'])
def test_invalid_json_is_rejected_with_one_line(text):
    with pytest.raises(HeldOutError, match='held-out scene') as error:
        HeldOutScene.from_json(text)
    assert '\n' not in str(error.value)
