"""Surfaces posed in the camera's frame, once a frame, for every rasterizer that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import warp as wp

from manivideo_ros.geometry import Camera
from manivideo_ros.mlo import posing_kernels as posing
from manivideo_ros.mlo.bands import run_bands
from manivideo_ros.mlo.pose_state import checked, pack_pose
from manivideo_ros.mlo.staging import Staging
from manivideo_ros.mlo.static_mesh import build_static_mesh
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels, require_warp, torch_name


class PosedSurfaces:
    """Hands, robots and objects at changing poses; faces are numbered over all surfaces.

    device: 'cpu', 'cuda' or 'cuda:1', in torch's numbering; threads: CPU threads.

    faces [F, 3], face_surface [F], face_layer [F]: int32 numpy, global. arrays: the Warp arrays by
    their kernel argument's name, among them vertices [V] and normals [V] in the camera's frame;
    those of absent surfaces are stale. groups: ranges of surfaces that a thread takes at once.

    Raises WarpDeviceError if Warp cannot draw on the device.
    """

    def __init__(self, surfaces: Sequence[Surface], device: str = 'cpu', threads: int = 2) -> None:
        if threads < 1:
            raise ValueError(f'threads must be at least 1, got {threads}')
        require_warp(device)
        self.device = device = torch_name(device)
        load_kernels(device, posing)
        self.surfaces = tuple(surfaces)
        self.on_cpu = wp.get_device(device).is_cpu
        self.threads = threads if self.on_cpu else 1
        mesh = build_static_mesh(self.surfaces, device)
        self._link_start = mesh.link_start
        self.faces, self.face_surface = mesh.faces, mesh.face_surface
        self.face_layer, self.arrays = mesh.face_layer, mesh.arrays
        count, vertices = len(self.surfaces), len(self.arrays['rest'])
        layout: dict[str, tuple[tuple[int, ...], Any]] = {
            'present': ((count,), wp.int32),
            'camera_from_root': ((count,), wp.mat44),
            'theta': ((count, posing.JOINTS - 1), wp.vec3),
            'betas': ((count, posing.BETAS), wp.float32),
            'arm': ((count, 2), wp.mat44),
            'link': ((mesh.links,), wp.mat44),
        }
        self._staging = Staging(layout, device)
        self.arrays.update(self._staging.arrays)
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            'bone_rotation': ((count, mesh.bones), wp.mat33),
            'bone_origin': ((count, mesh.bones), wp.vec3),
            'pose_feature': ((count, 9 * (posing.JOINTS - 1)), wp.float32),
            'vertices': ((vertices,), wp.vec3),
            'normals': ((vertices,), wp.vec3),
        }
        for name, (shape, dtype) in shapes.items():
            self.arrays[name] = wp.zeros(shape, dtype, device)
        self.face_ends = np.cumsum([0, *(len(s.faces) for s in self.surfaces)])
        # Surfaces share nothing until faces compete for pixels; one thread takes them all at once.
        groups = [(i, i + 1) for i in range(count)] if self.threads > 1 else [(0, count)]
        groups.sort(key=lambda group: self.face_ends[group[0]] - self.face_ends[group[1]])
        self.groups = groups  # the largest first
        ends = np.cumsum([0, *(len(s.vertices) for s in self.surfaces)])
        kernels = (
            (posing.pose_bones, np.arange(count + 1), 1 if self.on_cpu else posing.JOINTS),
            (posing.pose_vertices, ends, 1),
            (posing.vertex_normals, ends, 1),
        )
        self._launches = [
            [
                recorded(
                    kernel,
                    int(ends[stop] - ends[start]) * lanes,
                    {**self.arrays, 'first': int(ends[start]), 'lanes': lanes},
                    device,
                )
                for kernel, ends, lanes in kernels
                if ends[stop] > ends[start]
            ]
            for start, stop in groups
        ]

    def write_state(self, camera: Camera, poses: Sequence[SurfacePose]) -> None:
        """Check camera and poses, one per surface, and write them where `pose` finds them.

        Hands without elbow or shoulder get those that `with_arm` chooses for this view.

        On CUDA each draw sees what was written before it was enqueued: the copies of the draws so
        far, captured ones that were replayed too, are waited for. A draw of a frame that ended with
        a synchronisation has none left. Raises ValueError naming a pose that is not finite, or of
        the wrong kind or shape.
        """
        if len(poses) != len(self.surfaces):
            raise ValueError(f'{len(poses)} poses for {len(self.surfaces)} surfaces')
        checked('camera_from_world', camera.camera_from_world, (4, 4))
        packed = [
            None if pose is None else pack_pose(i, surface, pose, camera)
            for i, (surface, pose) in enumerate(zip(self.surfaces, poses, strict=True))
        ]
        host = self._staging.writable()
        for i, state in enumerate(packed):
            host['present'][i] = state is not None
            if state is not None:
                host['camera_from_root'][i] = state.camera_from_root
                host['theta'][i] = state.theta
                host['betas'][i] = state.betas
                host['arm'][i, :, :3] = state.arm
                first = self._link_start[i]
                host['link'][first : first + len(state.links)] = state.links

    def pose(self) -> None:
        """Pose all surfaces; on CUDA enqueued on Warp's current stream, which may be captured."""
        self._staging.upload()
        if len(self.faces):
            run_bands(self._pose, len(self._launches), self.threads)

    def _pose(self, group: int) -> None:
        for launch in self._launches[group]:
            launch.launch()


def recorded(kernel: wp.Kernel, size: int, arguments: Mapping[str, Any], device: str) -> wp.Launch:
    """A launch of kernel that can be repeated in a few microseconds; arguments by their names."""
    values = [arguments[argument.label] for argument in kernel.adj.args]
    return wp.launch(kernel, size, values, device=device, record_cmd=True)
