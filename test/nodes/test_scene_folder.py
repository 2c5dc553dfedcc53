"""A running synthesizer shows the hands and the support plane of a calibrated scene folder."""

import os

import numpy as np
import pytest
from labs import READY_S, lab_in, running
from manivideo_ros.srv import SetScene
from sensor_msgs.msg import Image, PointCloud2

from manivideo_ros.camera.support import plane_moved
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.estimation.scene_folder import write_scene_folder
from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.messages.images import read_image, read_keypoints
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import environment, free_domain

ROOM, HAND = np.full((48, 64, 3), 90, np.uint8), np.full((64, 64, 3), 180, np.uint8)
LARGE = np.array([1.5, *[0.0] * 9], np.float32)
ABOVE = np.array([0.0, 0.0, 1.0, -0.3])  # of the hands, below the camera


def scene_folder(folder, betas, model='default', support=None):
    shape = HandShape(model, dict.fromkeys(('left', 'right'), np.asarray(betas, np.float32)))
    write_scene_folder(folder, ROOM, HAND, np.ones((64, 64), np.uint8), None, None, shape, support)
    return folder


@pytest.fixture(scope='module')
def synthesizer(human, tmp_path_factory):
    folders = tmp_path_factory.mktemp('scenes')
    scene = scene_folder(folders / 'first', LARGE)
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    given = {**human, 'scene': str(scene), 'scene_folders': [str(folders)]}
    with running('synthesizer_node', given, environment(domain)) as process:
        process.folders, process.domain = folders, domain
        process.wait_for('active', READY_S)
        yield process


@pytest.fixture
def lab(synthesizer, motion):
    with lab_in(synthesizer.domain, motion) as node:
        for kind, topic in ((Image, 'mlo/mask'), (PointCloud2, 'hand_keypoints')):
            node.listen(kind, topic)
        yield node


def keypoints_of(lab, spoil=lambda hands, objects: None):
    """The newest keypoints [42, 3] of both hands in the camera's frame, and the hands' states."""
    lab.got['hand_keypoints'].clear()
    lab.play(20, lambda: len(lab.got['hand_keypoints']) > 5, spoil)
    # Frames between two poses have other stamps.
    got = [m for m in lab.got['hand_keypoints'] if stamp_ns(m.header) in lab.sent]
    message = got[-1]
    found = read_keypoints(message)
    index = lab.sent.index(stamp_ns(message.header))
    return np.stack([found[a] for a in 'xyz'], -1), lab.motion.frame(index % len(lab.motion)).hands


def expected(lab, states, betas):
    points = []
    for side in ('left', 'right'):
        state = type(states[side])(
            states[side].theta, betas, states[side].wrist_rotation, states[side].wrist_position
        )
        points.append(world_keypoints(load_hand(side), state))
    return transform_points(lab.motion.camera.camera_from_world, np.concatenate(points))


def test_hands_without_betas_have_the_calibrated_shape_and_one_line_says_so(synthesizer, lab):
    points, states = keypoints_of(lab)
    np.testing.assert_allclose(points, expected(lab, states, LARGE), atol=2e-3)
    assert np.abs(points - expected(lab, states, np.zeros(10))).max() > 4e-3
    said = [line for line in synthesizer.lines if 'scene: calibrated: the shape of left' in line]
    assert len(said) == 1 and 'INFO' in said[0]


def test_the_betas_of_messages_are_kept(synthesizer, lab):
    own = np.array([-1.5, *[0.0] * 9])

    def shaped(hands, objects):
        for hand in hands.hands:
            hand.betas = own.tolist()

    points, states = keypoints_of(lab, shaped)
    np.testing.assert_allclose(points, expected(lab, states, own), atol=2e-3)


def test_set_scene_takes_hands_and_support_plane_of_another_folder(synthesizer, lab):
    other = -LARGE
    seen = plane_moved(ABOVE, lab.motion.camera.camera_from_world)
    folder = str(scene_folder(synthesizer.folders / 'second', other, support=seen))
    keep = {'keep_objects': True, 'keep_noise_seed': True}
    answer = lab.call(SetScene, 'set_scene', SetScene.Request(hand_reference=folder, **keep))
    assert answer.success, answer.message
    points, states = keypoints_of(lab)
    np.testing.assert_allclose(points, expected(lab, states, other), atol=2e-3)
    assert shown(lab) > 0
    answer = lab.call(SetScene, 'set_scene', SetScene.Request(background=folder, **keep))
    assert answer.success, answer.message
    assert shown(lab) == 0, 'hands below the support plane are hidden'
    assert any('the support plane where no parameter' in line for line in synthesizer.lines)


def shown(lab):
    """Pixels of hands and objects in the newest mask."""
    lab.got['mlo/mask'].clear()
    lab.play(20, lambda: len(lab.got['mlo/mask']) > 3)
    return np.count_nonzero(read_image(lab.got['mlo/mask'][-1]))


def test_a_shape_of_another_hand_model_is_refused_in_a_line(synthesizer, lab):
    folder = str(scene_folder(synthesizer.folders / 'mano', LARGE, 'mano'))
    request = SetScene.Request(hand_reference=folder, keep_objects=True, keep_noise_seed=True)
    assert lab.call(SetScene, 'set_scene', request).success
    points, states = keypoints_of(lab)
    np.testing.assert_allclose(points, expected(lab, states, np.zeros(10)), atol=2e-3)
    assert any("of the model 'mano', shown is 'default': not used" in x for x in synthesizer.lines)


def test_a_folder_that_is_no_scene_is_refused(synthesizer, lab):
    empty = synthesizer.folders / 'empty'
    empty.mkdir()
    answer = lab.call(SetScene, 'set_scene', SetScene.Request(hand_reference=str(empty)))
    assert not answer.success and 'make a scene folder with manivideo calibrate' in answer.message
