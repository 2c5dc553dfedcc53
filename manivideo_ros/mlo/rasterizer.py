"""The Multi-Layer Occlusion rasterizer: from poses to normals, depths and confidences of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import warp as wp

from manivideo_ros.geometry import Camera
from manivideo_ros.mlo import raster_kernels as raster
from manivideo_ros.mlo.bands import cuts_by_cost, run_bands
from manivideo_ros.mlo.layers import layer_names
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces, recorded
from manivideo_ros.mlo.staging import Staging
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream, require_contiguous

DEPTH_RANGE = (0.1, 2.0)
"""z_near and z_far of the 'depth' confidence, metres."""


@dataclass(frozen=True, eq=False)
class LayerBuffers:
    """Results of a render: torch tensors on the rasterizer's device, valid until the next render.

    normal_map float32 [L, 3, H, W]: unit normals facing the camera, camera frame; 0 where empty.
    depth float32 [L, H, W]: metres along z; 0 where empty. occlusion_confidence float32 [L, H, W]:
    lower is more occluded, 0 where empty (method.md). face_index int32 [L, H, W]: global face, or
    -1. nearest_layer int32 [H, W]: the visible layer, or -1. visible_normal float32 [3, H, W]: the
    normal of the visible layer; 0 where empty.
    """

    normal_map: torch.Tensor
    depth: torch.Tensor
    occlusion_confidence: torch.Tensor
    face_index: torch.Tensor
    nearest_layer: torch.Tensor
    visible_normal: torch.Tensor


Shade = Callable[[int, int, int], None]
"""shade(band, first row, last row): converts the keys of a band of rows to images and clears them.
"""


class Rasterizer:
    """Draws the layers of fixed surfaces at changing poses, without allocating.

    surfaces: hands and objects, or those that another rasterizer of the same camera poses (its
    `posed`), which then draws first, on its device by its threads. width, height in pixels.
    num_layers 7 or 13 (hand surfaces made for the same number). device: 'cpu', 'cuda' or 'cuda:1',
    in torch's numbering; threads: CPU threads. merge: one layer of all faces, the visible surface.
    confidence: mode of the occlusion confidence. out: tensors to write instead of own ones, by
    their name in LayerBuffers, contiguous. Images depend neither on threads and the order in which
    they run nor on earlier frames.

    faces [F, 3], face_surface [F], face_layer [F]: int32 numpy, global. camera_vertices [V, 3] and
    vertex_normals [V, 3] (unit, outward): torch views of the last poses in the camera's frame;
    those of absent surfaces are stale. arrays: the Warp arrays by their kernel argument's name.

    Raises ValueError for invalid sizes, layers, modes or `out` tensors, WarpDeviceError if Warp
    cannot draw on the device.
    """

    def __init__(
        self,
        surfaces: Sequence[Surface] | PosedSurfaces,
        width: int,
        height: int,
        num_layers: int = 7,
        device: str = 'cpu',
        threads: int = 2,
        merge: bool = False,
        confidence: Literal['graded', 'depth'] = 'graded',
        out: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        if width <= 0 or height <= 0:
            raise ValueError(f'rasterizer size must be positive, got {width}x{height}')
        if confidence not in ('graded', 'depth'):
            raise ValueError(f"confidence must be 'graded' or 'depth', got {confidence!r}")
        self._own_posing = not isinstance(surfaces, PosedSurfaces)
        self.posed = (
            surfaces
            if isinstance(surfaces, PosedSurfaces)
            else PosedSurfaces(surfaces, device, threads)
        )
        self.device, self.surfaces = self.posed.device, self.posed.surfaces
        load_kernels(self.device, raster)
        self.width, self.height = width, height
        self.layer_names = ('visible',) if merge else layer_names(num_layers)
        self.on_cpu, self.threads = self.posed.on_cpu, self.posed.threads
        self._num_bands = 2 * self.threads if self.threads > 1 else 1
        self.faces, self.face_surface = self.posed.faces, self.posed.face_surface
        self.face_layer = np.zeros_like(self.posed.face_layer) if merge else self.posed.face_layer
        if len(self.faces) and self.face_layer.max() >= len(self.layer_names):
            raise ValueError(f'a face lies in layer {self.face_layer.max()} of {num_layers}')
        self.arrays = dict(self.posed.arrays)
        self.arrays['face_layer'] = wp.array(self.face_layer, dtype=wp.int32, device=self.device)
        self._allocate(out or {})
        self.camera_vertices = wp.to_torch(self.arrays['vertices'])
        self.vertex_normals = wp.to_torch(self.arrays['normals'])
        self._record_launches(('graded', 'depth').index(confidence))

    def render(self, camera: Camera, poses: Sequence[SurfacePose]) -> LayerBuffers:
        """The layers seen by camera (sampled at this rasterizer's size), one pose per surface.

        Raises ValueError naming a pose that is not finite, or of the wrong kind or shape.
        """
        self.rasterize(camera, poses, self._resolve)
        return self.buffers

    def rasterize(self, camera: Camera, poses: Sequence[SurfacePose], shade: Shade) -> None:
        """Pose, record and raster all faces, then shade the keys in bands of rows."""
        self.write_state(camera, poses)
        with on_torch_stream(self.device):
            self.posed.pose()
            self._raster(shade)

    def draw(self, shade: Shade | None = None) -> None:
        """The launches of `rasterize`, of the state that was written last; shade: of `render`.

        On CUDA they are enqueued on torch's current stream, and nothing is waited for or allocated:
        they can be captured in a graph, which reads the state again whenever it is replayed.
        """
        with on_torch_stream(self.device):
            if self._own_posing:
                self.posed.pose()
            self._raster(shade or self._resolve)

    def _raster(self, shade: Shade) -> None:
        self._staging.upload()
        if len(self.faces):
            run_bands(self._record_faces, len(self._face_records), self.threads)
        rows = cuts_by_cost(self._row_cost, self._num_bands)

        def raster_and_shade(band: int) -> None:
            first, last = rows[band]
            if last < first:
                return
            if len(self.faces):
                command = self._commands['raster_faces'][band]
                command.set_param_at_index_from_ctype(0, first)
                command.set_param_at_index_from_ctype(1, last)
                command.launch()
                if self._large_faces:
                    self._large_faces.launch()
            shade(band, first, last)

        if rows:
            run_bands(raster_and_shade, len(rows), self.threads)

    def _record_faces(self, group: int) -> None:
        self._face_records[group].launch()

    def _resolve(self, band: int, first: int, last: int) -> None:
        command = self._commands['resolve_layers'][band]
        command.set_param_at_index_from_ctype(0, first)
        command.set_dim((last - first + 1) * self.chunks)
        command.launch()

    def write_state(self, camera: Camera, poses: Sequence[SurfacePose]) -> None:
        """Check camera and poses and write them where `draw` finds them.

        Raises ValueError, and waits on CUDA, as PosedSurfaces.write_state does.
        """
        self.posed.write_state(camera, poses)
        self.write_view(camera)

    def write_view(self, camera: Camera) -> None:
        """Write the camera where `draw` finds it, the surfaces staying as they were posed."""
        camera = camera.resized(self.width, self.height)
        k = np.asarray(camera.intrinsics, np.float64)
        centre = k[0, 2] - 0.5 * self.width, k[1, 2] - 0.5 * self.height
        view = (k[0, 0], k[1, 1]), centre, k[0, 1], self.width, self.height
        self._staging.writable()['view'][0] = view

    def nothing_drawn(self) -> wp.array:
        """First and last column [L, H, 2] of each row of empty layers."""
        empty = np.tile(
            np.array([raster.EMPTY_FIRST, raster.EMPTY_LAST], np.int32),
            (len(self.layer_names), self.height, 1),
        )
        return wp.array(empty, dtype=wp.int32, device=self.device)

    def everything_drawn(self) -> wp.array:
        """First and last column [L, H, 2] of each row of layers that may be covered anywhere."""
        whole = np.tile(
            np.array([0, self.width - 1], np.int32), (len(self.layer_names), self.height, 1)
        )
        return wp.array(whole, dtype=wp.int32, device=self.device)

    def _allocate(self, out: Mapping[str, torch.Tensor]) -> None:
        """Allocate everything that a frame reads or writes."""
        height, width, device = self.height, self.width, self.device
        faces, layers, pixels = len(self.faces), len(self.layer_names), height * width
        self.chunks = 1 if self.on_cpu else width
        layout: dict[str, tuple[tuple[int, ...], Any]] = {
            'view': ((1,), raster.View),
            'large_count': ((1,), wp.int32),  # the host writes its 0 before every draw
        }
        self._staging = Staging(layout, device)
        self.arrays.update(self._staging.arrays)
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            'planes': ((faces, raster.NUM_PLANES), wp.vec3),
            'limits': ((faces,), wp.vec2),
            'box': ((faces,), wp.vec4i),
            'large': ((0 if self.on_cpu else faces,), wp.int32),
            'keys': ((layers, pixels), wp.uint64),
            'nearest_inverse': ((pixels,), wp.float32),
            'row_cost': ((height if self.on_cpu else pixels,), wp.int32),
        }
        for name, (shape, dtype) in shapes.items():
            self.arrays[name] = wp.zeros(shape, dtype, device)
        own = {
            'normal_map': torch.zeros(layers, 3, height, width, device=device),
            'depth': torch.zeros(layers, height, width, device=device),
            'occlusion_confidence': torch.zeros(layers, height, width, device=device),
            'face_index': torch.full((layers, height, width), -1, dtype=torch.int32, device=device),
            'nearest_layer': torch.full((height, width), -1, dtype=torch.int32, device=device),
            'visible_normal': torch.zeros(3, height, width, device=device),
        }
        for name in out.keys() & own.keys():
            require_contiguous(name, out[name])
            out[name].copy_(own[name])  # on the CPU only changes are written
        self.buffers = LayerBuffers(**{n: out.get(n, tensor) for n, tensor in own.items()})
        for name, tensor in vars(self.buffers).items():
            self.arrays[name] = wp.from_torch(tensor.flatten(-2))
        self.arrays['span'], self.arrays['drawn'] = self.nothing_drawn(), self.nothing_drawn()
        cost = self.arrays['row_cost']
        self._row_cost = cost.numpy() if self.on_cpu else np.ones(height, np.int32)

    def _record_launches(self, mode: int) -> None:
        """Record every launch once for each band; replaying one costs a few microseconds."""
        numbers = {
            'first_row': 0,
            'last_row': self.height - 1,
            'width': self.width,
            'height': self.height,
            'chunks': self.chunks,
            'layers': len(self.layer_names),
            'mode': mode,
            'depth_range': wp.vec2(*DEPTH_RANGE),
        }
        lanes = 1 if self.on_cpu else raster.LANES
        self._commands = {
            'raster_faces': self.record(
                raster.raster_faces, len(self.faces) * lanes, {**numbers, 'lanes': lanes}
            ),
            'resolve_layers': self.record(
                raster.resolve_layers, self.height * self.chunks, numbers
            ),
        }
        self._large_faces = None
        if not self.on_cpu:
            self._large_faces = self._launch(
                raster.raster_large_faces, raster.TEAMS * raster.TEAM_LANES, numbers
            )
        ends = self.posed.face_ends
        self._face_records = [
            self._launch(
                raster.record_faces, int(ends[stop] - ends[start]), {'first': int(ends[start])}
            )
            for start, stop in self.posed.groups
            if ends[stop] > ends[start]
        ]

    def record(self, kernel: wp.Kernel, size: int, numbers: dict[str, Any]) -> list[wp.Launch]:
        """A launch of kernel for each band of rows, as `_launch`; its first argument is a row."""
        return [self._launch(kernel, size, numbers) for _ in range(self._num_bands)]

    def _launch(self, kernel: wp.Kernel, size: int, numbers: dict[str, Any]) -> wp.Launch:
        """A launch whose arguments are found by name in `numbers` or `arrays`."""
        return recorded(kernel, size, {**self.arrays, **numbers}, self.device)
