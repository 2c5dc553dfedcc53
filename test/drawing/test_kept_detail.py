"""The detail of measured skin survives the network's correction."""

import pytest
import torch

from manivideo_ros.drawing.kept_detail import smooth_correction

ROWS, COLUMNS = 32, 48


@pytest.fixture
def base():
    return 0.3 + 0.2 * torch.rand(3, ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def skin():
    share = torch.zeros(ROWS, COLUMNS)
    share[4:28, 10:40] = 1
    return share


def corrected(made, base):
    return base * made[:3] + made[3:]


def uncorrected():
    return torch.cat([torch.ones(3, ROWS, COLUMNS), torch.zeros(3, ROWS, COLUMNS)])


def test_a_change_of_brightness_remains_on_the_skin_and_up_to_its_outline(base, skin):
    made = uncorrected()
    made[3:] += torch.tensor([0.1, 0.05, -0.1]).view(3, 1, 1) * skin
    torch.testing.assert_close(
        corrected(smooth_correction(made, base, skin), base), corrected(made, base)
    )


def test_a_correction_that_flattens_the_skin_keeps_its_mean_alone(base, skin):
    flat = base.mean((1, 2), keepdim=True)
    made = uncorrected()
    made[:3] = 0
    made[3:] = flat
    image = corrected(smooth_correction(made, base, skin), base)
    inner = (slice(None), slice(8, 24), slice(14, 36))
    assert image[inner].std() > 0.8 * base[inner].std(), 'its detail'
    assert (image[inner].mean((1, 2)) - flat.flatten()).abs().max() < 0.01


def test_what_is_no_measured_skin_is_corrected_as_before(base, skin):
    made = torch.rand(6, ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))
    found = smooth_correction(made, base, skin)
    assert torch.equal(found[:, skin == 0], made[:, skin == 0])
    assert not torch.allclose(found[:, skin > 0], made[:, skin > 0])
    assert torch.equal(smooth_correction(made, base, torch.zeros_like(skin)), made)
