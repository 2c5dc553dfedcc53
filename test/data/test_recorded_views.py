"""Crops, backgrounds and hand references of recorded clips."""

import numpy as np
import pytest
from published_layouts import (
    ARCTIC,
    DEXYCB,
    DEXYCB_SERIALS,
    write_arctic,
    write_dexycb,
    write_mano,
)

from manivideo_ros.data.recorded.background import median_background
from manivideo_ros.data.recorded.crop import Box, clip_box, cropped, cropped_image, square_around
from manivideo_ros.data.recorded.datasets import arctic, dexycb
from manivideo_ros.data.recorded.hand_reference import cropped_hand_reference
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.geometry import Camera, look_at, pinhole

CAMERA = Camera(pinhole(640, 480, 0.8), look_at([0, -1, 0.5], [0, 0, 0]), 640, 480)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    root = tmp_path_factory.mktemp('dexycb')
    write_dexycb(root, frames=5)
    return dexycb.read_clip(root, DEXYCB, DEXYCB_SERIALS[0])


def test_the_camera_of_a_crop_projects_like_the_original():
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (50, 3))
    box = Box(120, 60, 300)
    before, _ = CAMERA.project(points)
    after, _ = cropped(CAMERA, box, 256).project(points)
    np.testing.assert_allclose(after, (before - [120, 60]) * 256 / 300, atol=1e-9)


def test_a_cropped_image_agrees_with_its_camera():
    image = np.zeros((480, 640, 3), np.uint8)
    image[200:210, 300:310] = 255
    box = Box(250, 150, 128)
    small = cropped_image(image, box, 64)
    rows, columns = np.nonzero(small[..., 0] > 127)
    centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    np.testing.assert_allclose(centre, (np.array([305, 205]) - [250, 150]) / 2, atol=0.26)
    mask = cropped_image((image[..., 0] > 0).astype(np.uint8), box, 256)
    assert set(np.unique(mask)) == {0, 1}


def test_squares_lie_inside_the_image():
    corner = square_around(np.array([[0.0, 0], [50, 20]]), CAMERA, margin=0.5)
    assert corner == Box(0, 0, 100)
    far = square_around(np.array([[600.0, 460], [639, 479]]), CAMERA, margin=0.5)
    assert (far.left + far.side, far.top + far.side) == (640, 480)
    wide = square_around(np.array([[0.0, 0], [639, 479]]), CAMERA)
    assert wide == Box(80, 0, 480)
    assert square_around(np.zeros((0, 2)), CAMERA) == Box(80, 0, 480)


def test_one_square_contains_a_whole_clip(clip):
    box = clip_box(clip.motion)
    for index in range(len(clip)):
        for pose in clip.motion.frame(index).objects.values():
            pixel = clip.camera.project(pose[None, :3, 3])[0][0] - [box.left, box.top]
            assert np.all((pixel >= 0) & (pixel <= box.side))


def test_background_is_the_median_outside_the_labels(clip):
    background = median_background(clip)
    # The hand's label moves by 20 pixels per frame: what it hides at first is visible later.
    assert background.seen[130, 70]
    # The object does not move: what is behind it is never visible and is inpainted.
    assert not background.seen[330, 330]
    assert abs(int(background.image[330, 330, 0]) - 100) < 15
    # The corner has brightness 20, 30 .. 60.
    assert abs(int(background.image[10, 10, 0]) - 40) < 4


def test_hand_reference_comes_from_another_frame(clip):
    reference = cropped_hand_reference(clip, 'right', 4)
    assert reference is not None
    assert reference.image.shape == (128, 128, 3)
    assert set(np.unique(reference.parts)) <= {0, 1}
    read = []
    spied = dexycb.RecordedClip(
        clip.name,
        clip.motion,
        clip.fps,
        lambda index: read.append(index) or clip.read_image(index),
        clip.read_labels,
        clip.hand_labels,
    )
    cropped_hand_reference(spied, 'right', 4)
    assert read == [1]  # frame 0 has no hand
    assert cropped_hand_reference(clip, 'left', 4) is None


def test_without_segmentation_the_mask_is_the_posed_hand(tmp_path):
    write_arctic(tmp_path)
    hands = read_published_mano(write_mano(tmp_path / 'mano'))
    recorded = arctic.read_clip(tmp_path, ARCTIC, 4, hands)
    view = arctic.read_clip(tmp_path, ARCTIC, 1, hands)
    assert recorded.segmentation(0) is None
    with pytest.raises(ValueError, match='no segmentation'):
        median_background(view)
    reference = cropped_hand_reference(view, 'right', 0)
    assert reference is not None
    assert 0.2 < (reference.parts == 1).mean() < 0.9
