"""The motions of the held-out suite: of the test split alone, decided by seeds.

Random grasps of objects that were never trained on, drifting at 30 Hz; reaches for them; windows of
the authored motion that was never trained on, as it is and with other people's hands and other
objects; windows of a real recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.scenes.grasps import Solid, probes, solid_of
from manivideo_ros.data.scenes.library import (
    VARIANTS,
    ObjectAsset,
    generator,
    object_asset,
    object_seed,
)
from manivideo_ros.data.scenes.motion_actions import motion_direction, sample_motion
from manivideo_ros.data.scenes.placement import Action, drift, hand_points, place_action
from manivideo_ros.data.scenes.scene import SIZE, framed_points, random_betas
from manivideo_ros.data.scenes.viewpoint import framing_camera, random_camera
from manivideo_ros.geometry import Camera, invert_rigid, rigid, transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import hand_surface, object_surface
from manivideo_ros.motion.authoring.authored import authored_motion
from manivideo_ros.motion.convert import attach_object, convert
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack
from manivideo_ros.motion.recordings import Recording, read_recording
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.objects.named import load_mesh

FRAME_NS = round(1e9 / 30)
STREAM = 30
"""First number of the suite's random streams: no other part of the test split has it."""
ATTEMPTS = 40
CONTACT = 0.006
"""Metres between hand and object within which a finger touches: probes are vertices, not skin."""
FINGERS = 5
RETREAT = 0.09  # metres from which a reaching hand comes
ARRIVED = 0.75  # share of a reach after which the hand stays
GRASP_FRAME = rigid(np.eye(3), [-0.1, -0.06, 0])  # of the wrist: what a right hand holds
VIEW = 128  # pixels of the view in which occlusion is counted


class Crowding(NamedTuple):
    """How dense a clip is, on average over its frames.

    fingers: that touch the object, of the hand that has most there; hidden: share of what hand
    layers cover in the image that another layer hides.
    """

    fingers: float
    hidden: float


Accept = Callable[[Crowding], bool]


def grasp(
    seed: int, shape: str, sides: Sequence[Side], frames: int, accept: Accept | None = None
) -> Motion:
    """A random grasp of a shape's variant that drifts and bends its fingers, framed by a camera.

    The first of the seed's grasps that is accepted; ValueError where none is.
    """
    hands = {side: load_hand(side) for side in sides}
    for attempt in range(ATTEMPTS):
        rng = generator('test', STREAM, seed, attempt)
        number, asset, person, action = _placed(rng, hands, shape)
        # Cheap refusals first: most fail by their contact or in their first frame.
        if accept is not None and not accept(Crowding(_touching(action, hands, asset.solid), 1)):
            continue
        actions = drift(rng, action, hands, frames)
        points = framed_points(actions, hands, asset)
        camera = random_camera(rng, points, SIZE, person, _forearms(actions))
        things, name = [(shape, number)], f'grasp-{shape}-{seed}'
        if accept is None:
            return motion_of(actions, things, camera, name)
        if not accept(crowding(motion_of(actions[:1], things, camera, name))):
            continue
        motion = motion_of(actions, things, camera, name)
        if accept(crowding(motion)):
            return motion
    raise ValueError(f'no grasp of {shape} with seed {seed} is accepted')


def _placed(
    rng: np.random.Generator, hands: dict[Side, HandModel], shape: str
) -> tuple[int, ObjectAsset, float, Action]:
    """A random variant of a shape (seed and asset) in a person's hands: where from, and how."""
    number = object_seed('test', int(rng.integers(VARIANTS)))
    asset, betas = object_asset(shape, number), random_betas(rng)
    person = rng.uniform(-np.pi, np.pi)
    return number, asset, person, place_action(rng, hands, betas, asset, person)


def reach(seed: int, shape: str, side: Side, frames: int) -> Motion:
    """A hand comes from RETREAT metres away, half open, and closes about a shape's variant."""
    hands = {side: load_hand(side)}
    for attempt in range(ATTEMPTS):
        rng = generator('test', STREAM, seed, attempt)
        number, asset, person, end = _placed(rng, hands, shape)
        if _touching(end, hands, asset.solid) >= FINGERS - 2:
            break
    else:
        raise ValueError(f'no reach for {shape} with seed {seed} ends in a grasp')
    state, actions = end.hands[side], []
    away = np.asarray(state.wrist_rotation)[:, 1]  # a hand's back
    for part in np.linspace(0, 1, frames):
        left = (1 - min(part / ARRIVED, 1)) ** 2 * (1 + 2 * min(part / ARRIVED, 1))
        coming = replace(
            state,
            theta=(state.theta * (1 - 0.6 * left)).astype(np.float32),
            wrist_position=(state.wrist_position + RETREAT * left * away).astype(np.float32),
        )
        actions.append(Action({side: coming}, end.world_from_object))
    camera = random_camera(
        rng, framed_points(actions, hands, asset), SIZE, person, _forearms(actions)
    )
    return motion_of(actions, [(shape, number)], camera, f'reach-{shape}-{seed}')


def free_hands(seed: int, frames: int) -> Motion:
    """Two hands over the table that hold nothing and drift."""
    hands = {side: load_hand(side) for side in SIDES}
    rng = generator('test', STREAM, seed)
    betas, person = random_betas(rng), rng.uniform(-np.pi, np.pi)
    actions = drift(rng, place_action(rng, hands, betas, None, person), hands, frames)
    points = framed_points(actions, hands, None)
    camera = random_camera(rng, points, SIZE, person, _forearms(actions))
    return motion_of(actions, [], camera, f'free-{seed}')


def authored_window(name: str, start_s: float, frames: int) -> Motion:
    """Frames at 30 Hz of a shipped motion from a time on, seen by its own camera."""
    motion = authored_motion(name)
    stamps = motion.stamps_ns[0] + round(start_s * 1e9) + np.arange(frames) * FRAME_NS
    return replace(motion.resampled(stamps), name=f'{name}-{start_s:g}s')


def varied(seed: int, frames: int) -> Motion:
    """A window of the held-out authored motions with another hand, object, speed and view."""
    rng = generator('test', STREAM, seed)
    actions, _, things, meant = sample_motion(rng, 'test', random_betas(rng), frames, True)
    hands = {side: load_hand(side) for side in SIDES if side in actions[0].hands}
    (_, _, asset), others = things[0], [other for _, _, other in things[1:]]
    points = framed_points(actions, hands, asset, others)
    if meant is None:
        camera = random_camera(rng, points, SIZE, -np.pi / 2, _forearms(actions))
    else:
        camera = framing_camera(points, *motion_direction(rng, meant), 0.8, SIZE, np.zeros(2))
    return motion_of(actions, [(n, k) for n, k, _ in things], camera, f'varied-{seed}')


def recorded(path: Path, start_s: float, frames: int, held: str | None = None) -> Motion:
    """Frames at 30 Hz of a real recording from a time on; held: a shape in the right hand.

    Raises RecordingError for a file that cannot be used.
    """
    whole = read_recording(path)
    seconds = (whole.stamps_ns - whole.stamps_ns[0]) * 1e-9
    inside = (seconds >= start_s) & (seconds <= start_s + frames / 30 + 0.05)
    part = Recording(whole.stamps_ns[inside], {s: p[inside] for s, p in whole.keypoints.items()})
    motion, _ = convert(part, f'recorded-{start_s:g}s')
    if held is not None:
        motion = attach_object(motion, 'right', held, GRASP_FRAME)
    first = int(motion.stamps_ns[0])
    return motion.resampled(first + np.arange(frames, dtype=np.int64) * FRAME_NS)


def motion_of(
    actions: Sequence[Action], things: Sequence[tuple[str, int]], camera: Camera, name: str
) -> Motion:
    """Actions at 30 Hz as a motion; things: shape and variant of each object, moved one first."""
    hands: dict[str, HandTrack] = {}
    for side in SIDES:
        states = [action.hands[side] for action in actions if side in action.hands]
        if len(states) == len(actions):
            hands[side] = HandTrack(
                np.ones(len(states), bool),
                np.array([s.theta for s in states], np.float32),
                np.asarray(states[0].betas, np.float32),
                np.array([s.wrist_rotation for s in states], np.float32),
                np.array([s.wrist_position for s in states], np.float32),
            )
    objects = {}
    for place, (shape, number) in enumerate(things):
        poses = np.array([[a.world_from_object, *a.others][place] for a in actions], np.float32)
        mesh = f'{shape}-{number}' if number else shape
        objects[f'{place}-{shape}'] = ObjectTrack(mesh, 1.0, np.ones(len(poses), bool), poses)
    stamps = np.arange(1, len(actions) + 1, dtype=np.int64) * FRAME_NS
    return Motion(stamps, hands, objects, camera, name=name)


def crowding(motion: Motion) -> Crowding:
    """How dense a motion with a camera is."""
    assert motion.camera is not None
    models = {side: load_hand(side) for side in SIDES if side in motion.hands}
    surfaces = [object_surface(_mesh(t.mesh, t.scale)) for t in motion.objects.values()]
    surfaces += [hand_surface(model) for model in models.values()]
    view = Rasterizer(surfaces, VIEW, VIEW, threads=1)
    solids = [_solid(track.mesh, track.scale) for track in motion.objects.values()]
    fingers, hidden = [], []
    for index in range(0, len(motion), 4):
        hands, objects = motion.frame(index)
        layers = view.render(
            motion.camera,
            [*(objects.get(name) for name in motion.objects), *(hands.get(s) for s in models)],
        )
        covered = layers.face_index[1:] >= 0  # the hands' layers
        number = torch.arange(1, len(covered) + 1)[:, None, None]
        behind = covered & (layers.nearest_layer[None] != number)
        hidden.append(float(behind.sum() / covered.sum().clamp_min(1)))
        touching = [
            _touching(Action({s: hands[s] for s in models if s in hands}, pose), models, solid)
            for (name, pose), solid in zip(objects.items(), solids, strict=False)
        ]
        fingers.append(max(touching, default=0))
    return Crowding(float(np.mean(fingers)), float(np.mean(hidden)))


@lru_cache(maxsize=64)
def _mesh(name: str, scale: float) -> ObjectMesh:
    return load_mesh(name, scale)


@lru_cache(maxsize=64)
def _solid(name: str, scale: float) -> Solid:
    return solid_of(_mesh(name, scale))


def _touching(action: Action, hands: dict[Side, HandModel], solid: Solid) -> int:
    """Fingers within CONTACT of the object, of the hand that has most there."""
    assert action.world_from_object is not None
    object_from_world = invert_rigid(np.asarray(action.world_from_object, np.float64))
    most = 0
    for side, state in action.hands.items():
        points = transform_points(object_from_world, hand_points(hands[side], state))
        near, owner = solid.distance(points) < CONTACT, probes(hands[side]).finger
        most = max(most, sum(bool(near[owner == finger].any()) for finger in range(FINGERS)))
    return most


def _forearms(actions: Sequence[Action]) -> NDArray[np.floating]:
    """Directions [M, 3] from wrists to elbows."""
    return np.array(
        [
            state.wrist_rotation[:, 0] * (1 if side == 'right' else -1)
            for action in actions
            for side, state in action.hands.items()
        ]
    ).reshape(-1, 3)
