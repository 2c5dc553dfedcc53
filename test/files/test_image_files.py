"""Image files of cameras and other programs."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from manivideo_ros.camera.background import load_background
from manivideo_ros.files.image_file import load_image, opaque, read_image
from manivideo_ros.hand.reference import load_hand_reference

UPRIGHT = np.zeros((40, 60, 3), np.uint8)
UPRIGHT[:20, :30], UPRIGHT[:20, 30:] = (200, 60, 60), (60, 200, 60)
UPRIGHT[20:, :30], UPRIGHT[20:, 30:] = (60, 60, 200), (200, 200, 60)
TURNED = {  # How a camera stores what is UPRIGHT, by EXIF's number.
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.swapaxes(0, 1),
    6: np.rot90(UPRIGHT),
    7: np.rot90(UPRIGHT.swapaxes(0, 1), 2),
    8: np.rot90(UPRIGHT, -1),
}


def corners(image):
    return image[[5, 5, -5, -5], [5, -5, 5, -5]].astype(int)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp'])
@pytest.mark.parametrize('orientation', TURNED)
def test_exif_orientation_is_applied(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'photo.{suffix}'
    lossy = {} if suffix == 'png' else {'quality': 95}
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation]))
    stored.save(path, exif=exif, **lossy)
    image = load_image(path)
    assert image.shape == UPRIGHT.shape
    np.testing.assert_allclose(corners(image), corners(UPRIGHT), atol=12)
    stored = read_image(path, upright=False)
    assert stored.shape == TURNED[orientation].shape


def test_exif_orientation_of_background_and_hand_reference_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(UPRIGHT).copy()).save(tmp_path / 'photo.png', exif=exif)
    background = load_background(tmp_path / 'photo.png')
    assert background.shape == UPRIGHT.shape
    np.testing.assert_array_equal(corners(background), corners(UPRIGHT))
    parts = np.full(TURNED[6].shape[:2], 1, np.uint8)
    Image.fromarray(parts).save(tmp_path / 'photo.parts.png', exif=exif)
    hand = load_hand_reference(tmp_path / 'photo.png')
    np.testing.assert_allclose(corners(hand.image), corners(UPRIGHT), atol=2)


@pytest.mark.parametrize('suffix', ['jpg', 'tif'])
def test_cmyk_is_converted(suffix, tmp_path):
    Image.fromarray(UPRIGHT).convert('CMYK').save(tmp_path / f'print.{suffix}')
    image = load_image(tmp_path / f'print.{suffix}')
    np.testing.assert_allclose(corners(image), corners(UPRIGHT), atol=14)


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bits_are_scaled_not_clipped(suffix, tmp_path):
    grey = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    Image.fromarray(grey).save(tmp_path / f'deep.{suffix}')
    image = load_image(tmp_path / f'deep.{suffix}')
    np.testing.assert_allclose(image, np.repeat(grey[..., None] / 257, 3, -1), atol=0.6)


def test_16_bits_of_three_channels(tmp_path):
    cv2 = pytest.importorskip('cv2')
    cv2.imwrite(str(tmp_path / 'deep.png'), UPRIGHT[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(load_image(tmp_path / 'deep.png'), UPRIGHT)


@pytest.mark.parametrize('mode', ['L', 'P', '1', 'LA'])
def test_one_channel_and_palettes_become_rgb(mode, tmp_path):
    Image.fromarray(UPRIGHT).convert(mode).save(tmp_path / 'few.png')
    image = load_image(tmp_path / 'few.png')
    expected = np.asarray(Image.fromarray(UPRIGHT).convert(mode).convert('RGB'))
    np.testing.assert_array_equal(image[..., :3], expected)


def test_transparency_of_a_palette_is_alpha(tmp_path):
    image = Image.fromarray(UPRIGHT).quantize(4)
    image.save(tmp_path / 'clear.png', transparency=image.getpixel((0, 0)))
    alpha = load_image(tmp_path / 'clear.png')[..., 3]
    assert alpha[5, 5] == 0 and (corners(alpha[..., None])[1:] == 255).all()


def test_transparent_parts_of_a_background_become_white(tmp_path):
    image = np.dstack([UPRIGHT, np.full((40, 60), 255, np.uint8)])
    image[:, :30, 3] = 0
    Image.fromarray(image).save(tmp_path / 'half.png')
    background = load_background(tmp_path / 'half.png')
    assert (background[:, :10] == 255).all()
    np.testing.assert_array_equal(background[5, -5], UPRIGHT[5, -5])
    assert opaque(UPRIGHT) is not None and opaque(image).shape == (40, 60, 3)


@pytest.mark.parametrize('suffix', ['tga', 'bmp', 'webp', 'ppm', 'gif', 'dds'])
def test_other_formats(suffix, tmp_path):
    Image.fromarray(UPRIGHT).save(tmp_path / f'image.{suffix}')
    image = load_image(tmp_path / f'image.{suffix}')
    np.testing.assert_allclose(corners(image)[:, :3], corners(UPRIGHT), atol=16)


@pytest.mark.parametrize(
    ('head', 'named'),
    [
        (b'\xabKTX 20\xbb\r\n\x1a\n', 'KTX2'),
        (b'\0\0\0\x1cftypheic', 'HEIC'),
        (b'8BPS', 'PSD'),
        (b'version https://git-lfs.github.com/spec/v1', 'Git LFS'),
    ],
)
def test_unsupported_formats_are_named(head, named, tmp_path):
    (tmp_path / 'photo.jpg').write_bytes(head + bytes(100))
    with pytest.raises(ValueError, match=rf'photo\.jpg: .*{named}.*save it as PNG or JPEG'):
        load_image(tmp_path / 'photo.jpg')


def test_float_images_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / 'depth.tif')
    with pytest.raises(ValueError, match=r'depth\.tif: .*floats: save it with 8 or 16 bits'):
        load_image(tmp_path / 'depth.tif')


def test_bytes_are_read_like_files():
    out = BytesIO()
    Image.fromarray(UPRIGHT).save(out, 'PNG')
    np.testing.assert_array_equal(read_image(out.getvalue()), UPRIGHT)
