"""The frames of a recorded episode: merged topics, filled gaps, lower rates, jumps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_samples import short_motion
from motion_messages import hands_message, objects_message
from pose_streams import one_by_one

from manivideo_ros.augment.source import GapError, Selection, Source
from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.messages.types import ROSBAGS, typestore
from manivideo_ros.motion.motion import Motion

MS = 1_000_000


def write(folder, messages, late_ns=3 * MS):
    """A bag of (topic, message), each received after its stamp."""
    with BagWriter(folder) as bag:
        for topic in dict.fromkeys(topic for topic, _ in messages):
            bag.add_topic(topic, next(m for t, m in messages if t == topic).__msgtype__)
        for topic, message in messages:
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            data = typestore().serialize_cdr(message, message.__msgtype__)
            bag.write(topic, data, stamp + late_ns)
    return folder


def only(message, *sides):
    return replace(message, hands=[hand for hand in message.hands if hand.side in sides])


def poses(motion: Motion, frames, objects=None):
    """Messages of hands in frames and of objects in others, by stamp."""
    found = [('/hand_poses', hands_message(motion, k)) for k in frames]
    found += [
        ('/object_poses', objects_message(motion, k))
        for k in (frames if objects is None else objects)
    ]
    return sorted(found, key=lambda item: (item[1].header.stamp.sec, item[1].header.stamp.nanosec))


def at(message, stamp_ns):
    return replace(message, header=ROSBAGS.header(stamp_ns, message.header.frame_id))


def test_hands_and_objects_on_several_topics_are_merged_by_stamp(tmp_path):
    motion = short_motion(6)
    other = replace(motion, objects={'plate': motion.objects['thing']})
    messages = []
    for k in range(6):
        both, stamp = hands_message(motion, k), int(motion.stamps_ns[k])
        right = only(both, 1) if k != 3 else only(both)  # the right hand is lost in a frame
        messages += [
            ('/left/hand_poses', only(both, 0)),
            ('/right/hand_poses', at(right, stamp + 4 * MS)),
            ('/thing', objects_message(motion, k)),
            ('/plate', objects_message(other, k)),
        ]
    found = Source(write(tmp_path / 'bag', messages))
    assert found.motion.stamps_ns.tolist() == (motion.stamps_ns + 4 * MS).tolist()
    assert found.motion.hands['left'].present.all()
    assert found.motion.hands['right'].present.tolist() == [k != 3 for k in range(6)]
    assert found.motion.objects.keys() == {'thing', 'plate'}
    # A frame is complete when the later hand was received.
    assert found.received_ns.tolist() == (motion.stamps_ns + 7 * MS).tolist()


@pytest.mark.parametrize('kind', ['hand', 'object'])
def test_one_hand_or_object_on_two_topics_is_an_error_that_names_both(tmp_path, kind):
    motion = short_motion(3)
    messages = [('/hand_poses', hands_message(motion, k)) for k in range(3)]
    if kind == 'hand':
        messages += [('/raw/hand_poses', only(hands_message(motion, k), 0)) for k in range(3)]
        named = '/hand_poses and /raw/hand_poses: both have the left hand'
    else:
        messages += [(t, objects_message(motion, k)) for k in range(3) for t in ('/a', '/b')]
        named = "/a and /b: both have 'thing'"
    with pytest.raises(ValueError, match=named):
        Source(write(tmp_path / 'bag', messages))


def test_hands_in_messages_of_their_own_are_complete_with_the_later_one(tmp_path):
    motion = short_motion(4)
    one_by_one(motion, tmp_path / 'bag', late_ns=2 * MS)
    assert Source(tmp_path / 'bag').received_ns.tolist() == (motion.stamps_ns + 2 * MS).tolist()


def test_a_gap_is_refused_or_filled_up_to_a_bound_with_every_frame_marked(tmp_path):
    motion = short_motion(12)
    folder = write(tmp_path / 'bag', poses(motion, [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]))
    with pytest.raises(GapError, match=r'at 0\.100 s .*for the next 100 ms.*gaps.*--max-gap'):
        Source(folder)
    with pytest.raises(GapError, match='for the next 100 ms'):
        Source(folder, selection=Selection(max_gap_s=0.09))
    found = Source(folder, selection=Selection(max_gap_s=0.11))
    np.testing.assert_allclose(found.motion.stamps_ns, motion.stamps_ns, atol=10)
    np.testing.assert_allclose(
        found.motion.hands['left'].wrist_position, motion.hands['left'].wrist_position, atol=1e-6
    )
    assert found.motion.objects['thing'].present.all()
    assert list(found.filled) == [4, 5]
    assert set(found.filled[4]) == {'left hand', 'right hand', 'thing'}
    np.testing.assert_allclose(found.received_ns - found.motion.stamps_ns, 3 * MS, atol=10)
    assert [entry['frame'] for entry in found.provenance['filled']] == [4, 5]
    assert found.warnings == ['bag: poses are interpolated in 2 frames of 12: the provenance lists '
                              'them']  # fmt: skip


def test_a_hand_or_object_that_is_lost_for_some_frames_is_filled_too(tmp_path):
    motion = short_motion(12)
    messages = poses(motion, range(12), [*range(4), *range(8, 12)])
    messages = [(t, only(m, 1)) if 'hand' in t and n in (3, 4) else (t, m)
                for n, (t, m) in enumerate(messages)]  # fmt: skip
    folder = write(tmp_path / 'bag', messages)
    with pytest.raises(GapError, match=r'/object_poses.*within 50 ms.*--max-gap'):
        Source(folder)
    found = Source(folder, selection=Selection(max_gap_s=0.2))
    assert found.motion.hands['left'].present.all() and found.motion.objects['thing'].present.all()
    assert any('left hand' in names for names in found.filled.values())
    assert any(names == ['thing'] for names in found.filled.values())


def test_poses_are_reduced_to_a_rate_by_nearest_stamps(tmp_path):
    fast = short_motion(25)
    fast = replace(fast, stamps_ns=fast.stamps_ns[0] + np.arange(25) * 8_333_333)
    folder = write(tmp_path / 'bag', poses(fast, range(25)))
    found = Source(folder, selection=Selection(rate_hz=30))
    assert found.motion.stamps_ns.tolist() == fast.stamps_ns[::4].tolist()
    expected = fast.hands['left'].wrist_position[::4]
    assert np.array_equal(found.motion.hands['left'].wrist_position, expected)
    assert found.warnings == ['bag: 7 frames of 25 poses, at 30 Hz: those nearest in time']
    assert found.provenance['rate_hz'] == 30
    uneven = Source(folder, selection=Selection(rate_hz=50)).motion.stamps_ns
    ideal = fast.stamps_ns[0] + np.arange(len(uneven)) * 20_000_000
    assert np.abs(uneven - ideal).max() <= 4_200_000
    with pytest.raises(GapError, match=r'--rate 240: recorded at 120\.0 Hz'):
        Source(folder, selection=Selection(rate_hz=240))


def test_hands_or_objects_that_jump_are_refused_with_their_time(tmp_path):
    motion = short_motion(8)
    poses_of = motion.objects['thing'].poses.copy()
    poses_of[5:, 0, 3] += 0.6
    thing = replace(motion.objects['thing'], poses=poses_of)
    folder = write(tmp_path / 'bag', poses(replace(motion, objects={'thing': thing}), range(8)))
    with pytest.raises(GapError, match=r'at 0\.133 s .*thing is 0\.60 m away in the next frame'):
        Source(folder)
