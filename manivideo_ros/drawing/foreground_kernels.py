"""The Warp kernel of the foreground: hands and objects at the image's size, without background."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

from manivideo_ros.drawing.base_image_kernels import Light, face_colour, irradiance
from manivideo_ros.drawing.lighting.finish_kernels import finished, surface_shown
from manivideo_ros.drawing.lighting.kernels import Stage, lamp_of
from manivideo_ros.mlo.raster_kernels import (
    View,
    at,
    changed_columns,
    facing_normal,
    key_face,
    remember_columns,
    view_ray,
)

wp.set_module_options({'enable_backward': False})


@wp.func
def lit_colour(
    light: Light,
    lit: int,
    ball: wp.array(dtype=wp.vec3),
    stage: wp.array(dtype=Stage),
    axes: wp.array(dtype=wp.mat33),
    spread: wp.array(dtype=wp.float32),
    finish: wp.array(dtype=wp.vec3),
    view: View,
    planes: wp.array2d(dtype=wp.vec3),
    face_texels: wp.array2d(dtype=wp.vec2),
    face_texture: wp.array(dtype=wp.int32),
    textures: wp.array(dtype=wp.vec3i),
    texels: wp.array(dtype=wp.vec3ub),
    f: int,
    u: float,
    v: float,
) -> wp.vec3:
    """The shaded colour of face f at raster coordinates, sRGB in 0..1."""
    n = facing_normal(planes, f, view, u, v)
    colour = face_colour(planes, face_texels, face_texture, textures, texels, f, u, v)
    if lit != 0:
        of = finish[f]
        shown = wp.cw_mul(colour, surface_shown(ball, n, of[0] > 0.0))
        if of[1] > 0.0:
            everything = wp.vec3(1.0, 1.0, 1.0)
            lamp = lamp_of(stage[0], axes, spread)
            ray = view_ray(view, u, v)
            shown = finished(colour, shown, ball, lamp, of, n, ray, 1.0, everything)
        colour = shown
    else:
        colour = colour * wp.sqrt(irradiance(light, n))
    return wp.vec3(wp.min(colour[0], 1.0), wp.min(colour[1], 1.0), wp.min(colour[2], 1.0))


@wp.kernel
def paint_foreground_rows(
    first_row: int,
    chunks: int,
    light: Light,
    lit: int,  # whether `ball` is the light
    ball: wp.array(dtype=wp.vec3),  # [16] coefficients of a grey ball's sRGB
    stage: wp.array(dtype=Stage),  # [1]
    axes: wp.array(dtype=wp.mat33),  # [K]
    spread: wp.array(dtype=wp.float32),  # [K]
    finish: wp.array(dtype=wp.vec3),  # [F] see lighting/finish.py
    view: wp.array(dtype=View),  # [1] of the fine image, 2H x 2W
    planes: wp.array2d(dtype=wp.vec3),  # [F, 7]
    keys: wp.array2d(dtype=wp.uint64),  # [1, 2H * 2W] in; 0 on return
    span: wp.array3d(dtype=wp.int32),  # [1, 2H, 2] in; empty on return
    drawn: wp.array3d(dtype=wp.int32),  # [1, 2H, 2] in and out: columns that are not empty
    face_texels: wp.array2d(dtype=wp.vec2),  # [F, 3] texel coordinates of the corners
    face_texture: wp.array(dtype=wp.int32),  # [F]
    textures: wp.array(dtype=wp.vec3i),  # [T] first texel, width, height
    texels: wp.array(dtype=wp.vec3ub),
    layer_of: wp.array(dtype=wp.int32),  # [F]
    colour: wp.array(dtype=wp.vec3),  # [H * W] out: sRGB in 0..1, times coverage
    coverage: wp.array(dtype=wp.float32),  # [H * W] out
    depth: wp.array(dtype=wp.float32),  # [H * W] out: nearest sample, m; 0 where empty
    layer: wp.array(dtype=wp.int32),  # [H * W] out: of the nearest sample; -1 where empty
    row_cost: wp.array(dtype=wp.int32),  # [2H * chunks] out: covered pixels
):
    """The mean of 2 x 2 samples; a thread per row (chunks = 1) or pixel.

    Where all four samples hit one face, the face is shaded once, at the pixel's centre.
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
    left = -0.5 * float(c.width)
    top = -0.5 * float(c.height)
    for x in range(start, stop):
        i = y * width + x
        above = 2 * y * c.width + 2 * x
        below = above + c.width
        k0 = keys[0, above]
        k1 = keys[0, above + 1]
        k2 = keys[0, below]
        k3 = keys[0, below + 1]
        nearest = wp.max(wp.max(k0, k1), wp.max(k2, k3))
        if nearest == wp.uint64(0):
            colour[i] = wp.vec3(0.0, 0.0, 0.0)
            coverage[i] = 0.0
            depth[i] = 0.0
            layer[i] = -1
        else:
            keys[0, above] = wp.uint64(0)
            keys[0, above + 1] = wp.uint64(0)
            keys[0, below] = wp.uint64(0)
            keys[0, below + 1] = wp.uint64(0)
            u = 2.0 * float(x) + 1.0 + left
            v = 2.0 * float(y) + 1.0 + top
            f = key_face(nearest)
            layer[i] = layer_of[f]
            cost += 2
            if (
                k0 != wp.uint64(0)
                and key_face(k0) == f
                and key_face(k1) == f
                and key_face(k2) == f
                and key_face(k3) == f
            ):
                colour[i] = lit_colour(
                    light, lit, ball, stage, axes, spread, finish, c, planes, face_texels,
                    face_texture, textures, texels, f, u, v,
                )  # fmt: skip
                coverage[i] = 1.0
                depth[i] = 1.0 / at(planes[f, 3], u, v)
            else:
                total = wp.vec3(0.0, 0.0, 0.0)
                covered = wp.float32(0.0)
                inverse = wp.float32(0.0)
                for sub in range(4):
                    key = k0
                    if sub == 1:
                        key = k1
                    if sub == 2:
                        key = k2
                    if sub == 3:
                        key = k3
                    if key != wp.uint64(0):
                        face = key_face(key)
                        su = u - 0.5 + float(sub % 2)
                        sv = v - 0.5 + float(sub // 2)
                        total += lit_colour(
                            light, lit, ball, stage, axes, spread, finish, c, planes,
                            face_texels, face_texture, textures, texels, face, su, sv,
                        )  # fmt: skip
                        covered += 0.25
                        inverse = wp.max(inverse, at(planes[face, 3], su, sv))
                cost += 4
                colour[i] = 0.25 * total
                coverage[i] = covered
                depth[i] = 1.0 / inverse
    row_cost[(2 * y) * chunks + t % chunks] = cost
