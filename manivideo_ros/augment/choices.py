"""The random choices of a variation: skin, light, room, objects' materials, camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.viewing import action_points
from manivideo_ros.data.scenes.camera_response import Response, random_response
from manivideo_ros.data.scenes.library import SKINS, Skin, generator, skin
from manivideo_ros.data.scenes.room import Room, random_room
from manivideo_ros.evaluation.suites.held_out import table_under
from manivideo_ros.geometry import (
    Array,
    Camera,
    axis_angle_to_matrix,
    invert_rigid,
    rigid,
    transform_points,
)
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.view import camera_of
from manivideo_ros.objects.mesh import ObjectMesh

# Bounds on the camera's motion: around the action, above it, about its own axis; factor of its
# distance.
AZIMUTH, ELEVATION, ROLL = np.radians((25.0, 12.0, 4.0))
DISTANCE = (0.85, 1.25)
LOWEST_EYE = 0.05  # metres above the table


@dataclass(frozen=True)
class ObjectMaterial:
    """A change of an object's material; its shape is kept, because the grasp depends on it.

    hue: rotation in degrees; saturation, brightness: factors; tint: sRGB colour 0..1, blended into
    the texture by the weight `tinted`; gloss 0 matt .. 1 polished.
    """

    hue: float
    saturation: float
    brightness: float
    tint: tuple[float, float, float]
    tinted: float
    gloss: float

    def on(self, mesh: ObjectMesh) -> ObjectMesh:
        """The object with the changed material."""
        hsv = cv2.cvtColor(mesh.texture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + self.hue) % 360
        hsv[..., 1:] = np.clip(hsv[..., 1:] * (self.saturation, self.brightness), 0, 1)
        own = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        tinted = own.mean(-1, keepdims=True) * np.array(self.tint, np.float32)
        texture = np.clip((1 - self.tinted) * own + 2 * self.tinted * tinted, 0, 1)
        return ObjectMesh(
            mesh.name,
            mesh.vertices,
            mesh.faces,
            mesh.corner_uv,
            np.round(texture * 255).astype(np.uint8),
            self.gloss,
        )


@dataclass(frozen=True, eq=False)
class Choices:
    """The choices of one variation, which depend only on its seed and the recording.

    noise: seed of the generative noise; side, betas [10] (of the default hand): the hand in the
    hand reference; camera: in the poses' world, in the first frame; camera_track [F, 4, 4]:
    camera_from_world of each frame, None for a fixed camera; table_from_world [4, 4]: the table top
    is z = 0; moved: how the recorded camera was moved (radians, and the factor of its distance).
    """

    seed: int
    noise: int
    skin_index: int
    room: Room
    response: Response
    objects: dict[str, ObjectMaterial]
    side: Side
    betas: NDArray[np.float32]
    camera: Camera
    table_from_world: Array
    moved: dict[str, float]
    camera_track: Array | None = None

    def camera_in(self, index: int) -> Camera:
        """The camera in a frame."""
        if self.camera_track is None:
            return self.camera
        return replace(self.camera, camera_from_world=self.camera_track[index])

    @cached_property
    def skin(self) -> Skin:
        """The hands' skin and sleeve."""
        return skin('train', self.skin_index)

    def to_json(self) -> dict[str, Any]:
        """The choices as JSON for an episode's provenance."""
        lamps = [
            {
                'position_m': _numbers(lamp.position),
                'radius_m': float(lamp.radius),
                'intensity': _numbers(lamp.intensity),
            }
            for lamp in self.room.lamps
        ]
        return {
            'seed': self.seed,
            'noise_seed': self.noise,
            'skin': {'index': self.skin_index, 'tone': round(self.skin.tone, 6)},
            'hand_reference': {'side': self.side},
            'objects': {name: asdict(material) for name, material in self.objects.items()},
            'light': {'lamps': lamps, 'exposure': _numbers(self.room.exposure)},
            'background': {'table_radiance': _numbers(self.room.below)},
            'photograph': asdict(self.response),
            'camera': {
                **{name: round(value, 6) for name, value in self.moved.items()},
                'intrinsics': _numbers(self.camera.intrinsics),
                'camera_from_world': _numbers(self.camera.camera_from_world),
                'moving': self.camera_track is not None,
            },
        }


def choose(
    motion: Motion, seed: int, source: int, moves: bool = True, table: Array | None = None
) -> Choices:
    """The choices of a seed; source: a number that identifies the recording.

    Frames have the size of `camera_of`. moves: whether the camera gets another pose. table [4, 4]:
    table_from_world, that of another camera of the scene; None: chosen by this camera's view.
    Of one scene, all cameras get the same choices, and move together.
    """
    rng = generator('train', 40, seed, source)
    sides = [side for side in SIDES if side in motion.hands] or ['right']
    side = sides[int(rng.integers(len(sides)))]
    track = motion.hands.get(side)
    recorded, camera_track = camera_of(motion), motion.camera_track
    table = table_under(motion, recorded) if table is None else table
    if camera_track is None:
        camera, moved = move_camera(rng, recorded, table, middle(motion))
    else:
        camera_track, moved = move_mount(rng, motion, table)
        camera = replace(recorded, camera_from_world=camera_track[0])
    if not moves:
        camera, camera_track, moved = recorded, motion.camera_track, {}
    betas = np.zeros(10, np.float32)
    if track is not None and motion.hand_model == 'default':
        betas = np.asarray(track.betas, np.float32)
    return Choices(
        seed=seed,
        noise=int(rng.integers(2**32)),
        skin_index=int(rng.integers(SKINS)),
        room=random_room(rng),
        response=random_response(rng),
        objects=random_materials(rng, motion.objects),
        side=side,
        betas=betas,
        camera=camera,
        table_from_world=table,
        moved=moved,
        camera_track=camera_track,
    )


def random_materials(
    rng: np.random.Generator, objects: Mapping[str, object]
) -> dict[str, ObjectMaterial]:
    """A material for each object, by id."""
    return {
        name: ObjectMaterial(
            hue=round(float(rng.uniform(-180, 180)), 3),
            saturation=round(float(rng.uniform(0.5, 1.4)), 4),
            brightness=round(float(rng.uniform(0.6, 1.25)), 4),
            tint=tuple(round(float(c), 4) for c in rng.uniform(0.1, 0.95, 3)),  # type: ignore[arg-type]
            tinted=round(float(rng.uniform(0, 0.7)), 4),
            gloss=round(float(rng.uniform(0.05, 0.8)), 4),
        )
        for name in objects
    }


def move_camera(
    rng: np.random.Generator,
    camera: Camera,
    table_from_world: Array,
    centre: Array,  # [3] in the world: the centre of rotation
) -> tuple[Camera, dict[str, float]]:
    """The camera moved around the action at another distance, and its motion."""
    turn = {
        'azimuth': float(rng.uniform(-AZIMUTH, AZIMUTH)),
        'elevation': float(rng.uniform(-ELEVATION, ELEVATION)),
        'roll': float(rng.uniform(-ROLL, ROLL)),
        'distance': float(rng.uniform(*DISTANCE)),
    }
    moved = _carried(camera, table_from_world, centre, **turn)
    if _eye_height(moved, table_from_world) < LOWEST_EYE:
        turn['elevation'] = abs(turn['elevation'])
        moved = _carried(camera, table_from_world, centre, **turn)
    return moved, turn


def move_mount(
    rng: np.random.Generator, motion: Motion, table_from_world: Array
) -> tuple[Array, dict[str, float]]:
    """A moving camera mounted elsewhere: its track [F, 4, 4], and the motion of the mount.

    The middle frame's camera moves as a fixed one does, around the action as that frame sees it;
    all frames get the same offset in the camera's own frame. It is reduced if the camera would
    otherwise come closer to the table than LOWEST_EYE, or than it was recorded.
    """
    assert motion.camera_track is not None
    track, camera = np.asarray(motion.camera_track, np.float64), camera_of(motion)
    half = len(track) // 2
    seen = [transform_points(track[index], action) for index, action in _actions(motion)]
    points = np.concatenate([p for p in seen if len(p)] or [np.zeros((1, 3))])
    centre = transform_points(invert_rigid(track[half]), np.median(points, axis=0)[None])[0]
    recorded = replace(camera, camera_from_world=track[half])
    _, turn = move_camera(rng, recorded, table_from_world, centre)
    eyes = [_eye_height(replace(camera, camera_from_world=c), table_from_world) for c in track]
    lowest = min(LOWEST_EYE, *eyes)
    for part in (1.0, 0.5, 0.25, 0.0):
        less = {name: part * value for name, value in turn.items()}
        less['distance'] = 1 + part * (turn['distance'] - 1)
        moved = _carried(recorded, table_from_world, centre, **less)
        offset = moved.camera_from_world @ invert_rigid(track[half])
        out = offset @ track
        heights = [_eye_height(replace(camera, camera_from_world=c), table_from_world) for c in out]
        if min(heights) >= lowest - 1e-9:
            break
    return out, less


def _carried(
    camera: Camera,
    table_from_world: Array,
    centre: Array,
    azimuth: float,
    elevation: float,
    roll: float,
    distance: float,
) -> Camera:
    old = np.asarray(camera.camera_from_world, np.float64)
    up, across, along = table_from_world[2, :3], old[0, :3], old[2, :3]
    # Elevation is about the image's x axis; positive raises the camera.
    turns = (azimuth * up, elevation * -across, roll * along)
    about = np.eye(3)
    for turn in turns:
        about = axis_angle_to_matrix(turn) @ about
    carry = rigid(about, centre - about @ centre)
    new = old @ invert_rigid(carry)
    depth = float(transform_points(new, centre[None])[0, 2])
    new[2, 3] += (distance - 1) * max(depth, 0.0)
    return Camera(camera.intrinsics, new, camera.width, camera.height)


def _eye_height(camera: Camera, table_from_world: Array) -> float:
    """Height of the camera above the table, metres."""
    eye = invert_rigid(camera.camera_from_world)[:3, 3]
    return float(transform_points(table_from_world, eye[None])[0, 2])


def middle(motion: Motion) -> Array:
    """The centre [3] of an episode's action in the world."""
    points = np.concatenate([action for _, action in _actions(motion)])
    if len(points) == 0:
        return np.zeros(3)
    return 0.5 * (points.min(0) + points.max(0))


def _actions(motion: Motion) -> list[tuple[int, Array]]:
    """World points [N, 3] of hands, objects and robots in frames spread over a motion, by index."""
    chosen = np.unique(np.linspace(0, len(motion) - 1, 40).astype(int)).tolist()
    found = []
    for index in chosen:
        hands, objects = motion.frame(index)
        robots = motion.robots_in(index).values()
        found.append((index, action_points(hands, objects.values(), robots)))
    return found


def _numbers(array: Any) -> Any:
    return np.round(np.asarray(array, np.float64), 6).tolist()
