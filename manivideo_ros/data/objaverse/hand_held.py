"""Loads Objaverse objects, scaled to the size of hand-held things."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from functools import lru_cache

import numpy as np

from manivideo_ros.data.objaverse.catalogue import ObjaverseObject
from manivideo_ros.data.scenes.library import ObjectAsset, prepare_object
from manivideo_ros.objects.mesh import MeshError, ObjectMesh, load_object

LONGEST_SIDE = (0.06, 0.25)
"""Minimum and maximum of the longest side of the object's bounding box, metres."""
SIZES = 4
"""Number of sizes of each object."""

_Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)
"""From glTF (y up, front at +z) to the frame of the six views (z up, front at -y)."""


def load_hand_held(item: ObjaverseObject, variant: int) -> ObjectMesh:
    """The mesh of an object, metres, z up, its bounding box centred at the origin.

    variant: one of SIZES; with the uid it determines the longest side, LONGEST_SIDE[0] to [1], as
    Objaverse has no reliable unit. Raises MeshError, as load_object does.
    """
    with warnings.catch_warnings():
        # Warnings about size and simplification do not apply to a rescaled data set.
        warnings.simplefilter('ignore', UserWarning)
        mesh = load_object(item.path, 1.0)
    vertices = mesh.vertices.astype(np.float64) @ _Z_UP.T
    low, high = vertices.min(0), vertices.max(0)
    longest = float((high - low).max())
    if not (np.isfinite(longest) and longest > 0):
        raise MeshError(f'{item.path}: the size is zero or not finite; leave the object out')
    number = int.from_bytes(hashlib.sha256(item.uid.encode()).digest()[:8], 'big')
    size = np.random.default_rng([number, variant]).uniform(*LONGEST_SIDE)
    vertices = (vertices - 0.5 * (low + high)) * (size / longest)
    return replace(mesh, vertices=vertices.astype(np.float32))


@lru_cache(maxsize=64)
def hand_held_asset(item: ObjaverseObject, variant: int) -> ObjectAsset:
    """An object with its samples and references, cached. Raises MeshError."""
    return prepare_object(load_hand_held(item, variant))
