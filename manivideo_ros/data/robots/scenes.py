"""Scenes in which robots follow the hands of sampled grasps and motions, in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from manivideo_ros.data.robots.generated import ROBOTS, generated_robot
from manivideo_ros.data.robots.library import robot_hands, robot_of
from manivideo_ros.data.scenes.library import Split, generator
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.data.scenes.robots import RobotAsset
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.geometry import Camera, rigid, transform_points
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side
from manivideo_ros.robot.retarget import Retargeting
from manivideo_ros.robot.state import RobotState

STREAM = 15  # number of the random stream of these scenes
OTHERS_SHARE = 0.5  # of robots that are others', where a folder of URDFs is given
PERSON_SHARE = 0.15  # of scenes of two hands in which one remains a person's
ABOVE = 0.003  # metres above the table
OUTSIDE = 0.1  # share of the joints of fingers that may be outside of the image
MOST_BACK = 1.3  # share of its distance by which the camera moves back at most


def with_robots(scene: Scene, urdfs: Path | None = None) -> Scene:
    """The scene with robots in place of its hands; deterministic by its seed and split.

    urdfs: a folder of URDFs from which half of the robots are drawn. Raises ValueError.
    """
    rng = generator(scene.split, STREAM, scene.seed)
    sides = list(scene.hands)
    if len(sides) == 2 and rng.random() < PERSON_SHARE:
        sides = [sides[int(rng.integers(2))]]
    robots = _drawn(rng, scene.split, sides, urdfs)
    hands = {side: hand for side, hand in scene.hands.items() if side not in robots}
    frames = following(scene.frames, scene.hands, robots, scene.consecutive)
    camera = _framed(scene.camera, frames)
    return replace(scene, hands=hands, robots=robots, frames=frames, camera=camera)


def following(
    actions: Sequence[Action],
    hands: Mapping[Side, HandModel],
    robots: Mapping[Side, RobotAsset],
    consecutive: bool,
) -> list[Action]:
    """The actions with robots where the hands of their sides were, above the table."""
    moves = {side: Retargeting(robot.model, own=True) for side, robot in robots.items()}
    out = []
    for action in actions:
        states = {}
        for side, move in moves.items():
            if side not in action.hands:
                continue
            if not consecutive:
                move.reset()
            found = move.follow({side: world_keypoints(hands[side], action.hands[side])})
            if found is not None:
                states[side] = found
        people = {side: hand for side, hand in action.hands.items() if side not in robots}
        out.append(replace(action, hands=people, robots=states))
    for side in robots:
        lifts = [max(0.0, ABOVE - _lowest(a.robots[side])) if side in a.robots else 0 for a in out]
        if consecutive:
            lifts = [max(lifts)] * len(out)
        out = [_lifted(a, side, lift) for a, lift in zip(out, lifts, strict=True)]
    return out


def _framed(camera: Camera, actions: Sequence[Action]) -> Camera:
    """The camera, moved back as far as robots larger than the hands need.

    At most OUTSIDE of all joints and tips of fingers are then outside of the image.
    """
    robots = [state for action in actions for state in action.robots.values()]
    points = [p for state in robots for p in [*state.finger_points(), state.middle[None]]]
    if not points:
        return camera
    world = np.concatenate(points)
    distance = float(transform_points(camera.camera_from_world, world)[:, 2].mean())
    moved = camera
    for back in np.arange(0, MOST_BACK, 0.1):
        matrix = np.array(camera.camera_from_world)
        matrix[2, 3] += back * distance
        moved = replace(camera, camera_from_world=matrix)
        at, depth = moved.project(world)
        inside = (at >= 0).all(1) & (at < [camera.width, camera.height]).all(1) & (depth > 0)
        if inside.mean() > 1 - OUTSIDE:
            break
    return moved


def _drawn(
    rng: np.random.Generator, split: Split, sides: Sequence[Side], urdfs: Path | None
) -> dict[Side, RobotAsset]:
    """Robots by side: two hands are those of one robot, where both come from the same source."""
    index = int(rng.integers(ROBOTS))
    others = [] if urdfs is None else [h for h in robot_hands(urdfs, split) if h.side in sides]
    if others and rng.random() < OTHERS_SHARE:
        first = others[int(rng.integers(len(others)))]
        pair = [h for h in others if h.urdf.parent == first.urdf.parent and h.side != first.side]
        chosen = {hand.side: hand for hand in (first, *pair[:1])}
        return {
            side: robot_of(chosen[side]) if side in chosen else generated_robot(split, index, side)
            for side in sides
        }
    return {side: generated_robot(split, index, side) for side in sides}


def _lowest(state: RobotState) -> float:
    """Height of a robot's lowest vertex, metres."""
    model = state.model
    poses = state.link_poses[model.vertex_link]
    return float((np.einsum('vj,vj->v', poses[:, 2, :3], model.vertices) + poses[:, 2, 3]).min())


def _lifted(action: Action, side: Side, lift: float) -> Action:
    if side not in action.robots or lift == 0:
        return action
    by = rigid(np.eye(3), [0, 0, lift])
    return replace(action, robots={**action.robots, side: action.robots[side].moved(by)})
