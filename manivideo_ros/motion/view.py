"""The camera that sees a motion."""

from __future__ import annotations

from manivideo_ros.camera.viewing import DEFAULT_SIZE, bounded, default_camera
from manivideo_ros.geometry import Camera
from manivideo_ros.motion.motion import Motion


def camera_of(motion: Motion, index: int = 0) -> Camera:
    """The motion's own camera in a frame, reduced to the largest image; the default one without."""
    camera = motion.camera_at(index)
    if camera is not None:
        return bounded(camera)
    first = motion.frame(0)
    return default_camera(first.hands, first.objects.values(), *DEFAULT_SIZE)
