"""The recorded scene as the background of an episode."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from manivideo_ros.augment.kept_background import KEEP, _median
from manivideo_ros.messages.names import CAMERA, IMAGE
from manivideo_ros.recording.image_topics import images_topic, require_rectified

ROOM = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def frames(columns):
    images, hidden = np.repeat(ROOM[None], len(columns), 0), np.zeros((len(columns), 40, 60), bool)
    for image, mask, column in zip(images, hidden, columns, strict=True):
        mask[10:30, column : column + 15] = True
        image[mask] = (255, 0, 0)
    return images, hidden


def test_what_was_seen_once_is_the_plate():
    plate = _median(*frames([0, 10, 20, 30]))
    np.testing.assert_array_equal(plate.image, ROOM)
    assert not plate.never_seen.any()


def test_what_was_never_seen_is_filled_in_and_marked():
    images, hidden = frames([20, 22, 24])
    plate = _median(images, hidden)
    np.testing.assert_array_equal(plate.never_seen, hidden.all(0))
    np.testing.assert_array_equal(plate.image[~plate.never_seen], ROOM[~plate.never_seen])
    assert (plate.image[plate.never_seen] != (255, 0, 0)).any(-1).all()


def test_the_topic_of_the_images_is_the_only_one_or_named():
    bag = Path('episode')
    assert images_topic(bag, {'/a/image_raw': IMAGE, '/joints': 'x'}, '', KEEP) == '/a/image_raw'
    two = {'/a/image_raw': IMAGE, '/b/image_raw': IMAGE}
    assert images_topic(bag, two, '/b/image_raw', KEEP) == '/b/image_raw'
    with pytest.raises(ValueError, match='/a/image_raw, /b/image_raw'):
        images_topic(bag, two, '', KEEP)
    with pytest.raises(ValueError, match='--images /c: no such topic'):
        images_topic(bag, two, '/c', KEEP)


class Recording:
    """A bag whose camera_info has the distortion coefficients d."""

    def __init__(self, d):
        self.topics, self.d = {'/camera_info': CAMERA}, d

    def messages(self, topics):
        return iter(topics)

    def decoded(self, _):
        return SimpleNamespace(d=self.d)


def test_images_with_distortion_are_refused_and_rectified_ones_taken():
    bag = Path('episode')
    require_rectified(bag, Recording([0.0] * 5), '/image_raw', '/camera_info', KEEP)
    require_rectified(bag, Recording([-0.2] * 5), '/image_rect', '/camera_info', KEEP)
    with pytest.raises(ValueError, match='/camera_info has lens distortion'):
        require_rectified(bag, Recording([-0.2] * 5), '/image_raw', '/camera_info', KEEP)
