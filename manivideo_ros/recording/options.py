"""What is asked of a dataset besides topics."""

from __future__ import annotations

from dataclasses import dataclass

CAMERA, VERSION, TASK = 'observation.images.camera', 'v3.0', 'manipulation'


@dataclass(frozen=True)
class Options:
    """How episodes are written; all but `task` and `key` concern LeRobot.

    task: its description, '' for the topic's of tasks, that of `like` or TASK. key: of the topic of
    images. like: folder of a dataset whose conventions are followed. masks, intrinsics: whether
    there are features of them. language: topic of String messages, subtasks. version: of the
    format.
    """

    task: str = ''
    key: str = CAMERA
    like: str = ''
    robot_type: str = ''
    masks: bool = False
    intrinsics: bool = False
    language: str = ''
    version: str = VERSION
