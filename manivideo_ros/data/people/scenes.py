"""Scenes that show a person with their hands: body, both arms, skeleton and a camera in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.people.arms import (
    FORE,
    UPPER,
    elbows,
    place_bodies,
    shoulder_of,
    straight_arm,
)
from manivideo_ros.data.people.body import keypoints, make_body
from manivideo_ros.data.people.look import Look, random_look
from manivideo_ros.data.people.skeletons import detected, skeleton_of
from manivideo_ros.data.scenes.grasps import palm_rotation
from manivideo_ros.data.scenes.hand_poses import flexions_to_theta, random_flexions
from manivideo_ros.data.scenes.library import generator
from manivideo_ros.data.scenes.placement import Action, hand_points
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.scene import SIZE, Scene, framed_points, random_betas
from manivideo_ros.data.scenes.viewpoint import framing_camera
from manivideo_ros.geometry import Array, Camera, transform_points
from manivideo_ros.hand.arm.mesh import SLEEVE_CHART, SLEEVE_CHART_EDGE
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, HandState, Side

STREAM = 16  # number of the random stream of these scenes
WITHHELD_SHARE = 1 / 3  # of scenes whose hands are given by the skeleton alone
HANGING_SHARE = 0.4  # of second hands that hang beside the body
CROPPED_SHARE = 0.3  # of cameras that do not frame the head
FRONT = 0.13  # metres from a body's middle to the table's edge


def with_person(scene: Scene) -> Scene:
    """The scene with the body of the person whose hands it shows; deterministic by seed and split.

    It has both hands: one that the scene lacks rests on the table, or hangs out of sight. In a
    third of the scenes no label has a hand: the skeleton alone says where they are.
    """
    rng = generator(scene.split, STREAM, scene.seed)
    look = random_look(rng)  # first: look_of draws it again
    hands = {side: load_hand(side) for side in SIDES}
    poses, azimuth = place_bodies(rng, scene.frames, hands, look, scene.consecutive)
    frames = [replace(a, body=pose) for a, pose in zip(scene.frames, poses, strict=True)]
    frames, hanging = _both_hands(rng, frames, look, scene.consecutive)
    frames = _with_arms(frames, look, hanging, scene.consecutive)
    away = np.array([np.cos(azimuth), np.sin(azimuth)])
    front = min(float(away @ pose[:2, 3]) for pose in poses) - FRONT * look.scale * look.deep
    edge = np.array([*away, front], np.float32)
    camera = _camera(rng, scene, frames, look, azimuth, hanging)
    withheld = bool(rng.random() < WITHHELD_SHARE)
    labels = [
        replace(
            action,
            body=None,
            hands={}
            if withheld
            else {
                side: replace(state, elbow=None, shoulder=None)
                for side, state in action.hands.items()
                if side not in hanging
            },
        )
        for action in frames
    ]
    betas = next(iter(frames[0].hands.values())).betas
    return dressed(
        replace(
            scene,
            hands=hands,
            frames=frames,
            labels=labels,
            camera=camera,
            reference_pose=random_reference_pose(rng, list(SIDES), betas, camera),
            skeletons=[skeleton_of(a, hands, look, camera, edge) for a in frames],
        ),
        look,
        edge,
    )


def look_of(scene: Scene) -> Look:
    """The look of the person of a scene."""
    return random_look(generator(scene.split, STREAM, scene.seed))


def recorded_person(rng: np.random.Generator, scene: Scene) -> Scene:
    """A scene as recorded whose body is dressed as its arms are, and whose skeleton is detected."""
    assert scene.body is not None and scene.skeletons is not None
    found = detected(rng, scene.skeletons, SIZE, scene.consecutive)
    return dressed(replace(scene, skeletons=found), look_of(scene), scene.body.edge)


def dressed(scene: Scene, look: Look, edge: NDArray[np.float32]) -> Scene:
    """The scene with a body in its skin and the colour of its sleeves, before which a table ends.

    Bare arms say nothing of the clothes, whose colour is then the look's.
    """
    skin = _back_of_hand(scene.skin.texture)
    clothes = look.clothes
    if not scene.bare:
        u0, u1, v0, v1 = SLEEVE_CHART
        cloth = v1 + (v0 - v1) * (SLEEVE_CHART_EDGE + 0.1)
        clothes = _mean(scene.skin.texture, (u0, u1, v0, cloth))
    body = make_body(look, skin, clothes, edge)
    return replace(scene, body=body, room=replace(scene.room, table_edge=edge))


def _back_of_hand(texture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The median sRGB [3] in 0..1 of the back of a hand."""
    hand = load_hand('right')
    corners = hand.v_template[hand.faces]
    upward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1] > 0
    back = upward & (np.median(hand.vertex_part[hand.faces], 1) == 0)
    at = (hand.corner_uv[back].mean(1) * len(texture)).astype(int)
    return np.asarray(np.median(texture[at[:, 1], at[:, 0]], 0) / 255)


def _mean(
    texture: NDArray[np.uint8], chart: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """The mean sRGB [3] in 0..1 of a part of a texture."""
    u0, u1, v0, v1 = (round(len(texture) * value) for value in chart)
    return np.asarray(texture[v0:v1, u0:u1].reshape(-1, 3).mean(0) / 255)


def _both_hands(
    rng: np.random.Generator, frames: Sequence[Action], look: Look, consecutive: bool
) -> tuple[list[Action], set[Side]]:
    """The actions with both hands, and the sides that hang beside the body."""
    out, hanging = list(frames), set()
    for side in SIDES:
        if all(side in action.hands for action in out):
            continue
        betas = next((s.betas for a in out for s in a.hands.values()), random_betas(rng))
        hangs = bool(rng.random() < HANGING_SHARE)
        if hangs:
            hanging.add(side)
        kept: HandState | None = None
        for i, action in enumerate(out):
            if side in action.hands:
                continue
            if kept is None or not consecutive:
                make = _hanging if hangs else _resting
                kept = make(rng, action, side, look, betas)
            out[i] = replace(action, hands={**action.hands, side: kept})
        # In the order of the surfaces.
        out = [replace(a, hands={s: a.hands[s] for s in SIDES if s in a.hands}) for a in out]
    return out, hanging


def _hanging(
    rng: np.random.Generator, action: Action, side: Side, look: Look, betas: NDArray[np.floating]
) -> HandState:
    """A hand beside the body, below the table's top."""
    pose, hand = action.body, load_hand(side)
    assert pose is not None
    inward = pose[:3, 1] * (-1 if side == 'left' else 1)
    fingers = -pose[:3, 2] + 0.15 * pose[:3, 0] * rng.random()
    place = shoulder_of(pose, side, look) - 0.99 * (UPPER + FORE) * look.scale * pose[:3, 2]
    place = place - rng.uniform(0.02, 0.08) * inward + rng.uniform(0.0, 0.08) * pose[:3, 0]
    theta = flexions_to_theta(hand, random_flexions(rng, ('relaxed',)))
    turn = palm_rotation(hand, inward, fingers)
    return HandState(theta, betas, turn.astype('f4'), place.astype('f4'))


def _resting(
    rng: np.random.Generator, action: Action, side: Side, look: Look, betas: NDArray[np.floating]
) -> HandState:
    """A hand on the table, to its side of what the other one does."""
    pose, hand = action.body, load_hand(side)
    assert pose is not None
    left = pose[:3, 1] * (1 if side == 'left' else -1)
    others = [s.wrist_position for s in action.hands.values()]
    middle = np.mean(others, 0) if others else pose[:3, 3] + 0.35 * pose[:3, 0]
    ahead = float((middle - pose[:3, 3]) @ pose[:3, 0])
    # Sideways from the other hand, or from the body's middle where that is farther out.
    aside = max(float((middle - pose[:3, 3]) @ left) + 0.17, 0.08) + rng.uniform(0.0, 0.1)
    place = pose[:3, 3] + (ahead - rng.uniform(0.02, 0.1)) * pose[:3, 0] + aside * left
    place[2] = 0.06
    fingers = pose[:3, 0] - rng.uniform(0.0, 0.9) * left
    theta = flexions_to_theta(hand, random_flexions(rng, ('relaxed', 'flat', 'cup')))
    down = np.array([0.0, 0.0, -1.0]) + rng.normal(0, 0.15, 3)
    turn = palm_rotation(hand, down / np.linalg.norm(down), fingers)
    state = HandState(theta, betas, turn.astype('f4'), place.astype('f4'))
    lift = 0.004 - float(hand_points(hand, state)[:, 2].min())
    place[2] += max(lift, -0.06) + (rng.uniform(0, 0.15) if rng.random() < 0.3 else 0.0)
    return replace(state, wrist_position=place.astype('f4'))


def _with_arms(
    frames: Sequence[Action], look: Look, hanging: set[Side], consecutive: bool
) -> list[Action]:
    """The actions with elbows and shoulders; over consecutive frames an elbow keeps its swivel."""
    out = list(frames)
    for side in SIDES:
        hand, found = load_hand(side), []
        for action in out:
            state = action.hands[side]
            assert action.body is not None
            straight = None if side in hanging else straight_arm(hand, state)
            wrist = np.asarray(state.wrist_position, np.float64)
            found.append(elbows(action.body, side, look, wrist, straight))
        together = int(np.sum([f.costs for f in found], 0).argmin())
        for i, (action, each) in enumerate(zip(out, found, strict=True)):
            assert action.body is not None
            swivel = together if consecutive else int(each.costs.argmin())
            state = replace(
                action.hands[side],
                elbow=each.places[swivel].astype('f4'),
                shoulder=shoulder_of(action.body, side, look).astype('f4'),
            )
            out[i] = replace(action, hands={**action.hands, side: state})
    return out


def _camera(
    rng: np.random.Generator,
    scene: Scene,
    frames: Sequence[Action],
    look: Look,
    azimuth: float,
    hanging: set[Side],
) -> Camera:
    """A camera in front of the person or oblique, which frames hands, object and upper body."""
    shown = [
        replace(a, hands={s: h for s, h in a.hands.items() if s not in hanging}) for a in frames
    ]
    others = [other for _, _, other in scene.others]
    models = {side: load_hand(side) for side in SIDES}
    points: list[Array] = [framed_points(shown, models, scene.asset, others)]
    cropped = rng.random() < CROPPED_SHARE
    for action in frames:
        assert action.body is not None
        own = keypoints(look)
        kept = (
            [own[2], own[5]] if cropped else [own[2], own[5], np.array([0, 0, 0.36 * look.scale])]
        )
        points.append(transform_points(action.body, np.array(kept)))
        elbow = [s.elbow for side, s in action.hands.items() if side not in hanging]
        points.append(np.array([e for e in elbow if e is not None], np.float64).reshape(-1, 3))
    turn = azimuth + np.pi + np.clip(rng.normal(0, 0.5), -1.2, 1.2)
    elevation = np.radians(rng.uniform(4, 38))
    fov = np.radians(np.exp(rng.uniform(np.log(24), np.log(60))))
    fill = rng.uniform(0.75, 1.05)
    every: Array = np.concatenate(points)
    return framing_camera(
        every, float(turn), float(elevation), float(fov), float(fill), SIZE, rng.uniform(-1, 1, 2)
    )
