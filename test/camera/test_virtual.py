"""Virtual cameras: their poses, and the node over DDS."""

import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labs import lab_in, running
from manivideo_ros.msg import HandPoses
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from manivideo_ros.camera.virtual import VirtualCamera
from manivideo_ros.geometry import axis_angle_to_matrix, invert_rigid, rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import NodeError

EYE, TARGET = np.array([0.4, -0.6, 0.5]), np.array([0.1, 0.0, 0.1])
VIEW = VirtualCamera(EYE, TARGET, 640, 480, 0.8)


def pixel(world_from_camera, point):
    """The pixel and the depth of a world point."""
    seen = invert_rigid(world_from_camera) @ [*point, 1]
    k = VIEW.camera().intrinsics
    return (k @ seen[:3])[:2] / seen[2], seen[2]


def test_a_fixed_camera_looks_at_its_target_upright():
    at, depth = pixel(VIEW.still(), TARGET)
    np.testing.assert_allclose(at, [320, 240])
    assert depth == pytest.approx(np.linalg.norm(EYE - TARGET))
    above, _ = pixel(VIEW.still(), TARGET + np.array([0, 0, 0.05]))
    assert above[0] == pytest.approx(320) and above[1] < 240


@settings(max_examples=30, deadline=None)
@given(seconds=st.floats(0, 100), period=st.floats(0.5, 60))
def test_an_orbit_keeps_its_distance_height_and_target(seconds, period):
    placed = VIEW.orbit(seconds, period)
    np.testing.assert_allclose(pixel(placed, TARGET)[0], [320, 240], atol=1e-6)
    assert placed[2, 3] == pytest.approx(EYE[2])
    assert np.linalg.norm(placed[:3, 3] - TARGET) == pytest.approx(np.linalg.norm(EYE - TARGET))


def test_an_orbit_starts_at_the_eye_and_turns_once_per_period():
    np.testing.assert_allclose(VIEW.orbit(0, 8), VIEW.still(), atol=1e-12)
    np.testing.assert_allclose(VIEW.orbit(8, 8), VIEW.still(), atol=1e-9)
    opposite = VIEW.orbit(4, 8)[:2, 3] - TARGET[:2]
    np.testing.assert_allclose(opposite, TARGET[:2] - EYE[:2], atol=1e-9)
    # Counter-clockwise, seen from above.
    quarter = VIEW.orbit(2, 8)[:2, 3] - TARGET[:2]
    assert np.linalg.det(np.stack([EYE[:2] - TARGET[:2], quarter])) > 0


@settings(max_examples=30, deadline=None)
@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), side=st.sampled_from(['left', 'right']))
def test_a_wrist_camera_moves_with_the_wrist(turn, side):
    mount = VirtualCamera([0.12, 0.1, 0], [-0.1, 0, 0], 640, 480, 0.8)
    wrist = rigid(axis_angle_to_matrix(turn), [0.5, 0.6, 0.7])
    hand = HandState(np.zeros(45), np.zeros(10), wrist[:3, :3], wrist[:3, 3])
    placed = mount.on_wrist(side, hand)
    fingers = [-0.1 if side == 'right' else 0.1, 0, 0, 1]
    np.testing.assert_allclose(pixel(placed, (wrist @ fingers)[:3])[0], [320, 240], atol=1e-6)
    back = wrist @ [fingers[0], 0.03, 0, 1]
    assert pixel(placed, back[:3])[0][1] < 240, 'the back of the hand is up'
    assert np.linalg.det(placed[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'eye': [0, 0]}, 'eye: must be 3 finite numbers'),
        ({'target': [0, 0, np.nan]}, 'target: must be 3'),
        ({'fov_y': 4.0}, 'fov_y: 4.0 is not between'),
        ({'width': 0}, 'size must be positive'),
    ],
)
def test_invalid_views_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        VirtualCamera(
            **{'eye': EYE, 'target': TARGET, 'width': 64, 'height': 48, 'fov_y': 1.0, **wrong}
        )
    with pytest.raises(ValueError, match='view not along up'):
        VirtualCamera([0, 0, 1], [0, 0, 0], 64, 48, 1.0).still()


@pytest.mark.parametrize('kind', ['orbit', 'wrist'])
def test_a_camera_publishes_camera_info_and_tf_at_the_same_stamps(kind, node_environment, motion):
    parameters = {'kind': kind, 'eye': [0.12, 0.1, 0.0], 'target': [-0.1, 0.0, 0.0], 'width': 320}
    with (
        running('virtual_camera', parameters, node_environment) as process,
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        process.wait_for(f'{kind}: 320x480', 90)
        lab.listen(TFMessage, '/tf')
        lab.listen(CameraInfo, 'camera/camera_info')
        lab.listen(HandPoses, 'hand_poses')

        def answered():
            infos = {stamp_ns(m.header) for m in lab.got['camera/camera_info']}
            ours = {stamp_ns(t.header): t for m in lab.got['/tf'] for t in m.transforms}
            ours = {s: t for s, t in ours.items() if s in infos}
            return ours if kind == 'orbit' else {s: t for s, t in ours.items() if s in lab.sent}

        end = time.monotonic() + 60
        while time.monotonic() < end and not answered():
            if kind == 'wrist':
                lab.send()
            lab.spin(0.05)
        (transform, *_) = answered().values()
        assert transform.header.frame_id == 'world'
        assert transform.child_frame_id == 'camera_optical_frame'


def test_cameras_in_namespaces_have_their_own_frames_and_topics(node_environment, motion):
    """A fixed camera and one on a wrist, with the same hands."""
    hands = {'hand_poses': '/hand_poses'}
    with (
        running('virtual_camera', {}, node_environment, {'__ns': '/still'}) as first,
        running(
            'virtual_camera',
            {'kind': 'wrist', 'eye': [0.12, 0.1, 0.0], 'target': [-0.1, 0.0, 0.0]},
            node_environment,
            {'__ns': '/wrist', **hands},
        ) as second,
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        first.wait_for('look_at: 640x480, still/camera_optical_frame', 90)
        second.wait_for('wrist: 640x480, wrist/camera_optical_frame', 90)
        lab.listen(TFMessage, '/tf')
        for space in ('still', 'wrist'):
            lab.listen(CameraInfo, f'/{space}/camera/camera_info')

        def frames():
            return {t.child_frame_id for m in lab.got['/tf'] for t in m.transforms}

        def infos(space):
            return {m.header.frame_id for m in lab.got[f'/{space}/camera/camera_info']}

        end = time.monotonic() + 60
        while time.monotonic() < end and not (len(frames()) == 2 and infos('still')):
            lab.send()
            lab.spin(0.05)
        assert frames() == {'still/camera_optical_frame', 'wrist/camera_optical_frame'}
        assert infos('still') == {'still/camera_optical_frame'}
        assert infos('wrist') == {'wrist/camera_optical_frame'}


def test_an_invalid_camera_is_rejected_in_one_line(node_environment):
    parameters = {'kind': 'drone'}
    with running('virtual_camera', parameters, node_environment) as process:
        with pytest.raises(NodeError, match="kind: 'drone' is not one of look_at, orbit, wrist"):
            process.wait_for('320', 60)
        assert process.wait(10) == 2
