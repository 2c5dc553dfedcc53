"""The camera that sees a motion."""

from __future__ import annotations

from manivideo_ros.camera.viewing import DEFAULT_SIZE, bounded, default_camera
from manivideo_ros.geometry import Camera
from manivideo_ros.motion.motion import Motion


def camera_of(motion: Motion, index: int = 0) -> Camera:
    """The motion's own camera in a frame, reduced to the largest image; the default one without."""
    camera = motion.camera_in(index)
    if camera is not None:
        return bounded(camera)
    first = motion.frame(0)
    robots = motion.robots_in(0).values()
    return default_camera(first.hands, first.objects.values(), *DEFAULT_SIZE, robots)


def require_fixed_camera(motion: Motion, purpose: str) -> None:
    """Raise ValueError for a camera that moves; purpose: what needs a fixed one."""
    if motion.camera_track is not None:
        raise ValueError(
            f'{motion.name}: {purpose} needs a fixed camera, and the recorded one moves: choose '
            'another with --camera, or do without'
        )
