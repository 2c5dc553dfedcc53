"""Scenes of one object, from Objaverse or generated, that moves above the table; no hands."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from manivideo_ros.data.objaverse.catalogue import ObjaverseError, ObjaverseObject
from manivideo_ros.data.objaverse.hand_held import SIZES, hand_held_asset
from manivideo_ros.data.objaverse.trajectory import (
    Trajectory,
    TrajectoryError,
    random_trajectory,
)
from manivideo_ros.data.scenes.camera_response import random_response
from manivideo_ros.data.scenes.library import (
    SKINS,
    VARIANTS,
    ObjectAsset,
    Split,
    generator,
    object_asset,
    object_seed,
    shape_names,
    skin,
)
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.room import random_room
from manivideo_ros.data.scenes.scene import FRAMES, SIZE, Scene, random_betas
from manivideo_ros.data.scenes.viewpoint import framing_camera
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.objects.mesh import MeshError

LOGGER = logging.getLogger(__name__)
_STREAM = 8  # number of the random stream of these scenes
_TRIES = 10


def sample_objaverse_scene(
    seed: int, items: Sequence[ObjaverseObject], split: Split = 'train', frames: int = FRAMES
) -> Scene:
    """The scene of a seed: one object, consecutive frames at 30 Hz, always completely in view.

    items: from read_catalogue for the split. An object that cannot be read is logged and another
    one drawn. Raises ObjaverseError after ten unreadable objects, or if `items` is empty.
    """
    if not items:
        raise ObjaverseError('no Objaverse object on disk has an allowed licence; fetch some')
    rng = generator(split, _STREAM, seed)
    item, variant, asset = _draw(rng, items)
    return _moving(rng, seed, split, frames, f'objaverse_{item.uid}', variant, asset)


def sample_moving_shape(seed: int, split: Split = 'train', frames: int = FRAMES) -> Scene:
    """The scene of a seed with a generated shape of the split, for use without Objaverse."""
    rng = generator(split, _STREAM, seed)
    names = shape_names(split)
    name = names[int(rng.integers(len(names)))]
    number = object_seed(split, int(rng.integers(VARIANTS)))
    return _moving(rng, seed, split, frames, name, number, object_asset(name, number))


def _moving(
    rng: np.random.Generator,
    seed: int,
    split: Split,
    frames: int,
    name: str,
    number: int,
    asset: ObjectAsset,
) -> Scene:
    """The scene of an object."""
    radius = float(np.linalg.norm(asset.mesh.vertices, axis=1).max())
    camera, trajectory = _motion(rng, radius, frames)
    hand_skin = skin(split, int(rng.integers(SKINS)))
    actions = [Action({}, pose) for pose in trajectory.poses()]
    return Scene(
        split, seed, {}, hand_skin, asset, name, number, random_room(rng), camera,
        random_response(rng), actions, True,
        random_reference_pose(rng, [], random_betas(rng), camera),
    )  # fmt: skip


def _draw(
    rng: np.random.Generator, items: Sequence[ObjaverseObject]
) -> tuple[ObjaverseObject, int, ObjectAsset]:
    """A random object, its size variant and its asset."""
    for _ in range(_TRIES):
        item, variant = items[int(rng.integers(len(items)))], int(rng.integers(SIZES))
        try:
            return item, variant, hand_held_asset(item, variant)
        except MeshError as error:
            LOGGER.warning('object skipped: %s', error)
    raise ObjaverseError(
        f'{item.path}: the last of {_TRIES} drawn objects, none of which is readable; '
        'fetch them again'
    )


def _motion(rng: np.random.Generator, radius: float, frames: int) -> tuple[Camera, Trajectory]:
    """A camera that looks at a point above the table, and a trajectory in its view."""
    for _ in range(_TRIES):
        centre = np.array([*rng.normal(0, 0.025, 2), radius + rng.uniform(0.03, 0.25)])
        camera = framing_camera(
            centre + _corners(radius * rng.uniform(1.3, 2.2)),
            rng.uniform(-np.pi, np.pi),
            float(np.radians(rng.uniform(12, 65))),
            float(np.radians(np.exp(rng.uniform(np.log(16), np.log(58))))),
            rng.uniform(0.7, 0.95),
            SIZE,
            rng.uniform(-1, 1, 2),
        )
        try:
            return camera, random_trajectory(rng, camera, radius, frames)
        except TrajectoryError:
            continue
    raise TrajectoryError(f'none of {_TRIES} cameras has room for an object of {radius:.3g} m')


def _corners(half: float) -> Array:
    """Corners [8, 3] of a cube around the origin; half: half of its side."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    return half * signs
