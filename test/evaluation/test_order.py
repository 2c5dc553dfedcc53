"""Occlusion order: 1 for ground truth, 0 for exchanged layers."""

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.data.scenes.library import object_asset
from manivideo_ros.data.scenes.scene import sample_scene
from manivideo_ros.evaluation.measures.order import (
    CLEARLY_APART,
    ClipOrder,
    SwappedLayers,
    order_counts,
)
from manivideo_ros.evaluation.measures.true_light import TrueLight
from manivideo_ros.geometry import look_at, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, HandState

SIZE = 64
RIGHT, WRONG = (np.full((2, 2, 3), level, np.uint8) for level in (50, 150))
EVERYWHERE = np.ones((2, 2), bool)


def test_a_pixel_counts_for_the_closer_order():
    image = np.array([[50, 90], [110, 150]], np.uint8)[..., None].repeat(3, 2)
    assert order_counts(image, RIGHT, WRONG, EVERYWHERE) == (2, 4)
    assert order_counts(image, RIGHT, WRONG, np.eye(2, dtype=bool)) == (1, 2)


def test_pixels_with_similar_colours_in_both_orders_are_not_counted():
    alike = (RIGHT + int(CLEARLY_APART) - 1).astype(np.uint8)
    assert order_counts(RIGHT, RIGHT, alike, EVERYWHERE) == (0, 0)
    apart = (RIGHT + int(CLEARLY_APART)).astype(np.uint8)
    assert order_counts(RIGHT, RIGHT, apart, EVERYWHERE) == (4, 4)


def test_a_clip_weights_pixels_equally():
    order = ClipOrder()
    order.add({'a': RIGHT}, RIGHT, WRONG, EVERYWHERE)
    order.add({'a': WRONG}, RIGHT, WRONG, np.eye(2, dtype=bool))
    assert order.result()['a'] == (pytest.approx(4 / 6), 6)
    empty = ClipOrder()
    empty.add({'a': RIGHT}, RIGHT, WRONG, ~EVERYWHERE)
    assert np.isnan(empty.result()['a'][0])


@pytest.fixture(scope='module')
def scene():
    """A hand in front of a box with light; poses of the left hand, the right hand, the box."""
    stage = sample_scene(3, 'test', frames=1, motion_share=0.0)
    camera = replace(stage.camera, camera_from_world=look_at((0, -0.6, 0.35), (0, 0, 0.1)))
    stage = replace(
        stage, hands={side: load_hand(side) for side in SIDES}, asset=None, others=(), camera=camera
    )
    light = TrueLight(stage, [object_asset('box', 5)], SIZE, SIZE)
    hand = HandState(np.zeros(45), np.zeros(10), np.eye(3), np.array([0.1, -0.12, 0.12]))
    return light, [None, hand, rigid(np.eye(3), [0, 0, 0.0])]


def test_the_swap_shows_the_box_through_the_hand(scene):
    light, poses = scene
    truth = light.paint(poses)
    box_alone = light.paint([None, None, poses[2]])
    swapped, competing = SwappedLayers(light).paint(poses)
    assert competing.sum() > 50
    difference = np.abs(swapped.astype(float) - truth).mean(2)
    assert np.median(difference[competing]) > 10
    shown = np.abs(swapped.astype(float) - box_alone).mean(2)
    assert np.median(shown[competing]) < 5

    order = ClipOrder()
    grey = np.full_like(truth, 128)
    order.add({'truth': truth, 'swapped': swapped, 'grey': grey}, truth, swapped, competing)
    result = order.result()
    assert result['truth'] == (1.0, result['truth'][1]) and result['truth'][1] > 30
    assert result['swapped'][0] == 0


def test_one_layer_alone_has_no_overlap(scene):
    light, poses = scene
    painter = SwappedLayers(light)
    image, competing = painter.paint([None, None, poses[2]])
    assert not competing.any()
    assert np.array_equal(image, light.paint([None, None, poses[2]]))
