"""Two videos as one image: the first, and the newest image of the second on its right."""

from __future__ import annotations

import cv2
import numpy as np

JPEG_QUALITY = 85


class Beside:
    """Composes JPEG images of two videos; called from one thread.

    Raises ValueError for data that is no image.
    """

    def __init__(self) -> None:
        self._second: np.ndarray | None = None

    def put_second(self, jpeg: bytes) -> None:
        """Set the image on the right."""
        self._second = _pixels(jpeg)

    def composed(self, jpeg: bytes) -> bytes:
        """The first video's image as JPEG, with the second's at its height on the right; as it is
        while there is none.
        """
        if self._second is None:
            return jpeg
        first, second = _pixels(jpeg), self._second
        height = first.shape[0]
        if second.shape[0] != height:
            width = max(1, round(second.shape[1] * height / second.shape[0]))
            second = cv2.resize(second, (width, height), interpolation=cv2.INTER_AREA)
        both = np.concatenate([first, second], 1)
        done, data = cv2.imencode('.jpg', both, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert done
        return data.tobytes()


def _pixels(jpeg: bytes) -> np.ndarray:
    """Pixels [H, W, 3], BGR."""
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise ValueError('data: is no image')
    return np.asarray(found)
