"""The room around the table: lamps, a blurred panorama, its irradiance.

World frame: z up, the table top at z = 0. Radiance is linear RGB, in units in which a white sheet
on the table, lit by the whole room, has radiance of about 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.table_tops import TableTop, random_colour, table_top

PANORAMA = (128, 256)  # rows from zenith to nadir, columns over the azimuth
MAX_LAMPS = 3


@dataclass(frozen=True, eq=False)
class Lamp:
    """A disc-like area light: position [3] m, radius m, intensity [3] (irradiance x m^2)."""

    position: NDArray[np.float32]
    radius: float
    intensity: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Room:
    """The room of a scene: table, light and exposure.

    panorama: radiance f32 [128, 256, 3]; soft_panorama: the same, blurred; harmonics: irradiance
    coefficients f32 [9, 3] of the upper hemisphere; below: radiance [3] of the table. The table
    covers the half plane table_edge[:2] . (x, y) < table_edge[2]; texture_from_world [2, 3] maps
    (x, y, 1) on the table to periods of its texture. exposure [3]: including white balance.
    """

    lamps: tuple[Lamp, ...]
    panorama: NDArray[np.float32]
    soft_panorama: NDArray[np.float32]
    harmonics: NDArray[np.float32]
    below: NDArray[np.float32]
    table: TableTop
    table_edge: NDArray[np.float32]
    texture_from_world: NDArray[np.float32]
    exposure: NDArray[np.float32]


def blackbody_colour(kelvin: float) -> NDArray[np.float32]:
    """Linear RGB [3] of a black body with mean 1 (Tanner Helland's fit, linearised)."""
    t = kelvin / 100.0
    red = 255.0 if t <= 66 else 329.7 * (t - 60) ** -0.1332
    green = 99.47 * np.log(t) - 161.1 if t <= 66 else 288.1 * (t - 60) ** -0.0755
    blue = 255.0 if t >= 66 else (0.0 if t <= 19 else 138.5 * np.log(t - 10) - 305.0)
    rgb = (np.clip([red, green, blue], 0, 255) / 255.0) ** 2.2
    return (rgb / rgb.mean()).astype(np.float32)


def direction_grid() -> NDArray[np.float32]:
    """World directions [128, 256, 3] of the panorama's pixel centres."""
    rows, columns = PANORAMA
    polar = (np.arange(rows) + 0.5) / rows * np.pi
    azimuth = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    sin = np.sin(polar)[:, None]
    return np.stack(
        [sin * np.cos(azimuth), sin * np.sin(azimuth), np.cos(polar)[:, None] + 0 * azimuth], -1
    ).astype(np.float32)


DIRECTIONS = direction_grid()


def harmonic_basis(n: NDArray) -> NDArray[np.float32]:
    """The nine real spherical harmonics [..., 9] up to degree 2 at unit vectors [..., 3]."""
    x, y, z = np.moveaxis(n, -1, 0)
    return np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )


def irradiance_harmonics(panorama: NDArray) -> NDArray[np.float32]:
    """Coefficients [9, 3] whose expansion at a normal is irradiance / pi (Ramamoorthi, 2001)."""
    rows, columns = PANORAMA
    weight = np.sin((np.arange(rows) + 0.5) / rows * np.pi) * (np.pi / rows) * (2 * np.pi / columns)
    basis = harmonic_basis(DIRECTIONS)
    radiance = np.einsum('rck,rcd,r->kd', basis, panorama, weight)
    cosine_lobe = np.array([1.0] + [2 / 3] * 3 + [0.25] * 5)
    return (radiance * cosine_lobe[:, None]).astype(np.float32)


def upper_harmonics(panorama: NDArray) -> NDArray[np.float32]:
    """`irradiance_harmonics` of the upper hemisphere."""
    return irradiance_harmonics(np.where((DIRECTIONS[..., 2] > 0)[..., None], panorama, 0))


LAMPS = (0.4, 0.44, 0.16)
"""Probabilities of one, two, three lamps: a key, and weaker fills from other directions."""


def lamp_place(
    rng: np.random.Generator, key: bool, azimuth: float
) -> tuple[NDArray[np.float32], float, float]:
    """Position [3], distance and radius of a lamp; azimuth: of the key, which fills avoid."""
    elevation = np.radians(rng.uniform(28, 82) if key else rng.uniform(20, 75))
    turn = azimuth if key else azimuth + rng.uniform(0.6, 2 * np.pi - 0.6)
    distance = rng.uniform(0.9, 2.6)
    direction = np.array(
        [np.cos(elevation) * np.cos(turn), np.cos(elevation) * np.sin(turn), np.sin(elevation)]
    )
    radius = distance * np.exp(rng.uniform(np.log(0.02), np.log(0.28)))
    return (direction * distance).astype(np.float32), distance, float(radius)


def lamp_colour(rng: np.random.Generator, key: bool, warmth: float) -> NDArray[np.float32]:
    """Irradiance [3] of a lamp at the centre of the table, on a surface facing it."""
    strength = rng.uniform(0.7, 1.0) if key else rng.uniform(0.1, 0.5)
    kelvin = float(np.clip(warmth * rng.uniform(0.75, 1.4), 2400, 9000))
    return np.asarray(blackbody_colour(kelvin) * strength, np.float32)


def room_level(rng: np.random.Generator) -> float:
    """Random mean radiance of the surroundings."""
    return float(np.exp(rng.uniform(np.log(0.10), np.log(0.45))))


def tint(irradiance: NDArray) -> NDArray:
    """Colour [3] of the surroundings under lamps of total irradiance [3]."""
    return (irradiance / irradiance.mean()) ** 0.8


def table_irradiance(
    lamps: tuple[Lamp, ...],
    harmonics: NDArray,  # [9, 3]
) -> NDArray[np.float32]:
    """Irradiance / pi [3] at the centre of the table from lamps and surroundings."""
    down = np.zeros(3, np.float32)
    for lamp in lamps:
        distance = float(np.linalg.norm(lamp.position))
        down += lamp.intensity / distance**2 * (lamp.position[2] / distance)
    return harmonic_basis(np.array([0, 0, 1], np.float32)) @ harmonics + down


def table_light(irradiance: NDArray, table: TableTop) -> NDArray[np.float32]:
    """Radiance [3] of a table with irradiance [3], as light from below for surfaces above it."""
    return np.asarray(0.6 * table.albedo.mean((0, 1)) * irradiance, np.float32)


def exposure_for(irradiance: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random exposure [3] for the table's irradiance [3], including white balance."""
    white = irradiance / irradiance.mean()
    balance = white ** -rng.uniform(0.5, 1.0)
    exposure = np.clip(balance, 0.4, 2.0) * rng.uniform(0.8, 1.35) / irradiance.mean()
    return np.asarray(exposure, np.float32)


def _lamps(rng: np.random.Generator) -> tuple[Lamp, ...]:
    count = int(rng.choice([1, 2, 3], p=LAMPS))
    warmth = rng.uniform(2700, 7000)
    azimuth = rng.uniform(0, 2 * np.pi)
    lamps = []
    for i in range(count):
        position, distance, radius = lamp_place(rng, i == 0, azimuth)
        intensity = lamp_colour(rng, i == 0, warmth) * distance**2
        lamps.append(Lamp(position, radius, intensity.astype('f4')))
    return tuple(lamps)


def random_panorama(rng: np.random.Generator, lamps: tuple[Lamp, ...], level: float) -> NDArray:
    """Radiance of walls, floor, a window and blurred clutter, with a mean of about `level`."""
    rows, columns = PANORAMA
    wall = random_colour(rng, (0.0, 0.35), (0.45, 0.95))
    floor = random_colour(rng, (0.0, 0.4), (0.3, 0.8))
    ceiling = random_colour(rng, (0.0, 0.1), (0.75, 0.98))
    skirting = int(rows * rng.uniform(0.53, 0.62))
    image: NDArray = np.empty((rows, columns, 3), np.float32)
    image[:skirting] = wall
    image[skirting:] = floor
    image[: int(rows * rng.uniform(0.12, 0.3))] = ceiling
    corner = rng.uniform(0, np.pi / 2)
    sides = (((np.arange(columns) / columns * 2 * np.pi + corner) // (np.pi / 2)) % 4).astype(int)
    image *= rng.uniform(0.6, 1.1, 4)[sides][None, :, None]
    for _ in range(int(rng.integers(5, 40))):  # furniture, shelves, posters, plants
        width, height = rng.uniform(2, 22), rng.uniform(2, 26)
        x, y = rng.uniform(0, columns), skirting + rng.normal(-8, 10)
        colour = random_colour(rng, (0.0, 0.8), (0.05, 0.95)) * rng.uniform(0.4, 1.0)
        for wrap in (-columns, 0, columns):
            first = (int(x - width / 2 + wrap), int(y - height / 2))
            last = (int(x + width / 2 + wrap), int(y + height / 2))
            cv2.rectangle(image, first, last, colour.tolist(), -1)
    if rng.random() < 0.6:  # a window
        x, y = rng.uniform(0, columns), rows * rng.uniform(0.3, 0.45)
        glass = blackbody_colour(rng.uniform(5500, 9000)) * rng.uniform(1.5, 5.0)
        half = (int(rng.integers(7, 18)), int(rng.integers(8, 18)))
        for wrap in (-columns, 0, columns):
            first, last = (int(x + wrap) - half[0], int(y) - half[1]), (int(x + wrap), int(y + 12))
            cv2.rectangle(image, first, last, glass.tolist(), -1)
    sigma = rng.uniform(1.5, 4.0)
    padded = cv2.copyMakeBorder(image, 0, 0, 16, 16, cv2.BORDER_WRAP)
    image = cv2.GaussianBlur(padded, (0, 0), sigma)[:, 16:-16]
    total = sum(lamp.intensity / np.dot(lamp.position, lamp.position) for lamp in lamps)
    image = image * tint(total)
    solid = np.sin((np.arange(rows) + 0.5) / rows * np.pi)[:, None, None]
    mean = float((image * solid).mean() / solid.mean())
    return (image * level / mean).astype(np.float32)


def random_room(rng: np.random.Generator) -> Room:
    """A random room: table, lamps, surroundings, exposure and white balance."""
    lamps = _lamps(rng)
    return furnished(rng, lamps, random_panorama(rng, lamps, room_level(rng)))


def furnished(
    rng: np.random.Generator,
    lamps: tuple[Lamp, ...],
    panorama: NDArray[np.float32],  # [128, 256, 3] radiance of everything but the lamps
) -> Room:
    """The room of these lamps and surroundings, with a random table, exposure and white balance."""
    table = table_top(rng)
    harmonics = upper_harmonics(panorama)
    irradiance = table_irradiance(lamps, harmonics)
    # Below the horizon, the table reflects light to surfaces above it.
    below = table_light(irradiance, table)
    padded = cv2.copyMakeBorder(panorama, 0, 0, 48, 48, cv2.BORDER_WRAP)
    soft = cv2.GaussianBlur(padded, (0, 0), 12)[:, 48:-48]
    angle = rng.uniform(0, 2 * np.pi)
    far = rng.uniform(0.25, 1.2)
    turn, scale = rng.uniform(0, 2 * np.pi), 1 / table.period
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    shift = rng.random(2)
    exposure = exposure_for(irradiance, rng)
    return Room(
        lamps,
        panorama,
        np.asarray(soft, np.float32),
        harmonics,
        below,
        table,
        np.array([np.cos(angle), np.sin(angle), far], np.float32),
        np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]], np.float32),
        exposure,
    )
