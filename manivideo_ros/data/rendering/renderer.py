"""Ground-truth renderer: shades a rasterized scene under the light of its room, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import warp as wp
from numpy.typing import NDArray

from manivideo_ros.data.rendering import shading
from manivideo_ros.data.rendering.kernels import Lamps, Surroundings
from manivideo_ros.data.scenes.camera_response import BRIGHTEST
from manivideo_ros.data.scenes.room import MAX_LAMPS, Room
from manivideo_ros.data.scenes.surfels import DiscSet
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.geometry import (
    Array,
    Camera,
    invert_rigid,
    look_at,
    pinhole,
    rigid,
    transform_points,
)
from manivideo_ros.hand.arm.bones import arm_axis
from manivideo_ros.hand.arm.direction import with_arm
from manivideo_ros.hand.arm.mesh import beside_hand
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import prepare_warp
from manivideo_ros.robot.state import RobotState

SHADOW_SIZE = 384
GRID_CELLS = 48
LINEAR = srgb_to_linear(np.arange(256) / 255)


@dataclass(frozen=True, eq=False)
class SurfaceMaterial:
    """The material of one surface.

    texture: albedo u8 [T, T, 3], sRGB; kind [F] int32 (kernels.MATERIAL_*); gloss, metal 0..1,
    or [F] of each face; discs: an approximation of the surface for indirect light.
    """

    texture: NDArray[np.uint8]
    kind: NDArray[np.int32]
    gloss: float | NDArray[np.floating]
    discs: DiscSet
    metal: float | NDArray[np.floating] = 0.0


def _pack(texture: NDArray[np.uint8]) -> NDArray[np.uint32]:
    rgba = np.zeros((*texture.shape[:2], 4), np.uint8)
    rgba[..., :3] = texture
    return rgba.view(np.uint32).ravel()


def _each(values: Sequence[float | NDArray[np.floating]], counts: Sequence[int]) -> NDArray:
    """Values of the faces of all surfaces [F], given by surface or by face."""
    return np.concatenate([np.broadcast_to(v, n) for v, n in zip(values, counts, strict=True)])


def _vec3(array: NDArray) -> wp.array:
    return wp.array(np.ascontiguousarray(array, np.float32), dtype=wp.vec3, device='cpu')


def table_albedo(room: Room, camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth [H, W] (0 outside the table) and linear albedo [H, W, 3] of the table."""
    width, height = camera.width, camera.height
    k = np.asarray(camera.intrinsics, np.float32)
    world = invert_rigid(camera.camera_from_world).astype(np.float32)
    eye = world[:3, 3]
    x = (np.arange(width, dtype=np.float32) + 0.5 - k[0, 2]) / k[0, 0]
    y = (np.arange(height, dtype=np.float32) + 0.5 - k[1, 2]) / k[1, 1]
    # Ray directions per unit of depth, one world component at a time.
    rx, ry, rz = (
        world[i, 0] * x[None, :] + world[i, 1] * y[:, None] + world[i, 2] for i in range(3)
    )
    depth = -eye[2] / np.minimum(rz, -1e-4)
    px, py = eye[0] + rx * depth, eye[1] + ry * depth
    edge = room.table_edge
    seen = (rz < -1e-3) & (edge[0] * px + edge[1] * py < edge[2]) & (depth < 12)
    depth = np.where(seen, depth, 0)
    m = room.texture_from_world
    u = m[0, 0] * px + m[0, 1] * py + m[0, 2]
    v = m[1, 0] * px + m[1, 1] * py + m[1, 2]
    u, v = u - np.floor(u), v - np.floor(v)
    texture: NDArray = room.table.albedo
    size = texture.shape[0]
    slope = np.abs(rz) / np.sqrt(rx * rx + ry * ry + rz * rz)
    footprint = depth / k[0, 0] / np.sqrt(np.maximum(slope, 0.05)) / room.table.period * size
    level = np.clip(np.log2(np.maximum(footprint, 1e-3)), 0, 4)
    albedo = np.zeros((height, width, 3), np.float32)
    last = min(4, int(np.ceil(level[seen].max()))) if seen.any() else 0
    for i in range(last + 1):
        weight = np.maximum(1 - np.abs(level - i), 0)
        if weight.max() > 0:
            side = texture.shape[0]
            image = cv2.remap(
                texture, u * side - 0.5, v * side - 0.5, cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )  # fmt: skip
            albedo += image * weight[..., None]
        texture = cv2.resize(texture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return depth.astype(np.float32), albedo


class Renderer:
    """Shades images of width x height pixels, both even; reusable for many scenes."""

    def __init__(self, width: int, height: int) -> None:
        shape = (height, width)
        prepare_warp()
        self.table = shading.Table()
        self.table.albedo = wp.zeros(shape, dtype=wp.vec3, device='cpu')
        self.table.rest = wp.zeros(shape, dtype=wp.vec3, device='cpu')
        self.table.mirror = wp.zeros(shape, dtype=wp.vec3, device='cpu')
        self.table.lit = wp.zeros((MAX_LAMPS, *shape), dtype=wp.vec3, device='cpu')
        self.table.seen = wp.zeros((height // 2, width // 2), dtype=wp.vec3, device='cpu')
        self.table.grid = wp.zeros((GRID_CELLS, GRID_CELLS), dtype=wp.vec4, device='cpu')
        self.image = wp.zeros(shape, dtype=wp.vec3, device='cpu')
        self.shadow_map = wp.zeros(
            (MAX_LAMPS, SHADOW_SIZE, SHADOW_SIZE), dtype=wp.float32, device='cpu'
        )
        spiral = np.zeros((2, 12, 2), np.float32)
        for fine, count in enumerate((8, 12)):  # Vogel's spiral
            i = np.arange(count) + 0.5
            at = np.stack([np.cos(i * 2.3999632), np.sin(i * 2.3999632)], -1)
            spiral[fine, :count] = at * np.sqrt(i / count)[:, None]
        self.spiral = wp.array(spiral, dtype=wp.vec2, device='cpu')
        self.linear = wp.array(LINEAR, dtype=wp.float32, device='cpu')

    def set_view(self, room: Room, camera: Camera, hides: bool = False) -> NDArray[np.float32]:
        """Set room and camera; returns the exposed light [H, W, 3] of the empty table.

        hides: whether the table hides what is below it.
        """
        self.room, self.camera = room, camera
        matrix = np.asarray(camera.camera_from_world)
        k = camera.intrinsics
        table = self.table
        depth, albedo = table_albedo(room, camera)
        table.depth = wp.array(depth, dtype=wp.float32, device='cpu')
        table.albedo = _vec3(albedo)
        table.normal = wp.vec3(*matrix[:3, 2].tolist())
        table.ray_x = wp.vec4(1 / k[0, 0], k[0, 2], 1 / k[1, 1], k[1, 2])
        table.offset = float(matrix[:3, 2] @ matrix[:3, 3])
        table.gloss = room.table.gloss
        table.hides = int(hides)
        for buffer in (table.rest, table.mirror, table.lit):
            buffer.zero_()
        self.lamps = self._lamps(matrix)
        self.surroundings = self._surroundings(matrix)
        wp.launch(
            shading.shade_table, self.image.shape,
            inputs=[self.lamps, self.surroundings, table], device='cpu',
        )  # fmt: skip
        return self.empty()

    def empty(self) -> NDArray[np.float32]:
        """Exposed light [H, W, 3] with nothing on the table."""
        table = self.table
        light = table.rest.numpy() + table.mirror.numpy()
        for k in range(len(self.room.lamps)):
            light += table.lit.numpy()[k]
        return np.minimum(light * self.room.exposure, BRIGHTEST)

    def _lamps(self, camera_from_world: Array) -> Lamps:
        lamps = Lamps()
        lamps.count = len(self.room.lamps)
        at = np.stack([lamp.position for lamp in self.room.lamps])
        lamps.position = _vec3(transform_points(camera_from_world, at))
        radius = np.array([lamp.radius for lamp in self.room.lamps], np.float32)
        lamps.radius = wp.array(radius, dtype=wp.float32, device='cpu')
        lamps.intensity = _vec3(np.stack([lamp.intensity for lamp in self.room.lamps]))
        lamps.shadow_map, lamps.spiral = self.shadow_map, self.spiral
        return lamps

    def _surroundings(self, camera_from_world: Array) -> Surroundings:
        room = self.room
        out = Surroundings()
        out.harmonics = _vec3(room.harmonics)
        out.below = wp.vec3(*room.below.tolist())
        out.world_from_camera = wp.mat33(*camera_from_world[:3, :3].T.ravel().tolist())
        out.panorama = _vec3(room.panorama)
        out.soft_panorama = _vec3(room.soft_panorama)
        return out

    def set_surfaces(
        self, surfaces: Sequence[Surface], materials: Sequence[SurfaceMaterial]
    ) -> None:
        """Set the surfaces, in the rasterizer's order, and their materials."""
        starts = np.cumsum([0] + [m.texture[..., 0].size for m in materials])
        counts = [len(s.faces) for s in surfaces]
        g = shading.Geometry()
        g.corner_uv = wp.array(
            np.concatenate([s.corner_uv for s in surfaces]).astype(np.float32),
            dtype=wp.float32, device='cpu',
        )  # fmt: skip
        per_face = {
            'material': (np.concatenate([m.kind for m in materials]), wp.int32),
            'texture_start': (np.repeat(starts[:-1], counts), wp.int32),
            'texture_size': (np.repeat([len(m.texture) for m in materials], counts), wp.int32),
            'gloss': (_each([m.gloss for m in materials], counts), wp.float32),
            'metal': (_each([m.metal for m in materials], counts), wp.float32),
        }
        for name, (values, kind) in per_face.items():
            setattr(
                g, name, wp.array(values.astype(wp.dtype_to_numpy(kind)), dtype=kind, device='cpu')
            )
        g.textures = wp.array(
            np.concatenate([_pack(m.texture) for m in materials]), dtype=wp.uint32, device='cpu'
        )
        g.linear = self.linear
        self.geometry, self.materials = g, list(materials)
        self.surfaces = list(surfaces)
        self.near = [
            np.ones(len(s.vertices), bool) if s.hand is None else beside_hand(s.hand)
            for s in surfaces
        ]
        self.vertex_counts = [len(s.vertices) for s in surfaces]
        total = sum(self.vertex_counts)
        self.gathered = wp.zeros(total, dtype=wp.vec4, device='cpu')
        self.floor_visible = wp.zeros(total, dtype=wp.float32, device='cpu')

    def frame(
        self, view: Rasterizer, shadow: Rasterizer, poses: Sequence[SurfacePose], seed: int = 0
    ) -> NDArray[np.float32]:
        """Exposed light f32 [H, W, 3] of the surfaces in these poses, on the table.

        view: merged rasterizer of the images' size; shadow: merged, SHADOW_SIZE square; both with
        the surfaces in the order of set_surfaces. seed: of the shadows' sampling pattern.
        """
        poses = self._with_arms(poses)
        buffers = view.render(self.camera, poses)
        vertices = np.asarray(view.camera_vertices)
        normals = np.asarray(view.vertex_normals)
        offsets = np.cumsum([0, *self.vertex_counts])
        spans = [
            (int(offsets[i]), self.vertex_counts[i]) for i, p in enumerate(poses) if p is not None
        ]
        if not spans:
            return self.empty()
        # Arms go on far away from everything that shadow maps and table grid are for.
        shown = np.concatenate([i for i, p in zip(self.near, poses, strict=True) if p is not None])
        present = np.concatenate([vertices[a : a + n] for a, n in spans])[shown]
        world_from_camera = invert_rigid(self.camera.camera_from_world)
        world = transform_points(world_from_camera, present)
        on_table = world
        if self.table.hides:  # a body stands behind the table, and goes on below it
            world = world[world[:, 2] > -0.05]
            edge = self.room.table_edge
            on_table = world[world[:, :2] @ edge[:2] < edge[2]]
        self._cast_shadows(shadow, poses, world)
        g = self.geometry
        g.vertices, g.faces = view.arrays['vertices'], view.arrays['faces']
        surfels = self._surfels(poses, vertices, normals, offsets)
        camera_from_grid = self._place_grid(on_table if len(on_table) else world)
        wp.launch(
            shading.light_surfels, surfels.count,
            inputs=[self.lamps, self.surroundings, surfels], device='cpu',
        )  # fmt: skip
        wp.launch(
            shading.gather_at_table, (GRID_CELLS, GRID_CELLS),
            inputs=[surfels, self.table, camera_from_grid], device='cpu',
        )  # fmt: skip
        for start, count in spans:
            wp.launch(
                shading.gather_at_vertices, count,
                inputs=[
                    surfels, self.table, start, g.vertices, view.arrays['normals'],
                    self.gathered, self.floor_visible,
                ], device='cpu',
            )  # fmt: skip
        wp.launch(
            shading.shadow_table, self.table.seen.shape,
            inputs=[self.lamps, self.table, seed % 1000], device='cpu',
        )  # fmt: skip
        # Neighbouring pixels have different taps: averaging removes the noise of penumbrae.
        seen = self.table.seen.numpy()
        cv2.GaussianBlur(seen, (3, 3), 0.9, dst=seen)
        wp.launch(
            shading.shade_frame, self.image.shape,
            inputs=[
                self.lamps, self.surroundings, self.table, g, self.gathered, self.floor_visible,
                wp.from_torch(buffers.face_index[0]), wp.from_torch(buffers.depth[0]),
                wp.from_torch(buffers.normal_map[0]), seed % 1000,
                wp.vec3(*self.room.exposure.tolist()), BRIGHTEST, self.image,
            ], device='cpu',
        )  # fmt: skip
        return self.image.numpy()

    def _with_arms(self, poses: Sequence[SurfacePose]) -> list[SurfacePose]:
        """The poses with the arms that the camera sees, for the lamps to see the same ones."""
        return [
            with_arm(pose, arm_axis(surface.hand), self.camera)
            if isinstance(pose, HandState) and surface.hand is not None
            else pose
            for surface, pose in zip(self.surfaces, poses, strict=True)
        ]

    def _cast_shadows(self, shadow: Rasterizer, poses: Sequence[SurfacePose], world: Array) -> None:
        """Render the shadow maps, from the centre of each lamp."""
        low, high = world.min(0), world.max(0)
        centre = 0.5 * (low + high)
        reach = float(np.linalg.norm(world - centre, axis=1).max()) + 0.01
        maps = self.shadow_map.numpy()
        pinholes, transforms, nearest = [], [], []
        world_from_camera = invert_rigid(self.camera.camera_from_world)
        for k, lamp in enumerate(self.room.lamps):
            distance = float(np.linalg.norm(centre - lamp.position))
            fov = 2 * np.arcsin(min(reach / distance, 0.9))
            up = (
                (1.0, 0.0, 0.0) if abs(lamp.position[2] - centre[2]) > 0.9 * distance else (0, 0, 1)
            )
            light_from_world = look_at(lamp.position, centre, up)
            k_ = pinhole(SHADOW_SIZE, SHADOW_SIZE, fov)
            eye = Camera(k_, light_from_world, SHADOW_SIZE, SHADOW_SIZE)
            maps[k] = np.asarray(shadow.render(eye, poses).depth[0])
            pinholes.append([k_[0, 0], k_[1, 1], k_[0, 2], k_[1, 2]])
            transforms.append(light_from_world @ world_from_camera)
            nearest.append(transform_points(light_from_world, world)[:, 2].min())
        lamps = self.lamps
        lamps.pinhole = wp.array(np.array(pinholes, np.float32), dtype=wp.vec4, device='cpu')
        lamps.shadow_from_camera = wp.array(
            np.array(transforms, np.float32), dtype=wp.mat44, device='cpu'
        )
        lamps.nearest = wp.array(np.array(nearest, np.float32), dtype=wp.float32, device='cpu')

    def _place_grid(self, world: Array) -> wp.mat44:
        """Place the table's grid under the scene; returns camera_from_grid (cells in 0..1)."""
        low, high = world[:, :2].min(0) - 0.12, world[:, :2].max(0) + 0.12
        side = float(min((high - low).max(), 0.9))
        corner = 0.5 * (low + high) - 0.5 * side
        world_from_grid = rigid(np.diag([side, side, 1.0]), [*corner, 0.0])
        matrix = np.asarray(self.camera.camera_from_world) @ world_from_grid
        self.table.grid_from_camera = wp.mat44(*np.linalg.inv(matrix).ravel().tolist())
        return wp.mat44(*matrix.ravel().tolist())

    def _surfels(
        self,
        poses: Sequence[SurfacePose],
        vertices: NDArray,
        normals: NDArray,
        offsets: NDArray,
    ) -> shading.Surfels:
        """The discs of all present surfaces in the camera frame."""
        position, normal, area, albedo = [], [], [], []
        for i, pose in enumerate(poses):
            if pose is None:
                continue
            discs = self.materials[i].discs
            if isinstance(pose, (HandState, RobotState)):
                ids = discs.vertex + int(offsets[i])
                position.append(vertices[ids])
                normal.append(normals[ids])
            else:
                camera_from_object = np.asarray(self.camera.camera_from_world) @ pose
                position.append(transform_points(camera_from_object, discs.position))
                normal.append(discs.normal @ camera_from_object[:3, :3].T)
            area.append(discs.area)
            albedo.append(discs.albedo)
        s = shading.Surfels()
        s.position, s.normal = _vec3(np.concatenate(position)), _vec3(np.concatenate(normal))
        s.albedo = _vec3(np.concatenate(albedo))
        s.area = wp.array(np.concatenate(area).astype('f4'), dtype=wp.float32, device='cpu')
        s.radiosity = wp.zeros(len(s.area), dtype=wp.vec3, device='cpu')
        s.count = len(s.area)
        return s
