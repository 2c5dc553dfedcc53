"""The scripted expert, which knows where the cube stands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from experiments.policy.gripper import OPEN
from experiments.policy.simulator import HOME, Array, Start

SPEED = 0.045
"""Metres that the gripper moves in a period, at most."""
GRASP_HEIGHT, LIFT_HEIGHT, ABOVE = 0.012, 0.16, 0.11
CLOSING = 4
"""Periods in which the fingers close."""


def expert_actions(start: Start) -> Iterator[Array]:
    """Targets [4] of each period: above the cube, down, close, up."""
    at = np.array(HOME[:3])
    place = np.array([start.x, start.y])
    for goal in ((*place, ABOVE), (*place, GRASP_HEIGHT)):
        while np.linalg.norm(goal - at) > 1e-9:
            at = _towards(at, np.array(goal))
            yield np.array([*at, OPEN])
    for _ in range(CLOSING):
        yield np.array([*at, 0.0])
    goal = np.array([*place, LIFT_HEIGHT])
    while np.linalg.norm(goal - at) > 1e-9:
        at = _towards(at, goal)
        yield np.array([*at, 0.0])
    for _ in range(3):
        yield np.array([*at, 0.0])


def _towards(at: Array, goal: Array) -> Array:
    way = goal - at
    distance = float(np.linalg.norm(way))
    return goal.copy() if distance <= SPEED else at + way * (SPEED / distance)
