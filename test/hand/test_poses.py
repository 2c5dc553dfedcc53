"""The named finger poses."""

import numpy as np
import pytest
import torch

from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.poses import POSES, finger_pose, mirror_theta


def keypoints(name, side='right'):
    hand = load_hand(side)
    theta = torch.tensor(finger_pose(name, side))[None]
    vertices, joints = lbs(hand, theta, torch.zeros(1, 10), torch.eye(3)[None], torch.zeros(1, 3))
    return keypoints21(hand, vertices, joints)[0].numpy()


def test_every_pose_has_a_mirrored_one_and_flat_is_zero():
    assert POSES == ('flat', 'relaxed', 'power', 'pinch', 'tripod', 'point', 'spread')
    assert not finger_pose('flat', 'left').any()
    for name in POSES:
        theta = finger_pose(name, 'right')
        assert theta.shape == (45,)
        assert np.linalg.norm(theta.reshape(15, 3), axis=1).max() < 2
        np.testing.assert_array_equal(mirror_theta(finger_pose(name, 'left')), theta)
    with pytest.raises(ValueError, match='no finger pose'):
        finger_pose('wave', 'left')


@pytest.mark.parametrize('side', ['left', 'right'])
def test_gestures_match_their_names(side):
    pinch, point, power = (keypoints(n, side) for n in ('pinch', 'point', 'power'))
    tripod, spread, flat = (keypoints(n, side) for n in ('tripod', 'spread', 'flat'))
    assert np.linalg.norm(pinch[4] - pinch[8]) < 0.02  # thumb and index meet
    assert np.linalg.norm(tripod[4] - tripod[8]) < 0.035
    assert np.linalg.norm(tripod[4] - tripod[12]) < 0.035
    reach = {
        n: np.linalg.norm(k[[8, 12, 16, 20]], axis=1)
        for n, k in (('point', point), ('power', power), ('flat', flat))
    }
    assert reach['point'][0] > 0.95 * reach['flat'][0]
    assert np.all(reach['point'][1:] < 0.75 * reach['flat'][1:])
    assert np.all(reach['power'] < 0.8 * reach['flat'])
    assert np.linalg.norm(spread[8] - spread[20]) > np.linalg.norm(flat[8] - flat[20]) + 0.015
