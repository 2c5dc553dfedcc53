"""Samples the poses of hands and object in a frame: on the table, in the air, held, approached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from manivideo_ros.data.scenes.grasps import grasp, palm_rotation, skin_probes
from manivideo_ros.data.scenes.hand_poses import flexions_to_theta, random_flexions
from manivideo_ros.data.scenes.library import ObjectAsset
from manivideo_ros.data.scenes.viewpoint import direction
from manivideo_ros.geometry import Array, axis_angle_to_matrix, rigid, transform_points
from manivideo_ros.hand.interpolation import interpolate_hands, interpolate_rigid
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState, Side
from manivideo_ros.robot.state import RobotState, interpolate_robots


@dataclass(frozen=True, eq=False)
class Action:
    """Poses at one instant: states of the hands by side, world_from_object or None.

    others: world_from_object of the other objects. robots: those in place of hands, by side. body:
    world_from_body of the person, where the scene shows one.
    """

    hands: dict[Side, HandState]
    world_from_object: Array | None
    others: tuple[Array, ...] = ()
    robots: Mapping[Side, RobotState] = field(default_factory=dict)
    body: Array | None = None

    def moved(self, by: Array) -> Action:
        """The action shifted by a world vector [3], metres."""
        hands = {
            side: replace(
                s,
                wrist_position=(s.wrist_position + by).astype('f4'),
                elbow=None if s.elbow is None else (s.elbow + by).astype('f4'),
                shoulder=None if s.shoulder is None else (s.shoulder + by).astype('f4'),
            )
            for side, s in self.hands.items()
        }
        shift = rigid(np.eye(3), by)
        pose = self.world_from_object
        others = tuple(shift @ other for other in self.others)
        robots = {side: state.moved(shift) for side, state in self.robots.items()}
        body = None if self.body is None else shift @ self.body
        return Action(hands, None if pose is None else shift @ pose, others, robots, body)


def between(first: Action, second: Action, fraction: float) -> Action:
    """The action at a fraction 0..1 of the way between two; what only the first has stays there."""
    hands = {
        side: interpolate_hands(state, second.hands.get(side, state), fraction)
        for side, state in first.hands.items()
    }
    pose, after = first.world_from_object, second.world_from_object
    if pose is not None and after is not None:
        pose = interpolate_rigid(pose, after, fraction)
    others = zip(first.others, second.others, strict=True)
    robots = {
        side: interpolate_robots(state, second.robots.get(side, state), fraction)
        for side, state in first.robots.items()
    }
    body = first.body
    if body is not None and second.body is not None:
        body = interpolate_rigid(body, second.body, fraction)
    moved = tuple(interpolate_rigid(a, b, fraction) for a, b in others)
    return Action(hands, pose, moved, robots, body)


def hand_points(hand: HandModel, state: HandState) -> NDArray[np.float64]:
    """Probe points [P, 3] of a posed hand in the world."""
    return skin_probes(
        hand, state.theta[None], state.betas, state.wrist_rotation, state.wrist_position
    )[0]


def random_rotation(rng: np.random.Generator) -> Array:
    """A rotation about a uniformly distributed axis."""
    axis = rng.standard_normal(3)
    return axis_angle_to_matrix(axis / np.linalg.norm(axis) * rng.uniform(0, np.pi))


def place_object(rng: np.random.Generator, asset: ObjectAsset, in_air: bool) -> Array:
    """world_from_object near the origin: standing or lying on the table, or held above it."""
    yaw = axis_angle_to_matrix([0, 0, rng.uniform(-np.pi, np.pi)])
    where = rng.normal(0, 0.025, 3)
    if in_air:
        tilt = axis_angle_to_matrix(rng.normal(0, 0.5, 3)) if rng.random() < 0.75 else None
        rotation = (random_rotation(rng) if tilt is None else tilt) @ yaw
        lift = rng.uniform(0.03, 0.16)
    else:
        side = axis_angle_to_matrix([np.pi / 2, 0, 0]) if rng.random() < 0.2 else np.eye(3)
        rotation, lift = yaw @ side, 0.0
    low = (asset.mesh.vertices @ rotation[2]).min()
    where[2] = lift - low
    return rigid(rotation, where)


def _directions(
    rng: np.random.Generator, side: Side, person: float, on_table: bool
) -> tuple[Array, Array]:
    """Directions of palm and fingers for a person sitting at azimuth `person`."""
    inward = direction(person + (-np.pi / 2 if side == 'right' else np.pi / 2), 0)
    forward = direction(person + np.pi, 0)
    best, found = -np.inf, None
    for _ in range(8):
        approach = rng.standard_normal(3)
        approach /= np.linalg.norm(approach)
        fingers = np.cross(approach, rng.standard_normal(3))
        fingers /= np.linalg.norm(fingers)
        score = 1.1 * approach @ inward + 0.5 * approach @ forward - 0.5 * approach[2]
        score += 1.2 * fingers @ forward - 0.4 * fingers[2] + 0.3 * rng.standard_normal()
        if on_table:
            score -= 4 * max(approach[2], 0) + 3 * max(fingers[2] - 0.15, 0)
        if score > best:
            best, found = score, (approach, fingers)
    assert found is not None
    return found


def free_hand(
    rng: np.random.Generator, hand: HandModel, betas: NDArray, person: float
) -> HandState:
    """An empty hand above the table with a random orientation."""
    forward = direction(person + np.pi + rng.normal(0, 0.5), rng.uniform(-0.5, 0.8))
    rotation = palm_rotation(hand, _unit(np.cross(forward, rng.standard_normal(3))), forward)
    theta = flexions_to_theta(hand, random_flexions(rng))
    place = rng.normal(0, 0.05, 3) - 0.08 * forward
    place[2] += rng.uniform(0.08, 0.2)
    return HandState(theta, betas, rotation.astype('f4'), place.astype('f4'))


def _unit(v: Array) -> Array:
    return v / np.linalg.norm(v)


def place_action(
    rng: np.random.Generator,
    hands: dict[Side, HandModel],
    betas: NDArray,
    asset: ObjectAsset | None,
    person: float,
) -> Action:
    """One instant of random manipulation: hands at the object, or without an object."""
    states: dict[Side, HandState] = {}
    if asset is None:
        for side, hand in hands.items():
            state = free_hand(rng, hand, betas, person)
            states[side] = _apart(state, hand, states, hands, person)
        return _above_table(Action(states, None), hands, True)
    in_air = bool(hands) and rng.random() < 0.7
    pose = place_object(rng, asset, in_air)
    centre = pose[:3, 3]
    extents = asset.mesh.extents
    for side, hand in hands.items():
        away = rng.random()
        retreat, closing = 0.0, 1.0
        if away > 0.75:
            retreat, closing = rng.uniform(0.01, 0.09), rng.uniform(0.2, 0.9)
        for attempt in range(3):
            approach, fingers = _directions(rng, side, person, not in_air)
            target = centre + pose[:3, :3] @ (rng.uniform(-0.3, 0.3, 3) * extents)
            state = grasp(
                hand, betas, asset.solid, pose, target, approach, fingers, rng, retreat, closing
            )
            if attempt == 2 or _gap(state, hand, states, hands) > 0.002:
                break
        states[side] = _apart(state, hand, states, hands, person)
    return _above_table(Action(states, pose), hands, in_air)


def _gap(
    state: HandState,
    hand: HandModel,
    others: dict[Side, HandState],
    hands: dict[Side, HandModel],
) -> float:
    """Minimum distance between a hand and the others, metres (probe to probe)."""
    mine = hand_points(hand, state)
    gaps = [
        cKDTree(hand_points(hands[side], other)).query(mine)[0].min() - 0.004
        for side, other in others.items()
    ]
    return float(min(gaps, default=1.0))


def _apart(
    state: HandState,
    hand: HandModel,
    others: dict[Side, HandState],
    hands: dict[Side, HandModel],
    person: float,
) -> HandState:
    """Move a hand outwards until it does not intersect the other."""
    outward = direction(person + (np.pi / 2 if hand.side == 'right' else -np.pi / 2), 0.15)
    for _ in range(10):
        if not others or _gap(state, hand, others, hands) > 0.002:
            break
        state = replace(state, wrist_position=(state.wrist_position + 0.03 * outward).astype('f4'))
    return state


def _above_table(action: Action, hands: dict[Side, HandModel], together: bool) -> Action:
    """Lift poses that intersect the table: all together, or each hand separately."""
    lows = {side: hand_points(hands[side], s)[:, 2].min() for side, s in action.hands.items()}
    if together:
        return action.moved(np.array([0, 0, max(0.0, 0.003 - min(lows.values(), default=1.0))]))
    states = {
        side: replace(
            s,
            wrist_position=s.wrist_position + np.array([0, 0, max(0.0, 0.003 - lows[side])], 'f4'),
        )
        for side, s in action.hands.items()
    }
    return Action(states, action.world_from_object)


def drift(
    rng: np.random.Generator, action: Action, hands: dict[Side, HandModel], count: int
) -> list[Action]:
    """`count` instants at 30 Hz, starting from an action: rigid motion plus small finger motion."""
    pivot = np.mean(
        [s.wrist_position for s in action.hands.values()]
        + ([action.world_from_object[:3, 3]] if action.world_from_object is not None else []),
        axis=0,
    )
    velocity = rng.normal(0, 0.12, 3) if action.hands else np.zeros(3)
    velocity[2] = abs(velocity[2])
    turn = rng.normal(0, 0.6, 3) if action.hands else np.zeros(3)
    turn[:2] *= 0.3
    bend = {side: rng.normal(0, 0.5, 45) for side in action.hands}
    slip = {side: rng.normal(0, 0.02, 3) for side in action.hands}
    actions = []
    for i in range(count):
        t = i / 30.0
        move = rigid(axis_angle_to_matrix(turn * t), pivot + velocity * t) @ rigid(
            np.eye(3), -pivot
        )
        states = {}
        for side, s in action.hands.items():
            place = transform_points(move, s.wrist_position[None])[0] + slip[side] * t
            nonzero = np.abs(s.theta) > 1e-6
            states[side] = HandState(
                (s.theta + nonzero * bend[side] * t * 0.4).astype('f4'),
                s.betas,
                (move[:3, :3] @ s.wrist_rotation).astype('f4'),
                place.astype('f4'),
            )
        pose = action.world_from_object
        actions.append(Action(states, None if pose is None else move @ pose))
    lows = [hand_points(hands[side], s)[:, 2].min() for a in actions for side, s in a.hands.items()]
    lift = max(0.0, 0.003 - min(lows, default=1.0))
    return [a.moved(np.array([0, 0, lift])) for a in actions]
