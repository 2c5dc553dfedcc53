"""A lab's recording with cameras behind chains of transforms, one of which moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from evaluation_samples import short_motion
from motion_messages import hands_message, objects_message

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.geometry import axis_angle_to_matrix, invert_rigid, rigid
from manivideo_ros.messages.names import CAMERA, HANDS, IMAGE, OBJECTS, STRING, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.motion import Motion, scene_json

MS = 1_000_000
WRIST, FRONT = '/wrist/camera/camera_info', '/front/camera/camera_info'
BASE = rigid(axis_angle_to_matrix([0, 0, 0.4]), [0.3, -0.2, 0.1])
"""world_from_base: static."""
HAND_EYE = rigid(axis_angle_to_matrix([0.2, 0.1, 0.0]), [0.01, 0.05, -0.04])
"""flange_from_wrist_camera: static."""


def world_from_wrist(motion: Motion, stamp: int) -> np.ndarray:
    """The pose of the moving camera at a stamp: a tenth of a metre a second along x, turning."""
    seconds = (stamp - int(motion.stamps_ns[0])) * 1e-9
    turn = rigid(axis_angle_to_matrix([0, 0, 0.3 * seconds]), [0.1 * seconds, 0, 0])
    return turn @ invert_rigid(motion.camera.camera_from_world)


def base_from_flange(motion: Motion, stamp: int) -> np.ndarray:
    return invert_rigid(BASE) @ world_from_wrist(motion, stamp) @ invert_rigid(HAND_EYE)


def transform(parent: str, child: str, pose: np.ndarray, stamp: int):
    stamped = ROSBAGS.transform(ROSBAGS.header(stamp, parent), child, pose)
    return ROSBAGS.message(TF)(transforms=[stamped])


def record_mounted(
    folder: Path,
    frames: int = 6,
    cameras=(WRIST,),
    moving=(-20, 10_000),  # ms after the first frame in which /tf is sent
    static: bool = True,
    objects_in: str = 'world',  # frame of the object poses: world or wrist_optical
    images: bool = False,
    period_ms: int = 10,  # of /tf
) -> Motion:
    """Write the bag; returns its motion in the world, seen by the front camera.

    world -> base -> flange -> wrist_optical: static, moving (on /tf) with other stamps than the
    poses, static. world -> front_optical: static.
    """
    motion = short_motion(frames)
    start, last = int(motion.stamps_ns[0]), int(motion.stamps_ns[-1])
    with BagWriter(folder) as bag:
        for topic, kind in {'/hand_poses': HANDS, '/object_poses': OBJECTS, '/tf': TF}.items():
            bag.add_topic(topic, kind)
        bag.add_topic('/scene', STRING, latched=True)
        bag.add_topic('/tf_static', TF, latched=True)
        scene = ROSBAGS.message(STRING)(data=scene_json(motion.meshes))
        sent = [('/scene', start, scene)]
        if static:
            front = invert_rigid(motion.camera.camera_from_world)
            for parent, child, pose in (
                ('world', 'base', BASE),
                ('flange', 'wrist_optical', HAND_EYE),
                ('world', 'front_optical', front),
            ):
                sent.append(('/tf_static', start, transform(parent, child, pose, start)))
        for stamp in range(start + moving[0] * MS, min(start + moving[1] * MS, last + 40 * MS),
                           period_ms * MS):  # fmt: skip
            pose = base_from_flange(motion, stamp)
            sent.append(('/tf', stamp, transform('base', 'flange', pose, stamp)))
        for topic in cameras:
            bag.add_topic(topic, CAMERA)
            if images:
                bag.add_topic(topic.replace('camera_info', 'image_raw'), IMAGE)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            objects = motion.frame(index).objects
            if objects_in != 'world':
                back = invert_rigid(world_from_wrist(motion, stamp))
                objects = {name: back @ pose for name, pose in objects.items()}
            for topic in cameras:
                header = ROSBAGS.header(stamp, f'{topic.split("/")[1]}_optical')
                sent.append((topic, stamp, ROSBAGS.camera(header, motion.camera)))
                if images:
                    grey = np.full((240, 320, 3), 90, np.uint8)
                    image = ROSBAGS.image(header, grey)
                    sent.append((topic.replace('camera_info', 'image_raw'), stamp, image))
            message = replace(
                objects_message(motion, index),
                header=ROSBAGS.header(stamp, objects_in),
                objects=ROSBAGS.objects(ROSBAGS.header(stamp, objects_in), objects).objects,
            )
            sent += [('/object_poses', stamp, message)]
            sent += [('/hand_poses', stamp, hands_message(motion, index))]
        for topic, stamp, message in sorted(sent, key=lambda item: item[1]):
            bag.write(topic, serialized(message), stamp)
    return motion
