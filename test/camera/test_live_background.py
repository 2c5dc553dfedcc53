"""A live background: which image a frame shows, and what is reported."""

import numpy as np
import pytest

from manivideo_ros.camera.lens import lens_of
from manivideo_ros.camera.live_background import LiveBackground, bent_over
from manivideo_ros.geometry import Camera, pinhole

MS = 1_000_000
SIZE = (64, 48)


def grey(value, size=SIZE):
    return np.full((size[1], size[0], 3), value, np.uint8)


def filled(*milliseconds, ahead_s=0.02):
    live = LiveBackground(ahead_s)
    for ms in milliseconds:
        live.add_image(ms * MS, ms * MS, grey(ms % 256))
    return live


def shown(live, ms, size=SIZE, given=SIZE):
    shot, problems = live.at(ms * MS, ms * MS, size, given)
    return None if shot.image is None else int(shot.image[0, 0, 0]), problems


def test_a_frame_shows_the_newest_image_that_is_not_after_its_poses():
    live = filled(10, 43, 76, 110)
    assert shown(live, 80) == (76, [])
    assert shown(live, 95) == (110, [])  # by less than the parameter
    assert shown(live, 85) == (76, [])
    assert shown(live, 1) == (10, []), 'none is old enough: the oldest'


def test_without_an_image_the_scenes_background_is_shown_and_reported():
    assert shown(LiveBackground(0.02), 5) == (
        None,
        ["background_image: no image yet: the scene's background is shown"],
    )


def test_a_silent_source_keeps_its_last_image_and_is_reported():
    value, problems = shown(filled(10), 1200)
    assert value == 10
    assert problems == ['background_image: no image for more than 1 s: the last one is shown']


def test_another_size_of_the_same_view_is_scaled_and_another_aspect_refused():
    live = LiveBackground(0.02)
    live.add_image(0, 0, grey(7, (128, 96)))
    shot, problems = live.at(0, 0, SIZE, SIZE)
    assert shot.image.shape == (48, 64, 3)
    assert problems == ['background_image: 128x96, camera_info has 64x48: scaled']
    live.add_image(1, 1, grey(7, (128, 72)))
    shot, problems = live.at(1, 1, SIZE, SIZE)
    assert shot.image is None and 'not shown' in problems[0]
    # An image larger than any frame, of a camera of its own size, needs no report.
    live.add_image(2, 2, grey(7, (3840, 2880)))
    assert live.at(2, 2, SIZE, (3840, 2880))[1] == []


def test_depths_are_taken_from_the_nearest_pixel_and_unknown_ones_stay_unknown():
    live = filled(0)
    depth = np.full((24, 32), 0.5, np.float32)
    depth[:, 16:], depth[0, 0] = 1.0, np.nan
    live.add_depth(0, 0, depth)
    shot, problems = live.at(0, 0, SIZE, (32, 24))
    assert problems == ['background_image: 64x48, camera_info has 32x24: scaled']
    assert set(np.unique(shot.depth[2:])) == {0.5, 1.0}
    assert np.isnan(shot.depth[0, 0])


def test_a_frame_is_prepared_once_for_the_same_images():
    live = filled(0)
    assert live.at(0, 0, SIZE, SIZE)[0] is live.at(1, 1, SIZE, SIZE)[0]


@pytest.fixture
def lens():
    camera = Camera(pinhole(*SIZE, 0.9), np.eye(4), *SIZE)
    return lens_of(camera, 'plumb_bob', (-0.2, 0.05, 0.001, -0.001, 0.0))


def test_an_image_of_a_lens_is_straightened_and_bent_back(lens):
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(0, 6, SIZE[0]), np.linspace(0, 5, SIZE[1]))
    smooth = np.stack([128 + 100 * np.sin(x + k) * np.cos(y) for k in range(3)], -1)
    raw = (smooth + rng.normal(0, 1, smooth.shape)).clip(0, 255).astype(np.uint8)
    straight = lens.straighten(raw)
    inner = lens.bend(straight)[4:-4, 4:-4].astype(int)
    assert np.abs(inner - raw[4:-4, 4:-4]).mean() < 3


def test_unchanged_background_keeps_the_cameras_own_pixels(lens):
    raw = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    straight = lens.straighten(raw)
    image = straight.copy()
    np.testing.assert_array_equal(bent_over(lens, image, straight, raw), raw)
    image[20:28, 30:40] = 255
    out = bent_over(lens, image, straight, raw)
    changed = (out != raw).any(-1)
    assert changed[22:26, 32:38].all() and changed.mean() < 0.1


def test_a_lens_that_moves_keeps_its_optics_and_another_lens_gets_its_own_image(lens):
    moved = lens.placed(np.diag([1.0, -1.0, -1.0, 1.0]))
    assert moved.optics == lens.optics
    live = filled(7)
    first, _ = live.at(7 * MS, 7 * MS, SIZE, SIZE, lens)
    assert live.at(7 * MS, 7 * MS, SIZE, SIZE, moved)[0] is first
    other = lens_of(lens.shown, 'plumb_bob', (0.1, 0.0, 0.0, 0.0, 0.0))
    assert live.at(7 * MS, 7 * MS, SIZE, SIZE, other)[0] is not first
