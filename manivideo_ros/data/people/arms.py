"""Two-bone arms between a body's shoulders and given wrists, and the body's place for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.people.body import SHOULDER
from manivideo_ros.data.people.look import Look
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.geometry import Array, rigid, transform_points
from manivideo_ros.hand.arm.bones import arm_axis
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState, Side

UPPER, FORE = 0.285, 0.25
"""Lengths of the bones of a person of scale 1, metres."""
SWIVELS = np.linspace(0, 2 * np.pi, 24, endpoint=False)
ACROSS = np.array([-0.6, 0.1, 0.79])
"""In the body's frame: up and backwards."""
EASY_BEND = 0.3  # radians by which a wrist bends without effort
LOW = 0.05  # metres above the table below which an elbow would touch it
AZIMUTHS = np.radians(np.arange(-80, 81, 20.0))
DISTANCES = (0.28, 0.36, 0.45)
UNREACHED = 0.97  # share of an arm's length from which on it is a stretch


class Elbows(NamedTuple):
    """places [S, 3] and costs [S] of the elbows of an arm, by swivel."""

    places: NDArray[np.float64]
    costs: NDArray[np.float64]


def body_pose(azimuth: float, distance: float, height: float, centre: Array) -> NDArray[np.float64]:
    """world_from_body [4, 4] of a body at an azimuth and distance from a centre [3], facing it."""
    away = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    forward, up = -away, np.array([0.0, 0.0, 1.0])
    turn = np.stack([forward, np.cross(up, forward), up], 1)
    place = np.array([centre[0], centre[1], 0.0]) + distance * away + height * up
    return np.asarray(rigid(turn, place))


def shoulder_of(pose: Array, side: Side, look: Look) -> NDArray[np.float64]:
    """A shoulder [3] of a body in the world."""
    aside = SHOULDER * look.scale * (1 if side == 'left' else -1)
    return np.asarray(transform_points(pose, np.array([[0.0, aside, 0.0]]))[0])


def elbows(pose: Array, side: Side, look: Look, wrist: Array, straight: Array | None) -> Elbows:
    """The elbows that join a shoulder to a wrist [3], and how unlike a person's each is.

    straight [3]: the forearm's direction of a wrist that does not bend; None: any.
    """
    start = shoulder_of(pose, side, look)
    way = wrist - start
    distance = max(float(np.linalg.norm(way)), 1e-6)
    upper, fore = UPPER * look.scale, FORE * look.scale
    reach = distance / (upper + fore)
    stretch = max(reach * 1.001, 1.0)
    upper, fore = upper * stretch, fore * stretch
    way = way / distance
    distance = max(distance, abs(upper - fore) + 1e-3)
    along = (upper**2 - fore**2 + distance**2) / (2 * distance)
    radius = np.sqrt(max(upper**2 - along**2, 0.0))
    # Across a direction that few arms have, so that the swivels move smoothly with the wrist.
    one = np.cross(way, pose[:3, :3] @ ACROSS)
    one /= np.linalg.norm(one)
    two = np.cross(way, one)
    round_ = np.cos(SWIVELS)[:, None] * one + np.sin(SWIVELS)[:, None] * two
    places = start + along * way + radius * round_
    forward, left = pose[:3, 0], pose[:3, 1]
    outward = left if side == 'left' else -left
    pole = -0.8 * pose[:3, 2] + 0.6 * outward - 0.3 * forward
    costs = 0.8 * (1 - round_ @ (pole / np.linalg.norm(pole)))
    costs = costs + 4 * np.maximum(reach - UNREACHED, 0) * 10 + 8 * np.maximum(0.45 - reach, 0)
    if straight is not None:
        forearm = (places - wrist) / np.linalg.norm(places - wrist, axis=1, keepdims=True)
        bend = np.arccos(np.clip(forearm @ straight, -1, 1))
        costs = costs + (np.maximum(bend - EASY_BEND, 0) / 0.55) ** 2
    inside = places - pose[:3, 3]
    ahead = inside @ forward
    costs = costs + 3 * np.clip((LOW - places[:, 2]) / LOW, 0, 1) * (ahead > 0.12)
    costs = costs + 2 * ((np.abs(inside @ left) < 0.19) & (np.abs(ahead) < 0.13))
    return Elbows(places, costs)


def straight_arm(hand: HandModel, state: HandState) -> NDArray[np.float64]:
    """The direction [3] of the forearm of a wrist that does not bend, in the world."""
    return np.asarray(np.asarray(state.wrist_rotation, np.float64) @ arm_axis(hand))


def place_bodies(
    rng: np.random.Generator,
    actions: Sequence[Action],
    hands: Mapping[Side, HandModel],
    look: Look,
    consecutive: bool,
) -> tuple[list[NDArray[np.float64]], float]:
    """world_from_body of each action and their azimuth, where arms reach the hands most easily.

    Unrelated actions share the azimuth alone, for one camera.
    """
    arms = [straight_arm(hands[side], state) for a in actions for side, state in a.hands.items()]
    lead = np.sum(arms, 0)[:2] if arms else np.zeros(2)
    middle = np.arctan2(lead[1], lead[0]) if np.hypot(*lead) > 0.1 else rng.uniform(-np.pi, np.pi)
    azimuths = middle + AZIMUTHS + rng.normal(0, 0.1)
    height = rng.uniform(0.27, 0.46) * look.scale
    centres = [_centre(action) for action in actions]
    if consecutive:
        centres = [centres[0]] * len(actions)
    shown = range(0, len(actions), max(len(actions) - 1, 1)) if consecutive else range(len(actions))
    costs = np.zeros((len(actions), len(AZIMUTHS), len(DISTANCES)))
    for i in shown:
        for k, azimuth in enumerate(azimuths):
            for n, distance in enumerate(DISTANCES):
                pose = body_pose(azimuth, distance * look.scale, height, centres[i])
                costs[i, k, n] = _cost(actions[i], hands, pose, look)
    costs += 0.4 * (AZIMUTHS / AZIMUTHS[-1])[None, :, None] ** 2
    if consecutive:
        costs[:] = costs.sum(0)
    best = int(costs.min(2).sum(0).argmin())
    azimuth = float(azimuths[best])
    out = []
    for i, centre in enumerate(centres):
        distance = DISTANCES[int(costs[i, best].argmin())]
        out.append(body_pose(azimuth, distance * look.scale, height, centre))
    return out, azimuth


def _centre(action: Action) -> NDArray[np.float64]:
    places = [np.asarray(s.wrist_position, np.float64) for s in action.hands.values()]
    if not places and action.world_from_object is not None:
        places = [np.asarray(action.world_from_object[:3, 3], np.float64)]
    return np.mean(places, 0) if places else np.zeros(3)


def _cost(action: Action, hands: Mapping[Side, HandModel], pose: Array, look: Look) -> float:
    total = 0.0
    for side, state in action.hands.items():
        wrist = np.asarray(state.wrist_position, np.float64)
        found = elbows(pose, side, look, wrist, straight_arm(hands[side], state))
        total += float(found.costs.min())
        ahead = float((wrist - pose[:3, 3]) @ pose[:3, 0])
        total += 20 * max(0.2 - ahead, 0.0)
    return total
