"""Skeleton maps: position and colour of limbs, invisible points, and reading of messages."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.drawing.skeleton import (
    BODY_COLOURS,
    BODY_LIMBS,
    HAND_LIMBS,
    LEFT_HAND,
    LIMB_LIGHT,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    largest_person,
    person_box,
    skeleton_map,
)
from manivideo_ros.messages.read import read_people

SIZE = 256
# A person standing with spread arms: OpenPose's 18 body points in pixels.
BODY_POINTS = np.array(
    [
        (128, 40), (128, 70), (100, 72), (70, 90), (40, 110), (156, 72), (186, 90), (216, 110),
        (112, 140), (108, 185), (104, 230), (144, 140), (148, 185), (152, 230), (122, 34),
        (134, 34), (114, 38), (142, 38),
    ],
    np.float64,
)  # fmt: skip


def standing() -> np.ndarray:
    points = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    points[:18, :2], points[:18, 2] = BODY_POINTS, 0.9
    return points


def with_hand(hand: slice) -> np.ndarray:
    """A hand only, with fingers spread like rays, 20 to 80 pixels long."""
    points = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    points[hand, :2], points[hand, 2] = (128, 200), 0.9
    for i in range(1, 21):
        finger, joint = divmod(i - 1, 4)
        angle = np.pi * (0.1 + 0.2 * finger)
        ray = np.array([np.cos(angle), -np.sin(angle)])
        points[hand.start + i, :2] = (128, 200) + (joint + 1) * 20 * ray
    return points


CENTRES = np.add.outer(1j * (np.arange(SIZE) + 0.5), np.arange(SIZE) + 0.5)


def distance_to(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance [SIZE, SIZE] of pixel centres from a segment or a point."""
    start, end = complex(*first), complex(*second)
    along = end - start
    away = CENTRES - start
    if along != 0:
        away -= along * np.clip((away * along.conjugate()).real / abs(along) ** 2, 0, 1)
    return np.abs(away)


@pytest.mark.parametrize('limb', range(len(BODY_LIMBS)))
def test_each_limb_is_a_line_of_its_colour_between_its_points(limb: int) -> None:
    points = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    ends = list(BODY_LIMBS[limb])
    points[ends] = np.column_stack([BODY_POINTS[ends], [0.9, 0.9]])
    image = skeleton_map(points, SIZE, SIZE).transpose(1, 2, 0).astype(int)
    far = distance_to(*BODY_POINTS[ends])
    tips = np.minimum(*(distance_to(end, end) for end in BODY_POINTS[ends]))
    line = (far < 1) & (tips > 4)
    if line.any():  # limbs of the face are shorter than the diameter of their points
        expected = LIMB_LIGHT * np.array(BODY_COLOURS[limb])
        np.testing.assert_allclose(image[line].mean(0), expected, atol=3)
    assert image[far < 1].sum(-1).min() > 100
    assert image[far > 5].sum() == 0
    for end in ends:
        x, y = BODY_POINTS[end].astype(int)
        np.testing.assert_array_equal(image[y, x], BODY_COLOURS[end])


@pytest.mark.parametrize('hand', [LEFT_HAND, RIGHT_HAND], ids=['left', 'right'])
def test_hands_are_thin_lines_in_twenty_hues(hand: slice) -> None:
    points = with_hand(hand)
    image = skeleton_map(points, SIZE, SIZE).transpose(1, 2, 0).astype(int)
    hues = set()
    nearest = np.full((SIZE, SIZE), np.inf)
    for first, second in HAND_LIMBS:
        ends = points[[hand.start + first, hand.start + second], :2].astype(float)
        nearest = np.minimum(nearest, distance_to(*ends))
        x, y = ends.mean(0).astype(int)
        window = image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
        brightest = window[window.sum(-1).argmax()]
        assert brightest.max() > 120
        hues.add(tuple(np.round(brightest / brightest.max(), 1)))
    assert len(hues) == 20
    assert image[nearest > 2].sum() == 0
    assert (image.sum(-1) > 0).sum() < 4 * 5 * 80


def test_lines_are_antialiased_with_subpixel_positions() -> None:
    points = standing()
    image = skeleton_map(points, SIZE, SIZE).astype(int)
    assert len(np.unique(image[0])) > 20
    moved = points + np.array([0.25, 0, 0], np.float32)
    change = np.abs(skeleton_map(moved, SIZE, SIZE).astype(int) - image)
    assert 0 < change.max() < 160


def test_limbs_with_a_point_below_the_threshold_are_not_drawn() -> None:
    points = standing()
    points[3, 2] = 0.29  # the right elbow
    image = skeleton_map(points, SIZE, SIZE).transpose(1, 2, 0)
    upper_arm, forearm = (distance_to(BODY_POINTS[a], BODY_POINTS[3]) < 2 for a in (2, 4))
    rest = np.minimum(distance_to(*BODY_POINTS[[1, 2]]), distance_to(*BODY_POINTS[[8, 1]]))
    wrist = distance_to(BODY_POINTS[4], BODY_POINTS[4])
    assert image[(upper_arm | forearm) & (rest > 5) & (wrist > 5)].sum() == 0
    assert skeleton_map(points, SIZE, SIZE, threshold=0.2)[:, 90, 70].sum() > 0
    assert skeleton_map(np.zeros((NUM_KEYPOINTS, 3)), SIZE, SIZE).sum() == 0


def test_clipping_at_the_border_does_not_change_the_inside() -> None:
    points = standing()
    points[:, :2] += 150
    wide = skeleton_map(points, 512, 512)
    # Line widths depend on the image's size, so that the images are cropped to compare them.
    shifted = points - np.array([256, 256, 0], np.float32)
    cut = skeleton_map(shifted, 512, 512)[:, :256, :256].astype(float)
    assert wide[:, 256:, 256:].sum() > 0
    np.testing.assert_allclose(cut, wide[:, 256:, 256:], atol=10)


coordinates = st.floats(width=32, allow_nan=True, allow_infinity=True)
body_points = st.tuples(coordinates, coordinates, st.floats(0, 1, width=32))


@settings(max_examples=25, deadline=None)
@given(st.lists(body_points, min_size=18, max_size=18))
def test_any_coordinates_can_be_drawn(body: list[tuple[float, float, float]]) -> None:
    points = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    points[:18] = body
    image = skeleton_map(points, 48, 32)
    assert image.shape == (3, 32, 48) and image.dtype == np.uint8


def test_a_skeleton_of_another_shape_is_rejected() -> None:
    with pytest.raises(ValueError, match='134'):
        skeleton_map(np.zeros((133, 3)), SIZE, SIZE)


def test_the_largest_of_several_people_is_selected() -> None:
    tall, small, faint = standing(), standing(), standing()
    small[:, :2] *= 0.5
    faint[:, :2] *= 3
    faint[:, 2] = 0.1
    np.testing.assert_array_equal(largest_person([small, tall, faint]), tall)
    assert not largest_person([faint]).any()
    assert not largest_person(np.zeros((0, NUM_KEYPOINTS, 3))).any()
    assert person_box(tall) == (40, 34, 216, 230) and person_box(faint) is None


def test_people_of_a_message_are_scaled_to_the_drawn_image() -> None:
    from manivideo_ros.messages.types import typestore

    types = typestore().types
    stamp = types['builtin_interfaces/msg/Time'](sec=1, nanosec=2)
    header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')
    person = types['manivideo_ros/msg/SkeletonPose'](keypoints=standing().ravel())
    name = 'manivideo_ros/msg/SkeletonPoses'
    message = types[name](header=header, image_width=512, image_height=256, people=[person])
    message = typestore().deserialize_cdr(typestore().serialize_cdr(message, name), name)
    people, problems = read_people(message, 256, 256)
    assert not problems and people.shape == (1, NUM_KEYPOINTS, 3)
    np.testing.assert_allclose(people[0], standing() * np.array([0.5, 1, 1]))


def test_invalid_people_of_a_message_are_named_and_the_others_used() -> None:
    good, short = standing().ravel(), np.zeros(54)
    broken = good.copy()
    broken[5] = np.nan
    message = SimpleNamespace(
        image_width=256,
        image_height=256,
        people=[SimpleNamespace(keypoints=k) for k in (short, good, broken)],
    )
    people, problems = read_people(message, 256, 256)
    assert len(people) == 1
    assert [p.split(':')[0] for p in problems] == ['people[0].keypoints', 'people[2].keypoints']
    message.image_width = 0
    people, problems = read_people(message, 256, 256)
    assert len(people) == 0 and problems[0].startswith('image_width')
