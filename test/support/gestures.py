"""What tests share: gestures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from manivideo_ros.geometry import axis_angle_to_matrix
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.poses import POSES, finger_pose

RECORDINGS = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'motion'


def keypoints_of(side, theta, betas, turn, place):
    """Keypoints [F, 21, 3] of a posed hand; numpy in, numpy out."""
    tensors = [
        torch.tensor(np.asarray(a), dtype=torch.float32) for a in (theta, betas, turn, place)
    ]
    hand = load_hand(side)
    vertices, joints = lbs(hand, *tensors)
    return keypoints21(hand, vertices, joints).numpy().astype(np.float64)


def gestures(side, frames=40, seed=0):
    """Natural motion: blends between named poses while the wrist travels and turns."""
    rng = np.random.default_rng(seed)
    named = np.stack([finger_pose(name, side) for name in POSES])
    stops = named[rng.integers(0, len(named), 5)]
    s = np.linspace(0, 4, frames)
    theta = np.stack([np.interp(s, range(5), stops[:, k]) for k in range(45)], 1)
    turn = axis_angle_to_matrix(np.linspace(rng.normal(0, 1, 3), rng.normal(0, 1, 3), frames))
    place = np.linspace(rng.normal(0, 0.2, 3), rng.normal(0, 0.2, 3), frames)
    return theta, turn, place


def recording(name):
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(
            f'shared/data/motion/{name}, a recording of real hands, is not beside the checkout'
        )
    return np.load(path)
