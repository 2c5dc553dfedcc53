"""Materials of generated robots: what they are made of, and their colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

import numpy as np

Colour = tuple[float, float, float]

ROLES = ('shell', 'second', 'frame', 'joint', 'tip', 'screw', 'cable')
"""What the materials are for; each names a colour of a robot."""
METALS = ('aluminium', 'steel', 'polished steel')
SHELLS = ('printed plastic', 'plastic', 'anodised aluminium', *METALS)


def random_materials(rng: np.random.Generator) -> tuple[dict[str, str], dict[str, Colour]]:
    """The name of a material by its role, and sRGB in 0..1 by the materials' names.

    The names say what a material is made of, as those of a manufacturer's URDF do.
    """
    shell = str(rng.choice(SHELLS, p=(0.35, 0.25, 0.15, 0.15, 0.06, 0.04)))
    made = {
        'shell': shell,
        'second': shell if rng.random() < 0.4 else str(rng.choice(SHELLS)),
        'frame': str(rng.choice(('aluminium', 'steel', 'anodised aluminium', 'plastic'))),
        'joint': str(rng.choice(('polished steel', 'steel', 'plastic', 'anodised aluminium'))),
        'tip': str(rng.choice(('rubber', shell), p=(0.75, 0.25))),
        'screw': str(rng.choice(METALS)),
        'cable': 'rubber',
    }
    names = {role: f'{kind} {role}' for role, kind in made.items()}
    colours = {names[role]: _colour(rng, kind) for role, kind in made.items()}
    if made['tip'] == shell:
        colours[names['tip']] = colours[names['shell']]
    return names, colours


_SATURATED: Mapping[str, float] = {
    'printed plastic': 0.65,
    'plastic': 0.3,
    'anodised aluminium': 0.55,
    'rubber': 0.25,
}
"""The share of colours that are no greys."""


def _colour(rng: np.random.Generator, kind: str) -> Colour:
    if kind in METALS:
        grey = rng.uniform(0.5, 0.85)
        return (
            grey,
            min(grey * rng.uniform(0.98, 1.02), 1),
            min(grey * rng.uniform(0.97, 1.06), 1),
        )
    if rng.random() < _SATURATED[kind]:
        value = rng.uniform(0.15, 0.5) if kind == 'rubber' else rng.uniform(0.3, 0.95)
        return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.25, 0.9), value)
    low, high = (0.08, 0.3) if kind == 'rubber' else (0.1, 0.95)
    grey = float(rng.choice((rng.uniform(low, 0.3), rng.uniform(low, high))))
    return grey, grey, grey
