"""Objaverse objects at the size of things that a hand holds."""

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
"""Metres, least and most, of the longest side of the object's box."""
SIZES = 4
"""Sizes that an object is shown in."""

_Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)
"""glTF has y up and its front at +z; here z is up and the front at -y, as the six views have it."""


def load_hand_held(item: ObjaverseObject, variant: int) -> ObjectMesh:
    """The mesh of an object, metres, z up, its box centred at the origin.

    variant: one of SIZES; it and the uid give the longest side, LONGEST_SIDE[0] to [1]. Objaverse
    states no unit that could be trusted. Raises MeshError, as load_object does.
    """
    with warnings.catch_warnings():
        # Nothing is wrong with any size here, and a data set is simplified without a choice.
        warnings.simplefilter('ignore', UserWarning)
        mesh = load_object(item.path, 1.0)
    vertices = mesh.vertices.astype(np.float64) @ _Z_UP.T
    low, high = vertices.min(0), vertices.max(0)
    longest = float((high - low).max())
    if not (np.isfinite(longest) and longest > 0):
        raise MeshError(f'{item.path}: its sides have no finite length; leave the object out')
    number = int.from_bytes(hashlib.sha256(item.uid.encode()).digest()[:8], 'big')
    size = np.random.default_rng([number, variant]).uniform(*LONGEST_SIDE)
    vertices = (vertices - 0.5 * (low + high)) * (size / longest)
    return replace(mesh, vertices=vertices.astype(np.float32))


@lru_cache(maxsize=64)
def hand_held_asset(item: ObjaverseObject, variant: int) -> ObjectAsset:
    """An object with its samples and references. Raises MeshError."""
    return prepare_object(load_hand_held(item, variant))
