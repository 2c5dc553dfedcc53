"""Calibrations as camera_calibration writes them."""

import numpy as np
import pytest

from manivideo_ros.camera.calibration_file import load_calibration

TEXT = """
image_width: 640
image_height: 480
camera_name: webcam
camera_matrix: {rows: 3, cols: 3, data: [600.0, 0.0, 320.0, 0.0, 601.0, 240.0, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.2, 0.05, 0.0, 0.0, 0.0]}
"""


def test_matrix_size_and_lens_are_read(tmp_path):
    (tmp_path / 'c.yaml').write_text(TEXT)
    camera, lens = load_calibration(tmp_path / 'c.yaml')
    assert (camera.width, camera.height) == (640, 480)
    np.testing.assert_allclose(camera.intrinsics[[0, 1], [0, 1]], [600, 601])
    assert lens is not None and lens.coefficients[0] == -0.2
    (tmp_path / 'c.yaml').write_text(TEXT.replace('-0.2, 0.05', '0.0, 0.0'))
    assert load_calibration(tmp_path / 'c.yaml')[1] is None


@pytest.mark.parametrize(
    ('old', 'new', 'named'),
    [
        ('image_width: 640', '', 'image_width is missing'),
        ('data: [600.0,', 'data: [', 'cannot reshape'),
        ('600.0', '-600.0', 'positive focal lengths'),
        ('plumb_bob', 'magic', "distortion_model: 'magic'"),
        (TEXT, '{', 'is not YAML'),
    ],
)
def test_an_unusable_file_is_named_with_its_field(tmp_path, old, new, named):
    path = tmp_path / 'c.yaml'
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(ValueError, match=named) as error:
        load_calibration(path)
    assert str(error.value).startswith(str(path)) and '\n' not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match='No such file'):
        load_calibration(tmp_path / 'absent.yaml')
