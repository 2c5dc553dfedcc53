"""Scenes as a lab records them: measured light, bare arms, a drifting camera, wrong labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.camera_response import random_capture
from manivideo_ros.data.scenes.library import skin
from manivideo_ros.data.scenes.panoramas import panorama_room
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.geometry import Array, axis_angle_to_matrix, matrix_to_axis_angle, rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.pose_noise import wandering
from manivideo_ros.robot.state import RobotState

PANORAMA_SHARE = 0.6  # of scenes, where there are panoramas
BARE_SHARE = 0.4  # of scenes without a sleeve
EXACT_SHARE = 0.35  # of scenes whose labels are exact
MOST_METRES, MOST_DEGREES = 0.008, 6.0  # of label noise
FRAME_NS = 33_333_333
UNRELATED_S = 1e-6  # correlation time of unrelated frames: none
JOINTS = 15
MEASURED = 0.15  # share of the noise of a person's joints in those of a robot


def labelled(
    rng: np.random.Generator, actions: Sequence[Action], consecutive: bool
) -> list[Action]:
    """The actions as a tracker reports them: drifting or trembling, up to 8 mm and 6 degrees."""
    if rng.random() < EXACT_SHARE:
        return list(actions)
    scale = min(float(rng.exponential(0.35)), 1.0)
    correlation_s = float(rng.choice([0.01, 0.1, 0.4])) if consecutive else UNRELATED_S
    stamps_ns = np.arange(len(actions)) * FRAME_NS
    metres, radians = scale * MOST_METRES / 2, scale * np.radians(MOST_DEGREES) / 2

    def noise(channels: int, length: float) -> NDArray[np.float64]:
        """[F, channels, 3] vectors of this root mean square length, correlated in time."""
        out = wandering(rng, stamps_ns, 3 * channels, correlation_s)
        most = 2 * length
        vectors = out.reshape(-1, channels, 3) * length / np.sqrt(3)
        far = np.linalg.norm(vectors, axis=-1, keepdims=True)
        return vectors * np.minimum(1, most / np.maximum(far, 1e-12))

    sides = sorted({side for action in actions for side in (*action.hands, *action.robots)})
    shifts = {side: noise(1, metres)[:, 0] for side in sides}
    turns = {side: noise(1 + JOINTS, radians) for side in sides}
    count = 1 + max(len(action.others) for action in actions)
    moves, spins = noise(count, metres), noise(count, radians)
    return [
        Action(
            {
                side: _misread(state, shifts[side][i], turns[side][i])
                for side, state in action.hands.items()
            },
            _moved(action.world_from_object, moves[i, 0], spins[i, 0]),
            tuple(
                other @ rigid(axis_angle_to_matrix(spins[i, 1 + k]), moves[i, 1 + k])
                for k, other in enumerate(action.others)
            ),
            {
                side: _misplaced(state, shifts[side][i], turns[side][i])
                for side, state in action.robots.items()
            },
        )
        for i, action in enumerate(actions)
    ]


def _moved(pose: Array | None, by: Array, turn: Array) -> Array | None:
    return None if pose is None else pose @ rigid(axis_angle_to_matrix(turn), by)


def _misread(state: HandState, shift: Array, turns: Array) -> HandState:
    """A hand whose wrist is shifted [3] and whose wrist and joints are turned [16, 3]."""
    joints = axis_angle_to_matrix(np.reshape(state.theta, (JOINTS, 3)))
    theta = matrix_to_axis_angle(joints @ axis_angle_to_matrix(turns[1:]))
    return replace(
        state,
        theta=theta.reshape(-1).astype(np.float32),
        wrist_rotation=(axis_angle_to_matrix(turns[0]) @ state.wrist_rotation).astype(np.float32),
        wrist_position=(state.wrist_position + shift).astype(np.float32),
    )


def _misplaced(state: RobotState, shift: Array, turns: Array) -> RobotState:
    """A robot that is shifted [3] and turned about its hand, with joints off by turns [16, 3].

    Its place is as wrong as a person's wrist: the camera's calibration is. Its joints are measured.
    """
    by = rigid(axis_angle_to_matrix(turns[0]), np.zeros(3))
    there = rigid(np.eye(3), state.middle)
    moved = rigid(np.eye(3), shift) @ there @ by @ np.linalg.inv(there) @ state.world_from_root
    noise = MEASURED * np.resize(turns[1:], len(state.positions))
    return RobotState(state.model, state.positions + noise, moved)


def as_recorded(rng: np.random.Generator, scene: Scene, panoramas: Sequence[Path] = ()) -> Scene:
    """The scene as a lab would record it: its light, its sleeves, its camera, its labels."""
    bare = bool(rng.random() < BARE_SHARE)
    return replace(
        scene,
        room=panorama_room(rng, panoramas)
        if panoramas and rng.random() < PANORAMA_SHARE
        else scene.room,
        skin=skin(scene.split, scene.skin.index, bare),
        bare=bare,
        capture=random_capture(rng, len(scene.frames), scene.consecutive),
        labels=labelled(rng, scene.labels or scene.frames, scene.consecutive),
    )
