"""The generated household objects by name."""

from __future__ import annotations

from collections.abc import Callable

from manivideo_ros.objects.household import (
    cartons,
    containers,
    devices,
    fruit,
    tableware,
    tools,
    toys,
)
from manivideo_ros.objects.household.palettes import Variation
from manivideo_ros.objects.household.parts import Part, assemble
from manivideo_ros.objects.mesh import ObjectMesh

# Functions that build parts and gloss, and the index of the canonical palette.
_BUILDERS: dict[str, tuple[Callable[[Variation], tuple[list[Part], float]], int]] = {
    'mug': (tableware.mug, 0),
    'tumbler': (tableware.tumbler, 2),
    'bowl': (tableware.bowl, 5),
    'plate': (tableware.plate, 7),
    'teapot': (tableware.teapot, 3),
    'pitcher': (tableware.pitcher, 4),
    'pan': (tableware.pan, 1),
    'can': (containers.can, 1),
    'bottle': (containers.bottle, 8),
    'box': (cartons.box, 5),
    'milk_carton': (cartons.milk_carton, 5),
    'jar': (containers.jar, 6),
    'spray_bottle': (containers.spray_bottle, 2),
    'tube': (containers.tube, 9),
    'screwdriver': (tools.screwdriver, 0),
    'hammer': (tools.hammer, 0),
    'wrench': (tools.wrench, 5),
    'flashlight': (tools.flashlight, 8),
    'paintbrush': (tools.paintbrush, 2),
    'ball': (toys.ball, 11),
    'apple': (fruit.apple, 4),
    'banana': (fruit.banana, 4),
    'book': (cartons.book, 7),
    'remote': (devices.remote, 0),
    'phone': (devices.phone, 9),
    'dice': (toys.dice, 11),
    'puzzle_cube': (toys.puzzle_cube, 0),
    'duck': (toys.duck, 8),
}

SHAPES: tuple[str, ...] = tuple(_BUILDERS)
HELD_OUT_SHAPES: tuple[str, ...] = ('mug', 'spray_bottle', 'jar', 'dice')
"""Shapes that are never trained on."""


def variant(name: str) -> tuple[str, int] | None:
    """Shape and seed of 'jar' or a variant 'jar-3'; None for another name."""
    shape, _, number = name.partition('-')
    if shape in _BUILDERS and (name == shape or (number.isdecimal() and len(number) < 10)):
        return shape, int(number or 0)
    return None


def generate(name: str, seed: int = 0) -> ObjectMesh:
    """A textured object in metres, z up, with the centre of its bounding box at the origin.

    The front (labels) faces -y; handles and grips point to +x, spouts and tips to -x. The seed
    varies colours, patterns and slightly the proportions; 0 is canonical. Raises ValueError for an
    unknown name or a negative seed.
    """
    if name not in _BUILDERS:
        raise ValueError(f'shape {name!r} is unknown; choose one of {", ".join(SHAPES)}')
    if seed < 0:
        raise ValueError(f'shape {name}: seed must not be negative, got {seed}')
    build, palette = _BUILDERS[name]
    parts, gloss = build(Variation(name, seed, palette))
    return assemble(name, parts, gloss)
