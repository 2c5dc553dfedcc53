"""A robot's motion that follows the hands of a motion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.geometry import Array
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, HandState
from manivideo_ros.motion.motion import Motion
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.retarget import Retargeting
from manivideo_ros.robot.state import RobotState


def follow_hands(
    motion: Motion, model: RobotModel, stamps_ns: Iterable[int]
) -> list[RobotState | None]:
    """The robot at these times, None where it has no finger of the hands that are there.

    The hands are those of the default model. Raises ValueError for a robot without fingers.
    """
    retargeting = Retargeting(model)
    return [follow(retargeting, motion.interpolate_at(stamp).hands) for stamp in stamps_ns]


def follow(retargeting: Retargeting, hands: Mapping[str, HandState]) -> RobotState | None:
    """The robot that does what default hands do, by side; None without a finger of these hands."""
    points: dict[str, Array] = {}
    for side in SIDES:
        if side in hands:
            points[side] = world_keypoints(load_hand(side), hands[side])
    return retargeting.follow(points)
