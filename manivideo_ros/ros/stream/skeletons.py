"""From SkeletonPoses to the one skeleton that a frame shows; what is wrong is named, not raised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.viewing import fitted_points
from manivideo_ros.drawing.skeleton import largest_person, read_skeletons, seen
from manivideo_ros.motion.pose_buffer import SKELETON
from manivideo_ros.msg import SkeletonPoses
from manivideo_ros.ros.conversion import Received
from manivideo_ros.ros.images import stamp_ns


def read_skeleton(
    message: SkeletonPoses, width: int, height: int
) -> Received[NDArray[np.floating]]:
    """The person of largest box [134, 3], in pixels of a width x height frame; none where unseen.

    The frame shows the message's image as it shows a camera's: cut at its centre to its aspect.
    """
    out: Received[NDArray[np.floating]] = Received(
        stamp_ns(message.header), message.header.frame_id
    )
    size = (message.image_width, message.image_height)
    people, out.problems = read_skeletons(message, *size)
    person = largest_person(people)
    if seen(person).any():
        out.states[SKELETON] = fitted_points(person, size, width, height)
    return out
