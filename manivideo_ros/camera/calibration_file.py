"""Camera calibrations as ROS's camera_calibration writes them (YAML)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from manivideo_ros.camera.lens import Lens, lens_of
from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.geometry import Camera


def load_calibration(path: Path) -> tuple[Camera, Lens | None]:
    """The camera at its own origin, and its lens; None without distortion.

    Raises ValueError, one line that names the file and the field, for one that is not usable.
    """
    try:
        values: Any = load_yaml(path.read_text())
    except OSError as error:
        raise ValueError(f'{path}: {error.strerror}') from None
    except (yaml.YAMLError, ValueError):
        raise ValueError(f'{path}: is not YAML') from None
    try:
        width, height = int(values['image_width']), int(values['image_height'])
        matrix = np.array(values['camera_matrix']['data'], np.float64).reshape(3, 3)
        camera = Camera(matrix, np.eye(4), width, height)
        coefficients = [float(v) for v in values['distortion_coefficients']['data']]
        return camera, lens_of(camera, str(values['distortion_model']), coefficients)
    except KeyError as error:
        raise ValueError(f'{path}: {error.args[0]} is missing') from None
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path}: {error}') from None
