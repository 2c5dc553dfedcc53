"""Procedural skin textures (albedo) for the whole range of human skin tones.

They are functions of the position on the flat right hand (`atlas.py`), and are valid for both sides
and for any hand with the default hand's texture coordinates.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.atlas import SkinAtlas, skin_atlas
from manivideo_ros.hand.partition import FIRST_JOINT, TIP_FINGERS

# sRGB of the back of the hand and the palm, from the lightest tone to the darkest; palms vary less.
# Based on the Monk scale and published skin reflectances.
_TONES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
_BACK = np.array(
    [[239, 203, 184], [224, 180, 154], [203, 153, 122], [164, 114, 84], [112, 74, 55], [68, 45, 37]]
)
_PALM = np.array(
    [
        [240, 196, 178],
        [231, 182, 160],
        [219, 168, 142],
        [197, 145, 118],
        [171, 122, 99],
        [142, 100, 83],
    ]
)
_NAIL = np.array(
    [
        [240, 196, 186],
        [232, 183, 170],
        [222, 170, 152],
        [201, 149, 129],
        [172, 125, 109],
        [143, 104, 93],
    ]
)
# Creases of the palm (heart, head, life): x as a fraction of the distance from the middle knuckle
# to the wrist, z as a fraction of half the knuckles' width.
_PALM_LINES = (
    ((0.02, 0.55), (0.14, 0.25), (0.20, -0.3), (0.20, -0.9), (0.18, -1.3)),
    ((0.20, 1.15), (0.27, 0.6), (0.38, 0.0), (0.50, -0.6)),
    ((0.22, 1.15), (0.34, 0.75), (0.52, 0.42), (0.72, 0.22), (0.95, 0.18)),
)


def skin_texture(
    tone: float, seed: int, sleeve_rgb: tuple[int, int, int] | None = None, size: int = 256
) -> NDArray[np.uint8]:
    """Albedo texture [size, size, 3] sRGB of a hand and its forearm.

    tone: 0 (lightest) to 1 (darkest). seed: varies undertone, mottling, veins, freckles and the
    depth of creases. sleeve_rgb: colour of a knitted or woven sleeve; None: a bare forearm. Raises
    ValueError for a tone outside 0..1.
    """
    if not 0.0 <= tone <= 1.0:
        raise ValueError(f'skin tone must lie in 0 (lightest) .. 1 (darkest), got {tone}')
    atlas = skin_atlas(size)
    rng = np.random.default_rng([seed, 7])
    noise = _Noise(rng)
    palm = _smooth(0.05, 0.75, -atlas.normal[:, 1] + 0.25 * noise(atlas.position, 0.012))
    palm = palm * (1 - 0.5 * _smooth(-0.012, 0.014, atlas.position[:, 0] - atlas.joints[0, 0]))
    undertone = 1 + rng.normal(0, [0.012, 0.012, 0.025])
    back_rgb, palm_rgb, nail_rgb = (
        _at_tone(table, tone) * undertone for table in (_BACK, _PALM, _NAIL)
    )
    colour: NDArray[np.floating] = back_rgb + palm[:, None] * (palm_rgb - back_rgb)

    colour = _redden(colour, atlas, palm, noise, rng, tone)
    colour = colour * (1 - _creases(atlas, palm, noise, rng, tone))[:, None] ** [0.8, 1.05, 1.15]
    colour = _paint_nails(colour, atlas, nail_rgb)
    if sleeve_rgb is not None:
        cloth = atlas.sleeve
        colour[cloth] = _cloth(atlas, np.asarray(sleeve_rgb, np.float64), noise, rng)[cloth]
    return atlas.spread(colour)


def _redden(
    colour: NDArray[np.floating],
    atlas: SkinAtlas,
    palm: NDArray[np.floating],
    noise: _Noise,
    rng: np.random.Generator,
    tone: float,
) -> NDArray[np.floating]:
    """Add effects of blood and pigment: mottling, pink tips and knuckles, veins, freckles."""
    p = atlas.position
    light = 1 - 0.65 * tone  # blood is less visible under more pigment
    mottle = 0.6 * noise(p, 0.016) + 0.4 * noise(p, 0.006)
    fine = noise(p, 0.0022)
    tips, knuckle = atlas.tip_distance, atlas.knuckle_distance
    on_back = (1 - palm) * _smooth(0.1, 0.6, atlas.normal[:, 1])
    pink = (
        0.30 * mottle
        + 0.55 * np.exp(-((tips / 0.014) ** 2))
        + 0.75 * on_back * np.exp(-((knuckle / 0.0105) ** 2))
        + 0.25 * palm * (0.6 + noise(p, 0.009))
    )
    colour = colour * (1 + light * pink[:, None] * [0.01, -0.085, -0.095])
    # Knuckles have more pigment, especially on dark skin.
    pigment = on_back * np.exp(-((knuckle / 0.009) ** 2)) * (0.04 + 0.14 * tone)
    colour = colour * (1 - pigment[:, None] * [0.8, 1.0, 1.0])
    shade = 0.028 * mottle + 0.022 * fine
    if tone > 0.45:  # on dark skin, mottling is due to pigment and not to blood
        shade = shade * 1.5
    colour = colour * (1 + shade[:, None])
    # Veins: ridges of stretched noise on the back of the palm.
    along = p * [0.35, 1.0, 1.0] + 0.004 * noise(p, 0.02)[:, None]
    ridge = np.exp(-((noise(along, 0.013) / 0.13) ** 2))
    area = on_back * _smooth(0.02, 0.035, p[:, 0]) * np.isin(atlas.layer, (1,))
    vein = ridge * area * rng.uniform(0.02, 0.075) * light
    colour = colour * (1 - vein[:, None] * [1.3, 0.6, 0.25])
    if rng.random() < 0.35 * (1 - tone):
        spots = _smooth(0.55, 0.8, noise(p, 0.0021)) * _smooth(-0.3, 0.5, noise(p, 0.02))
        colour = colour * (1 - (spots * (1 - palm))[:, None] * [0.06, 0.10, 0.13])
    return colour


def _creases(
    atlas: SkinAtlas,
    palm: NDArray[np.floating],
    noise: _Noise,
    rng: np.random.Generator,
    tone: float,
) -> NDArray[np.floating]:
    """Darkening [N] of the skin by creases, 0..0.4."""
    p = atlas.position
    depth = np.zeros(len(p))
    strength = rng.uniform(0.75, 1.25)
    wobble = 0.0011 * noise(p, 0.007)
    back = (1 - palm) * _smooth(0.0, 0.5, atlas.normal[:, 1])
    for finger, first in FIRST_JOINT.items():
        layer = TIP_FINGERS.index(finger) + 2
        tip = atlas.tips[layer - 2]
        on_finger = atlas.layer == layer
        along_axis = tip - atlas.joints[first]
        along_axis = along_axis / np.linalg.norm(along_axis)
        along = (p - atlas.joints[first]) @ along_axis + wobble
        facing = atlas.normal[:, 1]
        if finger == 'thumb':  # its nail faces sideways
            up = np.array([-0.35, 0.45, -0.82])
            up -= along_axis * (up @ along_axis)
            facing = -atlas.normal @ (up / np.linalg.norm(up))
            on_palm, on_back = _smooth(0.1, 0.6, -facing), _smooth(0.1, 0.6, facing)
        else:
            on_palm, on_back = palm, back
        for k in (0, 1, 2):
            place = (atlas.joints[first + k] - atlas.joints[first]) @ along_axis
            away = along - place
            # Palmar side of the finger: one or two sharp flexion creases.
            if k > 0:
                fold = _line(away - 0.0004, 0.00075) + (k == 1) * 0.7 * _line(away + 0.0022, 0.0007)
            else:
                fold = 0.9 * _line(away - 0.0165, 0.0008) * (finger != 'thumb')
            depth += on_finger * on_palm * 0.17 * fold
            # Back of the finger: a patch of fine wrinkles over the joint.
            if k > 0:
                patch = np.exp(-((away / (0.0056 if k == 1 else 0.0034)) ** 2))
                wave = np.sin(2 * np.pi * away / 0.0025 + 2.5 * noise(p, 0.006))
                wrinkle = patch * (0.5 + 0.5 * wave) ** 2
                depth += on_finger * on_back * 0.15 * wrinkle
    middle, width = atlas.joints[4], abs(atlas.joints[1, 2] - atlas.joints[7, 2]) / 2
    centre_z = (atlas.joints[1, 2] + atlas.joints[7, 2]) / 2
    length = atlas.joints[0, 0] - middle[0]
    plane = np.stack([(p[:, 0] - middle[0]), (p[:, 2] - centre_z)], -1) + wobble[:, None]
    inner = palm * _smooth(0.15, 0.5, -atlas.normal[:, 1])
    for path in _PALM_LINES:
        points = np.array(path) * [length, width]
        depth += 0.14 * inner * _line(_polyline_distance(plane, points), 0.0012)
    wrist = p[:, 0] - atlas.joints[0, 0] + 2 * wobble
    for place in (0.002, 0.006):
        depth += 0.09 * palm * _line(wrist - place, 0.001)
    return np.clip(strength * (0.85 + 0.4 * tone) * depth, 0, 0.4)


def _paint_nails(
    colour: NDArray[np.floating], atlas: SkinAtlas, nail_rgb: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Paint nails: a paler, pinker plate, a white edge, a lunula, and a darker fold around them."""
    colour = colour.copy()
    rim = _smooth(0.05, 0.4, atlas.nail) * (1 - _smooth(0.5, 0.95, atlas.nail))
    for finger, tip in enumerate(atlas.tips):
        on = (atlas.layer == finger + 2) & (atlas.nail > 0)
        plate = on & (atlas.nail > 0.5)
        if not plate.any():
            continue
        first = FIRST_JOINT[TIP_FINGERS[finger]]
        axis = tip - atlas.joints[first + 2]
        axis = axis / np.linalg.norm(axis)
        along = atlas.position @ axis
        low, high = np.percentile(along[plate], [2, 98])
        s = np.clip((along - low) / max(high - low, 1e-4), -0.2, 1.2)
        edge = _smooth(0.86, 0.93, s)[:, None]
        moon = (1 - _smooth(0.14, 0.24, s))[:, None]
        nail = nail_rgb * (1 + 0.03 * moon) + moon * 8
        nail = nail + edge * (np.array([236, 226, 214]) - nail) * 0.75
        mix = (on * _smooth(0.25, 0.75, atlas.nail))[:, None]
        colour = colour + mix * (nail - colour)
    painted: NDArray[np.floating] = colour * (1 - 0.16 * rim[:, None] * [0.8, 1.0, 1.0])
    return painted


def _cloth(
    atlas: SkinAtlas, rgb: NDArray[np.floating], noise: _Noise, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Colours [N, 3] of knitted or woven cloth."""
    column, row = atlas.column * 256 / atlas.size, atlas.row * 256 / atlas.size
    if rng.random() < 0.5:  # knitted: columns of small v shapes
        wale = 4.0
        across = (column / wale) % 1.0
        lean = np.abs(across - 0.5) * 2
        loop = 0.5 + 0.5 * np.sin(2 * np.pi * (row / 4.0 + 0.55 * lean))
        relief = 0.55 * loop + 0.45 * np.sin(np.pi * across)
    else:  # woven: alternating threads
        relief = 0.5 + 0.5 * np.sin(2 * np.pi * column / 2.6) * np.sin(2 * np.pi * row / 2.6)
    wear = 0.5 * noise(atlas.position, 0.02) + 0.5 * noise(atlas.position, 0.004)
    shade = 0.80 + 0.24 * relief + 0.06 * wear
    return rgb * shade[:, None] + 4 * relief[:, None]


class _Noise:
    """Smooth value noise in space, about -1..1, by trilinear interpolation of a random lattice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = rng.uniform(-1.35, 1.35, 32**3).astype(np.float32)
        self._shift = rng.uniform(0, 32, 3)

    def __call__(self, points: NDArray[np.floating], scale: float) -> NDArray[np.floating]:
        """Noise [N] at points [N, 3], with features of about `scale` metres."""
        q = (points / scale + self._shift * (1 + 40 * scale)).T
        low = np.floor(q)
        t = (q - low).astype(np.float32)
        t = t * t * (3 - 2 * t)
        i = low.astype(np.int64)
        (x0, y0, z0), (x1, y1, z1) = i & 31, (i + 1) & 31
        x0, x1, y0, y1 = x0 << 10, x1 << 10, y0 << 5, y1 << 5

        def along_z(base: NDArray[np.integer]) -> NDArray[np.floating]:
            near, far = self._lattice[base + z0], self._lattice[base + z1]
            value: NDArray[np.floating] = near + t[2] * (far - near)
            return value

        def along_yz(base: NDArray[np.integer]) -> NDArray[np.floating]:
            near, far = along_z(base + y0), along_z(base + y1)
            value: NDArray[np.floating] = near + t[1] * (far - near)
            return value

        near, far = along_yz(x0), along_yz(x1)
        value: NDArray[np.floating] = near + t[0] * (far - near)
        return value


def _at_tone(table: NDArray[np.floating], tone: float) -> NDArray[np.floating]:
    return np.array([np.interp(tone, _TONES, table[:, k]) for k in range(3)])


def _smooth(low: float, high: float, x: NDArray[np.floating]) -> NDArray[np.floating]:
    t = np.clip((x - low) / (high - low), 0, 1)
    eased: NDArray[np.floating] = t * t * (3 - 2 * t)
    return eased


def _line(distance: NDArray[np.floating], width: float) -> NDArray[np.floating]:
    depth: NDArray[np.floating] = np.exp(-((distance / width) ** 2))
    return depth


def _polyline_distance(
    points: NDArray[np.floating], path: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Distances [N] of points [N, 2] to a polyline [K, 2]."""
    best = np.full(len(points), np.inf)
    for a, b in pairwise(path):
        along = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - along[:, None] * (b - a), axis=1))
    return best
