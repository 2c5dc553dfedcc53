"""The colours of a robot's links and the light on it, from recorded images and joint states.

Irradiance is a second-order function of the normal (Ramamoorthi and Hanrahan, SIGGRAPH 2001), in
linear light, without shadows; each link has one colour for each that its URDF gives it. Light and
colours are fitted in turns, as those of skin are (data/recorded/skin.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.light import Light
from manivideo_ros.data.recorded.background import Background
from manivideo_ros.data.recorded.skin import as_light, shade_of
from manivideo_ros.data.recorded.skin_samples import exposure
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.room import harmonic_basis
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, object_surface, robot_surface
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.recolouring import Colours, FaceColours, face_colours

TURNS = 8
RIDGE = 0.003
"""Weight of small coefficients of the light."""
EDGE = 3
"""Pixels beside an outline that are left out: poses are not exact."""
GRAZING = 0.25
"""Cosine to the line of sight below which a pixel is not used."""
MOST = 4000
"""Pixels of a frame."""
LEAST = 2000
"""Pixels from which light and colours are fitted."""
SEEN = 60
"""Pixels from which a link's colour is seen; others are changed as those that are seen are."""
DARKEST = 0.004
"""Linear albedo, at least: a black material in a URDF may be grey."""
CLIPPED = 250
"""sRGB from which a pixel may be brighter than the camera shows."""


@dataclass(frozen=True, eq=False)
class RobotLook:
    """What recorded images show of a robot.

    colours: sRGB by link and given colour, as they are where they face the camera; seen: how many
    of them; light: in the camera's frame.
    """

    colours: Colours
    seen: int
    light: Light


class LookSamples:
    """Collects the pixels of a robot in images. behind: the background without it."""

    def __init__(
        self, model: RobotModel, meshes: list[ObjectMesh], camera: Camera, behind: Background
    ) -> None:
        self.faces: FaceColours = face_colours(model)
        self._behind, self._camera, self._robot = behind, camera, len(model.faces)
        surfaces = [robot_surface(model), *(object_surface(mesh) for mesh in meshes)]
        self._view = Rasterizer(surfaces, camera.width, camera.height, threads=1, merge=True)
        self._key = np.full(len(self._view.faces) + 1, -1)
        self._key[: self._robot] = self.faces.of_face
        rows, columns = np.indices((camera.height, camera.width))
        rays = np.stack([columns + 0.5, rows + 0.5, np.ones_like(rows)], -1)
        rays = rays @ np.linalg.inv(camera.intrinsics).T
        self._rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        self._random = np.random.default_rng(0)
        self.keys: list[NDArray[np.int64]] = []
        self.normals: list[Array] = []
        self.colours: list[Array] = []

    def add(self, image: NDArray[np.uint8], robot: SurfacePose, objects: list[SurfacePose]) -> None:
        """Add an image [H, W, 3] in which robot and objects have these poses."""
        layers = self._view.render(self._camera, [robot, *objects])
        face = layers.face_index[0].numpy()
        key = self._key[face]
        # One link beside another, or an edge of it, is not certain.
        kernel = np.ones((2 * EDGE + 1,) * 2, np.uint8)
        shifted = (key + 1).astype(np.uint16)
        inner = cv2.erode(shifted, kernel) == cv2.dilate(shifted, kernel)
        normal = layers.visible_normal.permute(1, 2, 0).numpy().astype(np.float64)
        cosine = -(normal * self._rays).sum(-1)
        good = inner & (key >= 0) & (cosine > GRAZING) & (image < CLIPPED).all(-1)
        places = np.flatnonzero(good)
        places = self._random.choice(places, min(len(places), MOST), replace=False)
        gain = exposure(image, (face >= 0).astype(np.int64), self._behind)
        self.keys.append(key.reshape(-1)[places])
        self.normals.append(normal.reshape(-1, 3)[places])
        self.colours.append(srgb_to_linear(image.reshape(-1, 3)[places] / 255) / gain)

    def look(self) -> RobotLook | None:
        """The look of the robot; None if too little of it is seen."""
        key = np.concatenate([np.zeros(0, np.int64), *self.keys])
        if len(key) < LEAST:
            return None
        given = np.array([_parsed(colour) for _, colour in self.faces.keys])
        start = np.maximum(srgb_to_linear(given / 255), DARKEST)
        normals, colour = np.concatenate(self.normals), np.concatenate(self.colours)
        albedo, light = _in_turns(key, normals, colour.astype(np.float64), start)
        count = np.bincount(key, minlength=len(start))
        known = count >= SEEN
        if not known.any():
            return None
        change = np.log(albedo[known] / start[known])
        albedo[~known] = start[~known] * np.exp(np.average(change, 0, count[known]))
        facing = shade_of(np.array([[0.0, 0.0, -1.0]]), light)
        shown = np.clip(encode_srgb(np.clip(albedo * facing, 0, 1)), 0, 255).astype(int).tolist()
        colours = {k: (c[0], c[1], c[2]) for k, c in zip(self.faces.keys, shown, strict=True)}
        return RobotLook(colours, int(known.sum()), as_light(light))


def _in_turns(
    key: NDArray[np.int64], normals: Array, colour: Array, start: Array
) -> tuple[Array, Array]:
    """Albedo [M, 3] and light [9, 3]; the albedo is as bright as at the start, on the whole."""
    terms = harmonic_basis(normals).astype(np.float64)
    count = np.bincount(key, minlength=len(start))
    albedo, light = start.copy(), np.zeros((9, 3))
    for _ in range(TURNS):
        for channel in range(3):
            under = terms * albedo[key, channel, None]
            scale = float((albedo[key, channel] ** 2).mean())
            normal = under.T @ under + RIDGE * scale * len(key) * np.eye(9)
            light[:, channel] = np.linalg.solve(normal, under.T @ colour[:, channel])
            shade = np.maximum(terms @ light[:, channel], 1e-3)
            total = np.bincount(key, colour[:, channel] * shade, len(start))
            power = np.bincount(key, shade**2, len(start))
            seen = count > 0
            albedo[seen, channel] = np.maximum(total[seen] / power[seen], DARKEST)
            # Which of them is bright is not determined by the images: the URDF says it.
            change = np.log(albedo[seen, channel] / start[seen, channel])
            offset = np.average(change, weights=count[seen])
            albedo[seen, channel] *= np.exp(-offset)
            light[:, channel] *= np.exp(offset)
    return albedo, light


def _parsed(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
