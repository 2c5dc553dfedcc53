"""What tests share: pose streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from motion_messages import hands_message

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.geometry import (
    Camera,
    axis_angle_to_matrix,
    look_at,
    pinhole,
    rigid,
)
from manivideo_ros.messages.names import HANDS
from manivideo_ros.messages.types import typestore
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack

START, STEP = 1_700_000_000_000_000_000, 33_333_333


def example(frames: int = 6, seed: int = 0, absent: int | None = None) -> Motion:
    rng = np.random.default_rng(seed)
    stamps = START + STEP * np.arange(frames, dtype=np.int64)
    present = np.ones(frames, bool)
    if absent is not None:
        present[absent] = False
    rotation = axis_angle_to_matrix(rng.normal(size=(frames, 3)))
    hand = HandTrack(
        present,
        np.where(present[:, None], rng.normal(size=(frames, 45)), 0).astype(np.float32),
        rng.normal(size=10).astype(np.float32),
        np.where(present[:, None, None], rotation, np.eye(3)).astype(np.float32),
        np.where(present[:, None], rng.normal(size=(frames, 3)), 0).astype(np.float32),
    )
    poses = rigid(rotation, rng.normal(size=(frames, 3))).astype(np.float32)
    mug = ObjectTrack('mug', 1.0, np.ones(frames, bool), poses)
    camera = Camera(pinhole(256, 256, 0.8), look_at((0, -0.5, 0.4), (0, 0, 0.1)), 256, 256)
    return Motion(stamps, {'left': hand}, {'cup': mug}, camera, name='example')


def one_by_one(motion: Motion, path, late_ns: int = 0, order=(0, 1)):
    """A bag as hand_source of before wrote it: each hand of a frame in a message of its own.

    late_ns: by how much the right hand's stamp is later.
    """
    with BagWriter(path) as bag:
        bag.add_topic('/hand_poses', HANDS)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            whole = hands_message(motion, index)
            for side in order:
                at = stamp + late_ns * side
                stamped = typestore().types['builtin_interfaces/msg/Time'](
                    sec=at // 10**9, nanosec=at % 10**9
                )
                message = replace(
                    whole,
                    header=replace(whole.header, stamp=stamped),
                    hands=[hand for hand in whole.hands if hand.side == side],
                )
                bag.write('/hand_poses', typestore().serialize_cdr(message, HANDS), at)


def two_hands(frames: int = 6) -> Motion:
    left, right = example(frames, 1), example(frames, 2)
    return replace(left, hands={'left': left.hands['left'], 'right': right.hands['left']})
