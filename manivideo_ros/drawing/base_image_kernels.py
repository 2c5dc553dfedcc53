"""Warp kernels of the base image: texture, shading, antialiasing, background."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

from manivideo_ros.mlo.raster_kernels import (
    View,
    at,
    changed_columns,
    facing_normal,
    key_face,
    remember_columns,
)

wp.set_module_options({'enable_backward': False})


@wp.struct
class Light:
    """A light: irradiance from sky (above) to ground, plus the sun from `direction`."""

    up: wp.vec3  # unit, camera frame
    sky: float
    ground: float
    direction: wp.vec3  # unit, towards the sun, camera frame
    sun: float


@wp.func
def irradiance(light: Light, n: wp.vec3) -> float:
    """The irradiance of a surface with normal n, relative to a white surface facing the light."""
    upward = 0.5 + 0.5 * wp.dot(n, light.up)
    hemisphere = light.ground + (light.sky - light.ground) * upward
    return hemisphere + light.sun * wp.max(wp.dot(n, light.direction), 0.0)


@wp.func
def texel(
    texels: wp.array(dtype=wp.vec3ub), start: int, width: int, height: int, x: int, y: int
) -> wp.vec3:
    """A texel in 0..255; coordinates are clamped to the texture."""
    i = start + wp.clamp(y, 0, height - 1) * width + wp.clamp(x, 0, width - 1)
    c = texels[i]
    return wp.vec3(float(c[0]), float(c[1]), float(c[2]))


@wp.func
def face_colour(
    planes: wp.array2d(dtype=wp.vec3),
    face_texels: wp.array2d(dtype=wp.vec2),
    face_texture: wp.array(dtype=wp.int32),
    textures: wp.array(dtype=wp.vec3i),
    texels: wp.array(dtype=wp.vec3ub),
    f: int,
    u: float,
    v: float,
) -> wp.vec3:
    """The bilinear texture colour of face f at raster coordinates (u, v); sRGB in 0..1."""
    w0 = wp.max(at(planes[f, 0], u, v), 0.0)
    w1 = wp.max(at(planes[f, 1], u, v), 0.0)
    w2 = wp.max(at(planes[f, 2], u, v), 0.0)
    p = w0 * face_texels[f, 0] + w1 * face_texels[f, 1] + w2 * face_texels[f, 2]
    p = p / wp.max(w0 + w1 + w2, 1.0e-30)
    texture = textures[face_texture[f]]
    x = wp.floor(p[0] - 0.5)
    y = wp.floor(p[1] - 0.5)
    fx = p[0] - 0.5 - x
    fy = p[1] - 0.5 - y
    start = texture[0]
    width = texture[1]
    height = texture[2]
    col = int(x)
    row = int(y)
    top = texel(texels, start, width, height, col, row) * (1.0 - fx)
    top += texel(texels, start, width, height, col + 1, row) * fx
    low = texel(texels, start, width, height, col, row + 1) * (1.0 - fx)
    low += texel(texels, start, width, height, col + 1, row + 1) * fx
    return (top * (1.0 - fy) + low * fy) / 255.0


@wp.kernel
def paint_rows(
    first_row: int,
    chunks: int,
    light: Light,
    view: wp.array(dtype=View),  # [1] of the fine image, 2H x 2W
    planes: wp.array2d(dtype=wp.vec3),  # [F, 7]
    keys: wp.array2d(dtype=wp.uint64),  # [1, 2H * 2W] in; 0 on return
    span: wp.array3d(dtype=wp.int32),  # [1, 2H, 2] in; empty on return
    drawn: wp.array3d(dtype=wp.int32),  # [1, 2H, 2] in and out: columns that are not empty
    face_texels: wp.array2d(dtype=wp.vec2),  # [F, 3] texel coordinates of the corners
    face_texture: wp.array(dtype=wp.int32),  # [F]
    textures: wp.array(dtype=wp.vec3i),  # [T] first texel, width, height
    texels: wp.array(dtype=wp.vec3ub),
    background: wp.array2d(dtype=wp.float32),  # [3, H * W] in 0..1
    base: wp.array2d(dtype=wp.float32),  # [3, H * W] out
    mask: wp.array(dtype=wp.float32),  # [H * W] out: coverage
    row_cost: wp.array(dtype=wp.int32),  # [2H * chunks] out: covered pixels
):
    """The mean of 2 x 2 shaded samples over the background; a thread per row (chunks = 1) or pixel.

    sRGB values are multiplied by the square root of the irradiance, approximating sRGB by gamma 2.
    """
    t = wp.tid()
    c = view[0]
    width = c.width // 2
    y = first_row + t // chunks
    start = t % chunks
    stop = start + 1
    if chunks == 1:
        upper = changed_columns(span, drawn, 0, 2 * y)
        lower = changed_columns(span, drawn, 0, 2 * y + 1)
        start = wp.min(upper[0], lower[0]) // 2
        stop = (wp.max(upper[1], lower[1]) + 2) // 2
        remember_columns(span, drawn, 0, 2 * y)
        remember_columns(span, drawn, 0, 2 * y + 1)
    cost = wp.int32(0)
    for x in range(start, stop):
        total = wp.vec3(0.0, 0.0, 0.0)
        covered = wp.float32(0.0)
        for sub in range(4):
            column = 2 * x + sub % 2
            row = 2 * y + sub // 2
            i = row * c.width + column
            key = keys[0, i]
            if key != wp.uint64(0):
                keys[0, i] = wp.uint64(0)
                f = key_face(key)
                u = float(column) + 0.5 - 0.5 * float(c.width)
                v = float(row) + 0.5 - 0.5 * float(c.height)
                n = facing_normal(planes, f, c, u, v)
                colour = face_colour(planes, face_texels, face_texture, textures, texels, f, u, v)
                total += colour * wp.sqrt(irradiance(light, n))
                covered += 0.25
                cost += 1
        i = y * width + x
        for channel in range(3):
            value = 0.25 * total[channel] + (1.0 - covered) * background[channel, i]
            base[channel, i] = wp.min(value, 1.0)
        mask[i] = covered
    row_cost[(2 * y) * chunks + t % chunks] = cost
