"""The motions of the held-out suite: of the test split, determined by seeds.

Random grasps of held-out objects, drifting at 30 Hz; reaches for them; windows of the held-out
authored motion, unchanged and with other hand shapes and objects; windows of a real recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

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
from manivideo_ros.data.scenes.scene import SIZE, forearms_of, framed_points, random_betas
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
"""First number of the suite's random streams; unique within the test split."""
ATTEMPTS = 40
CONTACT = 0.006
"""Maximum distance in metres between a touching finger and the object; probes are vertices."""
FINGERS = 5
RETREAT = 0.09  # distance in metres from which a hand reaches
ARRIVED = 0.75  # share of a reach after which the hand rests
GRASP_FRAME = rigid(np.eye(3), [-0.1, -0.06, 0])  # wrist frame: pose of an object in a right hand
VIEW = 128  # side in pixels of the view in which occlusion is measured


class Crowding(NamedTuple):
    """Contact and occlusion of a clip, averaged over its frames.

    fingers: number of fingers that touch the object, of the hand with the most; hidden: share of
    the hand layers' pixels that another layer occludes.
    """

    fingers: float
    hidden: float


Accept = Callable[[Crowding], bool]


def grasp(
    seed: int, shape: str, sides: Sequence[Side], frames: int, accept: Accept | None = None
) -> Motion:
    """A random grasp of a shape's variant with drift and finger motion, framed by a camera.

    Returns the first of the seed's grasps that is accepted; raises ValueError if none is.
    """
    hands = {side: load_hand(side) for side in sides}
    for attempt in range(ATTEMPTS):
        rng = generator('test', STREAM, seed, attempt)
        number, asset, person, action = _placed(rng, hands, shape)
        # Cheap checks first: most grasps fail by their contact or in their first frame.
        if accept is not None and not accept(Crowding(_touching(action, hands, asset.solid), 1)):
            continue
        actions = drift(rng, action, hands, frames)
        points = framed_points(actions, hands, asset)
        camera = random_camera(rng, points, SIZE, person, forearms_of(actions))
        things, name = [(shape, number)], f'grasp-{shape}-{seed}'
        if accept is None:
            return motion_of(actions, things, camera, name)
        if not accept(crowding(motion_of(actions[:1], things, camera, name))):
            continue
        motion = motion_of(actions, things, camera, name)
        if accept(crowding(motion)):
            return motion
    raise ValueError(f'none of {ATTEMPTS} grasps of {shape} with seed {seed} is accepted')


def _placed(
    rng: np.random.Generator, hands: dict[Side, HandModel], shape: str
) -> tuple[int, ObjectAsset, float, Action]:
    """A random grasp of a random variant: seed, asset, azimuth of the person, action."""
    number = object_seed('test', int(rng.integers(VARIANTS)))
    asset, betas = object_asset(shape, number), random_betas(rng)
    person = rng.uniform(-np.pi, np.pi)
    return number, asset, person, place_action(rng, hands, betas, asset, person)


def reach(seed: int, shape: str, side: Side, frames: int) -> Motion:
    """A half-open hand approaches from RETREAT metres away and closes around a shape's variant."""
    hands = {side: load_hand(side)}
    for attempt in range(ATTEMPTS):
        rng = generator('test', STREAM, seed, attempt)
        number, asset, person, end = _placed(rng, hands, shape)
        if _touching(end, hands, asset.solid) >= FINGERS - 2:
            break
    else:
        raise ValueError(f'none of {ATTEMPTS} reaches for {shape} with seed {seed} grasps it')
    state, actions = end.hands[side], []
    away = np.asarray(state.wrist_rotation)[:, 1]  # normal of the back of the hand
    for part in np.linspace(0, 1, frames):
        left = (1 - min(part / ARRIVED, 1)) ** 2 * (1 + 2 * min(part / ARRIVED, 1))
        coming = replace(
            state,
            theta=(state.theta * (1 - 0.6 * left)).astype(np.float32),
            wrist_position=(state.wrist_position + RETREAT * left * away).astype(np.float32),
        )
        actions.append(Action({side: coming}, end.world_from_object))
    camera = random_camera(
        rng, framed_points(actions, hands, asset), SIZE, person, forearms_of(actions)
    )
    return motion_of(actions, [(shape, number)], camera, f'reach-{shape}-{seed}')


def free_hands(seed: int, frames: int) -> Motion:
    """Two empty hands that drift above the table."""
    hands = {side: load_hand(side) for side in SIDES}
    rng = generator('test', STREAM, seed)
    betas, person = random_betas(rng), rng.uniform(-np.pi, np.pi)
    actions = drift(rng, place_action(rng, hands, betas, None, person), hands, frames)
    points = framed_points(actions, hands, None)
    camera = random_camera(rng, points, SIZE, person, forearms_of(actions))
    return motion_of(actions, [], camera, f'free-{seed}')


def authored_window(name: str, start_s: float, frames: int) -> Motion:
    """Frames at 30 Hz of a shipped motion from a start time, with its own camera."""
    motion = authored_motion(name)
    stamps = motion.stamps_ns[0] + round(start_s * 1e9) + np.arange(frames) * FRAME_NS
    return replace(motion.resampled(stamps), name=f'{name}-{start_s:g}s')


def varied(seed: int, frames: int) -> Motion:
    """A window of a held-out authored motion with another hand shape, object, speed and view."""
    rng = generator('test', STREAM, seed)
    actions, _, things, own_camera = sample_motion(rng, 'test', random_betas(rng), frames, True)
    hands = {side: load_hand(side) for side in SIDES if side in actions[0].hands}
    (_, _, asset), others = things[0], [other for _, _, other in things[1:]]
    points = framed_points(actions, hands, asset, others)
    if own_camera is None:
        camera = random_camera(rng, points, SIZE, -np.pi / 2, forearms_of(actions))
    else:
        camera = framing_camera(points, *motion_direction(rng, own_camera), 0.8, SIZE, np.zeros(2))
    return motion_of(actions, [(n, k) for n, k, _ in things], camera, f'varied-{seed}')


def recorded(path: Path, start_s: float, frames: int, held: str | None = None) -> Motion:
    """Frames at 30 Hz of a real recording from a start time; held: a shape in the right hand.

    Raises RecordingError for an unusable file.
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
    """Actions at 30 Hz as a motion; things: shape and variant by object, the moved one first."""
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
    """Contact and occlusion of a motion with a camera."""
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
    """Number of fingers within CONTACT of the object, of the hand with the most."""
    assert action.world_from_object is not None
    object_from_world = invert_rigid(np.asarray(action.world_from_object, np.float64))
    most = 0
    for side, state in action.hands.items():
        points = transform_points(object_from_world, hand_points(hands[side], state))
        near, owner = solid.distance(points) < CONTACT, probes(hands[side]).finger
        most = max(most, sum(bool(near[owner == finger].any()) for finger in range(FINGERS)))
    return most
