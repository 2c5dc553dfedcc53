"""Converts camera images of any encoding: by cv_bridge where it works, else by our own table."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.messages.images import camera_image

PROBE = 'import numpy, cv_bridge; cv_bridge.CvBridge().cv2_to_imgmsg(numpy.zeros((2, 2, 3), "u1"))'
PROBE_S = 20.0


def cv_bridge_works() -> bool:
    """Whether cv_bridge is installed and works with this numpy.

    Asked in a separate process: one that was built for numpy 1 crashes under numpy 2.
    """
    if importlib.util.find_spec('cv_bridge') is None:
        return False
    try:
        command = [sys.executable, '-c', PROBE]
        done = subprocess.run(command, capture_output=True, check=False, timeout=PROBE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def image_reader() -> tuple[Callable[[Any], NDArray[np.uint8]], str]:
    """A function from an Image or CompressedImage to its colours [H, W, 3], RGB; and its name.

    The function raises ValueError that starts with the field for an image it cannot convert.
    """
    if not cv_bridge_works():
        return camera_image, 'built-in'
    from cv_bridge import CvBridge, CvBridgeError

    bridge = CvBridge()

    def read(message: Any) -> NDArray[np.uint8]:
        try:
            if hasattr(message, 'format'):
                return np.asarray(bridge.compressed_imgmsg_to_cv2(message, 'rgb8'), np.uint8)
            if message.encoding in ('mono16', 'rgb16', 'bgr16'):
                return camera_image(message)  # cv_bridge scales 16 bits, others cut them off
            return np.asarray(bridge.imgmsg_to_cv2(message, 'rgb8'), np.uint8)
        except CvBridgeError as error:
            raise ValueError(f'encoding: {error}') from None

    return read, 'cv_bridge'
