"""A scene with two hands and a mug, and snapshots for a synthesizer."""

from dataclasses import replace

import numpy as np

from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.synthesizer import Scene, Synthesizer

HANDS = {side: load_hand(side) for side in ('left', 'right')}

CAMERA = Camera(pinhole(320, 240, 0.7), look_at((0.0, -0.6, 0.4), (0.0, 0.0, 0.05)), 320, 240)

REFERENCE = HandReference(
    np.full((128, 128, 3), (210, 60, 40), np.uint8), np.ones((128, 128), np.uint8)
)

BACKGROUND = np.full((240, 320, 3), (0, 90, 200), np.uint8)


def hand(side: str, x: float) -> HandState:
    rotation = axis_angle_to_matrix([0, 0, -np.pi / 2 if side == 'right' else np.pi / 2])
    return HandState(np.zeros(45), np.zeros(10), rotation, np.array([x, -0.1, 0.05]))


WHOLE = Snapshot(
    7,
    {'left': hand('left', -0.1), 'right': hand('right', 0.1)},
    {'mug': rigid(np.eye(3), [0, 0.02, 0.05])},
    {'left': 1.0, 'right': 1.0, 'mug': 1.0},
)


SNAPSHOTS = [
    WHOLE,
    replace(WHOLE, presence={**WHOLE.presence, 'mug': 0.5}),
    replace(WHOLE, hands={'left': hand('left', 0.0)}),
    replace(WHOLE, objects={}),
    WHOLE,
]


def frames_on(runner) -> np.ndarray:
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    synthesizer = Synthesizer(StreamingSession(runner, seed=3), HANDS, scene, 1)
    return np.stack([synthesizer.step(CAMERA, s).image.copy() for s in SNAPSHOTS]).astype(int)
