"""Scenes as a lab records them: wrong labels, bare arms, drifting and blurred images."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.data import generator
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.scenes.camera_response import Capture, random_capture
from manivideo_ros.data.scenes.placement import between
from manivideo_ros.data.scenes.recording import MOST_DEGREES, MOST_METRES, as_recorded, labelled
from manivideo_ros.data.scenes.scene import sample_scene
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.geometry import matrix_to_axis_angle

SEED = 5  # of a scene with a hand, an object and consecutive frames


@pytest.fixture(scope='module')
def scene():
    return sample_scene(SEED, consecutive_share=1.0)


def ideal(frames, **changes):
    return replace(
        Capture(np.ones((frames, 3), 'f4'), np.ones(3, 'f4'), 0.0, 0.0, 95, 0), **changes
    )


@given(st.floats(0.05, 0.7), st.floats(0, 0.5))
def test_every_row_is_exposed_once_and_later_rows_later(open_, readout):
    times, weights = ideal(1, open=open_, readout=readout).instants(64)
    np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-5)
    middle = times @ weights
    np.testing.assert_allclose(middle[0], open_ / 2, atol=0.06)
    np.testing.assert_allclose(middle[-1] - middle[0], readout, atol=0.06)


def test_sharp_frames_are_one_instant():
    times, weights = ideal(1).instants(8)
    assert times.tolist() == [0] and (weights == 1).all()


def test_the_reference_mask_misses_by_the_pixels_it_says():
    parts = np.zeros((40, 40), np.uint8)
    parts[10:30, 10:30], parts[14:18, 14:18] = 1, 2
    assert (ideal(1).masked(parts) == parts).all()
    larger, smaller = (ideal(1, grown=n).masked(parts) for n in (2, -2))
    assert (
        larger[20, 8] == 1 and larger[20, 7] == 0 and (larger[parts > 0] == parts[parts > 0]).all()
    )
    assert smaller[20, 11] == 0 and smaller[20, 12] == 1 and smaller[15, 15] == 2


def test_compression_changes_little_and_less_with_quality(scene):
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8), (0, 0), 3
    )
    errors = [
        np.abs(ideal(1, quality=q).developed(image).astype(int) - image).mean() for q in (55, 97)
    ]
    assert 0 < errors[1] < errors[0] < 6


def test_a_video_has_blocks_that_come_and_go_and_less_with_quality():
    """A square moves over a soft noise; what stays in place is sent once."""
    room = np.random.default_rng(0).integers(0, 255, (66, 50, 3)).astype(np.uint8)
    frames = np.stack([cv2.GaussianBlur(room, (0, 0), 3)] * 4)
    for n, frame in enumerate(frames):
        frame[20:40, 5 + 3 * n : 20 + 3 * n] = (220, 120, 90)
    sharp, coarse = (ideal(4, video=crf).filmed(frames).astype(int) for crf in (18, 35))
    assert sharp.shape == frames.shape
    assert 0 < np.abs(sharp - frames).mean() < np.abs(coarse - frames).mean() < 12
    files = ideal(4, quality=60).filmed(frames)
    np.testing.assert_array_equal(files[2], ideal(1, quality=60).developed(frames[2]))


def test_half_of_the_consecutive_scenes_are_videos_and_no_other():
    taken = [random_capture(np.random.default_rng(n), 4, True).video for n in range(60)]
    assert 15 < sum(crf > 0 for crf in taken) < 45 and len(set(taken)) > 8
    assert not any(random_capture(np.random.default_rng(n), 4, False).video for n in range(20))


def test_halfway_between_two_actions(scene):
    first, second = scene.frames[:2]
    middle = between(first, second, 0.5)
    side = next(iter(first.hands))
    expected = (first.hands[side].wrist_position + second.hands[side].wrist_position) / 2
    np.testing.assert_allclose(middle.hands[side].wrist_position, expected, atol=1e-6)
    assert between(first, second, 0.0).hands[side].theta is first.hands[side].theta


def test_a_hand_that_is_gone_in_the_next_frame_stays_in_this_one(scene):
    first, second = scene.frames[:2]
    gone = replace(second, hands={})
    assert between(first, gone, 0.0).hands.keys() == first.hands.keys()
    assert between(first, gone, 0.5).hands.keys() == first.hands.keys()


@pytest.mark.parametrize('seed', range(8))
def test_labels_are_wrong_by_at_most_what_trackers_are(scene, seed):
    labels = labelled(np.random.default_rng(seed), scene.frames, True)
    for true, label in zip(scene.frames, labels, strict=True):
        for side, state in true.hands.items():
            other = label.hands[side]
            assert np.linalg.norm(other.wrist_position - state.wrist_position) <= MOST_METRES + 1e-5
            turn = matrix_to_axis_angle(other.wrist_rotation @ state.wrist_rotation.T)
            assert np.degrees(np.linalg.norm(turn)) <= MOST_DEGREES + 0.01


def test_some_labels_are_exact_and_drifting_ones_drift(scene):
    made = [labelled(np.random.default_rng(seed), scene.frames, True) for seed in range(30)]
    side = next(iter(scene.frames[0].hands))
    exact = [labels[0] is scene.frames[0] for labels in made]
    assert 4 < sum(exact) < 20
    moved = [
        [
            a.hands[side].wrist_position - b.hands[side].wrist_position
            for a, b in zip(labels, scene.frames, strict=True)
        ]
        for labels, same in zip(made, exact, strict=True)
        if not same
    ]
    steps = [
        np.linalg.norm(np.diff(m, axis=0), axis=1).mean() / np.linalg.norm(m, axis=1).mean()
        for m in moved
    ]
    assert min(steps) < 0.6 < max(steps), 'some drift, others tremble'


def test_a_blurred_frame_lies_between_its_instants(scene):
    renderer = GroundTruthRenderer(64)
    blurred = replace(scene, capture=ideal(len(scene.frames), open=0.7))
    renderer.start(blurred)
    sharp = [renderer.image(scene.poses(i), 0).astype(float) for i in (0, 1)]
    drawn = renderer.frame(0).astype(float)
    moving = np.abs(sharp[1] - sharp[0]).max(-1) > 30
    assert moving.sum() > 5
    low, high = np.minimum(*sharp)[moving] - 25, np.maximum(*sharp)[moving] + 25
    assert ((drawn[moving] > low) & (drawn[moving] < high)).mean() > 0.9


def test_exposure_drifts_within_a_clip_and_its_images_show_it(scene):
    gain = np.array([[1, 1, 1], [0.7, 0.7, 0.7], [1, 1, 1], [1, 1, 1]], np.float32)
    renderer = GroundTruthRenderer(64)
    renderer.start(replace(scene, capture=ideal(len(scene.frames), gain=gain)))
    assert renderer.frame(1).mean() < 0.92 * renderer.frame(0).mean()


def test_stored_poses_are_the_labels_and_arms_are_bare(tmp_path):
    recipe = generator.Recipe(size=(64, 64), recorded=True)
    generator.make_shards(tmp_path, 6, 0, 'train', 1, recipe)
    data = ShardDataset(tmp_path)
    scenes = [recipe.sample(seed, 'train') for seed in range(6)]
    assert {scene.bare for scene in scenes} == {True, False}
    for index, scene in enumerate(scenes):
        stored = data.poses(index, 0)
        for side, state in scene.labels[0].hands.items():
            found = stored[0 if side == 'left' else 1]
            np.testing.assert_allclose(found.wrist_position, state.wrist_position, atol=1e-6)
        own = [len(s.vertices) for s in data.surfaces(index)[:2]]
        assert own[0] == own[1]
    widths = {
        scene.bare: np.ptp(data.surfaces(i)[0].vertices[:, 1]) for i, scene in enumerate(scenes)
    }
    assert widths[True] < widths[False], 'a sleeve is thicker than an arm'


def test_a_scene_is_recorded_in_the_same_way_again(scene):
    one, two = (as_recorded(np.random.default_rng(3), scene) for _ in range(2))
    np.testing.assert_array_equal(one.capture.gain, two.capture.gain)
    assert one.bare == two.bare
    sharp = random_capture(np.random.default_rng(0), 4, consecutive=False)
    assert sharp.open == sharp.readout == 0, 'unrelated frames have no motion'
