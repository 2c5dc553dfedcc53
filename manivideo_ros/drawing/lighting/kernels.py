"""Warp kernels of light and shadow: maps of what stands nearest to each light, and their use."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

from manivideo_ros.drawing.lighting.finish_kernels import Lamp, finished, surface_shown

wp.set_module_options({'enable_backward': False})

SIDE = wp.constant(192)
"""Texels along a side of a light map."""
RAYS = wp.constant(8)
"""Rays from a point to a lamp's disc."""
STEPS = wp.constant(4)
DOME_RAYS = wp.constant(2)
"""Rays to each direction of the dome; of the plane, whose light is drawn on a coarser grid, twice
as many."""
DOME_STEPS = wp.constant(3)
FIRST = wp.constant(0.006)
"""Metres toward a light of the first step along a ray, for the lowest ray."""
RATIO = wp.constant(2.7)
"""Of the heights of one step and the one before."""
TALLEST = wp.constant(0.3)
"""Metres toward a light of the last step of the highest ray."""
BIAS = wp.constant(0.002)
"""Metres by which a surface must be nearer to the light than the point that it shades."""
LIFT = wp.constant(0.003)
"""Metres along its normal by which a point of a hand or an object is moved before it is asked."""
NOTHING = wp.constant(-1.0e6)
GOLDEN = wp.constant(2.3999632)
BRIGHTEST = wp.constant(0.8)
"""Albedo above which surfaces are taken for that: bytes near 255 are highlights."""


@wp.struct
class Stage:
    """A frame's light, its support plane, and the sphere that casts shadows; camera frame."""

    lights: int  # 0: nothing is lit or shadowed
    reach: float  # radius of the sphere, m
    centre: wp.vec3  # of the sphere
    plane: wp.vec4  # unit normal and offset of the support plane; 0: none
    ray: wp.vec4  # m per metre of depth: x = ray[0] * (column + 0.5) + ray[1], of half the grid
    lamp: wp.vec3  # irradiance of a surface that faces the lamp
    ambient: wp.vec3  # irradiance by the dome
    unit: wp.vec3  # factor from irradiance to shown colours


@wp.func
def lamp_of(
    stage: Stage, axes: wp.array(dtype=wp.mat33), spread: wp.array(dtype=wp.float32)
) -> Lamp:
    """A frame's lamp and surrounding, in the units of shown colours."""
    out = Lamp()
    out.towards = wp.vec3(axes[0][2, 0], axes[0][2, 1], axes[0][2, 2])
    out.power = wp.cw_mul(stage.lamp, stage.unit)
    out.ambient = wp.cw_mul(stage.ambient, stage.unit)
    out.spread = spread[0]
    return out


@wp.func
def texel(axes: wp.mat33, p: wp.vec3, reach: float) -> wp.vec3:
    """Light map coordinates of a point relative to the centre: x, y in texels, height in m."""
    q = axes * p
    scale = 0.5 * float(SIDE) / reach
    return wp.vec3(q[0] * scale + 0.5 * float(SIDE), q[1] * scale + 0.5 * float(SIDE), q[2])


@wp.kernel
def cast_shadows(
    first: int,
    count: int,
    stage: wp.array(dtype=Stage),  # [1]
    axes: wp.array(dtype=wp.mat33),  # [K] rows: across, along and towards the light
    present: wp.array(dtype=wp.int32),  # [S]
    closed: wp.array(dtype=wp.int32),  # [S] whether faces that look away hide nothing more
    face_surface: wp.array(dtype=wp.int32),  # [F]
    faces: wp.array(dtype=wp.vec3i),  # [F]
    vertices: wp.array(dtype=wp.vec3),  # [V] camera frame
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE] in and out
):
    """Raise light maps to the faces that lie over their texels, one thread per light and face."""
    t = wp.tid()
    light = first + t // count
    f = t % count
    s = stage[0]
    surface = face_surface[f]
    if light >= s.lights or present[surface] == 0:
        return
    face = faces[f]
    a = texel(axes[light], vertices[face[0]] - s.centre, s.reach)
    b = texel(axes[light], vertices[face[1]] - s.centre, s.reach)
    c = texel(axes[light], vertices[face[2]] - s.centre, s.reach)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    if not (wp.abs(area) > 1.0e-9) or (area < 0.0 and closed[surface] != 0):
        return
    side = float(SIDE)
    x0 = int(wp.ceil(wp.clamp(wp.min(a[0], wp.min(b[0], c[0])) - 0.5, 0.0, side)))
    y0 = int(wp.ceil(wp.clamp(wp.min(a[1], wp.min(b[1], c[1])) - 0.5, 0.0, side)))
    x1 = int(wp.floor(wp.clamp(wp.max(a[0], wp.max(b[0], c[0])) - 0.5, -1.0, side - 1.0)))
    y1 = int(wp.floor(wp.clamp(wp.max(a[1], wp.max(b[1], c[1])) - 0.5, -1.0, side - 1.0)))
    inverse = 1.0 / area
    # The weights of a and b at the first texel, and their changes from texel to texel.
    u = float(x0) + 0.5
    v = float(y0) + 0.5
    row_a = ((b[0] - u) * (c[1] - v) - (c[0] - u) * (b[1] - v)) * inverse
    row_b = ((c[0] - u) * (a[1] - v) - (a[0] - u) * (c[1] - v)) * inverse
    across_a = (b[1] - c[1]) * inverse
    across_b = (c[1] - a[1]) * inverse
    down_a = (c[0] - b[0]) * inverse
    down_b = (a[0] - c[0]) * inverse
    above_a = a[2] - c[2]
    above_b = b[2] - c[2]
    for y in range(y0, y1 + 1):
        wa = row_a
        wb = row_b
        for x in range(x0, x1 + 1):
            if wa >= 0.0 and wb >= 0.0 and wa + wb <= 1.0:
                wp.atomic_max(heights, light, y * SIDE + x, c[2] + wa * above_a + wb * above_b)
            wa += across_a
            wb += across_b
        row_a += down_a
        row_b += down_b


@wp.kernel
def bound_maps(
    first: int,
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE]
    bounds: wp.array2d(dtype=wp.int32),  # [K, 4] in and out: first column and row, last ones
):
    """Extend bounds to the texels that something lies over, one thread per light and row."""
    t = first * SIDE + wp.tid()
    light = t // SIDE
    y = t % SIDE
    low = wp.int32(SIDE)
    high = wp.int32(-1)
    for x in range(SIDE):
        if heights[light, y * SIDE + x] > NOTHING:
            low = wp.min(low, x)
            high = x
    if high >= 0:
        wp.atomic_min(bounds, light, 0, low)
        wp.atomic_min(bounds, light, 1, y)
        wp.atomic_max(bounds, light, 2, high)
        wp.atomic_max(bounds, light, 3, y)


@wp.func
def near(bounds: wp.array2d(dtype=wp.int32), light: int, at: wp.vec3, wide: float) -> bool:
    """Whether what lies in bounds can hide a light of this width from a point."""
    x = at[0]
    y = at[1]
    return (
        x > float(bounds[light, 0]) - wide
        and y > float(bounds[light, 1]) - wide
        and x < float(bounds[light, 2] + 1) + wide
        and y < float(bounds[light, 3] + 1) + wide
    )


@wp.func
def height_at(heights: wp.array2d(dtype=wp.float32), light: int, x: float, y: float) -> float:
    """The height of a light map at a texel; NOTHING outside."""
    i = int(wp.floor(x))
    j = int(wp.floor(y))
    if i < 0 or j < 0 or i >= SIDE or j >= SIDE:
        return NOTHING
    return heights[light, j * SIDE + i]


@wp.func
def inside(at: wp.vec3) -> bool:
    """Whether a point lies in the circle of a light map."""
    dx = at[0] - 0.5 * float(SIDE)
    dy = at[1] - 0.5 * float(SIDE)
    return dx * dx + dy * dy < 0.25 * float(SIDE * SIDE)


@wp.func
def seen_share(
    heights: wp.array2d(dtype=wp.float32),
    spiral: wp.array2d(dtype=wp.vec3),
    light: int,
    at: wp.vec3,
    spread: float,
    scale: float,
    slope: float,
    rays: int,
    steps: int,
) -> float:
    """The share of a light that a point at light map coordinates sees: of rays to points of the
    light's disc, those over which nothing lies. What lies in a map is taken to be solid below.

    spiral: points of a unit disc and the height of a ray's first step, by their number
    (light_maps.py); spread: tangent of the light's angular radius; scale: texels per metre; slope:
    metres of bias per metre beside the point.
    """
    hidden = wp.float32(0.0)
    least = BIAS + slope / scale
    for k in range(rays):
        ray = spiral[rays, k]
        across = spread * scale * ray[0]
        along = spread * scale * ray[1]
        up = ray[2]
        blocked = wp.float32(0.0)
        for _step in range(steps):
            height = height_at(heights, light, at[0] + across * up, at[1] + along * up)
            if height > at[2] + wp.max(up, least):
                blocked = 1.0
                break
            up *= RATIO
        hidden += blocked
    return 1.0 - hidden / float(rays)


@wp.func
def darkened(light: wp.vec3) -> wp.vec3:
    """The relative change of sRGB values by a share of light: gamma 2 approximates sRGB."""
    return wp.vec3(
        wp.sqrt(wp.max(light[0], 0.0)) - 1.0,
        wp.sqrt(wp.max(light[1], 0.0)) - 1.0,
        wp.sqrt(wp.max(light[2], 0.0)) - 1.0,
    )


@wp.func
def hidden_light(
    stage: Stage,
    axes: wp.array(dtype=wp.mat33),
    share: wp.array(dtype=wp.vec3),
    spread: wp.array(dtype=wp.float32),
    heights: wp.array2d(dtype=wp.float32),
    spiral: wp.array2d(dtype=wp.vec3),
    bounds: wp.array2d(dtype=wp.int32),
    x: float,
    y: float,
    first: int,
    stop: int,
) -> wp.vec3:
    """The share of the plane's light that lights first .. stop - 1 would send to where the plane is
    seen at x, y of half the grid, if nothing hid it.
    """
    out = wp.vec3(0.0, 0.0, 0.0)
    n = wp.vec3(stage.plane[0], stage.plane[1], stage.plane[2])
    scale = 0.5 * float(SIDE) / stage.reach
    ray = wp.vec3(stage.ray[0] * x + stage.ray[1], stage.ray[2] * y + stage.ray[3], 1.0)
    facing = wp.dot(n, ray)
    if facing < -1.0e-6:
        p = ray * (-stage.plane[3] / facing) - stage.centre
        for k in range(first, wp.min(stop, stage.lights)):
            at = texel(axes[k], p, stage.reach)
            wide = wp.max(spread[k] * TALLEST * scale, 1.0)
            if inside(at) and near(bounds, k, at, wide):
                rays = wp.where(k == 0, RAYS, 2 * DOME_RAYS)
                seen = seen_share(heights, spiral, k, at, spread[k], scale, 0.0, rays, STEPS)
                out += share[k] * (1.0 - seen)
    return out


@wp.kernel
def shade_by_dome(
    first_row: int,
    chunks: int,
    columns: int,
    stage: wp.array(dtype=Stage),  # [1]
    axes: wp.array(dtype=wp.mat33),  # [K]
    share: wp.array(dtype=wp.vec3),  # [K] of the plane's light, which is 1 in total
    spread: wp.array(dtype=wp.float32),  # [K] tangent of the angular radius
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE]
    spiral: wp.array2d(dtype=wp.vec3),  # [RAYS + 1, RAYS]
    bounds: wp.array2d(dtype=wp.int32),  # [K, 4]
    dome_shadow: wp.array(dtype=wp.vec3),  # [rows * columns] out: hidden share of the light
):
    """How much of the dome's light is hidden from the plane, per row or cell of a quarter grid:
    its shadows are wide.
    """
    t = wp.tid()
    y = first_row + t // chunks
    start = t % chunks
    stop = start + 1
    if chunks == 1:
        stop = columns
    s = stage[0]
    for x in range(start, stop):
        u = 2.0 * float(x) + 1.0
        v = 2.0 * float(y) + 1.0
        dome_shadow[y * columns + x] = hidden_light(
            s, axes, share, spread, heights, spiral, bounds, u, v, 1, s.lights
        )


@wp.kernel
def shade_plane(
    first_row: int,
    chunks: int,
    columns: int,
    dome_columns: int,
    dome_rows: int,
    stage: wp.array(dtype=Stage),  # [1]
    axes: wp.array(dtype=wp.mat33),  # [K]
    share: wp.array(dtype=wp.vec3),  # [K] of the plane's light, which is 1 in total
    spread: wp.array(dtype=wp.float32),  # [K] tangent of the angular radius
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE]
    spiral: wp.array2d(dtype=wp.vec3),  # [RAYS + 1, RAYS]
    bounds: wp.array2d(dtype=wp.int32),  # [K, 4]
    dome_shadow: wp.array(dtype=wp.vec3),  # [dome_rows * dome_columns]
    shadow: wp.array(dtype=wp.vec3),  # [rows * columns] out: change of the background, minus 1
):
    """How much darker the plane is where hands and objects hide light, per row or cell."""
    t = wp.tid()
    y = first_row + t // chunks
    start = t % chunks
    stop = start + 1
    if chunks == 1:
        stop = columns
    s = stage[0]
    for x in range(start, stop):
        u = float(x) + 0.5
        v = float(y) + 0.5
        lamp = hidden_light(s, axes, share, spread, heights, spiral, bounds, u, v, 0, 1)
        dome = shadow_at(dome_shadow, dome_columns, dome_rows, x, y)
        shadow[y * columns + x] = darkened(wp.vec3(1.0, 1.0, 1.0) - lamp - dome)


@wp.func
def shadow_at(
    shadow: wp.array(dtype=wp.vec3), columns: int, rows: int, column: int, row: int
) -> wp.vec3:
    """A map's value at a cell of a grid of twice its columns and rows; bilinear."""
    x = wp.clamp(0.5 * float(column) - 0.25, 0.0, float(columns - 1))
    y = wp.clamp(0.5 * float(row) - 0.25, 0.0, float(rows - 1))
    i = wp.min(int(x), columns - 2)
    j = wp.min(int(y), rows - 2)
    fx = x - float(i)
    fy = y - float(j)
    first = j * columns + i
    top = shadow[first] * (1.0 - fx) + shadow[first + 1] * fx
    low = shadow[first + columns] * (1.0 - fx) + shadow[first + columns + 1] * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def with_bounces(free: float, albedo: float) -> float:
    """The share of an even light that reaches a surface, with what surfaces of the same albedo that
    hide the rest reflect (Jimenez et al., Practical Realtime Strategies for Accurate Indirect
    Occlusion, 2016, equation 20).
    """
    a = 2.0404 * albedo - 0.3324
    b = -4.7951 * albedo + 0.6417
    c = 2.7552 * albedo + 0.6903
    return wp.min(wp.max(free, ((free * a + b) * free + c) * free), 1.0)


@wp.func
def openness(
    stage: Stage,
    axes: wp.array(dtype=wp.mat33),
    spread: wp.array(dtype=wp.float32),
    heights: wp.array2d(dtype=wp.float32),
    spiral: wp.array2d(dtype=wp.vec3),
    p: wp.vec3,
    n: wp.vec3,
) -> wp.vec2:
    """The shares of the lamp and of the dome that a surface sees."""
    scale = 0.5 * float(SIDE) / stage.reach
    q = p + n * LIFT - stage.centre
    towards = wp.vec3(axes[0][2, 0], axes[0][2, 1], axes[0][2, 2])
    seen = wp.float32(1.0)
    if wp.dot(n, towards) > 0.0:
        at = texel(axes[0], q, stage.reach)
        if inside(at):
            seen = seen_share(heights, spiral, 0, at, spread[0], scale, 0.5, RAYS, STEPS)
    total = wp.float32(0.0)
    free = wp.float32(0.0)
    for k in range(1, stage.lights):
        weight = wp.dot(n, wp.vec3(axes[k][2, 0], axes[k][2, 1], axes[k][2, 2]))
        if weight > 0.0:
            total += weight
            at = texel(axes[k], q, stage.reach)
            if inside(at):
                weight = weight * seen_share(
                    heights, spiral, k, at, spread[k], scale, 0.5, DOME_RAYS, DOME_STEPS
                )
            free += weight
    return wp.vec2(seen, wp.where(total > 0.0, free / wp.max(total, 1.0e-6), 1.0))


@wp.func
def opened_by(
    stage: Stage, axes: wp.array(dtype=wp.mat33), n: wp.vec3, seen: float, around: wp.vec3
) -> wp.vec3:
    """The change of the sRGB values of a surface, minus 1, by what hides lamp and dome from it."""
    towards = wp.vec3(axes[0][2, 0], axes[0][2, 1], axes[0][2, 2])
    facing = wp.max(wp.dot(n, towards), 0.0)
    light = wp.cw_mul(stage.ambient, around) + stage.lamp * (facing * seen)
    whole = stage.ambient + stage.lamp * facing
    return darkened(wp.cw_div(light, whole + wp.vec3(1.0e-6, 1.0e-6, 1.0e-6)))


@wp.kernel
def light_cells(
    first_row: int,
    chunks: int,
    columns: int,
    rows: int,
    stage: wp.array(dtype=Stage),  # [1]
    ball: wp.array(dtype=wp.vec3),  # [16]
    axes: wp.array(dtype=wp.mat33),  # [K]
    spread: wp.array(dtype=wp.float32),  # [K]
    heights: wp.array2d(dtype=wp.float32),  # [K, SIDE * SIDE]
    spiral: wp.array2d(dtype=wp.vec3),  # [RAYS + 1, RAYS]
    shadow: wp.array(dtype=wp.vec3),  # [h/2 * w/2] change of the background, minus 1
    nearest_layer: wp.array(dtype=wp.int32),  # [h * w]
    face_index: wp.array2d(dtype=wp.int32),  # [L, h * w]
    finish: wp.array(dtype=wp.vec3),  # [F] see finish.py
    depth: wp.array2d(dtype=wp.float32),  # [L, h * w] m
    visible_normal: wp.array2d(dtype=wp.float32),  # [3, h * w]
    unlit: wp.array2d(dtype=wp.float32),  # [3, h * w] materials over the background
    mask: wp.array(dtype=wp.float32),  # [h * w] coverage of hands and objects
    behind: wp.array2d(dtype=wp.float32),  # [3, h * w] the background
    opened: wp.array(dtype=wp.vec3),  # [h * w] out: change of hands and objects, minus 1
    base: wp.array2d(dtype=wp.float32),  # [3, h * w] out
):
    """Light the unlit base image, per row (chunks = 1) or cell."""
    t = wp.tid()
    y = first_row + t // chunks
    start = t % chunks
    stop = start + 1
    if chunks == 1:
        stop = columns
    s = stage[0]
    lamp = lamp_of(s, axes, spread)
    everything = wp.vec3(1.0, 1.0, 1.0)
    for x in range(start, stop):
        i = y * columns + x
        covered = mask[i]
        factor = everything
        change = wp.vec3(0.0, 0.0, 0.0)
        if covered > 0.0:
            # Cells whose centre shows the background take the surface of a neighbour.
            j = i
            if nearest_layer[i] < 0:
                for k in range(9):
                    column = wp.clamp(x + k % 3 - 1, 0, columns - 1)
                    row = wp.clamp(y + k // 3 - 1, 0, rows - 1)
                    if nearest_layer[row * columns + column] >= 0:
                        j = row * columns + column
            layer = nearest_layer[j]
            n = wp.vec3(0.0, 0.0, -1.0)
            if layer >= 0:
                n = wp.vec3(visible_normal[0, j], visible_normal[1, j], visible_normal[2, j])
                ray = wp.vec3(
                    0.5 * s.ray[0] * (float(j % columns) + 0.5) + s.ray[1],
                    0.5 * s.ray[2] * (float(j // columns) + 0.5) + s.ray[3],
                    1.0,
                )
                of = finish[face_index[layer, j]]
                colour = wp.vec3(0.0, 0.0, 0.0)
                around = wp.vec3(0.0, 0.0, 0.0)
                share = openness(s, axes, spread, heights, spiral, ray * depth[layer, j], n)
                for channel in range(3):
                    back = (1.0 - covered) * behind[channel, i]
                    colour[channel] = wp.clamp((unlit[channel, i] - back) / covered, 0.0, 1.0)
                    albedo = wp.min(colour[channel] * colour[channel], BRIGHTEST)
                    around[channel] = with_bounces(share[1], albedo)
                change = opened_by(s, axes, n, share[0], around)
                factor = surface_shown(ball, n, of[0] > 0.0)
                if of[1] > 0.0:
                    shown = wp.cw_mul(colour, factor)
                    whole = finished(colour, shown, ball, lamp, of, n, ray, 1.0, everything)
                    hidden = wp.cw_mul(shown, everything + change)
                    lit = finished(colour, hidden, ball, lamp, of, n, ray, share[0], around)
                    for channel in range(3):
                        # Relative to what the foreground shows, which is bounded.
                        bounded = wp.clamp(whole[channel], 1.0e-3, 1.0)
                        factor[channel] = bounded / wp.max(colour[channel], 1.0e-3)
                        change[channel] = wp.min(lit[channel], 1.0) / bounded - 1.0
            else:
                factor = surface_shown(ball, n, False)
        opened[i] = change
        dark = wp.vec3(0.0, 0.0, 0.0)
        if covered < 1.0:
            dark = shadow_at(shadow, columns // 2, rows // 2, x, y)
        for channel in range(3):
            back = (1.0 - covered) * behind[channel, i]
            front = (unlit[channel, i] - back) * factor[channel] * (1.0 + change[channel])
            base[channel, i] = wp.clamp(front + back * (1.0 + dark[channel]), 0.0, 1.0)
