"""Maps of what stands nearest to each light: a lamp, and a dome of directions over the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.lighting import kernels
from manivideo_ros.drawing.lighting.casters import (
    hides_as_closed,
    joined_casters,
    lamp_casters,
    sky_casters,
)
from manivideo_ros.drawing.lighting.finish import finishes, unit_of
from manivideo_ros.drawing.lighting.kernels import SIDE, Stage
from manivideo_ros.geometry import Array, Camera, invert_rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.bands import run_bands
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces, recorded
from manivideo_ros.mlo.staging import Staging
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels
from manivideo_ros.robot.state import RobotState

DOME = 10
LIGHTS = 1 + DOME
DOME_SIZE = 0.3  # angular radius of a direction of the dome, radians
HAND_RADIUS = 0.25  # metres around the wrist, with part of the forearm
REACH = (0.2, 0.9)  # metres, least and greatest radius of what casts shadows
SHUFFLE = 7  # so that rays beside each other step at other heights
UPWARD = 0.5  # a camera does not look up by more: such a world has another axis up than z


class LightMaps:
    """Light maps of posed surfaces, on their device. Not thread-safe.

    columns, rows: of the network's grid. shadow: torch tensor [rows / 2, columns / 2, 3], the
    relative change of the background's sRGB values by shadows on the support plane, 0 where there
    are none. arrays: Warp arrays for kernels, by their arguments' names.
    """

    def __init__(self, posed: PosedSurfaces, columns: int, rows: int) -> None:
        self._posed, self._device = posed, posed.device
        load_kernels(self._device, kernels)
        self._radii = [radius_of(surface) for surface in posed.surfaces]
        self._columns, self._rows = columns // 2, rows // 2
        layout: dict[str, tuple[tuple[int, ...], Any]] = {
            'stage': ((1,), Stage),
            'axes': ((LIGHTS,), wp.mat33),
            'share': ((LIGHTS,), wp.vec3),
            'spread': ((LIGHTS,), wp.float32),
            'ball': ((16,), wp.vec3),
        }
        self._staging = Staging(layout, self._device)
        self._heights = torch.empty(LIGHTS, int(SIDE) ** 2, device=self._device)
        nothing = torch.tensor([int(SIDE), int(SIDE), -1, -1], dtype=torch.int32)
        self._no_bounds = nothing.repeat(LIGHTS, 1).to(self._device)
        self._bounds = self._no_bounds.clone()
        self.shadow = torch.zeros(self._rows, self._columns, 3, device=self._device)
        self._dome_shadow = torch.zeros(self._rows // 2, self._columns // 2, 3).to(self._device)
        closed = [hides_as_closed(surface) for surface in posed.surfaces]
        self.arrays: dict[str, Any] = {
            **{name: posed.arrays[name] for name in ('present', 'vertices')},
            **self._staging.arrays,
            'closed': wp.array(closed, dtype=wp.int32, device=self._device),
            'finish': wp.array(finishes(posed.surfaces), dtype=wp.vec3, device=self._device),
            'heights': wp.from_torch(self._heights),
            'spiral': wp.array(discs(), dtype=wp.vec3, device=self._device),
            'bounds': wp.from_torch(self._bounds),
            'shadow': wp.from_torch(self.shadow.flatten(0, 1), dtype=wp.vec3),
            'dome_shadow': wp.from_torch(self._dome_shadow.flatten(0, 1), dtype=wp.vec3),
        }
        self._record()

    def place(
        self,
        camera: Camera,
        crop: Crop,
        poses: Sequence[SurfacePose],
        light: Light | None,
        plane: NDArray[np.floating] | None,
    ) -> None:
        """Write a frame's camera, light and support plane [4] (in the world), for `draw`.

        light: None for one from straight above. plane: None where shadows fall on nothing.
        """
        matrix = np.asarray(camera.camera_from_world, np.float64)
        up = matrix[:3, :3] @ up_of(camera)
        support = np.zeros(4)
        if plane is not None:
            support = np.asarray(plane, np.float64) @ invert_rigid(matrix)
            up = support[:3]
        light = from_above(up) if light is None else light.turned(matrix[:3, :3])
        centre, reach = sphere_of(poses, self._radii)
        k = crop.camera(camera, self._columns, self._rows).intrinsics
        ray = 1 / k[0, 0], -k[0, 2] / k[0, 0], 1 / k[1, 1], -k[1, 2] / k[1, 1]
        at = matrix[:3, :3] @ centre + matrix[:3, 3]
        towards, share, spread = lights_of(light, up)
        host = self._staging.writable()
        unit = unit_of(light)
        host['stage'][0] = (LIGHTS, reach, at, support, ray, light.lamp, light.ambient, unit)
        host['axes'][:] = axes_of(towards)
        host['share'][:], host['spread'][:] = share, spread
        host['ball'][:] = light.ball

    def draw(self) -> None:
        """Draw the maps of the surfaces as they were last posed, and the plane's shadows.

        On CUDA on torch's current stream, which must be Warp's; a CUDA graph may capture it.
        """
        self._staging.upload()
        self._heights.fill_(float(kernels.NOTHING))
        self._bounds.copy_(self._no_bounds)
        for launches in (self._casts, self._bound, self._dome_shades, self._shades):
            run_launches(launches, self._posed.threads)

    def recorded_rows(
        self, kernel: wp.Kernel, rows: int, columns: int, arguments: dict[str, Any]
    ) -> list[wp.Launch]:
        """Launches of a kernel over all cells: in bands of rows on the CPU, else one."""
        found = {**self.arrays, 'columns': columns, **arguments}
        if not self._posed.on_cpu:
            found |= {'first_row': 0, 'chunks': columns}
            return [recorded(kernel, rows * columns, found, self._device)]
        edges = np.linspace(0, rows, 4 * self._posed.threads + 1).astype(int).tolist()
        return [
            recorded(kernel, end - first, {**found, 'first_row': first, 'chunks': 1}, self._device)
            for first, end in pairwise(edges)
        ]

    def _record(self) -> None:
        each = 1 if self._posed.on_cpu else LIGHTS
        self._casters: list[wp.array] = []  # launches do not keep their arrays
        self._casts = [
            launch
            for casters_of, lights in ((lamp_casters, range(1)), (sky_casters, range(1, LIGHTS)))
            for launch in self._recorded_casts(casters_of, lights)
        ]
        self._bound = [
            recorded(
                kernels.bound_maps, each * int(SIDE), {**self.arrays, 'first': light}, self._device
            )
            for light in range(0, LIGHTS, each)
        ]
        rows, columns = self._dome_shadow.shape[:2]
        self._dome_shades = self.recorded_rows(kernels.shade_by_dome, rows, columns, {})
        of_dome = {'dome_columns': columns, 'dome_rows': rows}
        self._shades = self.recorded_rows(kernels.shade_plane, self._rows, self._columns, of_dome)

    def _recorded_casts(
        self, casters_of: Callable[[Surface], NDArray[np.int32]], lights: range
    ) -> list[wp.Launch]:
        """Launches that draw the maps of lights by their casters: one per light on the CPU."""
        casters, of = joined_casters(self._posed.surfaces, casters_of)
        faces = wp.array(casters, dtype=wp.vec3i, device=self._device)
        face_surface = wp.array(of, dtype=wp.int32, device=self._device)
        self._casters += [faces, face_surface]
        arrays = {**self.arrays, 'faces': faces, 'face_surface': face_surface}
        found = {**arrays, 'count': len(casters)}
        each = 1 if self._posed.on_cpu else len(lights)
        return [
            recorded(
                kernels.cast_shadows, each * len(casters), {**found, 'first': light}, self._device
            )
            for light in range(lights.start, lights.stop, each)
            if len(casters)
        ]


def run_launches(launches: Sequence[wp.Launch], threads: int) -> None:
    """Run launches that do not depend on each other."""
    run_bands(lambda index: launches[index].launch(), len(launches), threads)


def discs() -> NDArray[np.float32]:
    """Rays to a light's disc, by their number [RAYS + 1, RAYS, 3]: x, y of a point of a unit disc
    (Vogel's spiral), and the height of the first step along it, metres, which differs from ray to
    ray.
    """
    most = int(kernels.RAYS)
    out = np.zeros((most + 1, most, 3), np.float32)
    for count in range(1, most + 1):
        index = np.arange(count)
        radius, angle = np.sqrt((index + 0.5) / count), index * float(kernels.GOLDEN)
        share = (index * SHUFFLE % count + 0.5) / count
        first = float(kernels.FIRST) * float(kernels.RATIO) ** share
        out[count, :count] = np.stack([radius * np.cos(angle), radius * np.sin(angle), first], 1)
    return out


def radius_of(surface: Surface) -> float:
    """The radius around a surface's origin of what casts a shadow, metres."""
    if surface.hand is not None or not len(surface.vertices):
        return HAND_RADIUS
    return float(np.linalg.norm(surface.vertices, axis=1).max())


def sphere_of(poses: Sequence[SurfacePose], radii: Sequence[float]) -> tuple[Array, float]:
    """Centre [3] and radius of a sphere around posed surfaces, in the world, metres."""
    at, around = [], []
    for pose, radius in zip(poses, radii, strict=True):
        if pose is None:
            continue
        if isinstance(pose, RobotState):
            at.append(pose.middle)
            around.append(pose.reach)
        elif isinstance(pose, HandState):
            at.append(np.asarray(pose.wrist_position, np.float64))
            around.append(radius)
        else:
            matrix = np.asarray(pose, np.float64)
            at.append(matrix[:3, 3])
            around.append(radius * float(np.linalg.norm(matrix[:3, 0])))
    if not at:
        return np.zeros(3), REACH[0]
    centre = np.mean(at, 0)
    reach = np.linalg.norm(np.asarray(at) - centre, axis=1) + around
    return centre, float(np.clip(reach.max(), *REACH))


def up_of(camera: Camera) -> Array:
    """The direction upwards [3] in the world: z, as REP-103 has it, or that of the camera's image
    in a world whose z it looks along.
    """
    rotation = np.asarray(camera.camera_from_world, np.float64)[:3, :3]
    return -rotation[1] if rotation[2, 2] > UPWARD else np.array([0.0, 0.0, 1.0])


def from_above(up: Array) -> Light:
    """The light that is assumed where none is known, from a direction [3]."""
    return Light(np.asarray(up, np.float64), np.full(3, 0.5), np.full(3, 0.5), 0.2)


def lights_of(light: Light, up: Array) -> tuple[Array, Array, Array]:
    """Directions [K, 3], shares of the light of a surface that faces up [K, 3], and tangents of the
    angular radii [K].

    The first is the lamp, which such a surface does not receive from below; the others are a dome
    of directions whose density is that of the light that it receives from an even sky.
    """
    index = np.arange(DOME) + 0.5
    radius, angle = np.sqrt(index / DOME), index * float(kernels.GOLDEN)
    across, along, upward = axes_of(up)
    flat = (radius * np.cos(angle))[:, None] * across + (radius * np.sin(angle))[:, None] * along
    dome = flat + np.sqrt(1 - radius**2)[:, None] * upward
    lamp = light.lamp * max(float(light.towards @ np.asarray(up)), 0.0)
    total = np.maximum(lamp + light.ambient, 1e-6)
    share = np.concatenate([(lamp / total)[None], np.tile(light.ambient / total / DOME, (DOME, 1))])
    spread = np.tan([light.size, *[DOME_SIZE] * DOME])
    return np.concatenate([light.towards[None], dome]), share, spread


def axes_of(towards: Array) -> NDArray[np.float64]:
    """Orthonormal bases [..., 3, 3] whose last rows are unit vectors [..., 3]."""
    z = np.asarray(towards, np.float64)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin(-1)])
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], -2)
