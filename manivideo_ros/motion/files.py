"""Motion files: rosbag2 bags of HandPoses, ObjectPoses, CameraInfo, the camera's pose on
/tf_static, and the objects' meshes as JSON on the latched topic /scene.

Topics are found by type, so that recordings of live sessions load too.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.bags.bag import BagError, BagReader, BagWriter
from manivideo_ros.geometry import Camera, rigid
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS, STRING, TF
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.motion import Motion, scene_json
from manivideo_ros.motion.tracks import (
    pair_hands,
    read_camera,
    read_hands,
    read_objects,
    read_scene,
)

LOGGER = logging.getLogger(__name__)
CAMERA_FRAME = 'camera_optical'


class MotionError(ValueError):
    """An unreadable motion; the text is one line."""


def save_motion(motion: Motion, folder: str | Path) -> None:
    """Write a motion as a bag: one message of each type per frame, under the frame's stamp.

    Raises BagError where the folder is in use.
    """
    start, camera = int(motion.stamps_ns[0]), motion.camera
    with BagWriter(folder) as bag:
        bag.add_topic('/scene', STRING, latched=True)
        scene = ROSBAGS.message(STRING)(data=scene_json(motion.meshes))
        bag.write('/scene', serialized(scene), start)
        bag.add_topic('/hand_poses', HANDS)
        bag.add_topic('/object_poses', OBJECTS)
        if camera is not None:
            bag.add_topic('/tf_static', TF, latched=True)
            bag.write('/tf_static', serialized(camera_transform(motion, camera)), start)
            bag.add_topic('/camera_info', CAMERA)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            sample, header = motion.frame(index), ROSBAGS.header(stamp, motion.frame_id)
            hands = ROSBAGS.hands(header, sample.hands, motion.hand_model)
            bag.write('/hand_poses', serialized(hands), stamp)
            bag.write('/object_poses', serialized(ROSBAGS.objects(header, sample.objects)), stamp)
            if camera is not None:
                info = ROSBAGS.camera(ROSBAGS.header(stamp, CAMERA_FRAME), camera)
                bag.write('/camera_info', serialized(info), stamp)


def camera_transform(motion: Motion, camera: Camera, frame: str = CAMERA_FRAME) -> Any:
    """The TFMessage that places the camera's frame in the frame of the poses."""
    rotation = np.asarray(camera.camera_from_world)[:3, :3].T
    position = -rotation @ np.asarray(camera.camera_from_world)[:3, 3]
    header = ROSBAGS.header(motion.stamps_ns[0], motion.frame_id)
    transform = ROSBAGS.transform(header, frame, rigid(rotation, position))
    return ROSBAGS.message(TF)(transforms=[transform])


def load_motion(path: str | Path) -> Motion:
    """Read a motion file. Its frames are those of HandPoses, else of ObjectPoses; objects are
    interpolated to them. Without a pose on TF the camera is at the origin of the poses' frame.

    Raises MotionError (one line: the file, the topic and field, what to do).
    """
    try:
        reader = BagReader(path)
        topics = topics_by_type(reader)
        messages: dict[str, list[Any]] = {name: [] for name in topics.values()}
        for record in reader.messages(list(messages)):
            messages[record.topic].append(reader.decoded(record))
    except BagError as error:
        raise MotionError(str(error)) from None
    except ValueError as error:
        raise MotionError(f'{path}: {error}: record it again') from None
    if HANDS not in topics and OBJECTS not in topics:
        raise MotionError(
            f'{path}: holds no HandPoses or ObjectPoses: give a motion file or `manivideo convert`'
        )
    hand_messages = messages.get(topics.get(HANDS, ''), [])
    object_messages = messages.get(topics.get(OBJECTS, ''), [])
    try:
        return _assemble(Path(path), topics, messages, hand_messages, object_messages)
    except ValueError as error:
        line = str(error)
        raise MotionError(line if str(path) in line else f'{path}: {line}') from None


def _assemble(
    path: Path,
    topics: dict[str, str],
    messages: dict[str, list[Any]],
    hand_messages: list[Any],
    object_messages: list[Any],
) -> Motion:
    hand_messages, became = pair_hands(hand_messages)
    _warn_of_order(path, topics.get(HANDS, ''), became.count(None))
    object_messages = _in_order(path, topics.get(OBJECTS, ''), object_messages)
    frames = hand_messages or object_messages
    if not frames:
        raise MotionError(f'{path}: its pose topics are empty: record it again')
    stamps = np.array([stamp_ns(m.header) for m in frames], np.int64)
    hands = read_hands(topics.get(HANDS, ''), hand_messages)
    scene = read_scene(messages.get(topics.get(STRING, ''), []))
    objects = read_objects(topics.get(OBJECTS, ''), object_messages, stamps, scene)
    models = {h.hand_model for m in hand_messages for h in m.hands}
    if len(models) > 1:
        raise MotionError(f'{path}: hand_model changes ({sorted(models)}): record one hand model')
    model = models.pop() if models else 'default'
    camera_topic = topics.get(CAMERA, '')
    infos = messages.get(camera_topic, [])
    frame_id = frames[0].header.frame_id
    transforms = [t for m in messages.get(topics.get(TF, ''), []) for t in m.transforms]
    camera = read_camera(camera_topic, infos[0], frame_id, transforms) if infos else None
    return Motion(stamps, hands, objects, camera, model, frame_id, path.resolve().stem)


def topics_by_type(reader: BagReader) -> dict[str, str]:
    """The topic of each type that is read; of several the first, but only /tf_static and /scene."""
    topics: dict[str, str] = {}
    for topic, kind in sorted(reader.topics.items()):
        if kind == TF and not topic.endswith('tf_static'):
            continue
        if kind == STRING and not topic.endswith('scene'):
            continue
        if kind in (HANDS, OBJECTS, CAMERA, TF, STRING):
            topics.setdefault(kind, topic)
    return topics


def _in_order(path: Path, topic: str, messages: list[Any]) -> list[Any]:
    """The messages whose stamps increase. Others are dropped with a warning."""
    kept: list[Any] = []
    for message in messages:
        if not kept or stamp_ns(message.header) > stamp_ns(kept[-1].header):
            kept.append(message)
    _warn_of_order(path, topic, len(messages) - len(kept))
    return kept


def _warn_of_order(path: Path, topic: str, count: int) -> None:
    if count:
        LOGGER.warning(
            '%s: topic %s: %d messages dropped: their stamps do not increase',
            path,
            topic,
            count,
        )
