"""Hands of one stamp are published in one HandPoses; a single hand waits only shortly."""

import os
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray
from hand_sources import joint_array
from hypothesis import given
from hypothesis import strategies as st
from labs import lab_in, running
from manivideo_ros.msg import HandPose, HandPoses

from manivideo_ros.augment.source import Source
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.sources.hand_intake import HandIntake
from manivideo_ros.motion.sources.hand_pairs import FIRST, LOST_PERIODS, HandPairs
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.ros.message_types import RCLPY

MS = 1_000_000
LEFT, RIGHT = HandPose.LEFT, HandPose.RIGHT


def hands(ms, *sides, frame='world'):
    return HandPoses(
        header=RCLPY.header(round(ms * MS) + 10**18, frame), hands=[HandPose(side=s) for s in sides]
    )


def shown(messages):
    """Stamps (ms) and sides of messages."""
    return [
        (round((stamp_ns(m.header) - 10**18) / MS, 3), [h.side for h in m.hands]) for m in messages
    ]


def fed(pairs, *messages):
    return [out for message in messages for out in shown(pairs.add([message]))]


@pytest.mark.parametrize(('first', 'second'), [(LEFT, RIGHT), (RIGHT, LEFT)])
@pytest.mark.parametrize('apart_ms', [0, 3, -3])
def test_hands_of_one_time_are_joined_with_the_later_stamp(first, second, apart_ms):
    pairs, out = HandPairs(apart=True), []
    for ms in range(0, 160, 16):
        out += fed(pairs, hands(ms, first), hands(ms + apart_ms, second))
    assert out == [(ms + max(0, apart_ms), [LEFT, RIGHT]) for ms in range(0, 160, 16)]
    assert not pairs.waits


def test_streams_that_are_half_a_period_apart_are_joined_too():
    pairs, out = HandPairs(apart=True), []
    for ms in range(0, 330, 33):
        out += fed(pairs, hands(ms, LEFT), hands(ms + 16, RIGHT))
    assert [sides for _, sides in out[2:]] == [[LEFT, RIGHT]] * len(out[2:])


def test_a_stream_of_one_hand_does_not_wait():
    alone, first = HandPairs(apart=True), []
    for ms in range(0, 16 * FIRST, 16):
        first += fed(alone, hands(ms, RIGHT))
    for ms in range(16 * FIRST, 400, 16):
        out = fed(alone, hands(ms, RIGHT))
        assert out[-1] == (ms, [RIGHT]) and not alone.waits
    never = HandPairs(apart=False)
    assert fed(never, hands(0, RIGHT)) == [(0, [RIGHT])] and not never.waits


def test_a_lost_hand_is_waited_for_a_few_times_and_paired_again_later():
    pairs = HandPairs(apart=True)
    for ms in range(0, 160, 16):
        fed(pairs, hands(ms, LEFT), hands(ms, RIGHT))
    waits, out = 0, []
    for ms in range(160, 480, 16):
        out += fed(pairs, hands(ms, RIGHT))
        waits += pairs.waits
    assert out == [(ms, [RIGHT]) for ms in range(160, 480, 16)]
    assert waits <= LOST_PERIODS
    out = []
    for ms in range(480, 640, 16):
        out += fed(pairs, hands(ms, LEFT), hands(ms, RIGHT))
    assert [sides for _, sides in out[1:]] == [[LEFT, RIGHT]] * len(out[1:])


def test_hands_in_different_frames_do_not_wait_for_each_other():
    pairs, out = HandPairs(apart=True), []
    for ms in range(0, 160, 16):
        out += fed(pairs, hands(ms, LEFT, frame='a'), hands(ms, RIGHT, frame='b'))
    assert len(out) == 20 and all(len(sides) == 1 for _, sides in out)


def test_a_waiting_hand_is_released_or_dropped_at_a_reset():
    pairs = HandPairs(apart=True)
    assert fed(pairs, hands(0, LEFT)) == [] and pairs.waits
    assert shown(pairs.release()) == [(0, [LEFT])] and not pairs.waits
    fed(pairs, hands(0, RIGHT), hands(16, LEFT))
    pairs.reset()
    assert pairs.release() == []


def test_a_hand_that_reappears_ahead_of_the_smoothed_one_waits_for_it():
    pairs = HandPairs(apart=False)
    assert shown(pairs.add([hands(0, RIGHT), hands(16, LEFT)])) == [(0, [RIGHT])]
    assert shown(pairs.add([hands(16, RIGHT)])) == [(16, [LEFT, RIGHT])]


@given(
    st.lists(
        st.tuples(st.sampled_from([LEFT, RIGHT]), st.integers(0, 400)), min_size=1, max_size=40
    )
)
def test_no_hand_is_lost_or_published_twice(sequence):
    pairs, out = HandPairs(apart=True), []
    for side, ms in sequence:
        out += pairs.add([hands(ms, side)])
    out += pairs.release()
    assert sorted(h.side for m in out for h in m.hands) == sorted(side for side, _ in sequence)
    assert all(len({h.side for h in m.hands}) == len(m.hands) for m in out)


@pytest.mark.parametrize(
    ('source', 'topics', 'apart'),
    [
        ('openxr', ('xr/left', 'xr/right'), True),
        ('openxr', ('xr/right',), False),
        ('manus', ('manus_glove_0', 'manus_glove_1'), True),
        ('ultraleap', ('leap',), False),
    ],
)
def test_only_hands_in_separate_messages_wait(source, topics, apart):
    parameters = HandSourceParameters(source=source, topics=topics)
    assert HandIntake(parameters).apart == apart


def test_teleoperation_with_two_hands_recorded_gives_frames_with_two_hands(
    node_environment, motion, tmp_path
):
    """A headset's two topics over DDS, through hand_source and the recorder, to what augments."""
    bag, steps, frames = tmp_path / 'teleop', {'smooth': False}, 15
    listening = {'bag': str(bag), 'topics': ['hand_poses']}
    steps['topics'] = ['xr/left', 'xr/right']
    with (
        running('hand_source', steps, node_environment) as source,
        running('recorder', listening, node_environment),
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        source.wait_for('waiting for xr/left', 60)
        lab.listen(HandPoses, 'hand_poses')
        out = {s: lab.create_publisher(PoseArray, f'xr/{s}', 10) for s in ('left', 'right')}
        got, stamps, end = lab.got['hand_poses'], [], time.monotonic() + 60
        lab.spin(60, lambda: lab.count_subscribers('hand_poses') > 1)
        lab.spin(60, lambda: all(p.get_subscription_count() for p in out.values()))
        # The next instant once both hands of the one before were answered, however slow it is here.
        while time.monotonic() < end and len(stamps) < frames:
            stamps.append(10**18 + len(stamps) * 33 * MS)
            for side, publisher in out.items():
                publisher.publish(joint_array(side, stamp=stamps[-1]))
            lab.spin(
                5,
                lambda: (
                    {h.side for m in got for h in m.hands if stamp_ns(m.header) == stamps[-1]}
                    == {LEFT, RIGHT}
                ),
            )
    assert sum(len(m.hands) == 2 for m in got) > frames // 2
    recorded = Source(bag).motion
    written = recorded.stamps_ns.tolist()
    # The recorder may join after the lab has; from its first message on none is lost.
    assert len(written) > frames // 2 and written == stamps[-len(written) :]
    # Where this machine is slow, a hand may be waited for in vain: its instant comes in two parts.
    parted = {stamp_ns(m.header) for m in got if len(m.hands) == 1}
    together = np.array([stamp not in parted for stamp in written])
    assert set(recorded.hands) == {'left', 'right'} and together.sum() > frames // 2
    assert all(track.present[together].all() for track in recorded.hands.values())
