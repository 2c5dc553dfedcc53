"""Motion files: rosbag2 bags of HandPoses, ObjectPoses, CameraInfo, the camera's pose on /tf_static
or /tf, and the objects' meshes as JSON on the latched topic /scene.

Topics are found by type, so that recordings of live sessions load too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
from manivideo_ros.motion.transform_tree import TransformTree

LOGGER = logging.getLogger(__name__)
CAMERA_FRAME = 'camera_optical'


class MotionError(ValueError):
    """An unreadable motion; the text is one line."""


def save_motion(motion: Motion, folder: str | Path) -> None:
    """Write a motion as a bag: one message of each type per frame, under the frame's stamp.

    Raises BagError where the folder is in use.
    """
    start, camera, moves = int(motion.stamps_ns[0]), motion.camera, False
    with BagWriter(folder) as bag:
        bag.add_topic('/scene', STRING, latched=True)
        scene = ROSBAGS.message(STRING)(data=scene_json(motion.meshes))
        bag.write('/scene', serialized(scene), start)
        bag.add_topic('/hand_poses', HANDS)
        bag.add_topic('/object_poses', OBJECTS)
        if camera is not None:
            bag.add_topic('/tf_static', TF, latched=True)
            moves = motion.camera_poses is not None
            if moves:
                bag.add_topic('/tf', TF)
            else:
                bag.write('/tf_static', serialized(camera_transform(motion, camera)), start)
            bag.add_topic('/camera_info', CAMERA)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            sample, header = motion.frame(index), ROSBAGS.header(stamp, motion.frame_id)
            hands = ROSBAGS.hands(header, sample.hands, motion.hand_model)
            bag.write('/hand_poses', serialized(hands), stamp)
            bag.write('/object_poses', serialized(ROSBAGS.objects(header, sample.objects)), stamp)
            seen_by = motion.camera_at(index)
            if moves and seen_by is not None:
                placed = camera_transform(motion, seen_by, stamp=stamp)
                bag.write('/tf', serialized(placed), stamp)
            if camera is not None:
                info = ROSBAGS.camera(ROSBAGS.header(stamp, CAMERA_FRAME), camera)
                bag.write('/camera_info', serialized(info), stamp)


def camera_transform(
    motion: Motion, camera: Camera, frame: str = CAMERA_FRAME, stamp: int | None = None
) -> Any:
    """The TFMessage that places the camera's frame in the frame of the poses; stamp (ns): None for
    the first frame's.
    """
    rotation = np.asarray(camera.camera_from_world)[:3, :3].T
    position = -rotation @ np.asarray(camera.camera_from_world)[:3, 3]
    at = int(motion.stamps_ns[0]) if stamp is None else stamp
    header = ROSBAGS.header(at, motion.frame_id)
    transform = ROSBAGS.transform(header, frame, rigid(rotation, position))
    return ROSBAGS.message(TF)(transforms=[transform])


def load_motion(path: str | Path, camera: str = '') -> Motion:
    """Read a motion file. Its frames are those of HandPoses, else of ObjectPoses; objects are
    interpolated to them, and poses in other frames are moved into that of the first one by the
    recorded transforms. The camera is placed by them too, in every frame if it moves; where none
    connects it with the poses, it is at the origin of their frame.

    camera: the topic of its CameraInfo, '' for the only one. Raises MotionError (one line: the
    file, the topic and field, what to do).
    """
    try:
        reader = BagReader(path)
        topics = topics_by_type(reader)
        messages: dict[str, list[Any]] = {name: [] for name in topics.values()}
        messages |= {name: [] for name in camera_topics(reader)}
        for record in reader.messages(list(messages)):
            messages[record.topic].append(reader.decoded(record))
        tree = recorded_transforms(reader)
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
        infos = {name: messages[name] for name in camera_topics(reader) if messages[name]}
        topics[CAMERA] = chosen_camera(infos, camera)
        return _assemble(Path(path), topics, messages, hand_messages, object_messages, tree)
    except ValueError as error:
        line = str(error)
        raise MotionError(line if str(path) in line else f'{path}: {line}') from None


def _assemble(
    path: Path,
    topics: dict[str, str],
    messages: dict[str, list[Any]],
    hand_messages: list[Any],
    object_messages: list[Any],
    tree: TransformTree,
) -> Motion:
    hand_messages, became = pair_hands(hand_messages)
    _warn_of_order(path, topics.get(HANDS, ''), became.count(None))
    object_messages = _in_order(path, topics.get(OBJECTS, ''), object_messages)
    frames = hand_messages or object_messages
    if not frames:
        raise MotionError(f'{path}: its pose topics are empty: record it again')
    stamps = np.array([stamp_ns(m.header) for m in frames], np.int64)
    world = frames[0].header.frame_id
    hands = read_hands(topics.get(HANDS, ''), hand_messages, world, tree)
    scene = read_scene(messages.get(topics.get(STRING, ''), []))
    topic = topics.get(OBJECTS, '')
    objects = read_objects(topic, object_messages, stamps, scene, world, tree)
    models = {h.hand_model for m in hand_messages for h in m.hands}
    if len(models) > 1:
        raise MotionError(f'{path}: hand_model changes ({sorted(models)}): record one hand model')
    model = models.pop() if models else 'default'
    camera, places = None, None
    if topics[CAMERA]:
        info = messages[topics[CAMERA]][0]
        camera, places = read_camera(topics[CAMERA], info, world, tree, stamps)
    return Motion(stamps, hands, objects, camera, model, world, path.resolve().stem, places)


def camera_topics(reader: BagReader) -> list[str]:
    """The topics of CameraInfo, sorted."""
    return sorted(topic for topic, kind in reader.topics.items() if kind == CAMERA)


def chosen_camera(infos: Mapping[str, list[Any]], camera: str) -> str:
    """The topic of CameraInfo that shows a motion; '' without one.

    infos: the messages by topic. camera: its name, '' for the only one: of topics with one frame
    and image, as a stream repeats its camera's, the first. Raises ValueError where it is unclear.
    """
    if camera:
        if camera not in infos:
            listed = ', '.join(infos) or 'none'
            raise ValueError(f'{camera}: no CameraInfo on this topic: choose one of {listed}')
        return camera
    views = {(m[0].header.frame_id, m[0].width, m[0].height, *m[0].k) for m in infos.values()}
    if len(views) > 1:
        raise ValueError(f'several cameras ({", ".join(infos)}): choose one with --camera')
    return next(iter(infos), '')


def recorded_transforms(reader: BagReader) -> TransformTree:
    """All transforms of a recording. Raises ValueError that names the topic for an invalid one."""
    tree = TransformTree(kept=None)
    topics = [topic for topic, kind in reader.topics.items() if kind == TF]
    for record in reader.messages(topics):
        static = record.topic.endswith('tf_static')
        if problems := tree.take(reader.decoded(record), static):
            raise ValueError(f'{record.topic}: {problems[0]}')
    return tree


def topics_by_type(reader: BagReader) -> dict[str, str]:
    """The topic of each type of poses and scenes that is read; of several the first, but only
    /tf_static and /scene.
    """
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
