"""The held-out suite: fixed, seeded, from the test split."""

import numpy as np
import pytest
from tracks import tracked

from manivideo_ros.evaluation.suites import suite
from manivideo_ros.evaluation.suites.motions import crowding, recorded, varied
from manivideo_ros.evaluation.suites.suite import (
    FRAMES,
    NOISE,
    SUBSETS,
    build,
    dense,
    entries,
    strong,
)
from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES, generate
from manivideo_ros.objects.named import load_mesh

LISTED = {entry.name: entry for entry in entries(None)}


@pytest.fixture(scope='module')
def motions():
    """A few of the suite's motions."""
    names = ('unseen-dice-2', 'dense-dice-1', 'strong-mug-1', 'reach-jar', 'turn_mug-5s')
    return {name: LISTED[name].make(4) for name in names}


def test_names_and_seeds_are_unique():
    assert len({entry.name for entry in entries(None)}) == len(entries(None))
    seeds = [entry.seed for entry in entries(None)]
    assert len(set(seeds)) == len(seeds)


def test_every_subset_has_clips_or_a_reason(tmp_path):
    present = {name for entry in LISTED.values() for name in entry.subsets}
    assert present == {*SUBSETS} - {'recorded', 'human'}
    assert entries(tmp_path) and all('recorded' not in e.subsets for e in entries(tmp_path))
    counts = [sum(name in e.subsets for e in LISTED.values()) for name in present]
    assert min(counts) >= 4


def test_the_first_clips_cover_the_subsets():
    first = {name for entry in entries(None)[:4] for name in entry.subsets}
    assert first == {*SUBSETS} - {'recorded', 'human'}


def test_objects_are_held_out(motions):
    for motion in motions.values():
        for track in motion.objects.values():
            shape, _, number = track.mesh.partition('-')
            assert shape in HELD_OUT_SHAPES
            assert not number or int(number) > 100_000


def test_clips_are_deterministic(motions):
    again = LISTED['strong-mug-1'].make(4)
    for side, hand in motions['strong-mug-1'].hands.items():
        assert np.array_equal(hand.theta, again.hands[side].theta)
        assert np.array_equal(hand.wrist_position, again.hands[side].wrist_position)
    assert not np.array_equal(varied(1, 4).camera.intrinsics, varied(2, 4).camera.intrinsics)


def test_clips_meet_the_criteria_of_their_subsets(motions):
    assert dense(crowding(motions['dense-dice-1']))
    assert strong(crowding(motions['strong-mug-1']))


def test_a_reach_ends_at_the_object(motions):
    reach = motions['reach-jar']
    track = reach.hands['right']
    travelled = np.linalg.norm(track.wrist_position[-1] - track.wrist_position[0])
    assert travelled == pytest.approx(0.09, abs=0.002)
    assert np.ptp(reach.objects['0-jar'].poses[:, :3, 3], axis=0).max() == 0


def test_methods_get_exact_and_noisy_poses(motions):
    found = [LISTED[name] for name in motions]
    clips = build(found, list(motions.values()))
    noisy, exact = clips[0].input_motions()[NOISE], clips[0].motion
    moved = noisy.hands['right'].wrist_position - exact.hands['right'].wrist_position
    assert 0.0005 < np.linalg.norm(moved, axis=1).mean() < 0.008
    assert len(clips[0].cut(3).motion) == 3


def test_other_poses_come_from_other_clips(motions):
    found = [LISTED[name] for name in motions]
    clips = build(found, list(motions.values()))
    own = sum('right' in motion.hands for motion in motions.values())
    for clip in clips:
        mine = 'right' in clip.motion.hands
        assert len(clip.other_hands['right']) == (own - mine) * len(suite.OTHER_FRAMES)


def test_a_mesh_can_be_a_variant_of_a_shape():
    same = load_mesh('dice-100003', 1.0)
    assert np.array_equal(same.vertices, generate('dice', 100_003).vertices)
    assert np.array_equal(load_mesh('dice', 1.0).vertices, generate('dice').vertices)


def test_a_window_of_a_recording_is_sampled_at_30_hz(tmp_path):
    joints = tracked(60) + np.linspace(0, 0.1, 60)[:, None, None]
    np.savez(tmp_path / 'r.npz', right=joints, time_s=np.arange(60) / 89.5)
    motion = recorded(tmp_path / 'r.npz', 0.1, 6, 'jar')
    assert len(motion) == 6 and list(motion.objects) == ['jar']
    assert np.allclose(np.diff(motion.stamps_ns), 1e9 / 30, atol=1)
    assert motion.camera is not None and FRAMES > 6
