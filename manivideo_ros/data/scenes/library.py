"""Objects and skins of scenes, by split, cached for the lifetime of the process.

Object shapes, skins, rooms and motions of the two splits are disjoint.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.grasps import Solid, solid_of
from manivideo_ros.data.scenes.surfels import DiscSet, face_colours, sample_discs
from manivideo_ros.drawing.base_image import Material
from manivideo_ros.drawing.views import ObjectViews, object_material, six_views
from manivideo_ros.hand.arm.mesh import beside_hand
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.skin import skin_texture
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES, SHAPES, generate
from manivideo_ros.objects.mesh import ObjectMesh, surface_points

Split = Literal['train', 'test']
SPLITS: tuple[Split, Split] = ('train', 'test')
VARIANTS = 10
"""Number of seeds of each shape."""
SKINS = 160
FIRST_TEST_SEED = 100_000


@dataclass(frozen=True, eq=False)
class ObjectAsset:
    """An object, its samples and its references; object frame, metres.

    painted: its surface re-projected from the six views, for the base image.
    """

    mesh: ObjectMesh
    solid: Solid
    discs: DiscSet
    views: ObjectViews
    points: NDArray[np.float32]
    painted: Material


def generator(split: Split, *numbers: int) -> np.random.Generator:
    """A random stream; the streams of the two splits are disjoint."""
    return np.random.default_rng([SPLITS.index(split), *numbers])


def shape_names(split: Split) -> tuple[str, ...]:
    """Names of the object shapes of a split."""
    if split == 'test':
        return tuple(HELD_OUT_SHAPES)
    return tuple(name for name in SHAPES if name not in HELD_OUT_SHAPES)


def object_seed(split: Split, variant: int) -> int:
    """Seed of a shape's variant; variant 0 is the canonical shape."""
    return variant + (FIRST_TEST_SEED if split == 'test' and variant else 0)


@lru_cache(maxsize=512)
def object_asset(name: str, seed: int) -> ObjectAsset:
    """The object of a shape and a seed, cached."""
    return prepare_object(generate(name, seed))


def prepare_object(mesh: ObjectMesh) -> ObjectAsset:
    """Samples and references of a mesh."""
    colours = face_colours(mesh.corner_uv, mesh.texture)
    views = six_views(mesh)
    return ObjectAsset(
        mesh,
        solid_of(mesh),
        sample_discs(mesh.vertices, mesh.faces, colours, 80),
        views,
        surface_points(mesh),
        object_material(mesh, views),
    )


@dataclass(frozen=True, eq=False)
class Skin:
    """index: in its split. texture: albedo u8 [S, S, 3]; gloss 0..1; discs: of both hands."""

    tone: float
    index: int
    seed: int
    texture: NDArray[np.uint8]
    gloss: float
    discs: dict[Side, DiscSet]


@lru_cache(maxsize=256)
def skin(split: Split, index: int, bare: bool = False) -> Skin:
    """One of the SKINS skins of a split, including its sleeve unless bare; cached."""
    rng = generator(split, 7, index)
    seed = index + (FIRST_TEST_SEED if split == 'test' else 0)
    tone = float(np.clip((index + rng.random()) / SKINS, 0, 1))
    value = rng.uniform(0.12, 0.9)
    saturation = rng.uniform(0.0, 0.15) if rng.random() < 0.45 else rng.uniform(0.15, 0.7)
    rgb = colorsys.hsv_to_rgb(rng.random(), saturation, value)
    sleeve = int(255 * rgb[0]), int(255 * rgb[1]), int(255 * rgb[2])
    texture = skin_texture(tone, seed, None if bare else sleeve)
    return Skin(tone, index, seed, texture, float(rng.uniform(0, 1)), hand_discs(texture))


def hand_discs(texture: NDArray[np.uint8]) -> dict[Side, DiscSet]:
    """Discs at vertices of the default hands, in the colours of a skin texture."""
    discs: dict[Side, DiscSet] = {}
    for side in SIDES:
        hand = load_hand(side)
        colours = face_colours(hand.corner_uv, texture)
        near = beside_hand(hand)[hand.faces].all(1)
        discs[side] = sample_discs(
            hand.v_template, hand.faces[near], colours[near], 90, at_vertices=True
        )
    return discs
