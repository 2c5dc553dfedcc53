"""Hands as they come: smoothed with a lag of one frame, fitted, trusted as far as they fit."""

from dataclasses import replace

import numpy as np
import pytest
from gestures import gestures, keypoints_of, recording
from tracked_hands import bent_hand, rotations_of

from manivideo_ros.inputs.live import HandSolver
from manivideo_ros.inputs.tables import TrackedHand, openxr
from manivideo_ros.inputs.world import to_ros

SIDES = ('left', 'right')
STEP = 16_666_667


def follow(solver, hands, first=1):
    """Every pose that these hands (None where lost) give at 60 Hz."""
    out = []
    for n, hand in enumerate(hands):
        if hand is not None:
            out.append(solver.add((first + n) * STEP, hand))
    return [pose for pose in out if pose is not None]


def moving_hand(side, frames=40, noise=0.0):
    theta, turn, place = gestures(side, frames, seed=3)
    points = keypoints_of(side, theta, np.zeros((frames, 10)), turn, place)
    return points + np.random.default_rng(0).normal(0, noise, points.shape), theta, turn, place


@pytest.mark.parametrize('side', SIDES)
def test_follows_a_hand(side):
    points, theta, turn, place = moving_hand(side)
    poses = follow(HandSolver(side, smooth=False), [TrackedHand(side, p) for p in points])
    assert [pose.stamp_ns for pose in poses] == [n * STEP for n in range(1, 41)]
    assert np.mean([pose.error for pose in poses]) < 0.002
    for n, pose in enumerate(poses):
        assert pose.confidence == 1.0 and pose.side == side
        assert np.abs(pose.state.wrist_position - place[n]).max() < 0.008
        assert np.abs(pose.state.wrist_rotation - turn[n]).max() < 0.12
    found = np.stack([pose.state.theta for pose in poses])
    assert np.abs(found - theta).mean() < 0.07


def test_elbows_are_those_of_the_same_frame_and_smoothed():
    points, _, _, _ = moving_hand('right')
    jitter = np.random.default_rng(1).normal(0, 0.004, (40, 3))
    elbows = points[:, 0] + [0.05, -0.2, 0.1]
    hands = [TrackedHand('right', p, elbow=e) for p, e in zip(points, elbows + jitter, strict=True)]
    for smooth, most in ((False, 1.0), (True, 0.9)):
        poses = follow(HandSolver('right', smooth=smooth), hands)
        found = np.stack([pose.state.elbow for pose in poses])
        away = np.linalg.norm(found - elbows[: len(found)], axis=1)
        assert away.mean() < most * np.linalg.norm(jitter, axis=1).mean() + 1e-9
    untracked = replace(hands[0], elbow=np.full(3, np.nan))
    assert HandSolver('right').add(STEP, untracked).state.elbow is None
    far = replace(hands[0], elbow=points[0, 0] + [1.0, 0, 0])
    assert HandSolver('right').add(STEP, far).state.elbow is None


def test_smooth_poses_are_those_of_the_frame_before():
    points, _, _, place = moving_hand('right')
    poses = follow(HandSolver('right'), [TrackedHand('right', p) for p in points])
    assert [pose.stamp_ns for pose in poses] == [n * STEP for n in range(1, 40)]
    for n, pose in enumerate(poses):
        assert np.abs(pose.state.wrist_position - place[n]).max() < 0.008


def test_smoothing_removes_jitter_but_no_motion():
    """Against the frame's own instant: no lag is left besides the one frame of waiting."""
    t = np.arange(90) / 60
    base = bent_hand('left')
    way = np.stack([0.15 * np.sin(2 * np.pi * t), 0.1 * np.cos(2 * np.pi * t), 0 * t], 1)
    clean = base + way[:, None]
    noisy = clean + np.random.default_rng(1).normal(0, 0.003, clean.shape)
    raw, smooth = (
        follow(HandSolver('left', smooth=s), [TrackedHand('left', p) for p in noisy])
        for s in (False, True)
    )

    def jitter(poses):
        places = np.stack([pose.state.wrist_position for pose in poses[5:]])
        return np.abs(np.diff(places, 2, axis=0)).mean()

    assert jitter(smooth) < 0.6 * jitter(raw)
    places = np.stack([pose.state.wrist_position for pose in smooth])
    offset = places - way[: len(places)]
    assert np.std(offset[5:], axis=0).max() < 0.002
    # A lag of a whole frame would be up to 16 mm here: the best match is at none.
    lags = {k: np.linalg.norm(places[5:-5] - np.roll(way, k, 0)[5 : len(places) - 5] - offset[5:]
            .mean(0)) for k in range(-2, 3)}  # fmt: skip
    assert min(lags, key=lags.get) == 0


def test_uneven_stamps_are_what_is_smoothed_over():
    base = bent_hand('left')
    stamps = np.cumsum([16, 9, 30, 12, 20, 16, 8, 33, 16, 16]) * 1_000_000
    solver, poses = HandSolver('left', smooth=True), []
    for stamp in stamps:
        poses.append(
            solver.add(int(stamp), TrackedHand('left', base + np.array([stamp * 1e-9, 0, 0])))
        )
    poses = [pose for pose in poses if pose is not None]
    places = [pose.state.wrist_position[0] - pose.stamp_ns * 1e-9 for pose in poses]
    assert np.std(places) < 3e-4  # a hand that flies at 1 m/s


def test_a_pause_starts_anew_and_old_stamps_are_left_out():
    hand = TrackedHand('left', bent_hand('left'))
    solver = HandSolver('left')
    assert [pose.stamp_ns for pose in follow(solver, [hand] * 3)] == [STEP, 2 * STEP]
    assert solver.add(2 * STEP, hand) is None
    # What comes first does not wait, what follows waits for one more.
    away = replace(hand, points=hand.points + 0.5)
    later = 3 * STEP + 400_000_000
    assert solver.add(later, away).stamp_ns == later
    assert solver.add(later + STEP, away) is None
    assert solver.add(later + 2 * STEP, away).stamp_ns == later + STEP
    # A message out of order, and a simulator that was reset.
    late = HandSolver('left', smooth=False)
    assert late.add(5_000_000_000, hand).stamp_ns == 5_000_000_000
    assert late.add(4_999_000_000, hand) is None
    assert late.add(1_000_000_000, hand).stamp_ns == 1_000_000_000


def test_bone_lengths_are_fitted_and_then_stay():
    theta, turn, place = gestures('right', 70, seed=2)
    betas = np.r_[2.0, np.zeros(9)]
    points = keypoints_of('right', theta, np.tile(betas, (70, 1)), turn, place)
    poses = follow(HandSolver('right', smooth=False), [TrackedHand('right', p) for p in points])
    assert poses[0].state.betas[0] == pytest.approx(2.0, abs=0.5)
    assert poses[-1].state.betas[0] == pytest.approx(2.0, abs=0.4)
    np.testing.assert_array_equal(poses[60].state.betas, poses[-1].state.betas)


def test_trust_falls_with_what_does_not_fit():
    good = TrackedHand('left', bent_hand('left'), None, 0.5)
    solver = HandSolver('left', smooth=False)
    assert solver.add(1, good).confidence == 0.5
    order = np.random.default_rng(0).permutation(21)
    order[[0, 9, 10, 11, 12]] = 0, 9, 10, 11, 12  # the length stays
    mixed = TrackedHand('left', good.points[order])
    assert HandSolver('left', smooth=False).add(1, mixed).confidence < 0.3


def test_what_is_wrong_is_named():
    points = bent_hand('left')
    with pytest.raises(ValueError, match=r'set `unit` to 0\.001'):
        HandSolver('left').add(1, TrackedHand('left', 1000 * points))
    assert HandSolver('left', 'y_up', 0.001, smooth=False).add(
        1, TrackedHand('left', 1000 * points)
    )
    points[3, 1] = np.nan
    with pytest.raises(ValueError, match='left hand: points are not finite'):
        HandSolver('left').add(1, TrackedHand('left', points))
    swapped = TrackedHand('right', bent_hand('left'), rotations_of(bent_hand('left')))
    with pytest.raises(ValueError, match='the sides are swapped'):
        follow(HandSolver('right'), [swapped] * 12)


@pytest.mark.parametrize('side', SIDES)
def test_a_real_recording_of_a_headset_live(side):
    joints = recording('quest_bimanual_webxr.npz')[side]
    joints = joints[np.isfinite(joints).all((1, 2))][:200].astype(np.float64)
    hands = [openxr(side, j[:, :3]) for j in joints]
    poses = follow(HandSolver(side, 'y_up'), hands)
    assert len(poses) == len(joints) - 1
    assert np.mean([pose.error for pose in poses]) < 0.008
    assert min(pose.confidence for pose in poses) == 1.0
    first = to_ros(hands[0], 'y_up').points[0]
    assert np.linalg.norm(poses[0].state.wrist_position - first) < 0.03
