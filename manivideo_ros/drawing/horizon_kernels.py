"""The Warp kernel of horizon maps."""

# mypy: ignore-errors
from __future__ import annotations

import math

import warp as wp

from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.mlo.raster_kernels import View, view_ray

wp.set_module_options({'enable_backward': False})

DIRECTIONS = wp.constant(HORIZON_DIRECTIONS)
TURN = wp.constant(2 * math.pi / HORIZON_DIRECTIONS)
REACH = wp.constant(0.22)  # metres, beyond which neighbours have no effect


@wp.func
def seen_depth(
    depth: wp.array2d(dtype=wp.float32),  # [L, H * W]
    nearest_layer: wp.array(dtype=wp.int32),  # [H * W]
    pixel: int,
) -> float:
    """The depth of the visible layer, 0 if there is none."""
    layer = nearest_layer[pixel]
    z = wp.float32(0.0)
    if layer >= 0:
        z = depth[layer, pixel]
    return z


@wp.kernel
def horizon_rows(
    first_row: int,
    columns: int,
    view: wp.array(dtype=View),  # [1]
    radii: wp.array(dtype=wp.float32),  # [S] metres
    depth: wp.array2d(dtype=wp.float32),  # [L, H * W]
    nearest_layer: wp.array(dtype=wp.int32),  # [H * W]
    visible_normal: wp.array2d(dtype=wp.float32),  # [3, H * W]
    horizon: wp.array3d(dtype=wp.float32),  # [8, H / 2, W / 2] out
):
    """Horizons at every second pixel of every second row, one thread each."""
    t = wp.tid()
    c = view[0]
    i = first_row + t // columns
    j = t % columns
    row = 2 * i
    column = 2 * j
    pixel = row * c.width + column
    z = seen_depth(depth, nearest_layer, pixel)
    if z <= 0.0:
        for k in range(DIRECTIONS):
            horizon[k, i, j] = 0.0
        return
    u = float(column) + 0.5 - 0.5 * float(c.width)
    v = float(row) + 0.5 - 0.5 * float(c.height)
    point = view_ray(c, u, v) * z
    normal = wp.vec3(visible_normal[0, pixel], visible_normal[1, pixel], visible_normal[2, pixel])
    for k in range(DIRECTIONS):
        cos = wp.cos(float(k) * TURN)
        sin = wp.sin(float(k) * TURN)
        best = wp.float32(0.0)
        for s in range(radii.shape[0]):
            length = radii[s] / z
            x = column + int(wp.round(cos * length * c.focal[0]))
            y = row + int(wp.round(sin * length * c.focal[1]))
            if x >= 0 and x < c.width and y >= 0 and y < c.height:
                other = seen_depth(depth, nearest_layer, y * c.width + x)
                if other > 0.0:
                    across = float(x) + 0.5 - 0.5 * float(c.width)
                    down = float(y) + 0.5 - 0.5 * float(c.height)
                    way = view_ray(c, across, down) * other - point
                    square = wp.dot(way, way)
                    if square > 1.0e-12:
                        near = wp.max(1.0 - square / (REACH * REACH), 0.0)
                        best = wp.max(best, near * wp.dot(way, normal) / wp.sqrt(square))
        horizon[k, i, j] = best
