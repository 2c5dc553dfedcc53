"""Warp kernels that shade the rasterizer's visible buffer: lamps, ambient light, one bounce."""

# mypy: ignore-errors
# ruff: noqa: UP018  (float(0.0) makes a variable that a kernel may change)
from __future__ import annotations

import warp as wp

from manivideo_ros.data.rendering.kernels import (
    MATERIAL_NAIL,
    MATERIAL_OBJECT,
    MATERIAL_SKIN,
    MATERIAL_SLEEVE,
    Lamps,
    Surroundings,
    ambient,
    hash01,
    sample_panorama,
    sample_texture,
    visibility,
)
from manivideo_ros.drawing.lighting.finish_kernels import fifth_power, highlight

wp.set_module_options({'enable_backward': False, 'fast_math': True})


@wp.struct
class Surfels:
    """Discs that approximate the surfaces for indirect light."""

    count: wp.int32
    position: wp.array(dtype=wp.vec3)
    normal: wp.array(dtype=wp.vec3)
    area: wp.array(dtype=wp.float32)
    albedo: wp.array(dtype=wp.vec3)
    radiosity: wp.array(dtype=wp.vec3)


@wp.struct
class Geometry:
    """The posed surfaces from the rasterizer, with the material of each face."""

    vertices: wp.array(dtype=wp.vec3)
    faces: wp.array(dtype=wp.vec3i)
    corner_uv: wp.array3d(dtype=wp.float32)
    material: wp.array(dtype=wp.int32)  # [F]
    texture_start: wp.array(dtype=wp.int32)  # [F]
    texture_size: wp.array(dtype=wp.int32)  # [F]
    gloss: wp.array(dtype=wp.float32)  # [F]
    metal: wp.array(dtype=wp.float32)  # [F]
    textures: wp.array(dtype=wp.uint32)
    linear: wp.array(dtype=wp.float32)  # [256] sRGB byte -> linear


@wp.struct
class Table:
    """The table in the camera frame, and the light of the empty table."""

    normal: wp.vec3
    offset: wp.float32  # normal . p of the table's points
    ray_x: wp.vec4  # 1/fx, cx, 1/fy, cy
    depth: wp.array2d(dtype=wp.float32)  # 0 outside the table
    albedo: wp.array2d(dtype=wp.vec3)
    rest: wp.array2d(dtype=wp.vec3)  # ambient diffuse light on the table; the room elsewhere
    mirror: wp.array2d(dtype=wp.vec3)  # reflected room
    lit: wp.array3d(dtype=wp.vec3)  # [lamp, H, W]
    gloss: wp.float32
    hides: wp.int32  # whether surfaces behind the table are hidden
    seen: wp.array2d(dtype=wp.vec3)  # [H / 2, W / 2] share of each lamp visible from the table
    grid: wp.array2d(dtype=wp.vec4)  # occlusion and indirect light (rgb) around the scene
    grid_from_camera: wp.mat44


@wp.func
def gather(surfels: Surfels, p: wp.vec3, n: wp.vec3) -> wp.vec4:
    """Occlusion of p's hemisphere by the discs, and their indirect light (Bunnell, 2005)."""
    covered = float(0.0)
    light = wp.vec3(0.0, 0.0, 0.0)
    for i in range(surfels.count):
        d = surfels.position[i] - p
        d2 = wp.dot(d, d) + 1.0e-9
        towards = wp.dot(n, d)
        away = -wp.dot(surfels.normal[i], d)
        if towards > 0.0 and away > 0.0:
            area = surfels.area[i]
            factor = area * towards * away / (d2 * (3.14159265 * d2 + area))
            covered += factor
            light += surfels.radiosity[i] * factor
    scale = 1.0 / wp.max(covered, 1.0)
    hidden = 1.0 - wp.exp(-1.35 * covered)
    return wp.vec4(hidden, light[0] * scale, light[1] * scale, light[2] * scale)


@wp.kernel
def light_surfels(lamps: Lamps, room: Surroundings, surfels: Surfels):
    """Diffuse radiosity of every disc from the lamps and the room."""
    i = wp.tid()
    p = surfels.position[i]
    n = surfels.normal[i]
    total = ambient(room, n, 0.7) * 0.8
    for k in range(lamps.count):
        towards = lamps.position[k] - p
        d2 = wp.dot(towards, towards)
        ndl = wp.dot(n, towards) / wp.sqrt(d2)
        if ndl > 0.0:
            seen = visibility(lamps, k, p + n * 0.002, n, wp.vec2(1.0, 0.0), 1)
            total += lamps.intensity[k] * (ndl * seen / d2)
    surfels.radiosity[i] = wp.cw_mul(surfels.albedo[i], total)


@wp.kernel
def gather_at_table(surfels: Surfels, table: Table, camera_from_grid: wp.mat44):
    """Occlusion and indirect light on a grid of table points; both fade to 0 at its border."""
    row, column = wp.tid()
    cells = float(table.grid.shape[0] - 1)
    x = float(column) / cells
    y = float(row) / cells
    p = wp.transform_point(camera_from_grid, wp.vec3(x, y, 0.0))
    rim = wp.min(wp.min(x, 1.0 - x), wp.min(y, 1.0 - y))
    table.grid[row, column] = gather(surfels, p, table.normal) * wp.min(rim * 6.0, 1.0)


@wp.func
def sample_grid(table: Table, p: wp.vec3) -> wp.vec4:
    """Occlusion and indirect light of the table below (or at) p; zero outside the grid."""
    g = wp.transform_point(table.grid_from_camera, p)
    cells = float(table.grid.shape[0] - 1)
    x = g[0] * cells
    y = g[1] * cells
    if x < 0.0 or y < 0.0 or x >= cells or y >= cells:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    i = int(x)
    j = int(y)
    fx = x - float(i)
    fy = y - float(j)
    top = table.grid[j, i] * (1.0 - fx) + table.grid[j, i + 1] * fx
    low = table.grid[j + 1, i] * (1.0 - fx) + table.grid[j + 1, i + 1] * fx
    return top * (1.0 - fy) + low * fy


@wp.kernel
def gather_at_vertices(
    surfels: Surfels,
    table: Table,
    first: wp.int32,
    vertices: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    gathered: wp.array(dtype=wp.vec4),
    floor_visible: wp.array(dtype=wp.float32),
):
    """Occlusion and indirect light at vertices, and the unoccluded share of the table below."""
    v = first + wp.tid()
    p = vertices[v]
    gathered[v] = gather(surfels, p + normals[v] * 0.0015, normals[v])
    height = wp.transform_point(table.grid_from_camera, p)[2]
    under = sample_grid(table, p)
    near = wp.exp(-wp.max(height, 0.0) / 0.03)
    floor_visible[v] = 1.0 - 0.85 * wp.min(under[0] * 1.3, 1.0) * near


@wp.kernel
def shade_table(lamps: Lamps, room: Surroundings, table: Table):
    """Light of the empty table and room, separately for each lamp."""
    row, column = wp.tid()
    x = (float(column) + 0.5 - table.ray_x[1]) * table.ray_x[0]
    y = (float(row) + 0.5 - table.ray_x[3]) * table.ray_x[2]
    z = table.depth[row, column]
    if z == 0.0:
        seen = room.world_from_camera * wp.normalize(wp.vec3(x, y, 1.0))
        table.rest[row, column] = sample_panorama(room.panorama, seen)
        return
    p = wp.vec3(x * z, y * z, z)
    n = table.normal
    view = -wp.normalize(p)
    albedo = table.albedo[row, column]
    table.rest[row, column] = wp.cw_mul(albedo, ambient(room, n, 0.0))
    rough = 0.75 - 0.5 * table.gloss
    f0 = 0.04 * wp.min(table.gloss * 3.0, 1.0)
    for k in range(lamps.count):
        towards = lamps.position[k] - p
        d2 = wp.dot(towards, towards)
        d = wp.sqrt(d2)
        towards = towards / d
        spec = highlight(n, towards, view, rough, f0, lamps.radius[k] / d)
        diffuse = wp.max(wp.dot(n, towards), 0.0)
        table.lit[k, row, column] = wp.cw_mul(
            albedo * diffuse + wp.vec3(spec, spec, spec), lamps.intensity[k] / d2
        )
    fresnel = f0 + (wp.max(0.6 * table.gloss, f0) - f0) * fifth_power(1.0 - wp.dot(n, view))
    bent = room.world_from_camera * (2.0 * wp.dot(n, view) * n - view)
    mirrored = ambient(room, 2.0 * wp.dot(n, view) * n - view, 0.0)
    if table.gloss > 0.6:
        mirrored = sample_panorama(room.panorama, bent)
    elif table.gloss > 0.2:
        mirrored = sample_panorama(room.soft_panorama, bent)
    table.mirror[row, column] = mirrored * fresnel


@wp.kernel
def shadow_table(lamps: Lamps, table: Table, seed: wp.int32):
    """Shadows on the table at half resolution: they are soft and cover most of the image."""
    row, column = wp.tid()
    seen = wp.vec3(1.0, 1.0, 1.0)
    z = table.depth[2 * row, 2 * column]
    if z == 0.0:
        z = table.depth[2 * row + 1, 2 * column]
    if z > 0.0:
        x = (2.0 * float(column) + 1.0 - table.ray_x[1]) * table.ray_x[0]
        y = (2.0 * float(row) + 1.0 - table.ray_x[3]) * table.ray_x[2]
        z = table.offset / wp.dot(table.normal, wp.vec3(x, y, 1.0))
        p = wp.vec3(x * z, y * z, z)
        angle = hash01(column + seed, row + 3 * seed) * 6.2831853
        turn = wp.vec2(wp.cos(angle), wp.sin(angle))
        for k in range(lamps.count):
            seen[k] = visibility(lamps, k, p, table.normal, turn, 1)
    table.seen[row, column] = seen


@wp.func
def table_seen(table: Table, row: wp.int32, column: wp.int32) -> wp.vec3:
    """Share of each lamp visible at a full-size pixel, interpolated."""
    x = wp.clamp(0.5 * float(column) - 0.25, 0.0, float(table.seen.shape[1]) - 1.001)
    y = wp.clamp(0.5 * float(row) - 0.25, 0.0, float(table.seen.shape[0]) - 1.001)
    i = int(x)
    j = int(y)
    fx = x - float(i)
    fy = y - float(j)
    top = table.seen[j, i] * (1.0 - fx) + table.seen[j, i + 1] * fx
    low = table.seen[j + 1, i] * (1.0 - fx) + table.seen[j + 1, i + 1] * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def exposed(light: wp.vec3, exposure: wp.vec3, brightest: wp.float32) -> wp.vec3:
    """Light times exposure, clipped."""
    x = wp.cw_mul(light, exposure)
    return wp.vec3(wp.min(x[0], brightest), wp.min(x[1], brightest), wp.min(x[2], brightest))


@wp.kernel
def shade_frame(
    lamps: Lamps,
    room: Surroundings,
    table: Table,
    geometry: Geometry,
    gathered: wp.array(dtype=wp.vec4),
    floor_visible: wp.array(dtype=wp.float32),
    face_index: wp.array2d(dtype=wp.int32),
    depth: wp.array2d(dtype=wp.float32),
    normal_map: wp.array3d(dtype=wp.float32),
    seed: wp.int32,
    exposure: wp.vec3,
    brightest: wp.float32,
    image: wp.array2d(dtype=wp.vec3),
):
    """Exposed light [H, W] of the whole image: radiance * exposure, clipped."""
    row, column = wp.tid()
    x = (float(column) + 0.5 - table.ray_x[1]) * table.ray_x[0]
    y = (float(row) + 0.5 - table.ray_x[3]) * table.ray_x[2]
    face = face_index[row, column]
    top = table.depth[row, column]
    if table.hides != 0 and face >= 0 and top > 0.0 and depth[row, column] > top:
        face = wp.int32(-1)
    if face < 0:
        z = table.depth[row, column]
        if z == 0.0:
            image[row, column] = exposed(table.rest[row, column], exposure, brightest)
            return
        p = wp.vec3(x * z, y * z, z)
        local = sample_grid(table, p)
        open_ = 1.0 - local[0]
        bounce = wp.vec3(local[1], local[2], local[3])
        total = (
            table.rest[row, column] * open_
            + wp.cw_mul(table.albedo[row, column], bounce)
            + table.mirror[row, column] * (open_ * open_)
        )
        seen_lamps = table_seen(table, row, column)
        for k in range(lamps.count):
            total += table.lit[k, row, column] * seen_lamps[k]
        image[row, column] = exposed(total, exposure, brightest)
        return

    angle = hash01(column + seed, row + 3 * seed) * 6.2831853
    turn = wp.vec2(wp.cos(angle), wp.sin(angle))
    z = depth[row, column]
    p = wp.vec3(x * z, y * z, z)
    n = wp.vec3(normal_map[0, row, column], normal_map[1, row, column], normal_map[2, row, column])
    corners = geometry.faces[face]
    ia = corners[0]
    ib = corners[1]
    ic = corners[2]
    a = geometry.vertices[ia]
    ab = geometry.vertices[ib] - a
    ac = geometry.vertices[ic] - a
    ap = p - a
    d00 = wp.dot(ab, ab)
    d01 = wp.dot(ab, ac)
    d11 = wp.dot(ac, ac)
    d20 = wp.dot(ap, ab)
    d21 = wp.dot(ap, ac)
    inverse = 1.0 / wp.max(d00 * d11 - d01 * d01, 1.0e-20)
    wb = wp.clamp((d11 * d20 - d01 * d21) * inverse, 0.0, 1.0)
    wc = wp.clamp((d00 * d21 - d01 * d20) * inverse, 0.0, 1.0 - wb)
    wa = 1.0 - wb - wc
    uv = geometry.corner_uv
    tu = wa * uv[face, 0, 0] + wb * uv[face, 1, 0] + wc * uv[face, 2, 0]
    tv = wa * uv[face, 0, 1] + wb * uv[face, 1, 1] + wc * uv[face, 2, 1]
    albedo = sample_texture(
        geometry.textures, geometry.linear,
        geometry.texture_start[face], geometry.texture_size[face], tu, tv,
    )  # fmt: skip
    local = gathered[ia] * wa + gathered[ib] * wb + gathered[ic] * wc
    shining = floor_visible[ia] * wa + floor_visible[ib] * wb + floor_visible[ic] * wc
    open_ = 1.0 - local[0]
    geometric = wp.normalize(wp.cross(ab, ac))
    if wp.dot(geometric, p) > 0.0:
        geometric = -geometric

    material = geometry.material[face]
    gloss = geometry.gloss[face]
    metal = geometry.metal[face]
    rough = 0.8 - 0.6 * gloss
    f0 = 0.02 + 0.03 * wp.min(gloss * 2.0, 1.0)
    wrap = wp.vec3(0.0, 0.0, 0.0)
    if material == MATERIAL_SKIN:
        rough = 0.52 - 0.14 * gloss
        f0 = 0.03
        wrap = wp.vec3(0.28, 0.09, 0.05)
    elif material == MATERIAL_NAIL:
        rough = 0.3
        f0 = 0.045
        wrap = wp.vec3(0.15, 0.06, 0.04)
    elif material == MATERIAL_SLEEVE:
        rough = 0.95
        f0 = 0.015
        wrap = wp.vec3(0.08, 0.08, 0.08)
    view = -wp.normalize(p)
    bounce = wp.vec3(local[1], local[2], local[3])
    # A metal has no diffuse reflection: its colour is that of what it mirrors.
    mirrors = albedo * metal
    albedo = albedo * (1.0 - metal)
    total = wp.cw_mul(albedo, ambient(room, n, shining) * open_ + bounce)
    total += wp.cw_mul(mirrors, bounce)
    shine = float(0.0)
    for k in range(lamps.count):
        towards = lamps.position[k] - p
        d2 = wp.dot(towards, towards)
        d = wp.sqrt(d2)
        towards = towards / d
        ndl = wp.dot(n, towards)
        if ndl > -wrap[0]:
            seen = visibility(lamps, k, p + geometric * 0.0008, n, turn, 0)
            # Subsurface scattering: reddish light around the terminator and at shadow edges.
            soft = wp.vec3(
                seen + 0.35 * wrap[0] * 4.0 * seen * (1.0 - seen),
                seen + 0.10 * wrap[1] * 4.0 * seen * (1.0 - seen),
                seen,
            )
            curve = wp.vec3(
                wp.max((ndl + wrap[0]) / ((1.0 + wrap[0]) * (1.0 + wrap[0])), 0.0),
                wp.max((ndl + wrap[1]) / ((1.0 + wrap[1]) * (1.0 + wrap[1])), 0.0),
                wp.max((ndl + wrap[2]) / ((1.0 + wrap[2]) * (1.0 + wrap[2])), 0.0),
            )
            power = lamps.intensity[k] / d2
            total += wp.cw_mul(wp.cw_mul(albedo, power), wp.cw_mul(curve, soft))
            spread = lamps.radius[k] / d
            spec = highlight(n, towards, view, rough, f0, spread) * seen
            total += power * (spec * (1.0 - metal))
            if metal > 0.0:
                spec = highlight(n, towards, view, rough, 1.0, spread) * seen
                total += wp.cw_mul(mirrors, power) * spec
    ndv = wp.max(wp.dot(n, view), 0.0)
    fresnel = f0 + (wp.max(0.5 * gloss + 0.05, f0) - f0) * fifth_power(1.0 - ndv)
    bent = room.world_from_camera * (2.0 * wp.dot(n, view) * n - view)
    mirrored = room.below
    if material == MATERIAL_OBJECT and gloss > 0.25:
        if gloss > 0.6:
            mirrored = sample_panorama(room.panorama, bent)
        else:
            mirrored = sample_panorama(room.soft_panorama, bent)
    else:
        mirrored = ambient(room, 2.0 * wp.dot(n, view) * n - view, shining)
    if bent[2] < 0.0:
        mirrored = room.below * shining
    shine = fresnel * open_ * open_
    total += mirrored * (shine * (1.0 - metal))
    total += wp.cw_mul(mirrors, mirrored) * (open_ * open_)
    image[row, column] = exposed(total, exposure, brightest)
