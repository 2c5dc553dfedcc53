"""The skeleton that a frame shows of a SkeletonPoses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.viewing import fitted_points
from manivideo_ros.drawing.people.arms import ARM, belongs, completed
from manivideo_ros.drawing.skeleton import largest_person, seen
from manivideo_ros.geometry import Camera
from manivideo_ros.messages.read import Received, read_people, stamp_ns
from manivideo_ros.motion.pose_buffer import SKELETON, Snapshot


def read_skeleton(message: Any, width: int, height: int) -> Received[NDArray[np.floating]]:
    """The person with the largest box [134, 3], in pixels of a width x height frame, if any.

    The message's image is cropped at its centre to the frame's aspect ratio, as a camera's is.
    """
    out: Received[NDArray[np.floating]] = Received(
        stamp_ns(message.header), message.header.frame_id
    )
    size = (message.image_width, message.image_height)
    people, out.problems = read_people(message, *size)
    person = largest_person(people)
    if seen(person).any():
        out.states[SKELETON] = fitted_points(person, size, width, height)
    return out


def hands_of_others(snapshot: Snapshot, camera: Camera) -> set[str]:
    """The sides of hands that the snapshot's skeleton has elsewhere: they are somebody else's."""
    if snapshot.skeleton is None:
        return set()
    points, there = completed(snapshot.skeleton)
    return {
        side
        for side, state in snapshot.hands.items()
        if there[ARM[side][2]] and not belongs(state, side, camera, points, there)
    }
