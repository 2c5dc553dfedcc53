"""Left and right hands in consecutive images."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.estimation.placed import hands_before
from manivideo_ros.estimation.sides import FORGOTTEN, SideMemory
from manivideo_ros.geometry import pinhole

HERE, THERE = np.array([-0.15, 0.0, 0.6]), np.array([0.15, 0.0, 0.6])


def test_of_two_right_hands_the_more_probable_one_is_right():
    assert SideMemory().sides([HERE, THERE], [0.95, 0.6]) == ['right', 'left']
    assert SideMemory().sides([HERE, THERE], [0.3, 0.05]) == ['right', 'left']
    assert SideMemory().sides([HERE, THERE], [0.1, 0.9]) == ['left', 'right']
    assert SideMemory().sides([HERE], [0.4]) == ['left'] and SideMemory().sides([], []) == []


@given(st.lists(st.floats(0.35, 0.65), min_size=1, max_size=30))
def test_noisy_scores_change_no_side(scores):
    memory = SideMemory()
    memory.sides([HERE, THERE], [0.9, 0.2])
    for n, score in enumerate(scores):
        # They move, and come in any order.
        places = [HERE + np.array([0.02 * n, 0, 0]), THERE + np.array([0.02 * n, 0, 0])]
        order = [1, 0] if n % 2 else [0, 1]
        sides = memory.sides([places[k] for k in order], [(0.9, score)[k] for k in order])
        assert [sides[order.index(k)] for k in (0, 1)] == ['right', 'left']


def test_a_hand_alone_keeps_its_side_through_some_doubtful_images():
    memory = SideMemory()
    sides = [memory.sides([HERE], [score])[0] for score in (0.9, 0.9, 0.4, 0.3, 0.45, 0.9)]
    assert sides == ['right'] * 6


def test_a_wrong_first_side_is_corrected():
    memory = SideMemory()
    assert memory.sides([HERE, THERE], [0.8, 0.6]) == ['right', 'left']
    for _ in range(6):
        sides = memory.sides([HERE, THERE], [0.1, 0.95])
    assert sides == ['left', 'right']


def test_a_hand_keeps_its_side_over_a_short_absence_only():
    memory = SideMemory()
    for _ in range(5):
        memory.sides([HERE, THERE], [0.9, 0.1])
    memory.sides([HERE], [0.9])
    assert memory.sides([HERE, THERE], [0.9, 0.6]) == ['right', 'left']
    for _ in range(FORGOTTEN + 1):
        memory.sides([], [])
    assert memory.sides([THERE], [0.6]) == ['right']


def seen(right, x, jitter=0.0):
    shape = np.random.default_rng(0).normal(size=(21, 3)) * [0.04, 0.08, 0.01]
    pixels = (shape + np.array([x, 0, 0.6])) @ pinhole(640, 480, 0.8).T
    keypoints = pixels[:, :2] / pixels[:, 2:] + jitter
    return SimpleNamespace(right=right, presence=0.9, shape=shape, keypoints=keypoints)


@pytest.mark.parametrize(
    ('hands', 'sides'),
    [
        ([seen(0.95, -0.15), seen(0.6, 0.15)], ['right', 'left']),
        ([seen(0.95, 0.0), seen(0.4, 0.0, 3.0)], ['right']),  # one hand, found twice
        ([seen(0.9, -0.2), seen(0.1, 0.2), seen(0.6, 0.0)], ['right', 'left']),
    ],
)
def test_an_image_shows_at_most_one_hand_of_each_side(hands, sides):
    estimator = SimpleNamespace(detect=lambda _: hands)
    found = hands_before(np.zeros((480, 640, 3), np.uint8), pinhole(640, 480, 0.8), estimator)
    assert [hand.side for hand in found] == sides
