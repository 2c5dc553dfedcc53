"""The measure of shadows."""

import numpy as np
import pytest

from manivideo_ros.evaluation.measures.shadows import APART, ShadowShares

SIZE = 64
BACKGROUND = np.full((SIZE, SIZE, 3), 200, np.uint8)
MASK = np.zeros((SIZE, SIZE), bool)
MASK[:10, :10] = True


def with_shadow(rows, level):
    image = BACKGROUND.copy()
    image[rows, 30:50] = 200 - level
    return image


@pytest.mark.parametrize(
    ('image', 'there', 'misplaced'),
    [
        (with_shadow(slice(20, 40), 60), 1.0, 0.0),
        (with_shadow(slice(20, 40), 90), 1.0, 0.0),
        (with_shadow(slice(20, 40), 30), 0.5, 0.0),
        (with_shadow(slice(30, 50), 60), 0.5, 0.5),
        (BACKGROUND, 0.0, np.nan),
    ],
)
def test_shares_of_a_shadow(image, there, misplaced):
    shares = ShadowShares()
    shares.add(image, with_shadow(slice(20, 40), 60), BACKGROUND, MASK)
    np.testing.assert_allclose(shares.result(), (there, misplaced))


def test_nothing_counts_beside_hands_and_objects():
    near = BACKGROUND.copy()
    near[: 10 + APART, : 10 + APART] = 0
    shares = ShadowShares()
    shares.add(near, BACKGROUND, BACKGROUND, MASK)
    assert np.isnan(shares.result()).all()
