"""Samples frames of the authored motions with other hand shapes and objects, also mirrored."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.library import (
    VARIANTS,
    ObjectAsset,
    Split,
    object_asset,
    object_seed,
    shape_names,
)
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, invert_rigid, rigid
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.motion.authoring.authored import HELD_OUT_MOTIONS, MOTIONS, authored_motion
from manivideo_ros.motion.motion import Motion, MotionSample
from manivideo_ros.motion.shipped import MOTIONS as SHIPPED
from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES

FRAME_NS = round(1e9 / 30)
MIRROR = np.diag([-1.0, 1.0, 1.0])
TURNED_OBJECT = np.diag([1.0, -1.0, 1.0])
"""Mirrored poses show objects mirrored in y, a symmetry that most of them have."""


@cache
def motions(split: Split) -> tuple[Motion, ...]:
    """The shipped motions of a split, cached."""
    held_out = split == 'test'
    names = [n for n in MOTIONS if (n in HELD_OUT_MOTIONS) == held_out]
    return tuple(authored_motion(n) for n in names if (SHIPPED / n / 'metadata.yaml').is_file())


def mirrored(sample: MotionSample) -> MotionSample:
    """The sample with left and right exchanged: reflected in the world plane x = 0."""
    hands = {
        'left' if side == 'right' else 'right': HandState(
            (s.theta.reshape(15, 3) * (1, -1, -1)).reshape(45).astype('f4'),
            s.betas,
            (MIRROR @ s.wrist_rotation @ MIRROR).astype('f4'),
            (MIRROR @ s.wrist_position).astype('f4'),
            *(None if p is None else (MIRROR @ p).astype('f4') for p in (s.elbow, s.shoulder)),
        )
        for side, s in sample.hands.items()
    }
    objects = {}
    for name, pose in sample.objects.items():
        rotation = MIRROR @ pose[:3, :3] @ TURNED_OBJECT
        objects[name] = rigid(rotation, MIRROR @ pose[:3, 3]).astype('f4')
    return MotionSample(hands, objects)


def varied(
    rng: np.random.Generator, state: HandState, betas: NDArray, bend: NDArray, slip: NDArray
) -> HandState:
    """A state with other betas [10], bent by bend [45] and shifted by slip [3]."""
    shake = axis_angle_to_matrix(rng.normal(0, 0.006, 3))
    moving = np.abs(state.theta) > 1e-4
    return HandState(
        (state.theta + bend * moving).astype('f4'),
        betas.astype('f4'),
        (shake @ state.wrist_rotation).astype('f4'),
        (state.wrist_position + slip).astype('f4'),
    )


def similar_object(
    rng: np.random.Generator, split: Split, name: str, swap: float
) -> tuple[str, int, ObjectAsset]:
    """A variant of a shape, or with probability swap of another shape of similar size."""
    names = shape_names(split)
    allowed = split == 'test' or name not in HELD_OUT_SHAPES
    size = object_asset(name, 0).mesh.extents
    alike = [
        other
        for other in names
        if other != name and np.abs(np.log(object_asset(other, 0).mesh.extents / size)).max() < 0.45
    ]
    if alike and (rng.random() < swap or not allowed):
        name = alike[int(rng.integers(len(alike)))]
    number = object_seed(split, int(rng.integers(VARIANTS)))
    return name, number, object_asset(name, number)


def sample_motion(
    rng: np.random.Generator, split: Split, betas: NDArray, frames: int, consecutive: bool
) -> tuple[list[Action], list[Side], list[tuple[str, int, ObjectAsset]], Camera | None]:
    """Actions of a random motion, its sides, its objects and its own camera.

    The camera is None for a mirrored motion. Requires `motions` of the split to be non-empty.
    """
    choices = motions(split)
    motion = choices[int(rng.integers(len(choices)))]
    mirror = rng.random() < 0.5
    first, last = int(motion.stamps_ns[0]), int(motion.stamps_ns[-1])
    speed = rng.uniform(0.7, 1.4)
    if consecutive:
        start = rng.uniform(first, last - frames * FRAME_NS * speed)
        stamps = start + np.arange(frames) * FRAME_NS * speed
    else:
        stamps = rng.uniform(first, last, frames)
    samples = [motion.interpolate_at(int(t)) for t in stamps]
    if mirror:
        samples = [mirrored(s) for s in samples]
    ids = list(motion.objects)
    # The object that moves most comes first: only its six views are a reference.
    moved = [np.ptp(motion.objects[i].poses[:, :3, 3], axis=0).max() for i in ids]
    ids = [ids[i] for i in np.argsort(moved)[::-1]]
    swap = 0.3 if len(ids) == 1 else 0.0
    assets = [similar_object(rng, split, motion.objects[i].mesh, swap) for i in ids]
    sides: list[Side] = [s for s in SIDES if any(s in sample.hands for sample in samples)]
    bend = {side: rng.normal(0, 0.035, 45) for side in sides}
    slip = {side: rng.normal(0, 0.0015, 3) for side in sides}
    actions = []
    for sample in samples:
        hands = {
            side: varied(rng, sample.hands[side], betas, bend[side], slip[side])
            for side in sides
            if side in sample.hands
        }
        poses = [np.asarray(sample.objects[i], np.float64) for i in ids if i in sample.objects]
        if len(poses) < len(ids):
            raise ValueError(f'motion {motion.name}: an object is absent in some frame')
        actions.append(Action(hands, poses[0], tuple(poses[1:])))
    return actions, sides, assets, None if mirror else motion.camera


def motion_direction(rng: np.random.Generator, camera: Camera) -> tuple[float, float, float]:
    """Azimuth, elevation and field of view close to those of a motion's camera, radians."""
    back = -invert_rigid(camera.camera_from_world)[:3, 2]
    fov = 2 * np.arctan(0.5 * camera.height / camera.intrinsics[1, 1])
    return (
        float(np.arctan2(back[1], back[0]) + rng.normal(0, 0.3)),
        float(np.clip(np.arcsin(back[2]) + rng.normal(0, 0.15), 0.1, 1.4)),
        float(fov * np.exp(rng.normal(0, 0.2))),
    )
