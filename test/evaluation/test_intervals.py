"""Confidence intervals over clips, and pose noise."""

import numpy as np
import pytest
from evaluation_samples import short_motion
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.evaluation.measures.intervals import (
    bootstrap,
    clip_means,
    paired_difference,
    sign_flip_p,
)
from manivideo_ros.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from manivideo_ros.motion.pose_noise import CORRELATION_S, noisy, wandering

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)


@given(values, st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_an_interval_contains_its_mean_and_lies_within_the_values(clips, seed):
    interval = bootstrap(clips, seed=seed)
    slack = 1e-6 * (1 + max(map(abs, clips)))
    assert interval.mean == pytest.approx(np.mean(clips), abs=slack)
    assert min(clips) - slack <= interval.low <= interval.high <= max(clips) + slack
    assert interval == bootstrap(clips, seed=seed)


@given(values, st.floats(-100, 100))
@settings(max_examples=25, deadline=None)
def test_a_difference_is_that_of_the_pairs(clips, shift):
    moved = [value + shift for value in clips]
    difference = paired_difference(moved, clips)
    # The difference is the same in every clip, so its interval has no width.
    assert difference[:3] == pytest.approx([shift] * 3, abs=1e-6)
    back = paired_difference(clips, moved)
    assert back.mean == pytest.approx(-difference.mean, abs=1e-6)


def test_nine_in_ten_intervals_contain_the_true_mean():
    rng = np.random.default_rng(0)
    held = [b.low <= 0 <= b.high for b in (bootstrap(rng.standard_normal(25)) for _ in range(100))]
    assert 0.88 <= np.mean(held) <= 0.99


def test_more_clips_narrow_the_interval():
    few, many = (bootstrap([-1.0, 1.0] * pairs) for pairs in (3, 75))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_one_clip_has_no_interval():
    alone = bootstrap(clip_means([[1.0, 2.0, 3.0]]))
    assert alone.mean == 2.0 and np.isnan(alone.low) and np.isnan(alone.high)
    assert clip_means([[1.0, np.nan], [np.nan], []])[0] == 1.0
    assert bootstrap([1.0, np.nan, 3.0]).mean == 2.0


def test_p_value_separates_chance_from_difference():
    assert sign_flip_p(np.full(5, 0.1)) == pytest.approx(2 / 2**5)
    assert sign_flip_p(np.array([1.0, -1.0, 1.0, -1.0])) == 1.0
    rng = np.random.default_rng(0)
    assert sign_flip_p(rng.standard_normal(40) + 1.5) < 0.01
    assert sign_flip_p(np.array([0.3, -0.2, 0.1, -0.25, 0.05] * 8)) > 0.5


def test_unpaired_clips_are_rejected():
    with pytest.raises(ValueError, match='equal lengths'):
        paired_difference([1.0, 2.0], [1.0])


@pytest.fixture(scope='module')
def motion():
    return short_motion(600)


@pytest.fixture(scope='module')
def noised(motion):
    return noisy(motion, seed=1)


def turns(first, second):
    """Angles in degrees between rotations [..., 3, 3]."""
    between = np.swapaxes(first, -1, -2).astype(np.float64) @ second
    return np.degrees(np.linalg.norm(matrix_to_axis_angle(between), axis=-1))


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def test_wrists_objects_and_joints_are_off_by_3_mm_and_3_degrees(motion, noised):
    for side, track in motion.hands.items():
        other = noised.hands[side]
        shift = np.linalg.norm(other.wrist_position - track.wrist_position, axis=1)
        assert rms(shift) == pytest.approx(0.003, rel=0.15)
        assert rms(turns(track.wrist_rotation, other.wrist_rotation)) == pytest.approx(3, rel=0.15)
        joints = [axis_angle_to_matrix(t.theta.reshape(-1, 15, 3)) for t in (track, other)]
        assert rms(turns(*joints)) == pytest.approx(3, rel=0.1)
    poses, others = motion.objects['thing'].poses, noised.objects['thing'].poses
    assert rms(np.linalg.norm((others - poses)[:, :3, 3], axis=1)) == pytest.approx(0.003, rel=0.15)
    assert rms(turns(poses[:, :3, :3], others[:, :3, :3])) == pytest.approx(3, rel=0.15)
    assert np.allclose(
        others[:, :3, :3] @ np.swapaxes(others[:, :3, :3], 1, 2), np.eye(3), atol=1e-5
    )


def test_noise_is_temporally_correlated(motion, noised):
    error = noised.hands['left'].wrist_position - motion.hands['left'].wrist_position
    expected = np.exp(-1 / 30 / CORRELATION_S)
    assert (error[1:] * error[:-1]).mean() / (error**2).mean() == pytest.approx(expected, abs=0.1)


def test_noise_depends_on_seed_and_track(motion, noised):
    again, other = noisy(motion, seed=1), noisy(motion, seed=2)
    positions = [m.hands['left'].wrist_position for m in (noised, again, other)]
    assert np.array_equal(*positions[:2]) and not np.allclose(positions[0], positions[2])
    errors = [noised.hands[s].wrist_position - motion.hands[s].wrist_position for s in noised.hands]
    assert not np.allclose(*errors)


def test_zero_noise_leaves_poses_unchanged(motion):
    still = noisy(motion, seed=1, metres=0.0, degrees=0.0)
    assert np.allclose(still.hands['left'].theta, motion.hands['left'].theta, atol=1e-6)
    assert np.array_equal(still.objects['thing'].poses, motion.objects['thing'].poses)
    assert still.stamps_ns is motion.stamps_ns and still.camera is motion.camera


def test_noise_at_distant_instants_is_uncorrelated():
    rng = np.random.default_rng(0)
    far = wandering(rng, np.arange(2000, dtype=np.int64) * 10**9, 1)[:, 0]
    assert abs((far[1:] * far[:-1]).mean()) < 0.1
    assert far.std() == pytest.approx(1, abs=0.05)
