"""The region of interest and the support plane."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.camera.region import ActionRegion, action_box
from manivideo_ros.camera.support import checked_plane, plane_of, plane_problem
from manivideo_ros.geometry import Camera, look_at, pinhole, rigid
from manivideo_ros.hand.state import HandState

SIZE = (640, 480)
OVERVIEW = Camera(pinhole(*SIZE, 1.0), look_at((0, -2.4, 1.4), (0, 0, 0.2)), *SIZE)


def hand(x, y=0.0, z=0.2):
    return HandState(np.zeros(45), np.zeros(10), np.eye(3), np.array([x, y, z]))


def test_small_hands_get_many_times_the_cells():
    region = ActionRegion(320, 256)
    hands = {'right': hand(0.3)}
    crop = region.crop(OVERVIEW, hands, {})
    box = action_box(OVERVIEW, hands, {})
    assert (box[2] - box[0]) < 60, 'the hand is small in the image'
    cells = (SIZE[0] / crop.width) * (SIZE[1] / crop.height)
    assert cells >= 4
    assert crop.left <= box[0] and box[2] <= crop.left + crop.width
    assert crop.width / crop.height == pytest.approx(SIZE[0] / SIZE[1])


def test_a_crop_stands_still_while_the_action_stays_in_it_and_then_jumps_once():
    region = ActionRegion(320, 256)
    crops = [region.crop(OVERVIEW, {'right': hand(x)}, {}) for x in np.linspace(0, 0.5, 101)]
    jumps = sum(a != b for a, b in pairwise(crops))
    assert 1 <= jumps <= 8
    back = [region.crop(OVERVIEW, {'right': hand(0.5 + 0.003 * (-1) ** i)}, {}) for i in range(20)]
    assert len(set(back)) == 1, 'trembling does not move it'


def test_near_hands_and_an_empty_scene_get_the_whole_image():
    region = ActionRegion(320, 256)
    close = Camera(pinhole(*SIZE, 1.0), look_at((0, -0.3, 0.3), (0, 0, 0.2)), *SIZE)
    whole = region.crop(close, {'right': hand(0.1), 'left': hand(-0.1)}, {})
    assert (whole.left, whole.top, whole.width, whole.height) == (0, 0, *SIZE)
    assert ActionRegion(320, 256).crop(OVERVIEW, {}, {}).width == SIZE[0]
    behind = {'right': hand(0, -6.0)}
    assert ActionRegion(320, 256).crop(OVERVIEW, behind, {}).width == SIZE[0]


@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=1, max_size=8))
def test_every_crop_lies_in_the_image_and_contains_the_action(path):
    region = ActionRegion(320, 256)
    corners = np.array([[-0.03, -0.03, -0.03], [0.03, 0.03, 0.03]])
    for place in path:
        boxes = {'box': (rigid(np.eye(3), place), corners)}
        crop = region.crop(OVERVIEW, {'right': hand(*place)}, boxes)
        assert crop.left >= -1e-6 and crop.left + crop.width <= SIZE[0] + 1e-6
        assert crop.top >= -1e-6 and crop.top + crop.height <= SIZE[1] + 1e-6
        box = action_box(OVERVIEW, {'right': hand(*place)}, boxes)
        if box is not None:
            assert crop.left <= box[0] + 1 and box[2] <= crop.left + crop.width + 1


def test_a_plane_is_that_of_its_frame():
    plane = plane_of(rigid(np.eye(3), (1.0, 2.0, 0.7)))
    np.testing.assert_allclose(plane, [0, 0, 1, -0.7])
    np.testing.assert_allclose(checked_plane([0, 0, 2, -1]), [0, 0, 1, -0.5])
    for wrong in ([0, 0, 0, 1], [np.nan, 0, 1, 0]):
        with pytest.raises(ValueError, match='4 finite numbers'):
            checked_plane(wrong)


def test_planes_that_hide_nothing_are_reported():
    assert plane_problem([0, 0, 1, 0], OVERVIEW) == ''
    assert 'below the plane' in plane_problem([0, 0, -1, 0], OVERVIEW)
    up = Camera(pinhole(*SIZE, 0.5), look_at((0, 0, 1), (0, 0.5, 5)), *SIZE)
    assert plane_problem([0, 0, 1, 0], up) == 'the plane is behind the camera'
