"""The views of an episode: the cameras that see a variation, and warnings about recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from manivideo_ros.augment.choices import Choices
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.messages.names import HANDS, OBJECTS
from manivideo_ros.motion.files import (
    camera_topics,
    load_motion,
    recorded_transforms,
    topics_by_type,
)
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.view import camera_of

CAMERA_FRAME = 'synthetic_camera_optical'
"""A frame that recordings do not have, because their transforms are copied."""


@dataclass(frozen=True, eq=False)
class View:
    """A camera of a variation.

    number: among the views; prefix: of its topics, '' for the only camera; frame: its TF frame.
    cameras: of every frame where it moves, else one.
    """

    number: int
    prefix: str
    frame: str
    cameras: tuple[Camera, ...]

    @property
    def moves(self) -> bool:
        """Whether the camera moves."""
        return len(self.cameras) > 1


def views_of(path: Path, motion: Motion, choices: Choices, cameras: Sequence[str]) -> list[View]:
    """The views of a variation: the recorded cameras, all moved as `choices` moves the first one.

    motion: seen by the first camera. cameras: topics of CameraInfo; empty: the only one, whose
    topics have no prefix. Raises MotionError for a camera that cannot be read.
    """
    first = camera_of(motion).camera_from_world
    moved = invert_rigid(first) @ choices.camera.camera_from_world  # of the world, before a camera
    several = len(cameras) > 1
    out = []
    for number, topic in enumerate(cameras or ('',)):
        seen = motion if topic in cameras[:1] or not topic else load_motion(path, topic)
        count = 1 if seen.camera_poses is None else len(seen)
        placed = tuple(
            replace(camera, camera_from_world=np.asarray(camera.camera_from_world) @ moved)
            for camera in (camera_of(seen, index) for index in range(count))
        )
        prefix = topic.rpartition('/')[0] if several else ''
        frame = '_'.join([*prefix.split('/')[1:], CAMERA_FRAME]) if several else CAMERA_FRAME
        out.append(View(number, prefix, frame, placed))
    return out


def camera_warnings(
    name: str, reader: BagReader, motion: Motion, cameras: Sequence[str] = ()
) -> list[str]:
    """One line for each camera that no transform connects with the poses, and for one that moves.

    cameras: topics of CameraInfo; empty: all.
    """
    topics = topics_by_type(reader)
    world = _first_frame(reader, topics.get(HANDS) or topics.get(OBJECTS, ''))
    tree, out = recorded_transforms(reader), []
    for topic in cameras or camera_topics(reader)[:1]:
        frame = _first_frame(reader, topic)
        if not frame or not world:
            continue
        try:
            tree.lookup(world, frame)
        except LookupError:
            known = ', '.join(tree.frames()) or 'none'
            out.append(
                f'{name}: {topic}: no transform connects {world!r} with {frame!r} (recorded '
                f'frames: {known}): the camera is assumed at the origin of {world!r}. Record /tf '
                'and /tf_static'
            )
    if motion.camera_poses is not None:
        out.append(f'{name}: its camera moves: the generated background stands still in the image')
    return out


def _first_frame(reader: BagReader, topic: str) -> str:
    """The frame_id of a topic's first message; '' without one."""
    for record in reader.messages([topic] if topic else []):
        frame: str = reader.decoded(record).header.frame_id
        return frame
    return ''
