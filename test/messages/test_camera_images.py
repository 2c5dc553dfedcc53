"""Images of cameras in any encoding, and depth images."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from manivideo_ros.messages.images import camera_image, depth_image

HEIGHT, WIDTH = 16, 24
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([60 + 4 * COLUMNS, 80 + 5 * ROWS, np.full_like(ROWS, 120)], -1).astype(np.uint8)


def message(encoding, pixels, padding=0, big=0):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return SimpleNamespace(
        encoding=encoding, width=WIDTH, height=HEIGHT, step=rows.shape[1], is_bigendian=big,
        data=rows.tobytes(),
    )  # fmt: skip


def mosaic(pattern):
    """The Bayer image [H, W] of RGB; pattern: the colours of the first 2 x 2 pixels."""
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    for i, colour in enumerate(pattern):
        r, c = divmod(i, 2)
        out[r::2, c::2] = RGB[r::2, c::2, 'rgb'.index(colour)]
    return out


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_patterns(pattern):
    got = camera_image(message(f'bayer_{pattern}8', mosaic(pattern), padding=3))
    assert np.abs(got[2:-2, 2:-2].astype(int) - RGB[2:-2, 2:-2]).max() <= 6


@pytest.mark.parametrize('encoding', ['yuyv', 'yuv422_yuy2', 'uyvy', 'yuv422'])
def test_packed_yuv(encoding):
    yuv = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV).astype(np.uint8)
    packed = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    first = 0 if encoding in ('yuyv', 'yuv422_yuy2') else 1
    packed[..., first] = yuv[..., 0]
    packed[:, ::2, 1 - first] = yuv[:, ::2, 1]
    packed[:, 1::2, 1 - first] = yuv[:, ::2, 2]
    got = camera_image(message(encoding, packed))
    assert np.abs(got.astype(int) - RGB).mean() < 12  # studio and full range differ


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16'])
def test_colours_in_every_order_and_depth(encoding):
    pixels = RGB if encoding.startswith('rgb') else RGB[..., ::-1]
    if 'a' in encoding:
        pixels = np.concatenate([pixels, np.full((HEIGHT, WIDTH, 1), 9, np.uint8)], -1)
    if encoding.endswith('16'):
        pixels = pixels.astype(np.uint16) << 8
    np.testing.assert_array_equal(camera_image(message(encoding, pixels, padding=4)), RGB)


def test_grey_in_8_and_16_bits_of_both_orders():
    grey = RGB[..., 0]
    expected = np.repeat(grey[..., None], 3, -1)
    np.testing.assert_array_equal(camera_image(message('mono8', grey)), expected)
    for order, big in (('<u2', 0), ('>u2', 1)):
        wide = (grey.astype(np.uint16) << 8).astype(order)
        np.testing.assert_array_equal(camera_image(message('mono16', wide, big=big)), expected)


def test_depths_in_metres_and_millimetres():
    metres = np.linspace(0.2, 2.0, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    metres[0, 0] = np.nan
    np.testing.assert_allclose(
        depth_image(message('32FC1', metres.astype('f4'))), metres.astype('f4')
    )
    millimetres = np.nan_to_num(1000 * metres).astype(np.uint16)
    np.testing.assert_allclose(
        depth_image(message('16UC1', millimetres, padding=2)), millimetres * 1e-3, rtol=1e-6
    )


@pytest.mark.parametrize('read', [camera_image, depth_image])
def test_other_encodings_and_short_data_name_the_field(read):
    with pytest.raises(ValueError, match=r"^encoding: 'lab'"):
        read(message('lab', RGB))
    name = 'uyvy' if read is camera_image else '16UC1'
    cut = message(name, np.zeros((HEIGHT, WIDTH, 2), np.uint8))
    cut.data = cut.data[:-1]
    with pytest.raises(ValueError, match=r'^data: .* too few'):
        read(cut)


def test_compressed_depth_is_read_with_its_header():
    """As compressed_depth_image_transport writes it: 12 bytes, then a PNG of mm or of 1/depth."""
    millimetres = np.array([[0, 500], [1000, 4000]], np.uint16)

    plain = struct.pack('<iff', 0, 0.0, 0.0)

    def png(kind, pixels, head=plain):
        data = head + cv2.imencode('.png', pixels)[1].tobytes()
        return SimpleNamespace(format=f'{kind}; compressedDepth png', data=data)

    wanted = [[0, 0.5], [1, 4]]
    np.testing.assert_allclose(depth_image(png('16UC1', millimetres)), wanted)
    np.testing.assert_allclose(depth_image(png('16UC1', millimetres, b'')), wanted)
    a, b = 100.0, 3.0  # code = a / depth + b
    codes = np.where(millimetres > 0, a * 1000 / np.maximum(millimetres, 1) + b, 0)
    inverse = png('32FC1', codes.astype(np.uint16), struct.pack('<iff', 0, a, b))
    np.testing.assert_allclose(depth_image(inverse), wanted, rtol=0.01)
    with pytest.raises(ValueError, match='image of 16 bits'):
        depth_image(png('16UC1', np.zeros((2, 2, 3), np.uint8)))
