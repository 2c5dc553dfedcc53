"""A short motion above the table, and recordings of it in the demo's format."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from motion_messages import hands_message, objects_message
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS, TF
from manivideo_ros.messages.types import ROSBAGS, typestore
from manivideo_ros.motion.files import CAMERA_FRAME, camera_transform
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack

PERIOD_NS = 33_333_333
IMAGE, DIAGNOSTICS = 'sensor_msgs/msg/Image', 'diagnostic_msgs/msg/DiagnosticArray'


def short_motion(frames: int = 6) -> Motion:
    """A left and a right hand above the table with a jar between them."""
    present = np.ones(frames, bool)
    way = np.linspace(0, 0.05, frames)
    hands = {}
    for side, x, turn in (('left', -0.2, 0.0), ('right', 0.2, 0.0)):
        position = np.tile([x, 0.0, 0.09], (frames, 1))
        position[:, 1] += way
        rotation = np.tile(axis_angle_to_matrix([0.3, turn, 0.0]), (frames, 1, 1))
        hands[side] = HandTrack(
            present,
            np.full((frames, 45), 0.05, np.float32),
            np.zeros(10, np.float32),
            rotation.astype(np.float32),
            position.astype(np.float32),
        )
    poses = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    poses[:, 2, 3] = 0.06 + way
    objects = {'thing': ObjectTrack('jar', 1.0, present, poses)}
    camera = Camera(pinhole(320, 240, 0.8), look_at((0.05, -0.55, 0.4), (0, 0, 0.06)), 320, 240)
    stamps = 1_700_000_000_000_000_000 + np.arange(frames, dtype=np.int64) * PERIOD_NS
    return Motion(stamps, hands, objects, camera, name='short')


def moved(motion: Motion, by: NDArray) -> Motion:
    """The motion in another world frame: `by` [4, 4] is new_from_old."""
    from dataclasses import replace

    turn = by[:3, :3].astype(np.float32)
    hands = {
        side: replace(
            hand,
            wrist_rotation=turn @ hand.wrist_rotation,
            wrist_position=(hand.wrist_position @ turn.T + by[:3, 3]).astype(np.float32),
        )
        for side, hand in motion.hands.items()
    }
    objects = {
        name: replace(track, poses=(by @ track.poses).astype(np.float32))
        for name, track in motion.objects.items()
    }
    assert motion.camera is not None
    back = rigid(turn.T, -turn.T @ by[:3, 3])
    camera = replace(motion.camera, camera_from_world=motion.camera.camera_from_world @ back)
    return replace(motion, hands=hands, objects=objects, camera=camera)


def record(
    folder: Path,
    motion: Motion,
    images: Sequence[NDArray[np.uint8]],
    custom_data: dict[str, str],
    latency_ms: float = 40.0,
) -> None:
    """Write a bag as the recorder does, each image received `latency_ms` after its poses."""
    types = typestore().types
    with BagWriter(folder, custom_data) as bag:

        def write(topic: str, message: object, stamp: int) -> None:
            kind = message.__msgtype__  # type: ignore[attr-defined]
            bag.write(topic, typestore().serialize_cdr(message, kind), stamp)

        for topic, kind in {
            '/hand_poses': HANDS,
            '/object_poses': OBJECTS,
            '/camera/camera_info': CAMERA,
            '/image_raw': IMAGE,
            '/diagnostics': DIAGNOSTICS,
        }.items():
            bag.add_topic(topic, kind)
        bag.add_topic('/tf_static', TF, latched=True)
        bag.add_topic('/scene', 'std_msgs/msg/String', latched=True)
        start = int(motion.stamps_ns[0])
        assert motion.camera is not None
        write('/tf_static', camera_transform(motion, motion.camera), start)
        text = '{"objects": [{"id": "thing", "mesh": "jar", "scale": 1.0}]}'
        write('/scene', types['std_msgs/msg/String'](data=text), start)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            hands = hands_message(motion, index)
            write('/hand_poses', hands, stamp)
            write('/object_poses', objects_message(motion, index), stamp)
            write(
                '/camera/camera_info',
                ROSBAGS.camera(ROSBAGS.header(stamp, CAMERA_FRAME), motion.camera),
                stamp,
            )
            if index < len(images):
                write(
                    '/image_raw',
                    _image(images[index], hands.header),
                    stamp + int(latency_ms * 1e6),
                )
        if images:  # and one more after the last poses, as the node publishes it
            late = hands_message(motion, len(motion) - 1).header
            late.stamp.sec += 1
            write('/image_raw', _image(np.zeros_like(images[0]), late), stamp + 1_100_000_000)
        values = {'backend': 'onnxruntime', 'preset': 'tiny', 'frames_window': str(len(images))}
        values['denoise mean (ms)'] = '12.5'
        write('/diagnostics', _diagnostics(values, hands.header), stamp)


def _image(pixels: NDArray[np.uint8], header: object) -> object:
    height, width = pixels.shape[:2]
    return typestore().types[IMAGE](
        header=header,
        height=height,
        width=width,
        encoding='rgb8',
        is_bigendian=0,
        step=3 * width,
        data=pixels.reshape(-1),
    )


def _diagnostics(values: dict[str, str], header: object) -> object:
    types = typestore().types
    pairs = [types['diagnostic_msgs/msg/KeyValue'](key=k, value=v) for k, v in values.items()]
    status = types['diagnostic_msgs/msg/DiagnosticStatus'](
        level=0, name='manivideo: synthesizer', message='', hardware_id='', values=pairs
    )
    return types[DIAGNOSTICS](header=header, status=[status])
