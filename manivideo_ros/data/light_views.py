"""Hand references alone, with the light that they were taken under: what light is learned from.

The label is what a grey ball in the hand's place would look like in the same photograph.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.data.hand_view import random_hand_view
from manivideo_ros.data.library import SKINS, Split, generator, skin
from manivideo_ros.data.photograph import BRIGHTEST, Response, random_response, tone_curve
from manivideo_ros.data.room import Room, harmonic_basis, random_room
from manivideo_ros.data.scene import SIZE, Scene, random_betas
from manivideo_ros.data.truth import TruthRenderer, worker_renderer
from manivideo_ros.data.viewpoint import random_camera

BALL_NORMALS = 64
GREY = 0.5  # the ball's albedo
VIEWS_PER_JOB = 50


def ball_normals() -> NDArray[np.float32]:
    """Unit normals [64, 3] that face a camera (z < 0 in its frame), evenly spread over the disc."""
    index = np.arange(BALL_NORMALS) + 0.5
    radius, angle = np.sqrt(index / BALL_NORMALS), np.pi * (1 + 5**0.5) * index
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([x, y, -np.sqrt(1 - radius**2)], -1).astype(np.float32)


def grey_ball(
    room: Room, response: Response, place: NDArray, world_from_camera: NDArray
) -> NDArray[np.float32]:
    """What a grey ball at a place [3] shows at `ball_normals` [64, 3]: sRGB in 0..1, unshadowed."""
    normals = ball_normals() @ np.asarray(world_from_camera, np.float32)[:3, :3].T
    light = np.maximum(harmonic_basis(normals) @ room.harmonics, 0)
    light += room.below * (0.5 * (1 - normals[:, 2:]))
    for lamp in room.lamps:
        towards = lamp.position - place
        distance = np.linalg.norm(towards)
        cosine = np.maximum(normals @ (towards / distance), 0)[:, None]
        light += lamp.intensity * cosine / distance**2
    exposed = np.minimum(GREY * light * room.exposure, BRIGHTEST)
    shown = tone_curve(exposed.astype(np.float32), response.contrast)
    return shown.astype(np.float32) / np.float32(255)


def sample_light_scene(seed: int, split: Split = 'train') -> Scene:
    """A scene that is a hand reference and nothing else."""
    rng = generator(split, 5, seed)
    look = skin(split, int(rng.integers(SKINS)))
    around = rng.uniform((-0.12, -0.12, 0), (0.12, 0.12, 0.16), (8, 3))
    camera = random_camera(rng, around, SIZE)
    room, response = random_room(rng), random_response(rng)
    view = random_hand_view(rng, ['left', 'right'], random_betas(rng), camera)
    return Scene(
        split, seed, {}, look, None, '', 0, room, camera, response, [], False, view
    )  # fmt: skip


def light_view(renderer: TruthRenderer, scene: Scene) -> tuple[NDArray, NDArray]:
    """The hand reference u8 [128, 128, 3] of a scene, and its grey ball f32 [64, 3]."""
    turn = np.asarray(scene.hand_view.camera.camera_from_world)[:3, :3].T
    place = np.asarray(scene.hand_view.state.wrist_position)
    ball = grey_ball(scene.room, scene.response, place, turn)
    return renderer.hand_reference(scene).image, ball


def make_light_views(out: Path, count: int, seed: int, split: Split, workers: int) -> None:
    """Write an npz of pictures [N, 128, 128, 3] and balls [N, 64, 3]."""
    jobs = [(first, min(VIEWS_PER_JOB, seed + count - first), split)
            for first in range(seed, seed + count, VIEWS_PER_JOB)]  # fmt: skip
    pictures, balls = [], []
    with (
        multiprocessing.get_context('spawn').Pool(max(1, workers)) as pool,
        tqdm(total=count, unit='view', mininterval=5) as bar,
    ):
        for some_pictures, some_balls in pool.imap(_make, jobs):
            pictures.append(some_pictures)
            balls.append(some_balls)
            bar.update(len(some_balls))
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix('.partial.npz')
    np.savez(partial, pictures=np.concatenate(pictures), balls=np.concatenate(balls))
    partial.rename(out)


def _make(job: tuple[int, int, Split]) -> tuple[NDArray, NDArray]:
    first, count, split = job
    renderer = worker_renderer()
    made = [
        light_view(renderer, sample_light_scene(seed, split))
        for seed in range(first, first + count)
    ]
    return np.stack([m[0] for m in made]), np.stack([m[1] for m in made])
