"""A person painted over a background, and the arms of hands joined to their skeleton."""

import numpy as np
import pytest

from manivideo_ros.drawing.people.arms import ARM, facing, joined_arms
from manivideo_ros.drawing.people.painting import CLOTH, PersonColours, Support, paint_person
from manivideo_ros.drawing.skeleton import LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, seen
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import HandState

GREY = np.full((240, 320, 3), 128, np.uint8)
SKIN, SHIRT = np.array([0.8, 0.5, 0.4], np.float32), np.array([0.1, 0.2, 0.7], np.float32)
COLOURS = PersonColours(SKIN, SHIRT, SHIRT)
# As seen from in front: the person's right is left in the image.
JOINTS = {
    0: (160, 75), 1: (160, 118), 2: (122, 120), 3: (108, 172), 4: (140, 205), 5: (198, 120),
    6: (215, 170), 7: (185, 207), 14: (153, 69), 15: (167, 69), 16: (145, 74), 17: (175, 74),
}  # fmt: skip


def person(*without: int) -> np.ndarray:
    out = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    for number, place in JOINTS.items():
        out[number] = (*place, number not in without)
    for hand, wrist, sign in ((RIGHT_HAND, 4, 1), (LEFT_HAND, 7, -1)):
        for i in range(21):
            finger, joint = (i - 1) // 4, (i - 1) % 4
            shift = (0, 0) if i == 0 else (sign * 4 * (finger - 2), -8 - 4 * joint)
            out[hand.start + i] = (*np.add(JOINTS[wrist], shift), 1)
    return out


def changed(skeleton, with_hands=(), **options) -> np.ndarray:
    image, _ = paint_person(GREY, skeleton, COLOURS, with_hands, **options)
    return np.abs(image.astype(int) - GREY).max(-1) > 12


def at(image, place) -> np.ndarray:
    return np.asarray(image[place[1], place[0]])


def test_every_part_is_painted_in_its_colour():
    image, coverage = paint_person(GREY, person(), COLOURS)
    for place in ((160, 160), (160, 235), (112, 150), (118, 182)):  # torso, below, both arm bones
        r, _, b = at(image, place).astype(int)
        assert b > 2 * r and coverage[place[1], place[0]] == pytest.approx(1)
    r, _, b = at(image, (160, 84)).astype(int)  # the face
    assert r > 1.3 * b
    assert at(image, (160, 52)).max() < 90  # the hair
    r, _, b = at(image, (140, 196)).astype(int)  # a finger
    assert r > 1.3 * b
    assert coverage[10, 10] == 0 and coverage[200, 300] == 0
    np.testing.assert_array_equal(image[coverage == 0], GREY[coverage == 0])


def test_an_arm_whose_hand_has_a_pose_is_left_to_it_but_for_the_shoulder():
    whole, without = changed(person()), changed(person(), ('right',))
    for place in ((106, 165), (118, 182)):
        assert at(whole, place) and not at(without, place)
    assert at(without, (114, 118)) and at(without, (205, 150))  # the shoulder; the other arm


def test_a_part_that_is_not_seen_is_not_painted():
    assert not at(changed(person(3)), (106, 160))  # without an elbow, no arm
    assert not changed(person(0, 14, 15, 16, 17))[:80].any()  # no head
    assert not at(changed(person(1, 2, 5)), (160, 160))  # no torso


def test_nobody_leaves_the_background_as_it_is():
    nobody = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    image, coverage = paint_person(GREY, nobody, COLOURS)
    assert image is GREY and not coverage.any()
    wild = person()
    wild[:, :2] *= 1e4
    assert not paint_person(GREY, wild, COLOURS)[1].any()


def test_one_shoulder_and_the_neck_say_where_the_other_is():
    both, one = changed(person()), changed(person(2))
    assert np.mean(both[120:, 140:180] != one[120:, 140:180]) < 0.02


def test_a_mirrored_person_looks_mirrored():
    """So that training may mirror images of people as it mirrors all others."""
    mirror = person()
    mirror[:, 0] = 320 - mirror[:, 0]
    pairs = [(2, 5), (3, 6), (4, 7), (14, 15), (16, 17)]
    for a, b in pairs:
        mirror[[a, b]] = mirror[[b, a]]
    hands = mirror[LEFT_HAND].copy(), mirror[RIGHT_HAND].copy()
    mirror[RIGHT_HAND], mirror[LEFT_HAND] = hands
    first = paint_person(GREY, person(), COLOURS)[0].astype(int)
    second = paint_person(GREY, mirror, COLOURS)[0].astype(int)[:, ::-1]
    assert np.mean(np.abs(first - second).max(-1) > 24) < 0.02


CAMERA = Camera(pinhole(320, 240, 0.7), look_at((0.0, -1.5, 0.5), (0.0, 0.0, 0.25)), 320, 240)


def test_a_support_hides_the_torso_below_it_unless_the_hips_are_seen():
    support = Support.of(CAMERA, [0.0, 0.0, 1.0, 0.0])
    free, hidden = changed(person()), changed(person(), support=support)
    assert free[150].any() and hidden[150].any()
    assert free[238, 150:170].all() and not hidden[238, 150:170].any()
    hips = person()
    hips[[8, 11]] = (140, 225, 1), (180, 225, 1)
    assert changed(hips, support=support)[238, 150:170].all()
    assert Support.of(CAMERA, None) is None


@pytest.mark.parametrize('sleeved', [True, False])
def test_clothes_have_the_colour_of_the_sleeve(sleeved):
    parts = np.ones((128, 128), np.uint8)
    image = np.full((128, 128, 3), (200, 120, 100), np.uint8)
    if sleeved:
        parts[64:], image[64:] = 3, (30, 60, 180)
    found = PersonColours.of(HandReference(image, parts))
    expected = np.array((30, 60, 180)) / 255 if sleeved else CLOTH
    np.testing.assert_allclose(found.cloth, expected, atol=0.01)
    arm = expected if sleeved else found.skin
    np.testing.assert_allclose(found.sleeve, arm, atol=0.01)


# Arms.

MODELS = {side: load_hand(side) for side in ('left', 'right')}


def hands_at(skeleton) -> dict[str, HandState]:
    """A hand at each wrist of a skeleton, 1.2 m from the camera."""
    k = np.linalg.inv(CAMERA.intrinsics)
    out = {}
    for side, (_, _, wrist) in ARM.items():
        ray = k @ np.append(skeleton[wrist, :2], 1)
        turn, shift = CAMERA.camera_from_world[:3, :3], CAMERA.camera_from_world[:3, 3]
        out[side] = HandState(np.zeros(45), np.zeros(10), np.eye(3), turn.T @ (1.2 * ray - shift))
    return out


def test_arms_meet_the_skeleton_by_side():
    skeleton = person()
    joined, own = joined_arms(hands_at(skeleton), MODELS, CAMERA, skeleton)
    assert own == {'left', 'right'}
    for side, (_, elbow, _) in ARM.items():
        pixels, _ = CAMERA.project(joined[side].elbow[None])
        np.testing.assert_allclose(pixels[0], skeleton[elbow, :2], atol=0.01)
        assert joined[side].shoulder is not None


def test_the_hands_of_somebody_else_keep_their_arms():
    skeleton = person()
    hands = hands_at(skeleton)
    far = {'left': hands['right'], 'right': hands['right']}
    elsewhere = skeleton.copy()
    elsewhere[:, 0] += 250
    _, own = joined_arms(hands, MODELS, CAMERA, elsewhere)
    assert own == set()
    joined, own = joined_arms(far, MODELS, CAMERA, skeleton)
    assert 'right' in own and joined['right'].elbow is not None


def test_who_faces_the_camera_is_seen_from_shoulders_neck_or_nose():
    points = person().astype(np.float64)
    assert facing(points, seen(points))
    turned = points.copy()
    turned[[2, 5]] = points[[5, 2]]
    assert facing(turned, seen(turned)) is False
    assert facing(person(2), seen(person(2)))
    alone = np.zeros((NUM_KEYPOINTS, 3))
    assert facing(alone, seen(alone)) is None
