"""Rooms of measured panoramas: files, lamps, and the light that they give."""

import base64

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.data.scenes.panoramas import (
    LUMINANCE,
    SOLID,
    panorama_files,
    panorama_room,
    read_panorama,
    split_panorama,
)
from manivideo_ros.data.scenes.room import (
    DIRECTIONS,
    PANORAMA,
    harmonic_basis,
    irradiance_harmonics,
    table_irradiance,
)

HALF = np.radians(6.0)  # the angular radius of the sun in these skies


def sky(azimuth=1.0, elevation=0.8, sun=400.0, even=1.0):
    """A panorama [256, 512, 3] of an even sky with a sun of some radiance."""
    rows, columns = 256, 512
    polar = (np.arange(rows) + 0.5) / rows * np.pi
    around = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    sin = np.sin(polar)[:, None]
    directions = np.stack(
        [sin * np.cos(around), sin * np.sin(around), np.cos(polar)[:, None] + 0 * around], -1
    )
    image = np.full((rows, columns, 3), even, np.float32)
    image[directions @ towards(azimuth, elevation) > np.cos(HALF)] += np.float32(sun)
    return image


def towards(azimuth, elevation):
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


@given(st.floats(0, 6.28), st.floats(0.3, 1.3))
def test_a_sun_is_one_lamp_in_its_direction_with_its_size(azimuth, elevation):
    found = split_panorama(sky(azimuth, elevation))
    assert len(found.towards) == 1
    angle = np.degrees(np.arccos(found.towards[0] @ towards(azimuth, elevation)))
    assert angle < 1.5
    assert found.radius[0] == pytest.approx(HALF, rel=0.25)


def test_no_light_is_lost_between_lamps_and_the_rest():
    radiance = sky()
    found = split_panorama(radiance)
    small = cv2.resize(radiance, PANORAMA[::-1], interpolation=cv2.INTER_AREA)
    before = (small * SOLID[..., None]).sum((0, 1)) / np.pi
    after = (found.rest * SOLID[..., None]).sum((0, 1)) / np.pi + found.light.sum(0)
    np.testing.assert_allclose(after / after[1], before / before[1], rtol=1e-4)
    up = np.maximum(DIRECTIONS[..., 2], 0)
    facing = (small @ LUMINANCE * up * SOLID).sum() / np.pi
    np.testing.assert_allclose(after * facing, before, rtol=0.02)


def test_an_even_sky_has_no_lamp_and_lights_the_table_as_its_harmonics():
    found = split_panorama(sky(sun=0))
    assert len(found.towards) == 0
    up = harmonic_basis(np.array([0, 0, 1], np.float32)) @ irradiance_harmonics(found.rest)
    np.testing.assert_allclose(up, 1, rtol=0.05)


def test_turning_turns_lamps_and_surroundings_together():
    found, columns = split_panorama(sky(azimuth=1.0)), 64
    turned = found.turned(columns)
    again = split_panorama(sky(azimuth=1.0 + 2 * np.pi * columns / PANORAMA[1]))
    np.testing.assert_allclose(turned.towards, again.towards, atol=1e-3)
    np.testing.assert_allclose(turned.rest, again.rest, rtol=0.02, atol=1e-3)


def written(folder, count=3):
    for index in range(count):
        cv2.imwrite(str(folder / f'sky_{index}.hdr'), sky(azimuth=index)[..., ::-1])
    return folder


def test_rooms_of_files_have_their_light(tmp_path):
    files = panorama_files(written(tmp_path), 'train')
    assert [file.name for file in files] == ['sky_0.hdr', 'sky_1.hdr']
    room = panorama_room(np.random.default_rng(0), files)
    elevation = np.arcsin(room.lamps[0].position[2] / np.linalg.norm(room.lamps[0].position))
    assert elevation == pytest.approx(0.8, abs=0.02)
    np.testing.assert_allclose(table_irradiance(room.lamps, room.harmonics).mean(), 1, rtol=0.05)


def test_splits_share_no_panorama(tmp_path):
    written(tmp_path, 7)
    parts = [set(panorama_files(tmp_path, split)) for split in ('train', 'test')]
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 7


def test_a_data_uri_is_read_as_its_file(tmp_path):
    written(tmp_path, 1)
    data = base64.b64encode((tmp_path / 'sky_0.hdr').read_bytes())
    (tmp_path / 'sky.exr.js').write_bytes(b"export default 'data:image/x;base64," + data + b"'")
    np.testing.assert_array_equal(
        read_panorama(tmp_path / 'sky.exr.js'), read_panorama(tmp_path / 'sky_0.hdr')
    )


def test_what_is_no_panorama_is_refused_by_name(tmp_path):
    cv2.imwrite(str(tmp_path / 'square.hdr'), np.ones((8, 8, 3), np.float32))
    with pytest.raises(ValueError, match=r'square.hdr: 8x8 pixels: a panorama is twice as wide'):
        read_panorama(tmp_path / 'square.hdr')
    (tmp_path / 'text.hdr').write_text('not an image')
    with pytest.raises(ValueError, match=r'text.hdr: is no HDR image: use OpenEXR'):
        read_panorama(tmp_path / 'text.hdr')
    with pytest.raises(ValueError, match=r"holds 0 panoramas .* none for the split 'train'"):
        panorama_files(tmp_path / 'nowhere', 'train')
