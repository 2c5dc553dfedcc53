"""The pose buffer: interpolation, holding, fading, and clock resets."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.hand.interpolation import interpolate_hands
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.pose_buffer import SKELETON, PoseBuffer, Timing

MS = 1_000_000
START = 1_000_000 * MS


def hand(x=0.0, angle=0.0):
    return HandState(
        theta=np.full(45, angle, np.float32),
        betas=np.zeros(10, np.float32),
        wrist_rotation=axis_angle_to_matrix([0, 0, angle]),
        wrist_position=np.array([x, 0.0, 0.0]),
    )


def pose(x, angle=0.0):
    return rigid(axis_angle_to_matrix([0, angle, 0]), [x, 0, 0])


def buffer_with(hands_ms=(0,), objects_ms=()):
    buffer = PoseBuffer()
    for ms in hands_ms:
        buffer.add_hands(START + ms * MS, {'right': hand(ms)}, ms * MS)
    for ms in objects_ms:
        buffer.add_objects(START + ms * MS, {'mug': pose(ms)}, ms * MS)
    return buffer


def test_newest_hands_set_the_time():
    assert buffer_with(hands_ms=(0, 33, 66), objects_ms=(80,)).newest_ns == START + 66 * MS


def test_objects_are_interpolated_to_the_hands():
    snapshot = buffer_with(hands_ms=(40,), objects_ms=(0, 100)).sample(START + 40 * MS)
    assert snapshot.objects['mug'][0, 3] == pytest.approx(40)
    assert snapshot.age['mug'] == 0


def test_elbows_are_interpolated_where_both_are_known():
    known = [replace(hand(x), elbow=np.array([x, 0.2, 0.1])) for x in (0.0, 1.0)]
    middle = interpolate_hands(*known, 0.25)
    np.testing.assert_allclose(middle.elbow, [0.25, 0.2, 0.1])
    for fraction, elbow in ((0.0, None), (0.4, None), (0.6, known[1].elbow)):
        assert interpolate_hands(hand(), known[1], fraction).elbow is elbow


@given(st.floats(0, 1))
def test_interpolated_poses_are_rigid(fraction):
    buffer = PoseBuffer()
    for ms, x, angle in ((0, 0.0, 0.0), (100, 1.0, 1.2)):
        buffer.add_hands(START + ms * MS, {'left': hand(x, angle)}, 0)
        buffer.add_objects(START + ms * MS, {'mug': pose(x, angle)}, 0)
    snapshot = buffer.sample(START + round(fraction * 100 * MS))
    thing, left = snapshot.objects['mug'], snapshot.hands['left']
    assert thing[0, 3] == pytest.approx(fraction, abs=1e-6)
    np.testing.assert_allclose(thing, pose(fraction, 1.2 * fraction), atol=1e-6)
    np.testing.assert_allclose(left.wrist_rotation @ left.wrist_rotation.T, np.eye(3), atol=1e-9)
    assert left.wrist_position[0] == pytest.approx(fraction, abs=1e-6)


@pytest.mark.parametrize(
    ('age_ms', 'presence'), [(0, 1), (50, 1), (200, 1), (350, 0.5), (425, 0.25), (500, 0)]
)
def test_a_silent_source_holds_then_fades(age_ms, presence):
    snapshot = buffer_with(hands_ms=(0,)).sample(START + age_ms * MS)
    assert snapshot.presence.get('right', 0) == pytest.approx(presence, abs=1e-6)
    assert ('right' in snapshot.hands) == (presence > 0)
    assert snapshot.missing == (() if presence > 0 else ('right',))
    assert snapshot.age['right'] == pytest.approx(age_ms / 1000)


def test_a_source_returns_without_fading_in():
    buffer = buffer_with(hands_ms=(0,))
    assert buffer.sample(START + 900 * MS).missing == ('right',)
    buffer.add_hands(START + 900 * MS, {'right': hand(7)}, 900 * MS)
    snapshot = buffer.sample(START + 900 * MS)
    assert snapshot.presence == {'right': 1.0}
    assert snapshot.hands['right'].wrist_position[0] == 7


def test_one_hand_lost_leaves_the_other():
    buffer = PoseBuffer()
    buffer.add_hands(START, {'left': hand(1), 'right': hand(2)}, 0)
    for ms in range(33, 600, 33):
        buffer.add_hands(START + ms * MS, {'right': hand(2)}, ms * MS)
    snapshot = buffer.sample(buffer.newest_ns)
    assert set(snapshot.hands) == {'right'}
    assert snapshot.missing == ('left',)


def test_messages_out_of_order_are_ignored():
    buffer = buffer_with(hands_ms=(0, 66))
    assert not buffer.add_hands(START + 33 * MS, {'right': hand(99)}, 67 * MS)
    assert buffer.newest_ns == START + 66 * MS
    assert buffer.sample(START + 66 * MS).hands['right'].wrist_position[0] == 66


def test_a_clock_reset_clears_the_buffer():
    buffer = buffer_with(hands_ms=(5000,), objects_ms=(5000,))
    assert buffer.add_hands(START, {'right': hand(3)}, 5033 * MS)
    assert buffer.newest_ns == START
    snapshot = buffer.sample(START)
    assert snapshot.objects == {} and snapshot.missing == ()


def test_the_frames_clock_advances_while_sources_are_silent():
    buffer = buffer_with(hands_ms=(100,))
    assert buffer.estimate(350 * MS) == START + 350 * MS
    assert not buffer.silent(150 * MS, 0.1)
    assert buffer.silent(250 * MS, 0.1)


def test_hands_are_silent_while_only_objects_arrive():
    buffer = buffer_with(hands_ms=(0,), objects_ms=(0, 100, 200))
    assert buffer.silent(200 * MS, 0.1)


def test_objects_before_the_first_hands_wait_for_them():
    buffer = buffer_with(hands_ms=(), objects_ms=(0,))
    assert not buffer.silent(90 * MS, 0.1) and buffer.frame_stamp(90 * MS, 0.1) is None
    assert buffer.frame_stamp(110 * MS, 0.1) == START + 110 * MS
    buffer.restart()
    buffer.add_objects(START + 20 * MS, {}, 150 * MS)
    assert buffer.frame_stamp(150 * MS, 0.1) is None


def skeleton(x):
    return np.full((134, 3), x, np.float32)


def test_a_skeleton_is_the_nearest_in_time_held_and_faded():
    buffer = buffer_with(hands_ms=(40,))
    for ms in (0, 100):
        buffer.add_skeleton(START + ms * MS, skeleton(ms), ms * MS)
    for ms, expected in ((0, 0), (40, 0), (60, 100), (100, 100), (250, 100)):
        snapshot = buffer.sample(START + ms * MS)
        assert snapshot.skeleton[5, 0] == expected
        assert snapshot.presence[SKELETON] == 1
    assert buffer.sample(START + 450 * MS).presence[SKELETON] == pytest.approx(0.5, abs=1e-6)
    gone = buffer.sample(START + 700 * MS)
    assert gone.skeleton is None and SKELETON in gone.missing


def test_an_image_without_people_holds_the_last_skeleton():
    buffer = PoseBuffer()
    buffer.add_skeleton(START, skeleton(1), 0)
    buffer.add_skeleton(START + 100 * MS, None, 100 * MS)
    assert buffer.newest_skeleton_ns == START + 100 * MS
    snapshot = buffer.sample(START + 100 * MS)
    assert snapshot.age[SKELETON] == pytest.approx(0.1) and snapshot.skeleton is not None


def test_frame_stamps_are_of_hands_then_skeletons_then_the_clock():
    buffer = PoseBuffer()
    assert buffer.frame_stamp(0, 0.1) is None
    buffer.add_skeleton(START, skeleton(1), 0)
    assert buffer.frame_stamp(20 * MS, 0.1) == START
    buffer.add_hands(START + 30 * MS, {'right': hand()}, 30 * MS)
    buffer.add_skeleton(START + 99 * MS, skeleton(1), 99 * MS)
    assert buffer.frame_stamp(100 * MS, 0.1) == START + 30 * MS
    assert not buffer.hands_silent(100 * MS, 0.1)
    buffer.add_skeleton(START + 132 * MS, skeleton(1), 132 * MS)
    assert buffer.frame_stamp(132 * MS, 0.1) == START + 132 * MS
    assert buffer.hands_silent(132 * MS, 0.1) and not buffer.silent(132 * MS, 0.1)
    assert buffer.silent(240 * MS, 0.1)
    assert buffer.frame_stamp(240 * MS, 0.1) == START + 240 * MS


def late(buffer):
    """By how much the mug's stamps are behind the right hand's, s."""
    delays = buffer.delays()
    return delays['objects']['mug'] - delays['hands']['right']


def test_a_source_is_compared_with_its_own_last_stamp_only():
    """Whatever is steadily late undoes nothing, and is as old as it is."""
    buffer = PoseBuffer(Timing(hold=2.0))
    for ms in range(0, 5000, 100):
        assert not buffer.add_hands(START + ms * MS, {'right': hand(ms)}, ms * MS)
        if ms % 700 == 0:
            assert not buffer.add_objects(START + (ms - 860) * MS, {'mug': pose(1)}, ms * MS)
            assert not buffer.add_skeleton(START + (ms - 3000) * MS, skeleton(1), ms * MS)
        snapshot = buffer.sample(buffer.newest_ns)
        assert snapshot.presence['mug'] == 1 and 0.86 <= snapshot.age['mug'] <= 1.56
    assert buffer.resets == 0 and buffer.newest_ns == START + 4900 * MS
    assert late(buffer) == pytest.approx(0.86)


def test_a_source_that_is_ahead_does_not_set_the_time():
    buffer = PoseBuffer()
    for ms in range(0, 3000, 33):
        buffer.add_objects(START + (ms + 700) * MS, {'mug': pose(ms)}, ms * MS)
        buffer.add_hands(START + ms * MS, {'right': hand(ms)}, ms * MS)
        assert buffer.frame_stamp(ms * MS, 0.1) == START + ms * MS
    snapshot = buffer.sample(buffer.newest_ns)
    assert set(snapshot.objects) == {'mug'} and set(snapshot.hands) == {'right'}
    assert late(buffer) == pytest.approx(-0.7)
    # Nor while the hands are silent: their clock goes on.
    last = 2970
    buffer.add_objects(START + (last + 1200) * MS, {'mug': pose(0)}, (last + 500) * MS)
    assert buffer.frame_stamp((last + 500) * MS, 0.1) == START + (last + 500) * MS


def test_while_hands_are_silent_objects_advance_the_clock_at_their_rate():
    """As of a bag that is played at half its speed, without a clock."""
    buffer = buffer_with(hands_ms=(0,), objects_ms=(0,))
    for ms in range(66, 2000, 66):
        buffer.add_objects(START + ms // 2 * MS, {'mug': pose(ms)}, ms * MS)
        assert ms < 100 or buffer.frame_stamp(ms * MS, 0.1) <= START + (ms // 2 + 67) * MS
        assert buffer.sample(buffer.estimate(ms * MS)).presence['mug'] == 1


def test_a_clock_reset_of_an_object_drops_its_poses_only():
    buffer = buffer_with(hands_ms=(5000,), objects_ms=(5000,))
    buffer.add_objects(START + 5000 * MS, {'box': pose(2)}, 5000 * MS)
    assert (
        'mug: 4.0 s before its last one: dropped'
        in buffer.add_objects(START + 1000 * MS, {'mug': pose(1)}, 5010 * MS)[0]
    )
    assert buffer.sample(START + 5000 * MS).objects['mug'][0, 3] == 5000, 'perhaps one is late'
    assert (
        'set back by 4.0 s' in buffer.add_objects(START + 1033 * MS, {'mug': pose(7)}, 5043 * MS)[0]
    )
    assert not buffer.add_objects(START + 1066 * MS, {'mug': pose(8)}, 5076 * MS)
    snapshot = buffer.sample(START + 1066 * MS)
    assert snapshot.objects['mug'][0, 3] == 8 and 'box' in snapshot.objects
    assert buffer.resets == 0 and buffer.newest_ns == START + 5000 * MS


def test_a_late_second_publisher_of_an_object_causes_no_reset():
    buffer = buffer_with(hands_ms=(1000,), objects_ms=(1000,))
    for ms in range(1033, 2000, 33):
        assert not buffer.add_objects(START + ms * MS, {'mug': pose(ms)}, ms * MS)
        assert (
            'dropped'
            in buffer.add_objects(START + (ms - 900) * MS, {'mug': pose(0)}, (ms + 1) * MS)[0]
        )
    assert buffer.sample(START + 1990 * MS).objects['mug'][0, 3] == 1990


@pytest.mark.parametrize('first', ['hands', 'objects'])
def test_a_bag_that_starts_again_resets_once_with_any_topic_first(first):
    buffer = buffer_with()
    for lap in range(2):
        for n, ms in enumerate(range(0, 4000, 100)):
            received = (4000 * lap + ms) * MS
            for kind in (first, *({'hands', 'objects'} - {first})):
                if kind == 'hands':
                    buffer.add_hands(START + ms * MS, {'right': hand(ms)}, received)
                elif n % 3 == 0:
                    buffer.add_objects(START + ms * MS, {'mug': pose(ms)}, received)
            assert buffer.newest_ns == START + ms * MS
            if n > 3:
                snapshot = buffer.sample(buffer.newest_ns)
                assert snapshot.objects['mug'][0, 3] <= ms and snapshot.age['mug'] <= 0.3
    assert buffer.resets == 1


def test_without_hands_objects_set_and_reset_the_clock():
    buffer = buffer_with(hands_ms=(), objects_ms=(5000,))
    assert 'dropped' in buffer.add_objects(START, {'mug': pose(3)}, 5033 * MS)[0]
    problems = buffer.add_objects(START + 33 * MS, {'mug': pose(3)}, 5066 * MS)
    assert problems == ['header.stamp: set back by 5.0 s: clock reset']
    assert buffer.resets == 1 and buffer.frame_stamp(5200 * MS, 0.1) == START + 167 * MS


def test_timing_is_configurable():
    timing = Timing(hold=1.0, fade=0.0)
    assert timing.presence(1.0) == 1 and timing.presence(1.01) == 0


@pytest.mark.parametrize('smooth', [False, True])
def test_jitter_is_removed_only_if_asked_and_buffered_samples_stay(smooth):
    rng = np.random.default_rng(0)
    buffer, seen = PoseBuffer(smooth=smooth), {}
    given = 0.002 * rng.normal(size=60)
    for k, x in enumerate(given):
        stamp = START + k * 33 * MS
        buffer.add_hands(stamp, {'right': hand(x)}, k * 33 * MS)
        buffer.add_objects(stamp, {'mug': pose(x)}, k * 33 * MS)
        seen[stamp] = buffer.sample(stamp)
    hands = np.array([s.hands['right'].wrist_position[0] for s in seen.values()])
    objects = np.array([s.objects['mug'][0, 3] for s in seen.values()])
    for each in (hands, objects):
        left = np.diff(each)[15:].std() / np.diff(given)[15:].std()
        assert left < 0.7 if smooth else left == 1
    for stamp, snapshot in seen.items():
        again = buffer.sample(stamp)
        np.testing.assert_array_equal(again.objects['mug'], snapshot.objects['mug'])


def test_samples_out_of_order_do_not_disturb_the_filter():
    rng = np.random.default_rng(0)
    calm, disturbed = PoseBuffer(smooth=True), PoseBuffer(smooth=True)
    for k, x in enumerate(0.002 * rng.normal(size=30)):
        stamp, received = START + k * 33 * MS, k * 33 * MS
        for buffer in (calm, disturbed):
            buffer.add_hands(stamp, {'right': hand(x)}, received)
        disturbed.add_hands(stamp - 20 * MS, {'right': hand(0.1)}, received)
        disturbed.add_hands(stamp, {'right': hand(0.1)}, received)
        places = [b.sample(stamp).hands['right'].wrist_position for b in (calm, disturbed)]
        np.testing.assert_array_equal(*places)


def test_a_hand_that_returns_after_a_pause_is_where_it_is():
    rng = np.random.default_rng(0)
    buffer = PoseBuffer(smooth=True)
    for k in (*range(20), *range(40, 43)):
        x = 0.002 * rng.normal()
        stamp = START + k * 33 * MS
        buffer.add_hands(stamp, {'right': hand(x)}, k * 33 * MS)
        if k >= 40:
            assert buffer.sample(stamp).hands['right'].wrist_position[0] == x
