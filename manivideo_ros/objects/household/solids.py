"""Solids of the generated shapes: lofts, lathes, sweeps, prisms and rounded boxes.

All wind counterclockwise from outside. Smooth edges share vertices; sharp ones duplicate them,
since vertex normals are means over the faces that share a vertex.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.objects.household.curves import Curve, arc_fraction, circle, inset
from manivideo_ros.objects.household.parts import Part, montage

Image = NDArray[np.uint8]
CREASE = np.radians(38.0)


def loft(rings: Curve, image: Image, crease: float = CREASE) -> Part:
    """A skin over rings [M, N, 3], each counterclockwise about the direction of travel.

    u runs around (0..1), v along (first ring at the image's foot, last at its head). A ring of
    one point is a pole. Rings where the skin bends by more than crease (radians) are sharp.
    """
    along = np.diff(rings, axis=0)
    length = np.linalg.norm(along, axis=-1)
    cosine = np.sum(along[1:] * along[:-1], -1) / np.maximum(length[1:] * length[:-1], 1e-12)
    sharp = 1 + np.flatnonzero(np.median(cosine, -1) < np.cos(crease))
    v = 1 - arc_fraction(np.concatenate([[[0.0]], np.cumsum(length.mean(-1))[:, None]]))
    rows = np.sort(np.concatenate([np.arange(len(rings)), sharp]))
    rings, v = rings[rows], v[rows]
    m, n = rings.shape[:2]
    index = np.arange(m * n).reshape(m, n)
    index[np.ptp(rings, axis=1).max(-1) < 1e-9] -= np.arange(n)
    index = np.concatenate([index, index[:, :1]], 1)
    closed = np.concatenate([rings, rings[:, :1]], 1)
    around = arc_fraction(closed[np.argmax(np.ptp(rings, axis=1).max(-1))])
    joined = np.flatnonzero(np.diff(rows))  # a duplicated ring, a sharp edge, is not joined
    i, j = (a.ravel() for a in np.meshgrid(joined, np.arange(n), indexing='ij'))
    corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
    where = [index[a, b] for a, b in corners]
    uv = [np.stack([around[b], v[a]], -1) for a, b in corners]
    middle = 0.5 * (around[j] + around[j + 1])
    for k, (a, _) in enumerate(corners):  # at a pole u is the centre of the face's sector
        pole = index[a, 0] == index[a, 1]
        uv[k][pole, 0] = middle[pole]
    faces = np.concatenate([np.stack([where[k] for k in t], -1) for t in ((0, 1, 2), (0, 2, 3))])
    corner_uv = np.concatenate([np.stack([uv[k] for k in t], 1) for t in ((0, 1, 2), (0, 2, 3))])
    return _tidy(rings.reshape(-1, 3), faces, corner_uv, image)


def _tidy(vertices: Curve, faces: NDArray[np.int64], corner_uv: Curve, image: Image) -> Part:
    """The part without degenerate faces and unused vertices."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    kept = np.linalg.norm(np.cross(b - a, c - a), axis=-1) > 1e-13
    used, faces = np.unique(faces[kept], return_inverse=True)
    return Part(vertices[used], faces.reshape(-1, 3), corner_uv[kept], image)


def lathe(profile: ArrayLike, image: Image, segments: int = 48, squash: float = 1.0) -> Part:
    """A profile [M, 2] of (radius, z) turned about z; outer walls upwards, inner walls downwards.

    squash scales y. The seam is behind (+y): the image's middle faces -y.
    """
    p = np.asarray(profile, np.float64)
    ring = circle(segments) * (1.0, squash)
    rings = np.concatenate(
        [p[:, None, :1] * ring, np.broadcast_to(p[:, None, 1:], (len(p), segments, 1))], -1
    )
    return loft(rings, image)


def disc(radius: float, z: float, image: Image, up: bool = True, segments: int = 48) -> Part:
    """A flat disc that carries an image seen from its outer side."""
    return cap(circle(segments, radius), z, image, up)


def sweep(
    path: Curve,
    section: Curve,
    image: Image,
    width: ArrayLike = 1.0,
    height: ArrayLike = 1.0,
    across: ArrayLike = (0.0, 1.0, 0.0),
    ends: str = 'round',
) -> Part:
    """A section [N, 2] carried along a path [M, 3].

    The section's second axis lies near `across`, its first perpendicular to it and the path; width
    and height [M] scale the two. ends: 'round' (domes), 'flat' or 'open'.
    """
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
    first = np.cross(np.asarray(across, np.float64), tangent)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.cross(tangent, first)
    w = np.broadcast_to(np.asarray(width, np.float64), len(path))
    h = np.broadcast_to(np.asarray(height, np.float64), len(path))
    if ends != 'open':
        reach = np.abs(section).max() * np.minimum(w, h)[[0, -1]] * (0.9 if ends == 'round' else 0)
        angle = np.linspace(0, np.pi / 2, 5)[1:] if ends == 'round' else np.array([np.pi / 2])
        out, shrink = np.sin(angle)[:, None], np.maximum(np.cos(angle), 0)
        shrink[-1] = 0
        head = path[-1] + out * reach[1] * tangent[-1]
        foot = (path[0] - out * reach[0] * tangent[0])[::-1]
        path = np.concatenate([foot, path, head])
        w = np.concatenate([w[0] * shrink[::-1], w, w[-1] * shrink])
        h = np.concatenate([h[0] * shrink[::-1], h, h[-1] * shrink])
        count = len(angle)
        first, second = (np.pad(f, ((count, count), (0, 0)), mode='edge') for f in (first, second))
    rings = (
        path[:, None]
        + (w[:, None] * section[:, 0])[..., None] * first[:, None]
        + (h[:, None] * section[:, 1])[..., None] * second[:, None]
    )
    return loft(rings, image)


def _ears(outline: Curve) -> NDArray[np.int64]:
    """Triangles [N - 2, 3] of a simple counterclockwise polygon by ear clipping."""
    left, out = list(range(len(outline))), []
    while len(left) > 3:
        best = None
        for k in range(len(left)):
            a, b, c = (outline[left[(k + d) % len(left)]] for d in (-1, 0, 1))
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            if area <= 1e-14:
                continue
            others = outline[
                [i for n, i in enumerate(left) if (n - k) % len(left) not in (0, 1, len(left) - 1)]
            ]
            inside = np.ones(len(others), bool)
            for p, q in ((a, b), (b, c), (c, a)):
                side = (q[0] - p[0]) * (others[:, 1] - p[1]) - (q[1] - p[1]) * (others[:, 0] - p[0])
                inside &= side >= -1e-14
            longest = max(np.sum((a - b) ** 2), np.sum((b - c) ** 2), np.sum((c - a) ** 2))
            if not inside.any() and (best is None or area / longest > best[0]):
                best = (area / longest, k)
        k = best[1] if best else 0
        out.append([left[k - 1], left[k], left[(k + 1) % len(left)]])
        del left[k]
    return np.array([*out, left])


def cap(outline: ArrayLike, z: float, image: Image, up: bool = True) -> Part:
    """A flat polygon [N, 2] (counterclockwise) at height z; the image spans its bounding box."""
    p = np.asarray(outline, np.float64)
    low, span = p.min(0), np.ptp(p, axis=0)
    uv = (p - low) / span
    uv = np.stack([uv[:, 0], 1 - uv[:, 1]], -1)
    faces = _ears(p)
    if not up:
        faces, uv = faces[:, ::-1], np.stack([1 - uv[:, 0], uv[:, 1]], -1)
    vertices = np.concatenate([p, np.full((len(p), 1), z)], -1)
    return _tidy(vertices, faces, uv[faces], image)


def prism(
    outline: ArrayLike,
    low: float,
    high: float,
    side: Image,
    top: Image,
    bottom: Image | None = None,
    bevel: float = 0.0,
) -> list[Part]:
    """A counterclockwise outline [N, 2] raised from z = low to high, its rims bevelled round."""
    p = np.asarray(outline, np.float64)
    angle = np.linspace(0, np.pi / 2, 4) if bevel > 0 else np.array([np.pi / 2])
    steps = [(bevel * (1 - np.sin(a)), low + bevel * (1 - np.cos(a))) for a in angle]
    steps += [(d, low + high - z) for d, z in reversed(steps)]
    rings = [
        np.concatenate([inset(p, d) if d > 0 else p, np.full((len(p), 1), z)], -1) for d, z in steps
    ]
    edge = inset(p, bevel) if bevel > 0 else p
    return [
        loft(np.array(rings), side),
        cap(edge, high, top),
        cap(edge, low, top if bottom is None else bottom, up=False),
    ]


# Axes of (right, up, outward) of each face as seen from outside, with signs.
FACES = {
    'front': ((0, 1), (2, 1), (1, -1)),
    'back': ((0, -1), (2, 1), (1, 1)),
    'left': ((1, -1), (2, 1), (0, -1)),
    'right': ((1, 1), (2, 1), (0, 1)),
    'top': ((0, 1), (1, 1), (2, 1)),
    'bottom': ((0, 1), (1, -1), (2, -1)),
}


def rounded_box(
    size: tuple[float, float, float],
    radius: float,
    images: Mapping[str, Image] | Image,
    cells: int = 5,
    steps: int = 3,
) -> Part:
    """A box of size (x, y, z) about the origin, its edges round, one image per face.

    front is -y and right is +x. Images of the sides stand upright seen from outside; 'top' is
    seen from above and 'bottom' from below, both with +x to the right.
    """
    by_face = dict.fromkeys(FACES, images) if isinstance(images, np.ndarray) else images
    half = np.asarray(size, np.float64) / 2
    r = min(radius, *(half * 0.98))
    lines = []
    for h in half:  # near an edge at equal angles of its arc, else evenly spaced
        edge = h - r + r * np.tan(np.linspace(0, np.pi / 4, steps + 1))
        flat = np.linspace(r - h, h - r, cells + 1)
        margin = min(r, 0.2 * (flat[1] - flat[0]))  # keeps the arc's normals off the flat face
        flat = np.concatenate(
            [flat[:1], flat[:1] + margin, flat[1:-1], flat[-1:] - margin, flat[-1:]]
        )
        lines.append(np.concatenate([-edge[:0:-1], flat, edge[1:]]))
    image, places = montage([by_face[face] for face in FACES])
    vertices: list[Curve] = []
    faces: list[NDArray[np.int64]] = []
    corner_uv: list[Curve] = []
    for ((ax, sx), (ay, sy), (az, sz)), place in zip(FACES.values(), places, strict=True):
        right, up = np.meshgrid(lines[ax], lines[ay])
        points = np.zeros((*right.shape, 3))
        points[..., ax], points[..., ay], points[..., az] = sx * right, sy * up, sz * half[az]
        core = np.clip(points, r - half, half - r)
        out = points - core
        points = core + r * out / np.linalg.norm(out, axis=-1, keepdims=True)
        u = 0.5 + 0.5 * sx * points[..., ax] / half[ax]
        v = 0.5 - 0.5 * sy * points[..., ay] / half[ay]
        uv = place[:2] + np.stack([u, v], -1) * place[2:]
        index = np.arange(u.size).reshape(u.shape)
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
        quads = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
        corner_uv.append(uv.reshape(-1, 2)[quads])
        faces.append(quads + sum(len(p) for p in vertices))
        vertices.append(points.reshape(-1, 3))
    points = np.concatenate(vertices)
    _, first, inverse = np.unique(  # merge the vertices of the six grids at the edges
        np.round(points, 8), axis=0, return_index=True, return_inverse=True
    )
    welded = inverse.reshape(-1)[np.concatenate(faces)]
    return _tidy(points[first], welded, np.concatenate(corner_uv), image)
