"""The background of a video without its hands."""

import numpy as np

from manivideo_ros.estimation.clean_plate import CleanPlate, hidden_by

WIDTH, HEIGHT = 96, 64
ROOM = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def before(column):
    """A frame with a red hand, and where it is."""
    image, hidden = ROOM.copy(), np.zeros((HEIGHT, WIDTH), bool)
    hidden[20:50, column : column + 20] = True
    image[hidden] = (255, 0, 0)
    return image, hidden


def test_a_hand_that_moves_leaves_the_whole_room():
    plate = CleanPlate()
    for column in (10, 30, 50):
        out = plate.add(*before(column))
    np.testing.assert_array_equal(out, ROOM)


def test_where_a_hand_always_was_its_surroundings_are_continued():
    plate = CleanPlate()
    for _ in range(3):
        out = plate.add(*before(30))
    hidden = before(30)[1]
    np.testing.assert_array_equal(out[~hidden], ROOM[~hidden])
    inside = out[hidden].astype(int)
    assert np.abs(inside.mean(0) - ROOM.mean((0, 1))).max() < 40, 'no red is left'


def test_frames_without_a_found_hand_are_not_used_and_light_is_followed():
    plate = CleanPlate()
    plate.add(before(30)[0], None)
    assert not plate.begun, 'nothing is known of the room yet'
    plate.add(ROOM, np.zeros((HEIGHT, WIDTH), bool))
    assert plate.begun
    out = plate.add(before(30)[0], None)
    np.testing.assert_array_equal(out, ROOM)
    darker = (ROOM * 0.8).astype(np.uint8)
    for _ in range(60):
        out = plate.add(darker, np.zeros((HEIGHT, WIDTH), bool))
    assert np.abs(out.astype(int) - darker).max() <= 2


def test_another_size_starts_again():
    plate = CleanPlate()
    plate.add(ROOM, np.zeros((HEIGHT, WIDTH), bool))
    small = ROOM[:32, :48]
    np.testing.assert_array_equal(plate.add(small, np.zeros((32, 48), bool)), small)


def test_hand_and_forearm_are_hidden_to_the_edge():
    keypoints = np.zeros((21, 2))
    keypoints[:] = (48, 20)
    keypoints[0], keypoints[9] = (48, 40), (48, 30)
    mask = hidden_by([keypoints], WIDTH, HEIGHT)
    assert mask[20, 48] and mask[63, 48] and not mask[5, 48] and not mask[40, 5]
    assert not hidden_by([], WIDTH, HEIGHT).any()
    assert not hidden_by([np.full((21, 2), np.nan)], WIDTH, HEIGHT).any()
