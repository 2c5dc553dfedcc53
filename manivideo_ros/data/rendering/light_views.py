"""Training data of the light network: hand references labelled with their light.

The label is the appearance of a grey ball at the hand's position in the same image. Light is
additive: renders of a hand under several single lights give any mixture of these lights, with any
colours and exposure, at little cost.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.data.packing import array_file
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer, worker_renderer
from manivideo_ros.data.scenes.camera_response import (
    BRIGHTEST,
    Response,
    develop,
    random_response,
    tone_curve,
)
from manivideo_ros.data.scenes.library import SKINS, Split, generator, skin
from manivideo_ros.data.scenes.panoramas import panorama_room
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.room import (
    LAMPS,
    MAX_LAMPS,
    Lamp,
    Room,
    exposure_for,
    harmonic_basis,
    lamp_colour,
    lamp_place,
    random_panorama,
    random_room,
    room_level,
    table_irradiance,
    table_light,
    tint,
    upper_harmonics,
)
from manivideo_ros.data.scenes.scene import SIZE, Scene, random_betas
from manivideo_ros.data.scenes.viewpoint import random_camera
from manivideo_ros.hand.reference import HAND_SIZE

BALL_NORMALS = 64
GREY = 0.5  # the ball's albedo
KEYS, FILLS, ROOMS = 4, 3, 2  # single lights under which each hand is rendered
MEASURED = 2  # measured panoramas under which each hand is rendered, where there are some
MEASURED_SHARE = 0.5  # of the samples, where there are some
MEASURED_TINT = 0.12  # standard deviation of the logarithm of a panorama's colour
ALONE = 0.5  # of these samples, the share that is lit by one panorama
DIM = 0.25  # exposure of these renders, which keeps highlights below the clipping level
FILES = ('images', 'balls', 'tables')
JOB = 10  # hands per job


def ball_normals() -> NDArray[np.float32]:
    """Unit normals [64, 3] that face a camera (z < 0 in its frame), evenly spaced on the disc."""
    index = np.arange(BALL_NORMALS) + 0.5
    radius, angle = np.sqrt(index / BALL_NORMALS), np.pi * (1 + 5**0.5) * index
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([x, y, -np.sqrt(1 - radius**2)], -1).astype(np.float32)


def ball_light(room: Room, place: NDArray, world_from_camera: NDArray) -> NDArray[np.float32]:
    """Irradiance / pi [64, 3] of a ball at a position [3], at `ball_normals`; unshadowed."""
    normals = ball_normals() @ np.asarray(world_from_camera, np.float32)[:3, :3].T
    light = np.maximum(harmonic_basis(normals) @ room.harmonics, 0)
    light += room.below * (0.5 * (1 - normals[:, 2:]))
    for lamp in room.lamps:
        towards = lamp.position - place
        distance = np.linalg.norm(towards)
        cosine = np.maximum(normals @ (towards / distance), 0)[:, None]
        light += lamp.intensity * cosine / distance**2
    return light


def ball_colours(
    light: NDArray[np.float32],  # [64, 3], of `ball_light`
    exposure: NDArray,  # [3]
    response: Response,
) -> NDArray[np.float32]:
    """Colours of a grey ball in that light: sRGB in 0..1."""
    exposed = np.minimum(GREY * light * exposure, BRIGHTEST)
    shown = tone_curve(exposed.astype(np.float32), response.contrast)
    return shown.astype(np.float32) / np.float32(255)


def sample_light_scene(seed: int, split: Split = 'train') -> Scene:
    """The scene of a seed with nothing but a hand reference."""
    rng = generator(split, 5, seed)
    hand_skin = skin(split, int(rng.integers(SKINS)))
    around = rng.uniform((-0.12, -0.12, 0), (0.12, 0.12, 0.16), (8, 3))
    camera = random_camera(rng, around, SIZE)
    room, response = random_room(rng), random_response(rng)
    view = random_reference_pose(rng, ['left', 'right'], random_betas(rng), camera)
    return Scene(
        split, seed, {}, hand_skin, None, '', 0, room, camera, response, [], False, view
    )  # fmt: skip


def lights_of(scene: Scene, panoramas: Sequence[Path] = ()) -> Iterator[tuple[Room, NDArray]]:
    """The scene's room under each single light, and the table's irradiance / pi [3].

    KEYS and FILLS white lamps of irradiance 1 at the centre of the table, then ROOMS surroundings
    of mean radiance 1, then MEASURED rooms of panoramas if there are any.
    """
    rng = generator(scene.split, 6, scene.seed)
    dark = np.zeros_like(scene.room.panorama)
    white = np.ones(3, np.float32)

    def alone(lamp: Lamp, panorama: NDArray) -> tuple[Room, NDArray]:
        harmonics = upper_harmonics(panorama)
        irradiance = table_irradiance((lamp,), harmonics)
        below = table_light(irradiance, scene.room.table)
        room = replace(
            scene.room, lamps=(lamp,), panorama=panorama, soft_panorama=panorama,
            harmonics=harmonics, below=below, exposure=white * np.float32(DIM),
        )  # fmt: skip
        return room, irradiance

    for index in range(KEYS + FILLS):
        azimuth = rng.uniform(0, 2 * np.pi)
        position, distance, radius = lamp_place(rng, index < KEYS, azimuth)
        yield alone(Lamp(position, radius, white * np.float32(distance**2)), dark)
    unlit = Lamp(position, radius, 0 * white)
    for _ in range(ROOMS):
        neutral = (Lamp(position, radius, white),)
        yield alone(unlit, random_panorama(rng, neutral, 1.0))
    for _ in range(MEASURED if panoramas else 0):
        room = replace(panorama_room(rng, panoramas), exposure=white * np.float32(DIM))
        yield room, table_irradiance(room.lamps, room.harmonics)


def render_lights(
    renderer: GroundTruthRenderer, scene: Scene, panoramas: Sequence[Path] = ()
) -> tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]:
    """Render a scene's hand reference under each of its lights.

    Returns radiance [L, 128, 128, 3], irradiance / pi of the ball [L, 64, 3] and the table [L, 3].
    """
    turn = np.asarray(scene.reference_pose.camera.camera_from_world)[:3, :3].T
    place = np.asarray(scene.reference_pose.state.wrist_position)
    rooms, tables = zip(*lights_of(scene, panoramas), strict=True)
    size = (HAND_SIZE, HAND_SIZE)
    images = [
        cv2.resize(light, size, interpolation=cv2.INTER_AREA) / DIM
        for light in renderer.hand_light(scene, rooms)
    ]
    balls = [ball_light(room, place, turn) for room in rooms]
    return np.stack(images).astype(np.float16), np.stack(balls), np.stack(tables)


def random_mixture(
    rng: np.random.Generator, lights: int = KEYS + FILLS + ROOMS
) -> NDArray[np.float32]:
    """Weights [L, 3] of the lights: a key, fills and surroundings, as in a random room; or of
    measured panoramas, if there are such among the lights: tinted, often two, since there are few.
    """
    out = np.zeros((lights, 3), np.float32)
    measured = KEYS + FILLS + ROOMS + rng.permutation(lights - (KEYS + FILLS + ROOMS))
    if len(measured) and rng.random() < MEASURED_SHARE:
        tints = np.exp(rng.normal(0, MEASURED_TINT, (len(measured), 3)))
        out[measured] = tints * rng.uniform(0, 1, (len(measured), 1))
        out[measured[0]] = tints[0]
        if rng.random() < ALONE:
            out[measured[1:]] = 0
        return out
    count = int(rng.choice(np.arange(1, MAX_LAMPS + 1), p=LAMPS))
    warmth = rng.uniform(2700, 7000)
    out[rng.integers(KEYS)] = lamp_colour(rng, True, warmth)
    for fill in rng.choice(FILLS, count - 1, replace=False):
        out[KEYS + fill] = lamp_colour(rng, False, warmth)
    out[KEYS + FILLS + rng.integers(ROOMS)] = room_level(rng) * tint(out.sum(0))
    return out


@dataclass(frozen=True, eq=False)
class LightViews:
    """Hands under single lights, as returned by `render_lights`; samples random mixtures."""

    images: NDArray[np.float16]  # [N, L, R, R, 3]
    balls: NDArray[np.float32]  # [N, L, 64, 3]
    tables: NDArray[np.float32]  # [N, L, 3]

    @classmethod
    def open(cls, folder: Path) -> LightViews:
        """Open the folder of `make_light_views`; images are memory-mapped."""
        return cls(*(np.load(array_file(folder, name), mmap_mode='r') for name in FILES))

    def __len__(self) -> int:
        return len(self.balls)

    @property
    def measured(self) -> bool:
        """Whether there are panoramas among the lights."""
        return self.tables.shape[1] > KEYS + FILLS + ROOMS

    def sample(self, index: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """A hand in a random mixture of its lights u8 [R, R, 3], and the ball f32 [64, 3]."""
        mixture = random_mixture(rng, len(self.tables[index]))
        lit = np.flatnonzero(mixture.any(1))
        mixture = mixture[lit]
        exposure = exposure_for((mixture * self.tables[index, lit]).sum(0), rng)
        light = np.einsum('lhwc,lc->hwc', self.images[index, lit].astype(np.float32), mixture)
        response = random_response(rng)
        exposed = np.minimum(light * exposure, BRIGHTEST)
        image = develop(exposed, response, light.shape[0], rng)
        ball = np.einsum('lkc,lc->kc', self.balls[index, lit], mixture)
        return image, ball_colours(ball, exposure, response)

    def batch(
        self, indices: NDArray, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """A batch of samples: images u8 [B, R, R, 3] and balls f32 [B, 64, 3]."""
        images, balls = zip(*(self.sample(int(index), rng) for index in indices), strict=True)
        return np.stack(images), np.stack(balls)


def make_light_views(
    folder: Path,
    count: int,
    seed: int,
    split: Split,
    workers: int,
    panoramas: Sequence[Path] = (),
) -> None:
    """Render `count` hands under single lights, and panoramas' if given, into a new folder."""
    jobs = [
        (range(first, min(first + JOB, seed + count)), split, panoramas)
        for first in range(seed, seed + count, JOB)
    ]
    partial = folder.with_name(folder.name + '.partial')
    partial.mkdir(parents=True, exist_ok=True)
    arrays: list[np.memmap] = []
    with (
        multiprocessing.get_context('spawn').Pool(max(1, workers)) as pool,
        tqdm(total=count, unit='hand', mininterval=5) as bar,
    ):
        for made in pool.imap(_make, jobs):
            if not arrays:
                arrays = [
                    np.lib.format.open_memmap(
                        partial / f'{name}.npy', 'w+', one.dtype, (count, *one.shape[1:])
                    )
                    for name, one in zip(FILES, made, strict=True)
                ]
            for array, one in zip(arrays, made, strict=True):
                array[bar.n : bar.n + len(one)] = one
            bar.update(len(made[0]))
    for array in arrays:
        array.flush()
    partial.rename(folder)


def _make(job: tuple[range, Split, Sequence[Path]]) -> list[NDArray]:
    seeds, split, panoramas = job
    renderer = worker_renderer()
    made = [render_lights(renderer, sample_light_scene(seed, split), panoramas) for seed in seeds]
    return [np.stack(parts) for parts in zip(*made, strict=True)]
