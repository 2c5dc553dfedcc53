"""Motion files: rosbag2 bags of HandPoses, ObjectPoses, CameraInfo, the camera's pose on
/tf_static (/tf, if it moves), and the objects' meshes as JSON on the latched topic /scene.

Topics are found by type, so that recordings of live sessions load too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.bags.bag import BagError, BagReader, BagWriter
from manivideo_ros.bags.part import Bag, Part, open_part, part_of
from manivideo_ros.bags.provenance import KEY, provenance_of
from manivideo_ros.files.errors import reason_of
from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.hand.shape import BETAS, HandShape
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS, STRING, TF
from manivideo_ros.messages.read import read_camera, stamp_ns
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.motion import Motion, in_shape, scene_json
from manivideo_ros.motion.recorded_transforms import NotConnectedError, RecordedTransforms
from manivideo_ros.motion.robots.recorded import RecordedRobot, RobotRecording
from manivideo_ros.motion.tracks import (
    hands_moved,
    in_world,
    merge_hands,
    merge_objects,
    objects_moved,
    pair_hands,
    read_hands,
    read_objects,
    read_scene,
)

LOGGER = logging.getLogger(__name__)
CAMERA_FRAME = 'camera_optical'
STILL = 1e-4
"""Metres and radians by which a camera may differ from its first pose and count as fixed."""


class MotionError(ValueError):
    """An unreadable motion; the text is one line."""


def save_motion(motion: Motion, folder: str | Path) -> None:
    """Write a motion as a bag: one message of each type per frame, under the frame's stamp.

    Raises BagError where the folder is in use.
    """
    start, camera, moves = int(motion.stamps_ns[0]), motion.camera, motion.camera_track is not None
    with BagWriter(folder) as bag:
        bag.add_topic('/scene', STRING, latched=True)
        scene = ROSBAGS.message(STRING)(data=scene_json(motion.meshes))
        bag.write('/scene', serialized(scene), start)
        bag.add_topic('/hand_poses', HANDS)
        bag.add_topic('/object_poses', OBJECTS)
        if camera is not None:
            bag.add_topic('/tf' if moves else '/tf_static', TF, latched=not moves)
            if not moves:
                bag.write('/tf_static', serialized(camera_transform(motion, camera)), start)
            bag.add_topic('/camera_info', CAMERA)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            sample, header = motion.frame(index), ROSBAGS.header(stamp, motion.frame_id)
            placed = motion.camera_in(index)
            if placed is not None and moves:
                transform = camera_transform(motion, placed, stamp=stamp)
                bag.write('/tf', serialized(transform), stamp)
            hands = ROSBAGS.hands(header, sample.hands, motion.hand_model)
            bag.write('/hand_poses', serialized(hands), stamp)
            bag.write('/object_poses', serialized(ROSBAGS.objects(header, sample.objects)), stamp)
            if camera is not None:
                info = ROSBAGS.camera(ROSBAGS.header(stamp, CAMERA_FRAME), camera)
                bag.write('/camera_info', serialized(info), stamp)


def camera_transform(
    motion: Motion, camera: Camera, frame: str = CAMERA_FRAME, stamp: int | None = None
) -> Any:
    """The TFMessage that places the camera's frame in the frame of the poses.

    stamp: its time, ns; None: that of the first frame.
    """
    header = ROSBAGS.header(motion.stamps_ns[0] if stamp is None else stamp, motion.frame_id)
    transform = ROSBAGS.transform(header, frame, invert_rigid(camera.camera_from_world))
    return ROSBAGS.message(TF)(transforms=[transform])


def load_motion(
    bag: Bag,
    camera: str | None = '',
    warn: Callable[[str], None] = LOGGER.warning,
    robot: RecordedRobot | None = None,
    recording: RobotRecording | None = None,
) -> Motion:
    """Read a motion file or a part of one, opened or not.

    Its frames are those of HandPoses, else of ObjectPoses, else of the robot's JointStates or
    plans; objects are interpolated to them. Topics of one type are merged by stamp.

    The world is the frame of the first poses; poses in other frames, and the camera in each frame,
    are placed in it by the transforms at their stamps. Without any transform the camera is at the
    origin of the world.

    camera: topic of its CameraInfo; '' for the only one, None to read no camera. warn: called with
    one line for what is left out or assumed. robot: shown in place of hands; recording: what it
    reads in this bag, if it is known already.

    Raises MotionError (one line: the file, the topic and field, what to do).
    """
    path = part_of(bag)
    try:
        reader = open_part(bag)
        topics = topics_by_type(reader)
        infos = [] if camera is None else camera_topics(reader)
        if robot is not None:
            topics.pop(HANDS, None)
        poses = [topic for found in topics.values() for topic in found]
        messages: dict[str, list[Any]] = {name: [] for name in (*poses, *infos)}
        for record in reader.messages(list(messages)):
            message, known = reader.decoded(record), messages[record.topic]
            # Of a camera only the first message of each frame is needed.
            frames = {one.header.frame_id for one in known} if record.topic in infos else set()
            if not frames or message.header.frame_id not in frames:
                known.append(message)
    except BagError as error:
        raise MotionError(str(error)) from None
    except ValueError as error:
        raise MotionError(f'{path}: {error}: record it again') from None
    if robot is None and not {HANDS, OBJECTS} & topics.keys():
        raise MotionError(
            f'{path}: holds no HandPoses or ObjectPoses: name with --hands what they are read '
            'from, or give a motion file or `manivideo convert`'
        )
    transforms = RecordedTransforms(path, reader, warn)
    try:
        if robot is None:
            motion = _assemble(path, topics, messages, transforms, warn)
            motion = _as_shown(path, motion, reader, warn)
        else:
            recorded = robot.read(reader) if recording is None else recording
            moved = any(messages[topic] for topic in topics.get(OBJECTS, ()))
            motion = (
                _assemble(path, topics, messages, transforms, warn)
                if moved
                else robot.alone(recorded)
            )
            motion = robot.placed(motion, recorded, transforms.lookup, warn)
        if camera is None:
            return motion
        topic = _chosen_camera({info: messages[info] for info in infos}, camera)
        return _seen_by(motion, path, topic, messages[topic], transforms, warn) if topic else motion
    except ValueError as error:
        line = str(error)
        raise MotionError(line if str(path) in line else f'{path}: {line}') from None


def read_robot(reader: BagReader, robot: RecordedRobot) -> RobotRecording:
    """What a robot reads in a bag, for `load_motion`. Raises MotionError."""
    try:
        return robot.read(reader)
    except ValueError as error:
        raise MotionError(f'{reader.path}: {error}') from None


def _assemble(
    path: Part,
    topics: dict[str, list[str]],
    messages: dict[str, list[Any]],
    transforms: RecordedTransforms,
    warn: Callable[[str], None],
) -> Motion:
    """The motion without a camera."""

    def of(kind: str) -> dict[str, list[Any]]:
        return {topic: messages[topic] for topic in topics.get(kind, ()) if messages[topic]}

    hands_by_topic, objects_by_topic = of(HANDS), of(OBJECTS)
    recorded = [*hands_by_topic.values(), *objects_by_topic.values()]
    if not recorded:
        raise MotionError(f'{path}: its pose topics are empty: record it again')
    world = recorded[0][0].header.frame_id
    hands_by_topic = {
        topic: in_world(topic, found, world, transforms, hands_moved)
        for topic, found in hands_by_topic.items()
    }
    objects_by_topic = {
        topic: _in_order(
            path, topic, in_world(topic, found, world, transforms, objects_moved), warn
        )
        for topic, found in objects_by_topic.items()
    }
    hand_topic, object_topic = ' and '.join(hands_by_topic), ' and '.join(objects_by_topic)
    hand_messages = _joined_hands(path, hands_by_topic, warn)
    object_messages = merge_objects(objects_by_topic)
    frames = hand_messages or max(objects_by_topic.values(), key=len)
    stamps = np.array([stamp_ns(m.header) for m in frames], np.int64)
    hands = read_hands(hand_topic, hand_messages)
    scene = read_scene([m for found in of(STRING).values() for m in found])
    objects = read_objects(object_topic, object_messages, stamps, scene)
    models = {h.hand_model for m in hand_messages for h in m.hands}
    if len(models) > 1:
        raise MotionError(f'{path}: hand_model changes ({sorted(models)}): record one hand model')
    model = models.pop() if models else 'default'
    return Motion(stamps, hands, objects, None, model, world, Path(path.name).stem)


def _as_shown(path: Part, motion: Motion, reader: BagReader, warn: Callable[[str], None]) -> Motion:
    """The motion with the hand shape that an episode's frames show, where its poses have none.

    A shape that cannot be read is left out with a warning.
    """
    if KEY not in reader.custom_data:
        return motion
    try:
        hands = provenance_of(reader).get('hands')
        if hands is None:  # of a stream, or of an earlier release
            return motion
        betas = {
            s: np.asarray(hands['betas'][s], np.float32).reshape(BETAS) for s in hands['betas']
        }
        shape = HandShape(hands['model'], betas)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        warn(
            f'{path}: {KEY}: the hand shape that its frames show cannot be read '
            f'({reason_of(error)}): hands have that of their poses; make the episode again'
        )
        return motion
    return in_shape(motion, shape)


def _joined_hands(
    path: Part, by_topic: dict[str, list[Any]], warn: Callable[[str], None]
) -> list[Any]:
    """The frames of all topics of HandPoses."""
    if len(by_topic) > 1:
        by_topic = {topic: _in_order(path, topic, found, warn) for topic, found in by_topic.items()}
    pairs = [(topic, message) for topic, found in by_topic.items() for message in found]
    order, sides = merge_hands(pairs)
    frames, became = pair_hands([pairs[n][1] for n in order], [sides[n] for n in order])
    _warn_of_order(path, ' and '.join(by_topic), became.count(None), warn)
    return frames


def _seen_by(
    motion: Motion,
    path: Part,
    topic: str,
    infos: list[Any],
    transforms: RecordedTransforms,
    warn: Callable[[str], None],
) -> Motion:
    """The motion seen by the camera of a topic's CameraInfo."""
    try:
        camera = read_camera(infos[0], rectified=True)
    except ValueError as error:
        raise ValueError(f'{topic}: {error}') from None
    seen, frame = replace(motion, camera=camera), infos[0].header.frame_id
    try:
        poses = np.array(
            [
                transforms.lookup(frame, motion.frame_id, stamp)
                for stamp in motion.stamps_ns.tolist()
            ]
        )
    except NotConnectedError as error:
        warn(
            f'{path}: {topic}: header.frame_id: {error}: the camera is assumed at the origin of '
            f'{motion.frame_id!r}. Record /tf and /tf_static'
        )
        return seen
    except ValueError as error:
        raise ValueError(f'{topic}: {error}') from None
    if np.abs(poses - poses[0]).max() <= STILL:
        return replace(motion, camera=replace(camera, camera_from_world=poses[0]))
    return seen.seen_from(poses)


def topics_by_type(reader: BagReader) -> dict[str, list[str]]:
    """The topics of each type of poses, and of the scene (STRING), sorted."""
    topics: dict[str, list[str]] = {}
    for topic, kind in sorted(reader.topics.items()):
        if kind in (HANDS, OBJECTS) or (kind == STRING and topic.endswith('scene')):
            topics.setdefault(kind, []).append(topic)
    return topics


def camera_topics(reader: BagReader) -> list[str]:
    """The topics of CameraInfo, sorted."""
    return sorted(topic for topic, kind in reader.topics.items() if kind == CAMERA)


def _chosen_camera(infos: dict[str, list[Any]], name: str) -> str:
    """The topic of the camera of this name, of the only one if ''; '' if there is none.

    infos: messages by topic. Topics whose messages have a frame_id in common are one camera, as
    those that a synthesizer receives and publishes. Raises ValueError.
    """
    received = {topic: messages for topic, messages in infos.items() if messages}
    if name:
        if name not in received:
            listed = ', '.join(received) or 'none'
            raise ValueError(f'camera {name}: no CameraInfo on such a topic (there is {listed})')
        return name
    cameras: dict[str, set[str]] = {}  # frames by the first topic of each camera
    for topic, found in received.items():
        frames = {message.header.frame_id for message in found}
        if not any(frames & known for known in cameras.values()):
            cameras[topic] = frames
    if len(cameras) > 1:
        raise ValueError(
            'holds several cameras: choose one by its CameraInfo topic with --camera, or record '
            f'one only: {", ".join(cameras)}'
        )
    return next(iter(cameras), '')


def _in_order(
    path: Part, topic: str, messages: list[Any], warn: Callable[[str], None]
) -> list[Any]:
    """The messages whose stamps increase. Others are dropped with a warning."""
    kept: list[Any] = []
    for message in messages:
        if not kept or stamp_ns(message.header) > stamp_ns(kept[-1].header):
            kept.append(message)
    _warn_of_order(path, topic, len(messages) - len(kept), warn)
    return kept


def _warn_of_order(path: Part, topic: str, count: int, warn: Callable[[str], None]) -> None:
    if count:
        warn(f'{path}: topic {topic}: {count} messages dropped: their stamps do not increase')
