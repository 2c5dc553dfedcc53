"""Tracker noise: adds temporally correlated noise to the poses of a motion.

The noise is a stationary first-order Gauss-Markov process (Uhlenbeck and Ornstein, 1930) with a
correlation time of 0.1 s. Trackers filter, so their errors drift; noise that is white at the frame
rate would be easier to smooth away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, axis_angle_to_matrix, matrix_to_axis_angle
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack

METRES, DEGREES = 0.003, 3.0
CORRELATION_S = 0.1
JOINTS = 15


def noisy(motion: Motion, seed: int, metres: float = METRES, degrees: float = DEGREES) -> Motion:
    """The motion with pose noise on wrists, finger joints and objects; same seed, same noise.

    metres: root mean square length of the displacement of a wrist or an object; degrees: root mean
    square angle of the rotation of a wrist, an object (each about its own origin) and each finger
    joint. Betas, stamps, presence and camera are unchanged.
    """
    radians = np.radians(degrees)
    hands = {
        side: _noisy_hand(track, motion.stamps_ns, _stream(seed, side), metres, radians)
        for side, track in motion.hands.items()
    }
    objects = {
        name: _noisy_object(track, motion.stamps_ns, _stream(seed, name), metres, radians)
        for name, track in motion.objects.items()
    }
    return replace(motion, hands=hands, objects=objects)


def wandering(
    rng: np.random.Generator,
    stamps_ns: NDArray[np.int64],
    channels: int,
    correlation_s: float = CORRELATION_S,
) -> Array:
    """Noise [F, channels] of standard deviation 1 at these times, correlated over that time."""
    keep = np.exp(-np.diff(stamps_ns) * 1e-9 / correlation_s)
    noise = rng.standard_normal((len(stamps_ns), channels))
    for i, share in enumerate(keep, 1):
        noise[i] = share * noise[i - 1] + np.sqrt(1 - share**2) * noise[i]
    return noise


def _stream(seed: int, name: str) -> np.random.Generator:
    """The random stream of one track, independent of other tracks."""
    return np.random.default_rng([seed, *name.encode()])


def _vectors(
    rng: np.random.Generator, stamps_ns: NDArray[np.int64], count: int, length: float
) -> Array:
    """Noise vectors [F, count, 3] of this root mean square length."""
    noise = wandering(rng, stamps_ns, 3 * count).reshape(-1, count, 3)
    vectors: Array = noise * length / np.sqrt(3)
    return vectors


def _noisy_hand(
    track: HandTrack,
    stamps_ns: NDArray[np.int64],
    rng: np.random.Generator,
    metres: float,
    radians: float,
) -> HandTrack:
    shift = _vectors(rng, stamps_ns, 1, metres)[:, 0]
    turn = axis_angle_to_matrix(_vectors(rng, stamps_ns, 1 + JOINTS, radians))
    joints = axis_angle_to_matrix(track.theta.reshape(-1, JOINTS, 3))
    theta = matrix_to_axis_angle(joints @ turn[:, 1:])
    return replace(
        track,
        theta=theta.reshape(-1, 3 * JOINTS).astype(np.float32),
        wrist_rotation=(turn[:, 0] @ track.wrist_rotation).astype(np.float32),
        wrist_position=(track.wrist_position + shift).astype(np.float32),
    )


def _noisy_object(
    track: ObjectTrack,
    stamps_ns: NDArray[np.int64],
    rng: np.random.Generator,
    metres: float,
    radians: float,
) -> ObjectTrack:
    poses = track.poses.astype(np.float64)
    poses[:, :3, 3] += _vectors(rng, stamps_ns, 1, metres)[:, 0]
    turn = axis_angle_to_matrix(_vectors(rng, stamps_ns, 1, radians)[:, 0])
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    return replace(track, poses=poses.astype(np.float32))
