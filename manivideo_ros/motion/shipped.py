"""The motions that ship, by name."""

from dataclasses import replace
from pathlib import Path

from manivideo_ros.camera.viewing import DEFAULT_SIZE, widened
from manivideo_ros.files.assets import ASSETS
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.process.folders import expanded

MOTIONS = ASSETS / 'motion'
DEFAULT_MOTION = 'turn_mug'  # never trained on


def motion_path(name: str) -> Path:
    """The motion file of a shipped motion's name, or the path that was given; '' for the demo's."""
    shipped = MOTIONS / (name or DEFAULT_MOTION)
    if not name or (Path(name).name == name and shipped.is_dir() and not Path(name).exists()):
        return shipped
    return expanded(name)


def motion_named(
    name: str, camera: str = '', hands: str = '', robot: RecordedRobot | None = None
) -> Motion:
    """The motion of a shipped motion's name, or of the file that was given; '' for the demo's.

    The cameras of shipped motions are square; here they see more to both sides, in images of the
    default size. camera: topic of its CameraInfo, '' for the only one; hands: what its hands are
    read from (sources/hand_option.py); robot: shown in place of hands. Raises as load_motion and
    open_bag.
    """
    path = motion_path(name)
    motion = load_motion(open_bag(path, hands) if hands else path, camera, robot=robot)
    if motion.camera is None or MOTIONS not in path.parents:
        return motion
    return replace(motion, camera=widened(motion.camera, *DEFAULT_SIZE))
