"""Procedural skin textures: tones, palm, nails, sleeve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.hand.atlas import skin_atlas
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.skin import skin_texture

TONES = (0.0, 0.25, 0.5, 0.75, 1.0)


def regions():
    atlas = skin_atlas(256)
    palm = (atlas.layer == 1) & (atlas.normal[:, 1] < -0.8) & (np.abs(atlas.position[:, 0]) < 0.06)
    back = (atlas.layer == 1) & (atlas.normal[:, 1] > 0.8) & (np.abs(atlas.position[:, 0]) < 0.06)
    return atlas, palm, back


def mean(texture, atlas, where):
    return texture[atlas.row[where], atlas.column[where]].astype(float).mean(0)


def test_tones_range_from_light_to_dark_skin():
    atlas, palm, back = regions()
    backs = np.array([mean(skin_texture(t, 1), atlas, back) for t in TONES])
    palms = np.array([mean(skin_texture(t, 1), atlas, palm) for t in TONES])
    assert np.all(np.diff(backs.sum(1)) < 0)
    assert backs[0].mean() > 190
    assert backs[-1].mean() < 65
    for rgb in (*backs, *palms):
        assert rgb[0] > rgb[1] > rgb[2]  # skin is red before green before blue
    assert palms[-1].mean() > 1.5 * backs[-1].mean()  # the palm of dark skin is much lighter
    assert palms[0].mean() < 1.1 * backs[0].mean()


def test_nails_and_mottling_are_visible():
    atlas, _, back = regions()
    texture = skin_texture(0.7, 2)
    nail = atlas.nail > 0.9
    assert nail.sum() > 100
    assert mean(texture, atlas, nail).mean() > mean(texture, atlas, back).mean() + 20
    values = texture[atlas.row, atlas.column].astype(float)[back].std(0)
    assert np.all(values > 1)  # mottled, not one colour
    assert np.all(values < 20)


def test_a_sleeve_changes_only_the_forearm():
    atlas, _, back = regions()
    bare, dressed = skin_texture(0.3, 5), skin_texture(0.3, 5, (40, 90, 200))
    cloth = mean(dressed, atlas, atlas.sleeve)
    assert cloth[2] > cloth[1] > cloth[0]
    hand = ~atlas.sleeve
    np.testing.assert_array_equal(
        bare[atlas.row[hand], atlas.column[hand]], dressed[atlas.row[hand], atlas.column[hand]]
    )
    woven = dressed[atlas.row, atlas.column].astype(float)[atlas.sleeve].std(0)
    assert woven.max() > 4  # a weave
    bare_arm = mean(bare, atlas, atlas.sleeve)
    assert np.abs(bare_arm - mean(bare, atlas, back)).max() < 40


def test_the_seed_determines_the_skin():
    first, again = skin_texture(0.4, 9), skin_texture(0.4, 9)
    np.testing.assert_array_equal(first, again)
    assert (skin_texture(0.4, 10) != first).mean() > 0.3


def test_corners_of_triangles_are_on_painted_texels():
    atlas = skin_atlas(256)
    painted = np.zeros((258, 258), bool)
    for dy in range(3):
        for dx in range(3):
            painted[atlas.row + dy, atlas.column + dx] = True
    at = (load_hand('left').corner_uv.reshape(-1, 2) * 256).astype(int) + 1
    assert painted[at[:, 1], at[:, 0]].all()
    texture = skin_texture(0.9, 0, size=128)
    assert (texture.shape, texture.dtype) == ((128, 128, 3), np.uint8)


@settings(max_examples=8, deadline=None)
@given(tone=st.floats(0, 1), seed=st.integers(0, 2**31), bare=st.booleans())
def test_any_tone_and_seed_gives_a_texture(tone, seed, bare):
    texture = skin_texture(tone, seed, None if bare else (200, 30, 30), size=64)
    assert texture.shape == (64, 64, 3)


def test_a_tone_out_of_range_is_rejected():
    for tone in (-0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='skin tone'):
            skin_texture(tone, 0)
