"""Image measures over a mask."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from manivideo_ros.evaluation.measures.image import (
    ClipQuality,
    masked_squared_error,
    masked_ssim,
    psnr_db,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return first, np.clip(first + rng.integers(-30, 31, first.shape), 0, 255).astype(np.uint8)


def mask_of(rows: slice, columns: slice):
    mask = np.zeros((64, 64), bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ('rows', 'columns'),
    [(slice(0, 9), slice(3, 20)), (slice(30, 31), slice(40, 41)), (slice(50, 64), slice(0, 64))],
)
def test_masked_ssim_is_the_mean_of_the_whole_map_over_the_mask(pair, rows, columns):
    mask = mask_of(rows, columns)
    _, whole = structural_similarity(
        *pair,
        channel_axis=2,
        full=True,
        data_range=255,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    assert masked_ssim(*pair, mask) == pytest.approx(whole.mean(2)[mask].mean(), abs=1e-9)


def test_pixels_outside_the_mask_are_ignored(pair):
    first, second = pair
    mask = mask_of(slice(10, 30), slice(10, 30))
    spoilt = second.copy()
    spoilt[40:] = 0
    assert masked_squared_error(first, second, mask) == masked_squared_error(first, spoilt, mask)
    assert masked_ssim(first, second, mask) == masked_ssim(first, spoilt, mask)


def test_psnr_of_a_known_error():
    assert psnr_db([0.01, 0.01]) == pytest.approx(20.0)
    assert psnr_db([0.01, float('nan')]) == pytest.approx(20.0)


def test_merged_clip_quality_equals_that_of_the_whole(pair):
    first, second = pair
    masks = [mask_of(slice(0, 20), slice(0, 20)), mask_of(slice(20, 60), slice(5, 30))]
    whole, parts = ClipQuality(), [ClipQuality(), ClipQuality()]
    for mask, part in zip(masks, parts, strict=True):
        whole.add({'a': second, 'b': first}, first, mask)
        part.add({'a': second, 'b': first}, first, mask)
    parts[0].extend(parts[1])
    assert parts[0].result() == whole.result()
    assert whole.result()['b'] == (pytest.approx(100.0), pytest.approx(1.0))


def test_frames_without_hands_and_objects_are_skipped(pair):
    quality = ClipQuality()
    quality.add({'a': pair[1]}, pair[0], np.zeros((64, 64), bool))
    quality.add({'a': pair[0]}, pair[0], mask_of(slice(0, 9), slice(0, 9)))
    assert quality.result()['a'][1] == pytest.approx(1.0)
