"""Shadows that hands and objects cast on the support plane, under a scene's light.

The light is a lamp and a dome of LIGHTS directions over the plane, each with a map of what stands
nearest to it; what they hide darkens the background, as a factor on half the network's grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing import shadow_kernels as kernels
from manivideo_ros.drawing.shadow_kernels import SIDE, Stage
from manivideo_ros.geometry import Array, Camera, invert_rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.bands import run_bands
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.staging import Staging
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream

DOME = 10
LIGHTS = 1 + DOME
DOME_SIZE = 0.3  # angular radius of a direction of the dome, radians
HAND_RADIUS = 0.25  # metres around the wrist, with part of the forearm
REACH = (0.2, 0.9)  # metres, least and greatest radius of what casts shadows


class PlaneShadows:
    """Shadows of posed surfaces on the support plane. Not thread-safe.

    columns, rows: of the network's grid. map: torch tensor [rows / 2, columns / 2, 3] on the
    device, the relative change of the background's sRGB values, 0 where there is no shadow.
    """

    def __init__(self, posed: PosedSurfaces, columns: int, rows: int) -> None:
        self._posed, self._device = posed, posed.device
        load_kernels(self._device, kernels)
        self._radii = [radius_of(surface) for surface in posed.surfaces]
        self._stage = Stage()
        self._stage.columns, self._stage.rows = columns // 2, rows // 2
        layout = {
            'axes': ((LIGHTS,), wp.mat33),
            'share': ((LIGHTS,), wp.vec3),
            'spread': ((LIGHTS,), wp.float32),
        }
        self._staging = Staging(layout, self._device)
        self._heights = torch.empty(LIGHTS, int(SIDE) ** 2, device=self._device)
        self.map = torch.zeros(rows // 2, columns // 2, 3, device=self._device)
        names = ('present', 'faces', 'vertices')
        self._arrays = {
            **{name: posed.arrays[name] for name in names},
            **self._staging.arrays,
            'face_surface': posed.arrays['face_surface'],
            'heights': wp.from_torch(self._heights),
            'shadow': wp.from_torch(self.map.flatten(0, 1), dtype=wp.vec3),
        }

    def place(
        self,
        camera: Camera,
        crop: Crop,
        plane: NDArray[np.floating],
        light: Light | None,
        poses: Sequence[SurfacePose],
    ) -> None:
        """Write a frame's camera, plane [4] and light (all in the world), for `draw`.

        light: None for one that comes from straight above the plane.
        """
        stage = self._stage
        k = crop.camera(camera, stage.columns, stage.rows).intrinsics
        stage.ray = wp.vec4(1 / k[0, 0], -k[0, 2] / k[0, 0], 1 / k[1, 1], -k[1, 2] / k[1, 1])
        matrix = np.asarray(camera.camera_from_world, np.float64)
        in_camera = np.asarray(plane, np.float64) @ invert_rigid(matrix)
        stage.plane = wp.vec4(*in_camera.tolist())
        centre, stage.reach = sphere_of(poses, self._radii)
        stage.centre = wp.vec3(*(matrix[:3, :3] @ centre + matrix[:3, 3]).tolist())
        normal = in_camera[:3]
        light = from_above(normal) if light is None else light.turned(matrix[:3, :3])
        towards, share, spread = lights_of(light, normal)
        host = self._staging.writable()
        host['axes'][:] = [axes_of(direction) for direction in towards]
        host['share'][:], host['spread'][:] = share, spread
        stage.lights = LIGHTS

    def draw(self) -> None:
        """Draw the shadows of the surfaces as they were last posed to `map`."""
        with on_torch_stream(self._device):
            self._staging.upload()
            self._heights.fill_(float(kernels.NOTHING))
            faces, rows = len(self._posed.faces), self._stage.rows
            if faces:
                run_bands(lambda k: self._cast(k, faces), LIGHTS, self._posed.threads)
            if not self._posed.on_cpu:
                self._shade(0, rows * self._stage.columns, self._stage.columns)
                return
            bands = 4 * self._posed.threads
            edges = np.linspace(0, rows, bands + 1).astype(int).tolist()
            run_bands(
                lambda b: self._shade(edges[b], edges[b + 1] - edges[b], 1),
                bands,
                self._posed.threads,
            )

    def _cast(self, light: int, faces: int) -> None:
        self._run(kernels.cast_shadows, faces, {'light': light})

    def _shade(self, first: int, size: int, chunks: int) -> None:
        self._run(kernels.shade_plane, size, {'first_row': first, 'chunks': chunks})

    def _run(self, kernel: wp.Kernel, size: int, numbers: dict[str, int]) -> None:
        found = {**self._arrays, 'stage': self._stage, **numbers}
        inputs = [found[argument.label] for argument in kernel.adj.args]
        wp.launch(kernel, size, inputs, device=self._device, record_tape=False)


def radius_of(surface: Surface) -> float:
    """The radius around a surface's origin of what casts a shadow, metres."""
    if surface.hand is not None or not len(surface.vertices):
        return HAND_RADIUS
    return float(np.linalg.norm(surface.vertices, axis=1).max())


def sphere_of(poses: Sequence[SurfacePose], radii: Sequence[float]) -> tuple[Array, float]:
    """Centre [3] and radius of a sphere around posed surfaces, in the world, metres."""
    at, around = [], []
    for pose, radius in zip(poses, radii, strict=True):
        if pose is not None:
            hand = isinstance(pose, HandState)
            at.append(pose.wrist_position if hand else np.asarray(pose)[:3, 3])
            around.append(radius if hand else radius * np.linalg.norm(np.asarray(pose)[:3, 0]))
    if not at:
        return np.zeros(3), REACH[0]
    centre = np.mean(at, 0)
    reach = np.linalg.norm(np.asarray(at) - centre, axis=1) + around
    return centre, float(np.clip(reach.max(), *REACH))


def from_above(normal: Array) -> Light:
    """The light that is assumed where none is known."""
    return Light(np.asarray(normal, np.float64), np.full(3, 0.5), np.full(3, 0.5), 0.2)


def lights_of(light: Light, normal: Array) -> tuple[Array, Array, Array]:
    """Directions [K, 3], shares of the plane's light [K, 3] and tangents of the sizes [K].

    The first is the lamp, which is left out below the plane; the others are a dome of directions
    whose density is that of the light that reaches the plane from an even sky.
    """
    index = np.arange(DOME) + 0.5
    radius, angle = np.sqrt(index / DOME), index * float(kernels.GOLDEN)
    across, along, up = axes_of(normal)
    flat = (radius * np.cos(angle))[:, None] * across + (radius * np.sin(angle))[:, None] * along
    dome = flat + np.sqrt(1 - radius**2)[:, None] * up
    lamp = light.lamp * max(float(light.towards @ np.asarray(normal)), 0.0)
    total = np.maximum(lamp + light.ambient, 1e-6)
    share = np.concatenate([(lamp / total)[None], np.tile(light.ambient / total / DOME, (DOME, 1))])
    spread = np.tan([light.size, *[DOME_SIZE] * DOME])
    return np.concatenate([light.towards[None], dome]), share, spread


def axes_of(towards: Array) -> NDArray[np.float64]:
    """An orthonormal basis [3, 3] whose last row is a unit vector [3]."""
    z = np.asarray(towards, np.float64)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])
