"""Warp kernels that compose an image: foreground, correction and background at the image's size."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

from manivideo_ros.drawing.lighting.kernels import shadow_at

wp.set_module_options({'enable_backward': False})

UNCHANGED = wp.constant(0.015)
"""A smaller relative change of the background is left out, and a larger one reduced by it: outside
of shadows, the background keeps its pixels."""
DARKEST = wp.constant(0.05)
"""Base colour below which the change of the background is not taken relative to it."""
SAME = wp.constant(0.02)
"""Least weight of a cell that shows none of what is interpolated: foreground, or background."""
FEATHER = wp.constant(24.0)
"""Cells in which the background's change fades in from a side of the grid inside the image.
Hands and objects beyond that side keep the correction at it."""
PLANE_EDGE = wp.constant(0.004)
"""Metres over which a surface vanishes below the support plane."""


@wp.struct
class Layout:
    """How the network's grid lies in the image: cell = scale * (pixel + 0.5) + offset - 0.5."""

    width: int  # of the image, pixels
    height: int
    columns: int  # of the grid, cells
    rows: int
    scale: wp.vec2
    offset: wp.vec2
    inside: wp.vec4  # 1 for the sides (left, top, right, bottom) of the grid inside the image
    occluded: int  # whether `scene_depth` is given
    tolerance: float  # metres by which the scene must be nearer to hide a surface
    focal: wp.vec2  # of the image, pixels
    centre: wp.vec2
    plane: wp.vec4  # of the support, camera frame: normal and offset; 0 for none
    shadowed: int  # whether `shadow` is given
    lit: int  # whether the base image is lit, with shadows


@wp.kernel
def find_factors(
    first_row: int,
    layout: Layout,
    made: wp.array2d(dtype=wp.float32),  # [6, h * w]
    cell_base: wp.array2d(dtype=wp.float32),  # [3, h * w] the base image that was corrected
    cell_coverage: wp.array(dtype=wp.float32),  # [h * w] of hands and objects
    shadow: wp.array(dtype=wp.vec3),  # [h/2 * w/2] change of the background by shadows, minus 1
    opened: wp.array(dtype=wp.vec3),  # [h * w] change of the foreground by shadows, minus 1
    gain: wp.array(dtype=wp.vec3),  # [h * w] out: minus 1
    residual: wp.array(dtype=wp.vec3),  # [h * w] out
    factor: wp.array(dtype=wp.vec3),  # [h * w] out: change of the background, minus 1
    active: wp.array(dtype=wp.int32),  # [h * w] out: whether a cell changes anything
    active_span: wp.array2d(dtype=wp.int32),  # [h, 2] out: first and last such cell, for rows
    chunks: int,
):
    """The corrected background relative to the base; a thread per row (chunks = 1) or cell.

    Gain and residual of the background cancel each other for its mean colour, but reduce its
    contrast; a shadow is a factor. A lit base has the shadows, and the network corrects them; else
    the darker one counts of those that the network and `shadow` show.
    """
    t = wp.tid()
    start = t % chunks
    stop = start + 1
    if chunks == 1:
        stop = layout.columns
    first = layout.columns
    last = wp.int32(-1)
    for column in range(start, stop):
        i = (first_row + t // chunks) * layout.columns + column
        most = cell_coverage[i]
        g = wp.vec3(made[0, i] - 1.0, made[1, i] - 1.0, made[2, i] - 1.0)
        r = wp.vec3(made[3, i], made[4, i], made[5, i])
        relative = wp.vec3(0.0, 0.0, 0.0)
        dark = wp.vec3(0.0, 0.0, 0.0)
        if layout.shadowed != 0:
            row = first_row + t // chunks
            dark = shadow_at(shadow, layout.columns // 2, layout.rows // 2, column, row)
        for channel in range(3):
            base = cell_base[channel, i]
            change = base * g[channel] + r[channel]
            relative[channel] = wp.clamp(change / wp.max(base, DARKEST), -1.0, 1.0)
            if layout.lit != 0:
                relative[channel] = (1.0 + relative[channel]) * (1.0 + dark[channel]) - 1.0
            elif dark[channel] < 0.0:
                relative[channel] = wp.min(relative[channel], dark[channel])
            most = wp.max(most, wp.abs(relative[channel]) - UNCHANGED)
        if layout.lit != 0:
            g += wp.cw_mul(g + wp.vec3(1.0, 1.0, 1.0), opened[i])
        gain[i] = g
        residual[i] = r
        factor[i] = relative
        active[i] = wp.where(most > 0.0, 1, 0)
        if most > 0.0:
            first = wp.min(first, column)
            last = column
    if chunks == 1:
        active_span[first_row + t, 0] = first
        active_span[first_row + t, 1] = last


@wp.func
def shrunk(value: float, by: float) -> float:
    """A value moved towards 0 by at most `by`."""
    return wp.sign(value) * wp.max(wp.abs(value) - by, 0.0)


@wp.func
def unoccluded(
    layout: Layout, scene_depth: wp.array(dtype=wp.float32), x: int, y: int, z: float
) -> float:
    """The share of a surface at depth z that scene and support plane leave visible, 0..1.

    A mean over 3 x 3 pixels, which softens edges. Depths that are 0 or NaN are unknown: behind.
    """
    share = wp.float32(1.0)
    if layout.occluded != 0:
        hidden = wp.float32(0.0)
        count = wp.float32(0.0)
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                column = x + dx
                row = y + dy
                if column >= 0 and column < layout.width and row >= 0 and row < layout.height:
                    near = scene_depth[row * layout.width + column]
                    count += 1.0
                    if near > 0.0 and near < z - layout.tolerance:  # false for NaN
                        hidden += 1.0
        share = 1.0 - hidden / count
    n = wp.vec3(layout.plane[0], layout.plane[1], layout.plane[2])
    if wp.dot(n, n) > 0.0:
        ray = wp.vec3(
            (float(x) + 0.5 - layout.centre[0]) / layout.focal[0],
            (float(y) + 0.5 - layout.centre[1]) / layout.focal[1],
            1.0,
        )
        height = z * wp.dot(n, ray) + layout.plane[3]
        share = share * wp.clamp(1.0 + (height + layout.tolerance) / PLANE_EDGE, 0.0, 1.0)
    return share


@wp.func
def composed(
    layout: Layout,
    cell_gain: wp.array(dtype=wp.vec3),
    cell_residual: wp.array(dtype=wp.vec3),
    cell_coverage: wp.array(dtype=wp.float32),
    factor: wp.array(dtype=wp.vec3),
    colour: wp.array(dtype=wp.vec3),
    coverage: wp.array(dtype=wp.float32),
    depth: wp.array(dtype=wp.float32),
    scene_depth: wp.array(dtype=wp.float32),
    background: wp.array(dtype=wp.vec3ub),
    x: int,
    y: int,
    shown: wp.array(dtype=wp.float32),
) -> wp.vec3ub:
    """The colour of a pixel; its visible coverage is written to `shown`."""
    i = y * layout.width + x
    covered = coverage[i]
    behind = background[i]
    share = wp.float32(1.0)
    if covered > 0.0:
        share = unoccluded(layout, scene_depth, x, y, depth[i])
    alpha = covered * share
    shown[i] = alpha
    # Bilinear between the four nearest cells. Of these, the ones that show hands and objects count
    # for the foreground and the others for the background: neither reaches beyond its outline.
    gx = layout.scale[0] * (float(x) + 0.5) + layout.offset[0] - 0.5
    gy = layout.scale[1] * (float(y) + 0.5) + layout.offset[1] - 0.5
    x0 = int(wp.floor(gx))
    y0 = int(wp.floor(gy))
    fx = gx - float(x0)
    fy = gy - float(y0)
    gain = wp.vec3(0.0, 0.0, 0.0)
    residual = wp.vec3(0.0, 0.0, 0.0)
    change = wp.vec3(0.0, 0.0, 0.0)
    front = wp.float32(1.0e-9)
    back = wp.float32(1.0e-9)
    for k in range(4):
        dx = k % 2
        dy = k // 2
        j = wp.clamp(y0 + dy, 0, layout.rows - 1) * layout.columns
        j += wp.clamp(x0 + dx, 0, layout.columns - 1)
        w = wp.where(dx == 1, fx, 1.0 - fx) * wp.where(dy == 1, fy, 1.0 - fy)
        inside = cell_coverage[j]
        if covered > 0.0:
            f = w * (SAME + inside)
            front += f
            gain += f * cell_gain[j]
            residual += f * cell_residual[j]
        if alpha < 1.0:
            b = w * (SAME + 1.0 - inside)
            back += b
            change += b * factor[j]
    gain = gain / front
    residual = residual / front
    change = change / back
    beyond = wp.min(
        wp.min(
            wp.where(layout.inside[0] > 0.0, gx, FEATHER),
            wp.where(layout.inside[1] > 0.0, gy, FEATHER),
        ),
        wp.min(
            wp.where(layout.inside[2] > 0.0, float(layout.columns) - 1.0 - gx, FEATHER),
            wp.where(layout.inside[3] > 0.0, float(layout.rows) - 1.0 - gy, FEATHER),
        ),
    )
    fade = wp.clamp(beyond / FEATHER, 0.0, 1.0)
    out = wp.vec3(0.0, 0.0, 0.0)
    for channel in range(3):
        value = share * colour[i][channel] * (1.0 + gain[channel])
        value += alpha * residual[channel]
        scene = float(behind[channel]) / 255.0
        value += (1.0 - alpha) * scene * (1.0 + fade * shrunk(change[channel], UNCHANGED))
        out[channel] = wp.clamp(value, 0.0, 1.0) * 255.0 + 0.5
    return wp.vec3ub(wp.uint8(out[0]), wp.uint8(out[1]), wp.uint8(out[2]))


@wp.kernel
def compose_rows(
    first_row: int,
    chunks: int,
    layout: Layout,
    gain: wp.array(dtype=wp.vec3),  # [h * w] minus 1
    residual: wp.array(dtype=wp.vec3),  # [h * w]
    cell_coverage: wp.array(dtype=wp.float32),  # [h * w] of hands and objects
    factor: wp.array(dtype=wp.vec3),  # [h * w] change of the background, minus 1
    active: wp.array(dtype=wp.int32),  # [h * w]
    active_span: wp.array2d(dtype=wp.int32),  # [h, 2] first and last active cell
    edges: wp.array(dtype=wp.int32),  # [w + 1] first pixel whose left cell is column - 1
    colour: wp.array(dtype=wp.vec3),  # [H * W] of the foreground, times coverage
    coverage: wp.array(dtype=wp.float32),  # [H * W]
    depth: wp.array(dtype=wp.float32),  # [H * W] m
    drawn: wp.array3d(dtype=wp.int32),  # [1, 2H, 2]: columns of the fine rows with coverage
    scene_depth: wp.array(dtype=wp.float32),  # [H * W] m; [1] if not given
    background: wp.array(dtype=wp.vec3ub),  # [H * W]
    shown: wp.array(dtype=wp.float32),  # [H * W] out: visible coverage, where it is not 0
    image: wp.array(dtype=wp.vec3ub),  # [H * W] in: the background; out
):
    """A thread per row (chunks = 1), which skips what does not change, or per pixel."""
    t = wp.tid()
    y = first_row + t // chunks
    if chunks != 1:
        x = t % chunks
        image[y * layout.width + x] = composed(
            layout, gain, residual, cell_coverage, factor, colour, coverage, depth,
            scene_depth, background, x, y, shown,
        )  # fmt: skip
        return
    first = wp.min(drawn[0, 2 * y, 0], drawn[0, 2 * y + 1, 0]) // 2
    last = wp.max(drawn[0, 2 * y, 1], drawn[0, 2 * y + 1, 1]) // 2
    gy = layout.scale[1] * (float(y) + 0.5) + layout.offset[1] - 0.5
    y0 = int(wp.floor(gy))
    above = wp.clamp(y0, 0, layout.rows - 1)
    below = wp.clamp(y0 + 1, 0, layout.rows - 1)
    upper = above * layout.columns
    lower = below * layout.columns
    # The cells left of pixels that an active cell reaches; between them, only what is covered.
    start = wp.min(active_span[above, 0], active_span[below, 0]) - 1
    stop = wp.max(active_span[above, 1], active_span[below, 1]) + 1
    if gy <= -1.0 or gy >= float(layout.rows):
        start = layout.columns
        stop = wp.int32(-1)
    x = wp.int32(0)
    for cell in range(start, stop):
        begin = edges[cell + 1]
        end = layout.width
        if cell < layout.columns - 1:
            end = edges[cell + 2]
        for column in range(wp.max(x, first), wp.min(begin, last + 1)):
            if coverage[y * layout.width + column] > 0.0:
                image[y * layout.width + column] = composed(
                    layout, gain, residual, cell_coverage, factor, colour, coverage, depth,
                    scene_depth, background, column, y, shown,
                )  # fmt: skip
        a = wp.max(cell, 0)
        b = wp.min(cell + 1, layout.columns - 1)
        on = active[upper + a] + active[upper + b] + active[lower + a] + active[lower + b]
        if on > 0:
            for column in range(begin, end):
                image[y * layout.width + column] = composed(
                    layout, gain, residual, cell_coverage, factor, colour, coverage, depth,
                    scene_depth, background, column, y, shown,
                )  # fmt: skip
            x = wp.max(x, end)
        else:
            x = wp.max(x, begin)
    for column in range(wp.max(x, first), last + 1):
        if coverage[y * layout.width + column] > 0.0:
            image[y * layout.width + column] = composed(
                layout, gain, residual, cell_coverage, factor, colour, coverage, depth,
                scene_depth, background, column, y, shown,
            )  # fmt: skip
