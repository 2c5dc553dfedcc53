"""A short video of a webcam, as a file."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import cv2

from manivideo_ros.estimation.video_poses import VideoError

TIMED = 15
"""Frames by which the rate is measured: what drivers report is often wrong."""
SLOWEST, FASTEST = 2.0, 240.0


def record_webcam(source: int | str, seconds: float, path: Path) -> None:
    """Record a webcam (its number, or what OpenCV opens) to a file of JPEG images.

    Raises VideoError if it cannot be opened or gives no images.
    """
    camera = cv2.VideoCapture(source)
    try:
        first: list[cv2.typing.MatLike] = []
        begun = monotonic()
        while len(first) < TIMED and (read := camera.read())[0]:
            first.append(read[1])
        if len(first) < TIMED:
            raise VideoError(f'webcam {source}: gives no images: is it connected, and free?')
        rate = min(max(TIMED / (monotonic() - begun), SLOWEST), FASTEST)
        height, width = first[0].shape[:2]
        path.parent.mkdir(parents=True, exist_ok=True)
        code = cv2.VideoWriter.fourcc(*'MJPG')
        video = cv2.VideoWriter(str(path), code, rate, (width, height))
        if not video.isOpened():
            raise VideoError(f'{path}: cannot be written')
        try:
            for image in first:
                video.write(image)
            while monotonic() - begun < seconds and (read := camera.read())[0]:
                video.write(read[1])
        finally:
            video.release()
    finally:
        camera.release()
