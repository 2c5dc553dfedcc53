"""Warp functions shared by the shading kernels: textures, panorama, lamps, soft shadows.

All positions are in the camera's optical frame, metres; radiance is linear.
"""

# mypy: ignore-errors
# ruff: noqa: UP018  (float(0.0) makes a variable that a kernel may change)
from __future__ import annotations

import warp as wp

wp.set_module_options({'enable_backward': False, 'fast_math': True})

MATERIAL_SKIN = wp.constant(0)
MATERIAL_NAIL = wp.constant(1)
MATERIAL_SLEEVE = wp.constant(2)
MATERIAL_OBJECT = wp.constant(3)


@wp.struct
class Lamps:
    """Up to three area lamps and their shadow maps (depth along z, 0 = nothing)."""

    count: wp.int32
    position: wp.array(dtype=wp.vec3)
    radius: wp.array(dtype=wp.float32)
    intensity: wp.array(dtype=wp.vec3)
    shadow_from_camera: wp.array(dtype=wp.mat44)
    pinhole: wp.array(dtype=wp.vec4)  # fx, fy, cx, cy
    nearest: wp.array(dtype=wp.float32)  # depth of the nearest occluder
    shadow_map: wp.array3d(dtype=wp.float32)
    spiral: wp.array2d(dtype=wp.vec2)  # [2, 12] points over the unit disc: 8 of them, 12 of them


@wp.struct
class Surroundings:
    """The room's ambient light: harmonics of the upper half, radiance of the table, panorama."""

    harmonics: wp.array(dtype=wp.vec3)
    below: wp.vec3
    world_from_camera: wp.mat33
    panorama: wp.array2d(dtype=wp.vec3)
    soft_panorama: wp.array2d(dtype=wp.vec3)


@wp.func
def hash01(x: wp.int32, y: wp.int32) -> wp.float32:
    """A fixed pseudo-random number in 0..1 for a pixel (interleaved gradient noise)."""
    f = 0.06711056 * float(x) + 0.00583715 * float(y)
    g = 52.9829189 * (f - wp.floor(f))
    return g - wp.floor(g)


@wp.func
def texel(
    textures: wp.array(dtype=wp.uint32), table: wp.array(dtype=wp.float32), at: wp.int32
) -> wp.vec3:
    """One texel of packed sRGB bytes, in linear light."""
    packed = textures[at]
    return wp.vec3(
        table[int(packed & wp.uint32(255))],
        table[int((packed >> wp.uint32(8)) & wp.uint32(255))],
        table[int((packed >> wp.uint32(16)) & wp.uint32(255))],
    )


@wp.func
def sample_texture(
    textures: wp.array(dtype=wp.uint32),
    table: wp.array(dtype=wp.float32),
    start: wp.int32,
    size: wp.int32,
    u: wp.float32,
    v: wp.float32,
) -> wp.vec3:
    """Bilinear linear-light albedo of packed sRGB texels; clamped at the edges."""
    x = wp.clamp(u * float(size) - 0.5, 0.0, float(size) - 1.001)
    y = wp.clamp(v * float(size) - 0.5, 0.0, float(size) - 1.001)
    i = int(x)
    j = int(y)
    fx = x - float(i)
    fy = y - float(j)
    at = start + j * size + i
    top = texel(textures, table, at) * (1.0 - fx) + texel(textures, table, at + 1) * fx
    below = at + size
    low = texel(textures, table, below) * (1.0 - fx) + texel(textures, table, below + 1) * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def sample_panorama(panorama: wp.array2d(dtype=wp.vec3), d: wp.vec3) -> wp.vec3:
    """Bilinear radiance from the world direction d (unit)."""
    rows = panorama.shape[0]
    columns = panorama.shape[1]
    azimuth = wp.atan2(d[1], d[0]) * 0.15915494
    azimuth = azimuth - wp.floor(azimuth)
    x = azimuth * float(columns) - 0.5
    y = wp.acos(wp.clamp(d[2], -1.0, 1.0)) * 0.31830989 * float(rows) - 0.5
    y = wp.clamp(y, 0.0, float(rows) - 1.001)
    if x < 0.0:
        x = x + float(columns)
    i = wp.min(int(x), columns - 1)
    j = int(y)
    k = i + 1
    if k >= columns:
        k = 0
    fx = x - float(i)
    fy = y - float(j)
    top = panorama[j, i] * (1.0 - fx) + panorama[j, k] * fx
    low = panorama[j + 1, i] * (1.0 - fx) + panorama[j + 1, k] * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def ambient(room: Surroundings, normal: wp.vec3, floor_visible: wp.float32) -> wp.vec3:
    """Irradiance / pi at a camera-frame normal; floor_visible scales the light from the table."""
    n = room.world_from_camera * normal
    h = room.harmonics
    upper = (
        h[0] * 0.282095
        + h[1] * (0.488603 * n[1])
        + h[2] * (0.488603 * n[2])
        + h[3] * (0.488603 * n[0])
        + h[4] * (1.092548 * n[0] * n[1])
        + h[5] * (1.092548 * n[1] * n[2])
        + h[6] * (0.315392 * (3.0 * n[2] * n[2] - 1.0))
        + h[7] * (1.092548 * n[0] * n[2])
        + h[8] * (0.546274 * (n[0] * n[0] - n[1] * n[1]))
    )
    upper = wp.vec3(wp.max(upper[0], 0.0), wp.max(upper[1], 0.0), wp.max(upper[2], 0.0))
    return upper + room.below * (0.5 * (1.0 - n[2]) * floor_visible)


@wp.func
def blocker_depth(
    lamps: Lamps, k: wp.int32, x: wp.float32, y: wp.float32, normal: wp.vec3, q: wp.vec3
) -> wp.float32:
    """Depth of the occluder between lamp k and q's tangent plane at shadow texel (x, y), or 0.

    The comparison with the tangent plane prevents self-shadowing of smooth surfaces.
    """
    limit = float(lamps.shadow_map.shape[1])
    if x < 0.0 or y < 0.0 or x >= limit or y >= limit:
        return 0.0
    z = lamps.shadow_map[k, int(y), int(x)]
    if z == 0.0 or z > q[2] + 0.003:
        return 0.0
    lens = lamps.pinhole[k]
    ray = wp.vec3((x - lens[2]) / lens[0], (y - lens[3]) / lens[1], 1.0)
    tilt = wp.dot(normal, ray)
    plane = q[2]
    if wp.abs(tilt) > 0.02:
        plane = wp.clamp(wp.dot(normal, q) / tilt, q[2] - 0.03, q[2] + 0.003)
    if z < plane - 0.0012:
        return z
    return 0.0


@wp.func
def visibility(
    lamps: Lamps, k: wp.int32, p: wp.vec3, n: wp.vec3, turn: wp.vec2, fine: wp.int32
) -> wp.float32:
    """The share of lamp k visible from p: percentage-closer soft shadows (Fernando, 2005).

    Taps are on a spiral over the disc, rotated by the angle with cosine and sine `turn`: 8 of
    them, or 12 if fine is 1.
    """
    lens = lamps.pinhole[k]
    m = lamps.shadow_from_camera[k]
    q = wp.transform_point(m, p + n * 0.001)
    near = lamps.nearest[k]
    if q[2] <= near + 0.001:
        return 1.0
    normal = wp.transform_vector(m, n)
    limit = float(lamps.shadow_map.shape[1])
    u = lens[0] * q[0] / q[2] + lens[2]
    v = lens[1] * q[1] / q[2] + lens[3]
    reach = lens[0] * lamps.radius[k]
    search = wp.min(reach * (1.0 / near - 1.0 / q[2]) + 1.0, 0.25 * limit)
    if u < -search or v < -search or u > limit + search or v > limit + search:
        return 1.0
    taps = 8 + 4 * fine
    total = float(0.0)
    found = float(0.0)
    for i in range(taps):
        s = lamps.spiral[fine, i]
        x = u + search * (s[0] * turn[0] - s[1] * turn[1])
        y = v + search * (s[0] * turn[1] + s[1] * turn[0])
        z = blocker_depth(lamps, k, x, y, normal, q)
        if z > 0.0:
            total += z
            found += 1.0
    if found < 0.5:
        return 1.0
    if found > float(taps) - 0.5:
        return 0.0
    penumbra = wp.clamp(reach * (found / total - 1.0 / q[2]), 0.9, search)
    shaded = float(0.0)
    for i in range(taps):
        s = lamps.spiral[fine, i]
        x = u + penumbra * (s[0] * turn[1] - s[1] * turn[0])
        y = v + penumbra * (s[0] * turn[0] + s[1] * turn[1])
        if blocker_depth(lamps, k, x, y, normal, q) > 0.0:
            shaded += 1.0
    return 1.0 - shaded / float(taps)
