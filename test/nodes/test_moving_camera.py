"""The motion player publishes a moving camera on /tf."""

import os

import numpy as np
import pytest
from labs import lab_in, running
from manivideo_ros.msg import HandPoses
from mounted_cameras import FRONT, WRIST, record_mounted
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import invert_rigid
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.nodes.motion_player import CAMERA_FRAME, cameras, messages
from manivideo_ros.ros import qos

READY_S = 60


def test_cameras_are_of_the_times_of_the_poses(tmp_path):
    record_mounted(tmp_path / 'take', frames=10)
    motion = load_motion(tmp_path / 'take')
    found = cameras(motion, 60.0)
    assert len(found) == len(messages(motion, 60.0)) == round(60 * motion.duration_s)
    np.testing.assert_allclose(found[0].camera_from_world, motion.camera_track[0], atol=1e-9)
    half = motion.camera_at(int(motion.stamps_ns[0]) + 16_666_667)
    np.testing.assert_allclose(found[1].camera_from_world, half.camera_from_world, atol=1e-6)


def test_a_moving_camera_is_on_tf_at_the_stamps_of_the_poses(tmp_path, node_environment, motion):
    record_mounted(tmp_path / 'take', frames=10, cameras=(FRONT, WRIST))
    recorded = load_motion(tmp_path / 'take', WRIST)
    play = {'motion': str(tmp_path / 'take'), 'camera': WRIST, 'wait_for': 1, 'loop': False}
    with lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab:
        lab.listen(TFMessage, '/tf', qos.POSES_OUT)
        lab.listen(HandPoses, 'hand_poses', qos.POSES_OUT)
        with running('motion_player', play, node_environment) as player:
            lab.spin(READY_S, lambda: player.status is not None)
        tree = TransformTree()
        for message in lab.got['/tf']:
            assert tree.take(message) == []
        stamps = [stamp_ns(m.header) for m in lab.got['hand_poses']]
    assert len(stamps) > 5
    first, last = stamps[0], stamps[-1]
    placed = tree.lookup(CAMERA_FRAME, recorded.frame_id, first)
    np.testing.assert_allclose(placed, recorded.camera_track[0], atol=1e-5)
    assert tree.covered(CAMERA_FRAME, recorded.frame_id) == (first, last)
    moved = tree.lookup(CAMERA_FRAME, recorded.frame_id, last) @ invert_rigid(placed)
    assert np.abs(moved - np.eye(4)).max() == pytest.approx(0.08, abs=0.06)
