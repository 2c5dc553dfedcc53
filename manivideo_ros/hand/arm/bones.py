"""The bones of the arm behind a hand: from the wrist to the elbow and on to the shoulder."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState

Array = NDArray[np.floating]

FOREARM = 0.25
"""Wrist to elbow, metres: of the mesh at rest, and where no elbow is given."""
UPPER_ARM = 0.3
"""Elbow to the end of the mesh at rest, metres."""
NEAREST_ELBOW, FARTHEST_ELBOW = 0.05, 0.6
"""Limits on the distance between a given elbow and the wrist, metres."""


@lru_cache(maxsize=16)
def arm_axis(hand: HandModel) -> NDArray[np.float64]:
    """Unit vector [3] from wrist to elbow of a straight arm, in the hand's rest frame."""
    joints = hand.J_regressor[[0, 4]].astype(np.float64) @ hand.v_template
    axis = joints[0] - joints[1]
    return np.asarray(axis / np.linalg.norm(axis))


def elbow_problem(elbow: ArrayLike, wrist: ArrayLike) -> str | None:
    """What is wrong with an elbow [3] of a wrist [3], metres; None: nothing."""
    place = np.asarray(elbow, np.float64)
    if not np.isfinite(place).all():
        return 'not finite'
    distance = float(np.linalg.norm(place - np.asarray(wrist, np.float64)))
    if distance < NEAREST_ELBOW:
        return f'{distance:.3f} m from the wrist, must be at least {NEAREST_ELBOW} m'
    if distance > FARTHEST_ELBOW:
        return f'{distance:.2f} m from the wrist, must be at most {FARTHEST_ELBOW} m'
    return None


def arm_bones(
    state: HandState,
    axis: Array,  # [3] of the hand: arm_axis
) -> NDArray[np.float64]:
    """Transforms [2, 3, 4] of forearm and upper arm, in the wrist's axes with joint 0 as origin.

    They turn the straight arm of the mesh to elbow and shoulder, on the shortest way, and stretch
    it along itself. Without an elbow the arm is straight, without a shoulder from the elbow on.
    Raises ValueError for an elbow or shoulder that is not finite or has a wrong shape.
    """
    elbow = FOREARM * axis if state.elbow is None else _in_wrist(state, 'elbow', state.elbow)
    fore, length = _direction(elbow, axis)
    beyond = elbow + UPPER_ARM * fore
    if state.shoulder is not None:
        beyond = _in_wrist(state, 'shoulder', state.shoulder)
    upper, reach = _direction(beyond - elbow, fore)
    turn = shortest_turn(axis, fore)
    out = np.zeros((2, 3, 4))
    out[0, :, :3] = turn + (length / FOREARM - 1) * fore[:, None] * axis
    turn = shortest_turn(fore, upper) @ turn
    out[1, :, :3] = turn + (reach / UPPER_ARM - 1) * upper[:, None] * axis
    out[1, :, 3] = elbow - out[1, :, :3] @ (FOREARM * axis)
    return out


def shortest_turn(
    first: Array,  # [3] unit
    second: Array,  # [3] unit
) -> NDArray[np.float64]:
    """The rotation [3, 3] by the smallest angle that turns one direction to another."""
    x, y, z = cross(first, second)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    cosine = float(first @ second)
    if cosine > -1 + 1e-10:
        return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))
    # Opposite: half a turn about any axis across.
    across = cross(first, np.eye(3)[np.abs(first).argmin()])
    across /= np.linalg.norm(across)
    return np.asarray(2 * np.outer(across, across) - np.eye(3))


def cross(a: Array, b: Array) -> NDArray[np.float64]:
    """The cross product of two vectors [3]; numpy's takes ten times as long."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _direction(way: Array, otherwise: Array) -> tuple[Array, float]:
    """Unit vector and length of a way [3]; another direction where it has no length."""
    length = math.sqrt(way @ way)
    return (way / length, length) if length > 1e-6 else (otherwise, 1e-6)


def _in_wrist(state: HandState, name: str, place: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(place, np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f'{name} must be 3 finite numbers')
    offset = found - np.asarray(state.wrist_position, np.float64)
    return np.asarray(np.asarray(state.wrist_rotation, np.float64).T @ offset)
