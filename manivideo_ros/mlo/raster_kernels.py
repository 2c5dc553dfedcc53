"""Warp kernels that rasterize posed triangles to layers, for CPU and CUDA.

All attributes of a face are affine in the pixel after division by depth (Olano and Greer, "Triangle
Scan Conversion using 2D Homogeneous Coordinates", 1997): three edge functions, 1/z and normal/z.
Vertices are not projected, so a face that crosses the near plane is not clipped: a pixel is covered
if the three edge functions are >= 0 and 1/z is at most 1/NEAR. The nearest face of a pixel has the
largest 64-bit key (1/z | inverted face index), so that the order of faces does not matter.

Raster coordinates (u, v) are pixel centres relative to the image's centre; a plane (a, b, c) has
the value a * u + b * v + c.
"""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

from manivideo_ros.mlo.row_kernels import nearest_row, raster_row, resolve_row

NEAR = wp.constant(0.01)
"""Near plane, metres."""
EDGE_ON = wp.constant(1.0e-15)
"""Least volume (m^3) between a face and the camera; below it the planes of the record overflow."""
TAU = wp.constant(0.02)
"""Decay of the graded occlusion confidence, metres (method.md)."""

LANES = wp.constant(32)
"""Threads that share a face on CUDA: a warp."""
LARGE = wp.constant(2048)
"""Pixels of a face's box above which a team of threads shares it, in a separate launch."""
TEAMS = wp.constant(64)
TEAM_LANES = wp.constant(2048)
"""The number of teams for large faces on CUDA, and the threads of each."""

EMPTY_FIRST = wp.constant(1 << 30)
EMPTY_LAST = wp.constant(-1)
"""First and last column of an empty row."""

NUM_PLANES = 7
"""Planes of a face's record. 0, 1, 2: weight of corner i, times z; not normalised, >= 0 inside. 3:
1/z. 4, 5, 6: x, y, z of normal / z, on the side that faces the camera."""

wp.set_module_options({'enable_backward': False})


@wp.struct
class View:
    """A pinhole camera in raster coordinates: u = focal.x * x / z + skew * y / z + centre.x."""

    focal: wp.vec2
    centre: wp.vec2
    skew: float
    width: int
    height: int


@wp.func
def view_ray(view: View, u: float, v: float) -> wp.vec3:
    """The camera-frame ray with z = 1 through raster coordinates."""
    y = (v - view.centre[1]) / view.focal[1]
    return wp.vec3((u - view.centre[0] - view.skew * y) / view.focal[0], y, 1.0)


@wp.func
def ray_plane(view: View, n: wp.vec3) -> wp.vec3:
    """The plane whose value is n . view_ray(u, v)."""
    a = n[0] / view.focal[0]
    b = (n[1] - a * view.skew) / view.focal[1]
    return wp.vec3(a, b, n[2] - a * view.centre[0] - b * view.centre[1])


@wp.func
def at(plane: wp.vec3, u: float, v: float) -> float:
    """The value of a plane at raster coordinates."""
    return plane[0] * u + (plane[1] * v + plane[2])


@wp.func
def edge_normal(p: wp.vec3, q: wp.vec3) -> wp.vec3:
    """p x q, computed so that (q, p) gives exactly the negative: no gaps along shared edges."""
    swap = q[0] < p[0] or (q[0] == p[0] and (q[1] < p[1] or (q[1] == p[1] and q[2] < p[2])))
    if swap:
        return -wp.cross(q, p - q)
    return wp.cross(p, q - p)


@wp.func
def grow(box: wp.vec4, view: View, p: wp.vec3) -> wp.vec4:
    """box (u0, v0, u1, v1) extended by the projection of p, which is in front of the camera."""
    v = view.focal[1] * p[1] / p[2] + view.centre[1]
    u = (view.focal[0] * p[0] + view.skew * p[1]) / p[2] + view.centre[0]
    return wp.vec4(wp.min(box[0], u), wp.min(box[1], v), wp.max(box[2], u), wp.max(box[3], v))


@wp.func
def grow_crossing(box: wp.vec4, view: View, p: wp.vec3, q: wp.vec3) -> wp.vec4:
    """box extended by the part of the edge p q in front of the near plane."""
    if p[2] >= NEAR:
        box = grow(box, view, p)
    if (p[2] >= NEAR) != (q[2] >= NEAR):
        cut = p + (q - p) * ((NEAR - p[2]) / (q[2] - p[2]))
        box = grow(box, view, wp.vec3(cut[0], cut[1], NEAR))
    return box


@wp.kernel
def record_faces(
    first: int,
    view: wp.array(dtype=View),  # [1]
    present: wp.array(dtype=wp.int32),  # [S]
    face_surface: wp.array(dtype=wp.int32),  # [F]
    faces: wp.array(dtype=wp.vec3i),  # [F]
    vertices: wp.array(dtype=wp.vec3),  # [V] camera frame
    normals: wp.array(dtype=wp.vec3),  # [V]
    planes: wp.array2d(dtype=wp.vec3),  # [F, NUM_PLANES] out
    limits: wp.array(dtype=wp.vec2),  # [F] out: smallest and largest 1/z of the face
    box: wp.array(dtype=wp.vec4i),  # [F] out: first column, first row, last column, last row
    large: wp.array(dtype=wp.int32),  # [F] out: faces above LARGE, in any order; [0]: not listed
    large_count: wp.array(dtype=wp.int32),  # [1] in and out: their number; 0 at first
):
    """Compute the record of each face for rasterizing and shading, one thread per face."""
    f = first + wp.tid()
    box[f] = wp.vec4i(0, 0, -1, -1)
    if present[face_surface[f]] == 0:
        return
    face = faces[f]
    p0 = vertices[face[0]]
    p1 = vertices[face[1]]
    p2 = vertices[face[2]]
    nearest = wp.min(p0[2], wp.min(p1[2], p2[2]))
    farthest = wp.max(p0[2], wp.max(p1[2], p2[2]))
    across = wp.cross(p1 - p0, p2 - p0)
    volume = wp.dot(across, p0)
    # Written so that faces with values that are not finite are rejected too.
    if not (farthest >= NEAR and wp.abs(volume) > EDGE_ON):
        return

    c = view[0]
    bounds = wp.vec4(1.0e9, 1.0e9, -1.0e9, -1.0e9)
    if nearest >= NEAR:
        bounds = grow(grow(grow(bounds, c, p0), c, p1), c, p2)
        limits[f] = wp.vec2(1.0 / farthest, 1.0 / nearest)
    else:
        bounds = grow_crossing(bounds, c, p0, p1)
        bounds = grow_crossing(bounds, c, p1, p2)
        bounds = grow_crossing(bounds, c, p2, p0)
        limits[f] = wp.vec2(1.0 / farthest, 1.0e9)
    # The centre of column x is at u = x + 0.5 - width / 2. The box is slightly larger than needed:
    # the edge functions decide.
    right = float(c.width)
    below = float(c.height)
    x0 = int(wp.ceil(wp.clamp(bounds[0] - 0.501 + 0.5 * right, 0.0, right)))
    y0 = int(wp.ceil(wp.clamp(bounds[1] - 0.501 + 0.5 * below, 0.0, below)))
    x1 = int(wp.floor(wp.clamp(bounds[2] - 0.499 + 0.5 * right, -1.0, right - 1.0)))
    y1 = int(wp.floor(wp.clamp(bounds[3] - 0.499 + 0.5 * below, -1.0, below - 1.0)))
    if x1 < x0 or y1 < y0:
        return

    # Seen from the front, the outward normal points towards the camera: volume < 0.
    side = -wp.sign(volume)
    e0 = ray_plane(c, -side * edge_normal(p1, p2))
    e1 = ray_plane(c, -side * edge_normal(p2, p0))
    e2 = ray_plane(c, -side * edge_normal(p0, p1))
    planes[f, 0] = e0
    planes[f, 1] = e1
    planes[f, 2] = e2
    planes[f, 3] = ray_plane(c, across / volume)
    scale = side / wp.abs(volume)
    n0 = normals[face[0]] * scale
    n1 = normals[face[1]] * scale
    n2 = normals[face[2]] * scale
    planes[f, 4] = n0[0] * e0 + n1[0] * e1 + n2[0] * e2
    planes[f, 5] = n0[1] * e0 + n1[1] * e1 + n2[1] * e2
    planes[f, 6] = n0[2] * e0 + n1[2] * e1 + n2[2] * e2
    box[f] = wp.vec4i(x0, y0, x1, y1)
    if large.shape[0] > 0 and (x1 - x0 + 1) * (y1 - y0 + 1) > LARGE:
        large[wp.atomic_add(large_count, 0, 1)] = f


@wp.func
def raster_share(
    f: int,
    lane: int,
    lanes: int,
    width: int,
    height: int,
    face_layer: wp.array(dtype=wp.int32),
    planes: wp.array2d(dtype=wp.vec3),
    limits: wp.array(dtype=wp.vec2),
    box: wp.array(dtype=wp.vec4i),
    keys: wp.array2d(dtype=wp.uint64),
):
    """Rasterize one thread's part of a face: every lanes-th pixel of its box, from `lane` on."""
    b = box[f]
    columns = b[2] - b[0] + 1
    pixels = columns * (b[3] - b[1] + 1)
    if lane >= pixels:
        return
    layer = face_layer[f]
    e0 = planes[f, 0]
    e1 = planes[f, 1]
    e2 = planes[f, 2]
    depth = planes[f, 3]
    limit = limits[f]
    low = wp.uint64(~wp.uint32(f))
    half = 0.5 - 0.5 * float(width)
    x = b[0] + lane % columns
    y = b[1] + lane // columns
    across = lanes % columns
    down = lanes // columns
    for _ in range(lane, pixels, lanes):
        v = float(y) + 0.5 - 0.5 * float(height)
        raster_row(
            keys, (layer * height + y) * width, x, x, half,
            e0[0], e0[1] * v + e0[2], e1[0], e1[1] * v + e1[2], e2[0], e2[1] * v + e2[2],
            depth[0], depth[1] * v + depth[2], limit[0], limit[1], 1.0 / NEAR, low,
        )  # fmt: skip
        x += across
        y += down
        if x > b[2]:
            x -= columns
            y += 1


@wp.kernel
def raster_faces(
    first_row: int,
    last_row: int,
    lanes: int,
    width: int,
    height: int,
    face_layer: wp.array(dtype=wp.int32),  # [F]
    planes: wp.array2d(dtype=wp.vec3),  # [F, NUM_PLANES]
    limits: wp.array(dtype=wp.vec2),  # [F]
    box: wp.array(dtype=wp.vec4i),  # [F]
    keys: wp.array2d(dtype=wp.uint64),  # [L, H * W] in and out; 0: empty
    span: wp.array3d(dtype=wp.int32),  # [L, H, 2] in and out: first and last column touched
):
    """Rasterize faces to the keys of their layers.

    With one thread per face (lanes = 1), it processes the rows of a band and records the touched
    columns. With LANES threads per face, they share the pixels of its box, and skip large faces.
    """
    t = wp.tid()
    f = t // lanes
    b = box[f]
    if lanes > 1:
        if b[3] >= b[1] and (b[2] - b[0] + 1) * (b[3] - b[1] + 1) <= LARGE:
            raster_share(
                f, t % lanes, lanes, width, height, face_layer, planes, limits, box, keys
            )  # fmt: skip
        return
    y0 = wp.max(b[1], first_row)
    y1 = wp.min(b[3], last_row)
    if y1 < y0:
        return
    layer = face_layer[f]
    e0 = planes[f, 0]
    e1 = planes[f, 1]
    e2 = planes[f, 2]
    depth = planes[f, 3]
    limit = limits[f]
    low = wp.uint64(~wp.uint32(f))
    half = 0.5 - 0.5 * float(width)
    for y in range(y0, y1 + 1):
        v = float(y) + 0.5 - 0.5 * float(height)
        r0 = e0[1] * v + e0[2]
        r1 = e1[1] * v + e1[2]
        r2 = e2[1] * v + e2[2]
        rd = depth[1] * v + depth[2]
        wp.atomic_min(span, layer, y, 0, b[0])
        wp.atomic_max(span, layer, y, 1, b[2])
        row = (layer * height + y) * width
        raster_row(
            keys, row, b[0], b[2], half,
            e0[0], r0, e1[0], r1, e2[0], r2, depth[0], rd,
            limit[0], limit[1], 1.0 / NEAR, low,
        )  # fmt: skip


@wp.kernel
def raster_large_faces(
    width: int,
    height: int,
    face_layer: wp.array(dtype=wp.int32),  # [F]
    planes: wp.array2d(dtype=wp.vec3),  # [F, NUM_PLANES]
    limits: wp.array(dtype=wp.vec2),  # [F]
    box: wp.array(dtype=wp.vec4i),  # [F]
    large: wp.array(dtype=wp.int32),  # [F] faces above LARGE
    large_count: wp.array(dtype=wp.int32),  # [1] their number
    keys: wp.array2d(dtype=wp.uint64),  # [L, H * W] in and out; 0: empty
):
    """Rasterize the faces that `raster_faces` skips on CUDA, with TEAMS x TEAM_LANES threads."""
    t = wp.tid()
    for i in range(t // TEAM_LANES, large_count[0], TEAMS):
        raster_share(
            large[i], t % TEAM_LANES, TEAM_LANES, width, height, face_layer, planes, limits, box,
            keys,
        )  # fmt: skip


@wp.func
def key_face(key: wp.uint64) -> int:
    """The global face index of a key."""
    return int(~wp.uint32(key & wp.uint64(0xFFFFFFFF)))


@wp.func
def facing_normal(
    planes: wp.array2d(dtype=wp.vec3), f: int, view: View, u: float, v: float
) -> wp.vec3:
    """The interpolated unit normal of face f, which never points away from the camera.

    If interpolation turns it away, it is made perpendicular to the ray.
    """
    n = wp.normalize(
        wp.vec3(at(planes[f, 4], u, v), at(planes[f, 5], u, v), at(planes[f, 6], u, v))
    )
    ray = view_ray(view, u, v)
    away = wp.dot(n, ray)
    if away > 0.0:
        n = wp.normalize(n - ray * (away / wp.dot(ray, ray)))
    return n


@wp.func
def changed_columns(
    span: wp.array3d(dtype=wp.int32), drawn: wp.array3d(dtype=wp.int32), layer: int, y: int
) -> wp.vec2i:
    """First and last column of a row that are touched now, or not empty from the previous frame."""
    return wp.vec2i(
        wp.min(span[layer, y, 0], drawn[layer, y, 0]),
        wp.max(span[layer, y, 1], drawn[layer, y, 1]),
    )


@wp.func
def remember_columns(
    span: wp.array3d(dtype=wp.int32), drawn: wp.array3d(dtype=wp.int32), layer: int, y: int
):
    """After drawing a row: the touched columns become those of the previous frame."""
    drawn[layer, y, 0] = span[layer, y, 0]
    drawn[layer, y, 1] = span[layer, y, 1]
    span[layer, y, 0] = EMPTY_FIRST
    span[layer, y, 1] = EMPTY_LAST


@wp.kernel
def resolve_layers(
    first_row: int,
    chunks: int,
    layers: int,
    mode: int,
    depth_range: wp.vec2,
    view: wp.array(dtype=View),  # [1]
    planes: wp.array2d(dtype=wp.vec3),  # [F, NUM_PLANES]
    keys: wp.array2d(dtype=wp.uint64),  # [L, H * W] in; 0 on return
    span: wp.array3d(dtype=wp.int32),  # [L, H, 2] in; empty on return
    drawn: wp.array3d(dtype=wp.int32),  # [L, H, 2] in and out: columns that are not empty
    nearest_inverse: wp.array(dtype=wp.float32),  # [H * W] scratch
    normal_map: wp.array3d(dtype=wp.float32),  # [L, 3, H * W] out
    depth: wp.array2d(dtype=wp.float32),  # [L, H * W] out
    occlusion_confidence: wp.array2d(dtype=wp.float32),  # [L, H * W] out
    face_index: wp.array2d(dtype=wp.int32),  # [L, H * W] out
    nearest_layer: wp.array(dtype=wp.int32),  # [H * W] out
    visible_normal: wp.array2d(dtype=wp.float32),  # [3, H * W] out
    row_cost: wp.array(dtype=wp.int32),  # [H * chunks] out: columns written
):
    """Convert keys to normals, depths and confidences.

    One thread per row (chunks = 1), which writes only columns that change, or per pixel (chunks =
    width), which always writes its pixel.
    """
    t = wp.tid()
    c = view[0]
    y = first_row + t // chunks
    column = t % chunks
    row = y * c.width
    v = float(y) + 0.5 - 0.5 * float(c.height)
    half = 0.5 - 0.5 * float(c.width)
    ray = view_ray(c, 0.0, v)
    pixels = c.width * c.height
    cost = wp.int32(0)

    some = wp.vec2i(column, column)
    whole = some
    if chunks == 1:
        whole = wp.vec2i(EMPTY_FIRST, EMPTY_LAST)
        for k in range(layers):
            some = changed_columns(span, drawn, k, y)
            whole = wp.vec2i(wp.min(whole[0], some[0]), wp.max(whole[1], some[1]))
    for x in range(whole[0], whole[1] + 1):
        nearest_inverse[row + x] = 0.0
        nearest_layer[row + x] = -1
        visible_normal[0, row + x] = 0.0
        visible_normal[1, row + x] = 0.0
        visible_normal[2, row + x] = 0.0
    for k in range(layers):
        if chunks == 1:
            some = changed_columns(span, drawn, k, y)
        nearest_row(keys, nearest_inverse, nearest_layer, k, k * pixels, row, some[0], some[1])
    for k in range(layers):
        if chunks == 1:
            some = changed_columns(span, drawn, k, y)
            remember_columns(span, drawn, k, y)
        if some[1] >= some[0]:
            resolve_row(
                planes, keys, nearest_inverse, nearest_layer,
                normal_map, depth, occlusion_confidence, face_index, visible_normal,
                k, k * pixels, row, some[0], some[1], half, v,
                1.0 / c.focal[0], ray[0], ray[1],
                mode == 0, 1.4426950408889634 / TAU,
                depth_range[1], 1.0 / (depth_range[1] - depth_range[0]),
            )  # fmt: skip
            cost += some[1] - some[0] + 1
    row_cost[y * chunks + column] = cost
