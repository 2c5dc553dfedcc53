"""Warp kernels of the shadows that hands and objects cast on the support plane."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

wp.set_module_options({'enable_backward': False})

SIDE = wp.constant(192)
"""Texels along a side of a light map."""
SEARCH_TAPS = wp.constant(6)
TAPS = wp.constant(12)
TALLEST = wp.constant(0.3)
"""Metres above a point of the plane within which what casts a shadow on it is searched for."""
BIAS = wp.constant(0.002)
"""Metres by which a surface must be nearer to the light than the point that it shades."""
NOTHING = wp.constant(-1.0e6)
GOLDEN = wp.constant(2.3999632)


@wp.struct
class Stage:
    """The support plane as the network's grid sees it, and the sphere that casts shadows."""

    columns: int  # of the shadow map: half those of the grid
    rows: int
    ray: wp.vec4  # metres per metre of depth: x = ray[0] * (column + 0.5) + ray[1], and y
    plane: wp.vec4  # camera frame: unit normal and offset
    centre: wp.vec3  # of the sphere, camera frame, m
    reach: float  # its radius, m
    lights: int


@wp.func
def texel(axes: wp.mat33, p: wp.vec3, reach: float) -> wp.vec3:
    """Light map coordinates of a point relative to the centre: x, y in texels, height in m."""
    q = axes * p
    scale = 0.5 * float(SIDE) / reach
    return wp.vec3(q[0] * scale + 0.5 * float(SIDE), q[1] * scale + 0.5 * float(SIDE), q[2])


@wp.kernel
def cast_shadows(
    light: int,
    stage: Stage,
    axes: wp.array(dtype=wp.mat33),  # [K] rows: across, along and towards the light
    present: wp.array(dtype=wp.int32),  # [S]
    face_surface: wp.array(dtype=wp.int32),  # [F]
    faces: wp.array(dtype=wp.vec3i),  # [F]
    vertices: wp.array(dtype=wp.vec3),  # [V] camera frame
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE] in and out
):
    """Raise a light map to the faces that lie over its texels, one thread per face."""
    f = wp.tid()
    if present[face_surface[f]] == 0:
        return
    face = faces[f]
    a = texel(axes[light], vertices[face[0]] - stage.centre, stage.reach)
    b = texel(axes[light], vertices[face[1]] - stage.centre, stage.reach)
    c = texel(axes[light], vertices[face[2]] - stage.centre, stage.reach)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    if wp.abs(area) < 1.0e-9:
        return
    side = float(SIDE)
    x0 = int(wp.ceil(wp.clamp(wp.min(a[0], wp.min(b[0], c[0])) - 0.5, 0.0, side)))
    y0 = int(wp.ceil(wp.clamp(wp.min(a[1], wp.min(b[1], c[1])) - 0.5, 0.0, side)))
    x1 = int(wp.floor(wp.clamp(wp.max(a[0], wp.max(b[0], c[0])) - 0.5, -1.0, side - 1.0)))
    y1 = int(wp.floor(wp.clamp(wp.max(a[1], wp.max(b[1], c[1])) - 0.5, -1.0, side - 1.0)))
    inverse = 1.0 / area
    for y in range(y0, y1 + 1):
        v = float(y) + 0.5
        for x in range(x0, x1 + 1):
            u = float(x) + 0.5
            wa = ((b[0] - u) * (c[1] - v) - (c[0] - u) * (b[1] - v)) * inverse
            wb = ((c[0] - u) * (a[1] - v) - (a[0] - u) * (c[1] - v)) * inverse
            wc = 1.0 - wa - wb
            if wa >= 0.0 and wb >= 0.0 and wc >= 0.0:
                height = wa * a[2] + wb * b[2] + wc * c[2]
                wp.atomic_max(heights, light, y * SIDE + x, height)


@wp.func
def height_at(heights: wp.array2d(dtype=wp.float32), light: int, x: float, y: float) -> float:
    """The height of a light map at a texel; NOTHING outside."""
    i = int(wp.floor(x))
    j = int(wp.floor(y))
    if i < 0 or j < 0 or i >= SIDE or j >= SIDE:
        return NOTHING
    return heights[light, j * SIDE + i]


@wp.func
def seen_share(
    heights: wp.array2d(dtype=wp.float32), light: int, at: wp.vec3, spread: float, scale: float
) -> float:
    """The share of a light that a point at light map coordinates sees.

    spread: tangent of the light's angular radius; scale: texels per metre. Percentage-closer soft
    shadows (Fernando, 2005).
    """
    blockers = wp.float32(0.0)
    total = wp.float32(0.0)
    wide = wp.max(spread * TALLEST * scale, 1.0)
    for k in range(SEARCH_TAPS):
        r = wide * wp.sqrt((float(k) + 0.5) / float(SEARCH_TAPS))
        x = at[0] + r * wp.cos(float(k) * GOLDEN)
        y = at[1] + r * wp.sin(float(k) * GOLDEN)
        height = height_at(heights, light, x, y)
        if height > at[2] + BIAS:
            blockers += 1.0
            total += height - at[2]
    if blockers == 0.0:
        height = height_at(heights, light, at[0], at[1])
        if height <= at[2] + BIAS:
            return 1.0
        blockers = 1.0
        total = height - at[2]
    soft = wp.clamp(spread * total / blockers * scale, 0.7, wide)
    hidden = wp.float32(0.0)
    for k in range(TAPS):
        r = soft * wp.sqrt((float(k) + 0.5) / float(TAPS))
        x = at[0] + r * wp.cos(float(k) * GOLDEN)
        y = at[1] + r * wp.sin(float(k) * GOLDEN)
        if height_at(heights, light, x, y) > at[2] + BIAS:
            hidden += 1.0
    return 1.0 - hidden / float(TAPS)


@wp.kernel
def shade_plane(
    first_row: int,
    chunks: int,
    stage: Stage,
    axes: wp.array(dtype=wp.mat33),  # [K]
    share: wp.array(dtype=wp.vec3),  # [K] of the plane's light, which is 1 in total
    spread: wp.array(dtype=wp.float32),  # [K] tangent of the angular radius
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE]
    shadow: wp.array(dtype=wp.vec3),  # [rows * columns] out: change of the background, minus 1
):
    """How much darker the plane is where hands and objects hide light, per row or cell.

    sRGB values are multiplied by the square root of the light, approximating sRGB by gamma 2.
    """
    t = wp.tid()
    y = first_row + t // chunks
    start = t % chunks
    stop = start + 1
    if chunks == 1:
        stop = stage.columns
    n = wp.vec3(stage.plane[0], stage.plane[1], stage.plane[2])
    scale = 0.5 * float(SIDE) / stage.reach
    for x in range(start, stop):
        lit = wp.vec3(1.0, 1.0, 1.0)
        ray = wp.vec3(
            stage.ray[0] * (float(x) + 0.5) + stage.ray[1],
            stage.ray[2] * (float(y) + 0.5) + stage.ray[3],
            1.0,
        )
        facing = wp.dot(n, ray)
        if facing < -1.0e-6:
            p = ray * (-stage.plane[3] / facing) - stage.centre
            for k in range(stage.lights):
                at = texel(axes[k], p, stage.reach)
                dx = at[0] - 0.5 * float(SIDE)
                dy = at[1] - 0.5 * float(SIDE)
                if dx * dx + dy * dy < 0.25 * float(SIDE * SIDE):
                    lit -= share[k] * (1.0 - seen_share(heights, k, at, spread[k], scale))
        shadow[y * stage.columns + x] = wp.vec3(
            wp.sqrt(wp.max(lit[0], 0.0)) - 1.0,
            wp.sqrt(wp.max(lit[1], 0.0)) - 1.0,
            wp.sqrt(wp.max(lit[2], 0.0)) - 1.0,
        )
