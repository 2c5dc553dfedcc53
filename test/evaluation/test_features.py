"""Sharpness and feature distances rank degradations and ignore pixels outside the mask."""

import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from manivideo_ros.evaluation.measures.features import (
    FeatureStatistics,
    _filters,
    feature_distance,
    fid,
    frechet_distance,
    lpips_distance,
)
from manivideo_ros.evaluation.measures.sharpness import ClipSharpness, gradient_energy

SIZE = 128


def texture(seed, coarse=3.0):
    """A colourful pattern [SIZE, SIZE, 3] with details of about `coarse` pixels."""
    noise = np.random.default_rng(seed).standard_normal((SIZE, SIZE, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), coarse)
    return np.clip(128 + 50 * soft / soft.std(), 0, 255).astype(np.uint8)


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def grainy(image, deviation, seed=9):
    noise = np.random.default_rng(seed).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def mask():
    mask = np.zeros((SIZE, SIZE), np.uint8)
    return cv2.circle(mask, (64, 64), 50, 1, -1).astype(bool)


@pytest.fixture(scope='module')
def truth():
    return texture(0)


def test_sharpness_of_ground_truth_blur_and_noise(truth, mask):
    sharpness = ClipSharpness()
    for _ in range(2):
        images = {
            'truth': truth,
            'soft': blurred(truth, 1),
            'softer': blurred(truth, 3),
            'grainy': grainy(truth, 15),
        }
        sharpness.add(images, truth, mask)
    result = sharpness.result()
    assert result['truth'] == pytest.approx(1)
    assert result['softer'] < result['soft'] < 0.95
    assert result['grainy'] > 1.2


def test_gradients_are_those_of_the_grey_image_inside_the_mask(mask):
    ramp = np.tile(np.arange(SIZE, dtype=np.uint8)[None, :, None], (SIZE, 1, 3))
    assert gradient_energy(ramp, mask) == pytest.approx(1)
    spoilt = np.where(mask[..., None], ramp, np.uint8(255))
    assert gradient_energy(spoilt, mask) == gradient_energy(ramp, mask)
    assert np.isnan(gradient_energy(ramp, np.zeros_like(mask)))


def test_the_shipped_filters_are_orthogonal():
    for stage, filters in enumerate(_filters()):
        assert torch.isfinite(filters).all()
        if stage == 0:
            assert filters[3:].mean((2, 3)).abs().max() < 1e-3
            continue
        rows = filters.flatten(1) / np.sqrt(2)
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=2e-3)


def test_feature_distance_ranks_degradations(truth, mask):
    def distance(image):
        return feature_distance(image, truth, mask)

    assert distance(truth) == 0
    another = distance(texture(1))
    assert (
        0 < distance(blurred(truth, 1)) < distance(blurred(truth, 2)) < distance(blurred(truth, 4))
    )
    assert (
        0 < distance(grainy(truth, 4)) < distance(grainy(truth, 12)) < distance(grainy(truth, 40))
    )
    assert distance(np.roll(truth, 1, 1)) < distance(np.roll(truth, 3, 1)) < another
    assert distance(blurred(truth, 1)) < another and distance(grainy(truth, 12)) < another


def test_a_small_shift_is_nearer_than_another_texture_of_the_same_error(truth, mask):
    shifted = np.roll(truth, 2, 1)
    squared = ((shifted[mask].astype(float) - truth[mask]) ** 2).mean()
    other = texture(1).astype(float)
    part = np.sqrt(squared / ((other[mask] - truth[mask]) ** 2).mean())
    mixed = (truth + part * (other - truth)).astype(np.uint8)
    assert ((mixed[mask].astype(float) - truth[mask]) ** 2).mean() == pytest.approx(
        squared, rel=0.1
    )
    assert feature_distance(shifted, truth, mask) < feature_distance(mixed, truth, mask)


def test_pixels_outside_the_mask_are_ignored(truth, mask):
    spoilt = np.where(mask[..., None], truth, np.uint8(0))
    assert feature_distance(spoilt, truth, mask) == 0
    assert np.isnan(feature_distance(truth, truth, np.zeros_like(mask)))


def test_sides_must_be_multiples_of_16(truth, mask):
    with pytest.raises(ValueError, match='multiple of 16'):
        feature_distance(truth[:100], truth[:100], mask[:100])


def statistics(images, mask):
    out = FeatureStatistics()
    for image in images:
        out.add(image, mask)
    return out


def test_frechet_distance_ranks_sets_of_images(mask):
    sets = {
        'truth': [texture(i) for i in range(16)],
        'similar': [texture(100 + i) for i in range(16)],
        'soft': [blurred(texture(i), 1.5) for i in range(16)],
        'softer': [blurred(texture(i), 4) for i in range(16)],
        'other texture': [texture(i, 8.0) for i in range(16)],
    }
    known = {name: statistics(images, mask) for name, images in sets.items()}
    distance = {name: frechet_distance(s, known['truth']) for name, s in known.items()}
    assert distance['truth'] == pytest.approx(0, abs=1e-6)
    assert distance['similar'] < distance['soft'] < distance['softer']
    assert distance['similar'] < distance['other texture']
    back = frechet_distance(known['truth'], known['soft'])
    assert back == pytest.approx(distance['soft'], rel=1e-6)


def test_merged_statistics_equal_those_of_the_whole(mask):
    images = [texture(i) for i in range(4)]
    whole, first, second = (statistics(p, mask) for p in (images, images[:1], images[1:]))
    first.extend(second)
    assert first.count == whole.count
    assert np.allclose(first.covariance(), whole.covariance())
    # Too few samples for a covariance.
    assert np.isnan(frechet_distance(whole, first))


@pytest.mark.parametrize(
    ('measure', 'package'), [(lpips_distance, 'lpips'), (fid, 'torch_fidelity')]
)
def test_published_measures_give_the_reason_of_their_absence(
    measure, package, truth, mask, monkeypatch, tmp_path
):
    clip = [truth] * 2, [truth] * 2, [mask] * 2
    assert 'weights given' in measure(*clip, None)
    file = tmp_path / 'weights.pth'
    file.write_bytes(b'nothing')
    monkeypatch.setitem(sys.modules, package, None)
    assert 'not installed' in measure(*clip, file)
    stand_in = ModuleType(package)
    monkeypatch.setitem(sys.modules, package, stand_in)
    reason = measure(*clip, file)
    assert str(file) in reason and '\n' not in reason


class _Unpickled:
    """Creates a file if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


@pytest.mark.parametrize(
    ('measure', 'package'), [(lpips_distance, 'lpips'), (fid, 'torch_fidelity')]
)
def test_code_in_weights_is_not_run(measure, package, truth, mask, monkeypatch, tmp_path):
    torch.save({'a': _Unpickled(tmp_path / 'ran')}, tmp_path / 'evil.pth')
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    reason = measure([truth] * 2, [truth] * 2, [mask] * 2, tmp_path / 'evil.pth')
    assert isinstance(reason, str) and not (tmp_path / 'ran').exists()
