"""Checks that the pose of a recorded camera is known, from which variations move it."""

from __future__ import annotations

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS, TF
from manivideo_ros.messages.types import decoded
from manivideo_ros.motion.files import topics_by_type


def warnings_of(name: str, reader: BagReader) -> list[str]:
    """A warning, in a list, if no transform connects a recording's camera with its poses."""
    topics = topics_by_type(reader)
    infos = topics.get(CAMERA, '')
    camera = _first_frame(reader, infos)
    kind = HANDS if HANDS in topics else OBJECTS
    world = _first_frame(reader, topics.get(kind, ''))
    if not camera or not world or camera == world:
        return []
    static = topics.get(TF, '')
    for record in reader.messages([static] if static else []):
        for transform in decoded(record.data, TF).transforms:
            if (transform.header.frame_id, transform.child_frame_id) == (world, camera):
                return []
    return [
        f'{name}: {infos}: no transform from {world!r} to {camera!r} is on /tf_static: the camera '
        f'is assumed at the origin of {world!r}. Record /tf_static with a direct transform'
    ]


def _first_frame(reader: BagReader, topic: str) -> str:
    """The frame_id of a topic's first message; '' without one."""
    for record in reader.messages([topic] if topic else []):
        frame: str = reader.decoded(record).header.frame_id
        return frame
    return ''
