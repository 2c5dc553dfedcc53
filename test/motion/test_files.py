"""Motion files: saving, loading, interpolation, and errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from motion_messages import hands_message
from pose_streams import START, STEP, example, one_by_one, two_hands

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
)
from manivideo_ros.messages.names import HANDS
from manivideo_ros.messages.types import typestore
from manivideo_ros.motion.files import MotionError, _as_shown, load_motion, save_motion
from manivideo_ros.motion.motion import HandTrack, Motion
from manivideo_ros.motion.shipped import MOTIONS as SHIPPED
from manivideo_ros.motion.tracks import pair_hands


def test_a_saved_motion_is_loaded(tmp_path):
    motion = example(absent=2)
    save_motion(motion, tmp_path / 'example')
    loaded = load_motion(tmp_path / 'example')
    assert loaded.stamps_ns.tolist() == motion.stamps_ns.tolist()
    assert loaded.name == 'example'
    assert loaded.frame_id == 'world'
    for name in ('present', 'theta', 'betas'):
        want, got = (getattr(m.hands['left'], name) for m in (motion, loaded))
        np.testing.assert_array_equal(got, want)
    for name in ('wrist_rotation', 'wrist_position'):
        want, got = (getattr(m.hands['left'], name) for m in (motion, loaded))
        np.testing.assert_allclose(got, want, atol=1e-6)
    cup = loaded.objects['cup']
    assert (cup.mesh, cup.scale) == ('mug', 1.0)
    assert cup.present.all()
    np.testing.assert_allclose(cup.poses, motion.objects['cup'].poses, atol=1e-6)
    np.testing.assert_allclose(loaded.camera.intrinsics, motion.camera.intrinsics)
    np.testing.assert_allclose(
        loaded.camera.camera_from_world, motion.camera.camera_from_world, atol=1e-9
    )


def test_elbows_are_saved_where_they_are_known(tmp_path):
    motion = example()
    hand = motion.hands['left']
    elbow = (hand.wrist_position + np.array([0.0, -0.2, 0.1])).astype(np.float32)
    elbow[1] = np.nan
    save_motion(
        replace(motion, hands={**motion.hands, 'left': replace(hand, elbow=elbow)}), tmp_path / 'a'
    )
    loaded = load_motion(tmp_path / 'a').hands
    np.testing.assert_allclose(loaded['left'].elbow, elbow, atol=1e-6)
    assert loaded['left'].state(1).elbow is None
    assert all(track.elbow is None for side, track in loaded.items() if side != 'left')


def test_recordings_from_before_there_were_elbows_are_read():
    """The shipped motions were recorded with the definitions of 0.1."""
    reader = BagReader(SHIPPED / 'turn_mug')
    [topic] = [name for name, kind in reader.topics.items() if kind == HANDS]
    assert b'has_elbow' not in reader.connections[topic].definition
    motion = load_motion(SHIPPED / 'turn_mug')
    assert set(motion.hands) == {'left', 'right'}
    for track in motion.hands.values():
        assert track.elbow is None
        assert track.present.all()
        turns = np.einsum('fij,fkj->fik', track.wrist_rotation, track.wrist_rotation)
        np.testing.assert_allclose(turns, np.tile(np.eye(3), (len(turns), 1, 1)), atol=1e-5)
    first = next(reader.messages([topic]))
    hand = reader.decoded(first).hands[0]
    assert not hasattr(hand, 'has_elbow')
    assert 0 < hand.confidence <= 1


def test_every_pose_message_has_its_camera_info_with_the_same_stamp(tmp_path):
    save_motion(example(), tmp_path / 'bag')
    stamps: dict[str, list[int]] = {}
    for message in BagReader(tmp_path / 'bag').messages():
        decoded = typestore().deserialize_cdr(message.data, message.type_name)
        if hasattr(decoded, 'header'):
            stamp = decoded.header.stamp
            assert stamp.sec * 10**9 + stamp.nanosec == message.stamp_ns
            stamps.setdefault(message.topic, []).append(message.stamp_ns)
    assert stamps['/hand_poses'] == stamps['/object_poses'] == stamps['/camera_info']


def test_a_recording_of_hands_alone_is_a_motion(tmp_path):
    motion = example()
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/lab/hands', HANDS)
        for i, stamp in enumerate(motion.stamps_ns.tolist()):
            data = typestore().serialize_cdr(hands_message(motion, i), HANDS)
            bag.write('/lab/hands', data, stamp + 5_000_000)  # received 5 ms later
    loaded = load_motion(tmp_path / 'bag')
    assert loaded.camera is None
    assert not loaded.objects
    assert loaded.stamps_ns.tolist() == motion.stamps_ns.tolist()  # the poses' own stamps


def test_interpolation_is_by_slerp_and_clamped_at_the_ends():
    turn = np.array([[0, 0, 0], [0, 0, 1.2]])
    hand = HandTrack(
        np.ones(2, bool),
        np.stack([np.zeros(45), np.full(45, 0.4)]).astype(np.float32),
        np.zeros(10, np.float32),
        axis_angle_to_matrix(turn).astype(np.float32),
        np.array([[0, 0, 0], [0.1, 0, 0]], np.float32),
    )
    motion = Motion(np.array([0, 1000], np.int64), {'right': hand}, {})
    for stamp, part in ((-5, 0), (0, 0), (250, 0.25), (500, 0.5), (1000, 1), (2000, 1)):
        state = motion.interpolate_at(stamp).hands['right']
        np.testing.assert_allclose(
            matrix_to_axis_angle(state.wrist_rotation), part * turn[1], atol=1e-6
        )
        np.testing.assert_allclose(state.wrist_position, [0.1 * part, 0, 0], atol=1e-7)
        np.testing.assert_allclose(state.theta, 0.4 * part, atol=1e-6)


def test_absent_hands_are_not_interpolated():
    motion = example(absent=2)
    middle = int(motion.stamps_ns[2])
    assert 'left' not in motion.interpolate_at(middle).hands
    assert 'left' not in motion.interpolate_at(middle + STEP // 3).hands
    near = motion.interpolate_at(middle + STEP * 2 // 3).hands['left']
    np.testing.assert_array_equal(near.theta, motion.hands['left'].theta[3])


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(times=st.lists(st.integers(0, 5 * STEP), min_size=1, max_size=8, unique=True))
def test_resampling_agrees_with_interpolation(times):
    motion = example()
    stamps = START + np.array(sorted(times), np.int64)
    resampled = motion.resampled(stamps)
    for i, stamp in enumerate(stamps):
        want = motion.interpolate_at(int(stamp))
        np.testing.assert_array_equal(resampled.frame(i).objects['cup'], want.objects['cup'])
        np.testing.assert_array_equal(
            resampled.frame(i).hands['left'].theta, want.hands['left'].theta
        )


def corrupted(tmp_path, change):
    """A motion file whose messages went through change(message)."""
    save_motion(example(), tmp_path / 'good')
    reader = BagReader(tmp_path / 'good')
    with BagWriter(tmp_path / 'bad') as bag:
        for topic, kind in reader.topics.items():
            bag.add_topic(topic, kind)
        for item in reader.messages():
            message = typestore().deserialize_cdr(item.data, item.type_name)
            change(message)
            data = typestore().serialize_cdr(message, item.type_name)
            bag.write(item.topic, data, item.stamp_ns)
    return tmp_path / 'bad'


def spoil_theta(message):
    for hand in getattr(message, 'hands', []):
        hand.theta = np.full(45, np.nan, np.float32)


def spoil_quaternion(message):
    for item in getattr(message, 'objects', []):
        q = item.pose.orientation
        q.x = q.y = q.z = q.w = 0.0


def spoil_betas(message):
    for hand in getattr(message, 'hands', []):
        hand.betas = np.zeros(7, np.float32)


def spoil_scene(message):
    if hasattr(message, 'data'):
        message.data = json.dumps({'objects': 3})


def spoil_camera(message):
    if hasattr(message, 'distortion_model'):
        message.width = 0


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (spoil_theta, '/hand_poses.*theta'),
        (spoil_quaternion, "/object_poses: objects.0..pose.*'cup'"),
        (spoil_betas, '/hand_poses.*betas: 7'),
        (spoil_scene, '/scene'),
        (spoil_camera, '/camera_info: width, height: 0x'),
    ],
)
def test_invalid_fields_are_named_in_one_line(tmp_path, change, words):
    path = corrupted(tmp_path, change)
    with pytest.raises(MotionError, match=words) as caught:
        load_motion(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_messages_whose_stamps_decrease_are_dropped_with_a_warning(tmp_path, caplog):
    count = iter(range(100))

    def set_back(message):
        if hasattr(message, 'hands') and next(count) == 3:
            message.header.stamp.sec -= 10

    loaded = load_motion(corrupted(tmp_path, set_back))
    assert len(loaded) == 5
    assert '/hand_poses' in caplog.text
    assert 'stamp' in caplog.text


def test_a_bag_without_motion_is_one_line(tmp_path):
    with BagWriter(tmp_path / 'images') as bag:
        bag.add_topic('/image_raw', 'sensor_msgs/msg/Image')
    (tmp_path / 'text.mcap').write_text('hello')
    for path in (tmp_path / 'images', tmp_path / 'text.mcap', tmp_path / 'absent'):
        with pytest.raises(MotionError) as caught:
            load_motion(path)
        assert str(path) in str(caught.value)
        assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('late_ms', 'order'), [(0, (0, 1)), (0, (1, 0)), (3, (0, 1)), (15, (0, 1))]
)
def test_hands_in_separate_messages_are_joined(tmp_path, caplog, late_ms, order):
    motion = two_hands()
    one_by_one(motion, tmp_path / 'bag', late_ms * 1_000_000, order)
    loaded = load_motion(tmp_path / 'bag')
    assert caplog.text == ''
    assert loaded.stamps_ns.tolist() == (motion.stamps_ns + late_ms * 1_000_000).tolist()
    for side in ('left', 'right'):
        assert loaded.hands[side].present.all()
        np.testing.assert_array_equal(loaded.hands[side].theta, motion.hands[side].theta)


def test_a_hand_that_is_absent_in_a_frame_stays_absent(tmp_path):
    left, right = example(6, 1, absent=2), example(6, 2)
    motion = replace(left, hands={'left': left.hands['left'], 'right': right.hands['left']})
    for name, save in (('whole', save_motion), ('apart', one_by_one)):
        save(motion, tmp_path / name)
        loaded = load_motion(tmp_path / name)
        assert loaded.hands['left'].present.tolist() == [i != 2 for i in range(6)]
        assert loaded.hands['right'].present.all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=30))
def test_joined_hands_are_in_order_and_every_message_has_a_frame_or_is_dropped(sequence):
    """Any hands (none, left, right, both) under any stamps (ms)."""
    types = typestore().types
    whole = hands_message(two_hands(1), 0)
    messages = [
        replace(
            whole,
            header=replace(
                whole.header,
                stamp=types['builtin_interfaces/msg/Time'](sec=7, nanosec=ms * 1_000_000),
            ),
            hands=[hand for hand in whole.hands if hands & (1 << hand.side)],
        )
        for hands, ms in sequence
    ]
    frames, became = pair_hands(messages)
    stamps = [frame.header.stamp.nanosec for frame in frames]
    assert stamps == sorted(set(stamps)) and len(became) == len(messages)
    for n, frame in enumerate(frames):
        sides = [h.side for k, m in enumerate(messages) if became[k] == n for h in m.hands]
        assert [h.side for h in frame.hands] == sorted(sides) == sorted(set(sides))


@pytest.mark.parametrize(
    ('hands', 'warned'),
    [
        ({'model': 'default', 'betas': {'left': [1.0] * 10}}, False),
        (None, False),
        ({'model': 'default', 'betas': {'left': [1.0] * 9}}, True),
        ({'betas': {}}, True),
    ],
)
def test_the_shape_that_frames_show_is_used_or_warned_about(hands, warned):
    whole = example()
    plain = replace(whole.hands['left'], betas=np.zeros(10, np.float32))
    motion = replace(whole, hands={'left': plain})
    text = json.dumps({'synthetic': True, 'hands': hands})
    reader = SimpleNamespace(custom_data={'provenance': text}, path=Path('bag'))
    lines = []
    shown = _as_shown(Path('bag'), motion, reader, lines.append)
    assert bool(lines) == warned and all('make the episode again' in line for line in lines)
    assert shown.hands['left'].betas.any() == (hands is not None and not warned)
