"""Hand references from photos without a mask: the hand is found, cut out and masked."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from manivideo_ros.estimation.hand_photo import hand_mask, hand_reference_of
from manivideo_ros.hand.reference import HAND_REFERENCE, load_hand_reference

CLIP = Path(__file__).parents[3] / 'shared' / 'data' / 'video' / 'human_hand.mp4'
SIZE = 256


@pytest.fixture(scope='module', autouse=True)
def _interpreter():
    pytest.importorskip('ai_edge_litert')


@pytest.fixture(scope='module')
def shipped_hand():
    """The shipped hand reference: an open hand before a room."""
    return load_hand_reference(HAND_REFERENCE)


def placed(image, canvas, corner):
    """A photo [H, W, 3] with the image at a corner (row, column)."""
    photo = canvas.copy()
    row, column = corner
    photo[row : row + len(image), column : column + image.shape[1]] = image
    return photo


def enlarged(image, size=SIZE, how=Image.Resampling.BICUBIC):
    return np.asarray(Image.fromarray(image).resize((size, size), how))


def on(colour, hand):
    """The hand with its surroundings replaced by a colour with some noise."""
    inside = enlarged(hand.parts, how=Image.Resampling.NEAREST)[..., None] > 0
    noise = np.random.default_rng(0).normal(colour, 5, (SIZE, SIZE, 3)).clip(0, 255)
    return np.where(inside, enlarged(hand.image), noise.astype(np.uint8))


@pytest.mark.parametrize('ground', [20, 120, 245], ids=['dark cloth', 'grey', 'white wall'])
@pytest.mark.parametrize('corner', [(20, 30), (200, 440)])
def test_the_skin_is_that_of_the_hand_wherever_it_is_and_whatever_is_behind(
    ground, corner, shipped_hand, tmp_path
):
    canvas = np.full((480, 720, 3), ground, np.uint8)
    photo = placed(on(ground, shipped_hand), canvas, corner)
    Image.fromarray(photo).save(tmp_path / 'photo.png')
    found = hand_reference_of(tmp_path / 'photo.png')
    assert found.image.shape == (128, 128, 3) and 0.1 < (found.parts == 1).mean() < 0.6
    skin, true = (np.median(r.image[r.parts == 1], 0) for r in (found, shipped_hand))
    np.testing.assert_allclose(skin, true, atol=14)


def test_a_photo_turned_by_exif_is_upright(shipped_hand, tmp_path):
    photo = placed(on(120, shipped_hand), np.full((480, 720, 3), 120, np.uint8), (100, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / 'upright.png')
    Image.fromarray(np.rot90(photo).copy()).save(tmp_path / 'turned.png', exif=exif)
    upright, turned = (hand_reference_of(tmp_path / f'{n}.png') for n in ('upright', 'turned'))
    np.testing.assert_array_equal(turned.image, upright.image)


def test_a_large_photo_gives_the_same_hand(shipped_hand, tmp_path):
    photo = placed(on(120, shipped_hand), np.full((480, 720, 3), 120, np.uint8), (100, 200))
    for name, factor in (('small', 1), ('large', 5)):
        image = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        Image.fromarray(image).save(tmp_path / f'{name}.png')
    small, large = (hand_reference_of(tmp_path / f'{n}.png') for n in ('small', 'large'))
    np.testing.assert_allclose(large.mean_colours()[0], small.mean_colours()[0], atol=0.02)


def test_without_a_hand_the_error_names_the_file_and_what_to_give(tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / 'wall.png')
    with pytest.raises(ValueError, match=r'wall\.png: no hand found: .*wall\.parts\.png'):
        hand_reference_of(tmp_path / 'wall.png')


def test_transparency_that_hides_nothing_is_no_mask(shipped_hand, tmp_path):
    image = on(20, shipped_hand)
    alpha = np.full((SIZE, SIZE, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([image, alpha], -1)).save(tmp_path / 'opaque.png')
    found = hand_reference_of(tmp_path / 'opaque.png')
    assert (found.parts == 0).any()
    np.testing.assert_allclose(
        np.median(found.image[found.parts == 1], 0),
        np.median(shipped_hand.image[shipped_hand.parts == 1], 0),
        atol=14,
    )


def test_transparency_is_the_mask_and_an_empty_one_an_error(shipped_hand, tmp_path):
    image = enlarged(shipped_hand.image)
    alpha = np.zeros((SIZE, SIZE, 1), np.uint8)
    Image.fromarray(np.concatenate([image, alpha], -1)).save(tmp_path / 'empty.png')
    with pytest.raises(ValueError, match=r'empty\.png: its mask is empty'):
        hand_reference_of(tmp_path / 'empty.png')
    alpha[:100] = 255
    Image.fromarray(np.concatenate([image, alpha], -1)).save(tmp_path / 'some.png')
    parts = hand_reference_of(tmp_path / 'some.png').parts
    assert parts[:50].all() and not parts[50:].any()


@pytest.mark.skipif(not CLIP.is_file(), reason='the recording is not here')
def test_a_real_hand_has_the_same_skin_before_the_wall_and_on_dark_cloth(tmp_path):
    video = cv2.VideoCapture(str(CLIP))
    video.set(cv2.CAP_PROP_POS_FRAMES, 120)
    frame = video.read()[1]
    cv2.imwrite(str(tmp_path / 'wall.png'), frame)
    bright = cv2.cvtColor(frame, cv2.COLOR_BGR2HSV)[..., 1:2] > 70  # the wall is grey
    cv2.imwrite(str(tmp_path / 'cloth.png'), np.where(bright, frame, 25).astype(np.uint8))
    wall, cloth = (hand_reference_of(tmp_path / f'{n}.png') for n in ('wall', 'cloth'))
    np.testing.assert_allclose(wall.mean_colours()[0], cloth.mean_colours()[0], atol=0.04)
    red, green, blue = wall.mean_colours()[0]
    assert red > green > blue and red > 0.35


def test_the_forearm_is_not_part_of_the_mask():
    """A disc as the palm and a bar as the arm, of one colour."""
    points = np.zeros((21, 2))
    points[0] = 128, 160
    for finger in range(5):
        for joint in range(4):
            points[1 + 4 * finger + joint] = 100 + 14 * finger, 110 - 18 * joint
    image = np.full((256, 256, 3), 40, np.uint8)
    cv2.rectangle(image, (90, 50), (166, 255), (200, 160, 140), -1)
    mask = hand_mask(image, points)
    assert mask is not None and mask[60:150, 100:156].mean() > 0.9
    assert not mask[175:].any()
