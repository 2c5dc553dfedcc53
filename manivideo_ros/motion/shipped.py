"""The motions that ship, by name."""

from pathlib import Path

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.process.folders import expanded

MOTIONS = ASSETS / 'motion'
DEFAULT_MOTION = 'turn_mug'  # never trained on


def motion_path(name: str) -> Path:
    """The motion file of a shipped motion's name, or the path that was given; '' for the demo's."""
    shipped = MOTIONS / (name or DEFAULT_MOTION)
    if not name or (Path(name).name == name and shipped.is_dir() and not Path(name).exists()):
        return shipped
    return expanded(name)
