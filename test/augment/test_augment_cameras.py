"""Warnings about recorded cameras without a transform."""

from types import SimpleNamespace

import pytest
from motion_messages import hands_message

from manivideo_ros.augment.cameras import warnings_of
from manivideo_ros.messages.names import CAMERA, HANDS, TF
from manivideo_ros.messages.types import ROSBAGS, decoded, typestore
from manivideo_ros.motion.files import camera_transform


class Bag:
    """The messages of a recording, each one a topic's."""

    def __init__(self, messages):
        self.topics = {topic: kind for topic, (kind, _) in messages.items()}
        self._data = {
            topic: typestore().serialize_cdr(message, kind)
            for topic, (kind, message) in messages.items()
        }

    def messages(self, topics):
        return [SimpleNamespace(topic=t, data=self._data[t]) for t in topics]

    def decoded(self, record):
        return decoded(record.data, self.topics[record.topic])


@pytest.fixture
def recorded(motion):
    stamp = int(motion.stamps_ns[0])
    return {
        '/hand_poses': (HANDS, hands_message(motion, 0)),
        '/camera/camera_info': (
            CAMERA,
            ROSBAGS.camera(ROSBAGS.header(stamp, 'cam'), motion.camera),
        ),
        '/tf_static': (TF, camera_transform(motion, motion.camera, 'cam')),
    }


def test_a_camera_with_a_transform_gives_no_warning(recorded):
    assert warnings_of('episode', Bag(recorded)) == []


def test_a_camera_without_a_transform_is_warned_about(recorded, motion):
    elsewhere = camera_transform(motion, motion.camera, 'another')
    for static in ({}, {'/tf_static': (TF, elsewhere)}):
        recorded.pop('/tf_static', None)
        (line,) = warnings_of('episode', Bag({**recorded, **static}))
        assert line.startswith("episode: /camera/camera_info: no transform from 'world' to 'cam'")
        assert 'Record /tf_static' in line and '\n' not in line


def test_poses_in_the_camera_frame_and_bags_without_a_camera_need_no_transform(recorded, motion):
    stamp = int(motion.stamps_ns[0])
    del recorded['/tf_static']
    recorded['/camera/camera_info'] = (
        CAMERA,
        ROSBAGS.camera(ROSBAGS.header(stamp, motion.frame_id), motion.camera),
    )
    assert warnings_of('episode', Bag(recorded)) == []
    del recorded['/camera/camera_info']
    assert warnings_of('episode', Bag(recorded)) == []
