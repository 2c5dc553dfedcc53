"""The six views of an object, and materials made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, uniform_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from manivideo_ros.drawing.base_image import UNLIT, Material, Painter
from manivideo_ros.geometry import Camera, invert_rigid, look_at
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import object_surface

if TYPE_CHECKING:
    from manivideo_ros.objects.mesh import ObjectMesh

VIEWS = ('front', 'back', 'left', 'right', 'top', 'bottom')
_EYES = ((0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1))
_DISTANCE = 60.0  # in object sizes: perspective is at most half a pixel in views of 128 pixels
_MARGIN = 1.08
_GREY = 128
FINE = 512


@dataclass(frozen=True, eq=False)
class ObjectViews:
    """Six views of an object, centred and at the same scale.

    rgb uint8 [6, S, S, 3]: unlit albedo, sRGB, antialiased over mid grey. depth float32 [6, S, S]:
    metres along the view's z, the nearest in each pixel; 0 where empty. coverage float32 [6, S, S]
    in 0..1. cameras: distant pinholes in the object's frame, in the order of VIEWS.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    coverage: NDArray[np.float32]
    cameras: tuple[Camera, ...]


def view_cameras(vertices: NDArray[np.float32], size: int) -> tuple[Camera, ...]:
    """Six distant pinholes around the bounding box of vertices [V, 3]; front looks along +y."""
    low, high = vertices.min(0).astype(np.float64), vertices.max(0).astype(np.float64)
    centre, extent = 0.5 * (low + high), max(float(np.max(high - low)), 1e-6)
    distance = _DISTANCE * extent
    focal = size * distance / (_MARGIN * extent)
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    cameras = []
    for eye in np.array(_EYES, np.float64):
        up = (0.0, 1.0, 0.0) if eye[2] else (0.0, 0.0, 1.0)
        cameras.append(Camera(intrinsics, look_at(centre + distance * eye, centre, up), size, size))
    return tuple(cameras)


def six_views(mesh: ObjectMesh, size: int = 128) -> ObjectViews:
    """Render the six views of a mesh. Raises ValueError for an empty mesh."""
    if len(mesh.vertices) == 0 or len(mesh.faces) == 0:
        raise ValueError(f'object {mesh.name}: an empty mesh has no views')
    cameras = view_cameras(mesh.vertices, size)
    rasterizer = Rasterizer([object_surface(mesh)], 2 * size, 2 * size, threads=1, merge=True)
    material = Material(mesh.texture, mesh.corner_uv)
    painter = Painter(rasterizer, [material], np.full((size, size, 3), _GREY, np.uint8), UNLIT)
    rgb, depth, coverage = [], [], []
    for camera in cameras:
        image, mask = painter.paint(camera, [np.eye(4)])
        rgb.append(np.round(255 * image.permute(1, 2, 0).numpy()).astype(np.uint8))
        coverage.append(mask.numpy().copy())
        fine = rasterizer.render(camera, [np.eye(4)]).depth[0].numpy()
        blocks = fine.reshape(size, 2, size, 2).transpose(0, 2, 1, 3).reshape(size, size, 4)
        nearest = np.where(blocks > 0, blocks, np.inf).min(-1)
        depth.append(np.where(np.isfinite(nearest), nearest, 0).astype(np.float32))
    return ObjectViews(np.stack(rgb), np.stack(depth), np.stack(coverage), cameras)


def reprojected_texture(
    mesh: ObjectMesh, views: ObjectViews
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Texture uint8 [2S, 3S, 3] and corner_uv [F, 3, 2] that re-project the six views.

    The texture consists of the six views, with their background filled by the nearest full pixels.
    Each face takes the view that sees most of it at the least slant. A face that no view sees takes
    the colour of a visible face next to it, preferably from an area of low contrast, because pixels
    at a rim mix the colours of both sides.
    """
    size = views.rgb.shape[1]
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)
    centroid = corners.mean(1)
    inner = 0.85 * corners + 0.15 * centroid[:, None]
    probes = np.concatenate([inner, 0.5 * (inner + np.roll(inner, 1, 1)), centroid[:, None]], 1)

    # Depths cannot distinguish the inside of a thin closed wall from its visible outside, so faces
    # of closed meshes that face away count as invisible.
    edge_pairs, closed = _edge_pairs(mesh)
    scores, pixels = [], []
    for view, camera in enumerate(views.cameras):
        eye = invert_rigid(camera.camera_from_world)[:3, 3]
        towards = eye - centroid
        cosine = np.sum(normal * towards, -1) / np.linalg.norm(towards, axis=-1)
        cosine = cosine if closed else np.abs(cosine)
        at, z = camera.project(probes)
        seen = views.depth[view][*np.moveaxis(_pixel(at, size), -1, 0)]
        pixel = z / camera.intrinsics[0, 0]
        slope = np.sqrt(1 - np.minimum(cosine, 1) ** 2) / np.maximum(cosine, 0.1)
        visible = (seen > 0) & (z - seen < pixel * (1.0 + slope[:, None]))
        share = visible.mean(-1)
        scores.append(np.where(cosine > 0.1, share**2 * cosine, 0.0))
        pixels.append(camera.project(corners)[0])
    best, score = np.argmax(scores, 0), np.max(scores, 0)
    uv = np.stack(pixels)[best, np.arange(len(corners))]

    area = np.linalg.norm(across, axis=-1)
    contrast = _contrast(views)[best, *np.moveaxis(_pixel(uv.mean(1), size), -1, 0)]
    worth = area * score / (4 + contrast)
    donor = _donors(edge_pairs, score < 0.02, worth, centroid, _pieces(mesh))
    borrowed = donor != np.arange(len(donor))
    uv[borrowed] = uv[donor[borrowed]].mean(1, keepdims=True)
    best = best[donor]
    uv = np.clip(uv, 0.5, size - 0.5) + size * np.stack([best % 3, best // 3], -1)[:, None]
    atlas = np.concatenate(
        [np.concatenate([_filled(views, 3 * r + c) for c in range(3)], 1) for r in range(2)], 0
    )
    return atlas, (uv / np.array([3 * size, 2 * size])).astype(np.float32)


def object_material(
    mesh: ObjectMesh, views: ObjectViews, mode: Literal['painted', 'mean'] = 'painted'
) -> Material:
    """The material of an object from its six views.

    mode: 'painted' re-projects them, 'mean' uses their mean colour.
    """
    if mode == 'painted':
        return Material(*reprojected_texture(mesh, views))
    if mode != 'mean':
        raise ValueError(f"appearance mode must be 'painted' or 'mean', got {mode!r}")
    inside = views.coverage > 0.99
    colour = views.rgb[inside].mean(0) if inside.any() else np.full(3, _GREY)
    uv = np.full((len(mesh.faces), 3, 2), 0.5, np.float32)
    return Material(np.round(colour).astype(np.uint8)[None, None], uv)


def fine_material(mesh: ObjectMesh) -> Material:
    """The material of an object for the image: its own texture, at the resolution of large views.

    Textures with more than FINE texels along the object are reduced, since they would alias.
    """
    height, width = mesh.texture.shape[:2]
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    texels = mesh.corner_uv.astype(np.float64) * [width, height]

    def areas(triangles: NDArray[np.floating]) -> float:
        first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
        if triangles.shape[-1] == 2:
            return float(np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum())
        return float(np.linalg.norm(np.cross(first, second), axis=-1).sum())

    extent = float(np.ptp(mesh.vertices, axis=0).max())
    surface = areas(corners)
    density = np.sqrt(areas(texels) / surface) * extent if surface > 0 else 0.0
    if density <= FINE:
        return Material(mesh.texture, mesh.corner_uv)
    size = max(1, round(width * FINE / density)), max(1, round(height * FINE / density))
    reduced = cv2.resize(mesh.texture, size, interpolation=cv2.INTER_AREA)
    return Material(np.asarray(reduced, np.uint8), mesh.corner_uv)


def _edge_pairs(mesh: ObjectMesh) -> tuple[NDArray[np.int64], bool]:
    """Pairs [E, 2] of faces that share an edge, and whether the mesh is closed.

    Vertices at the same position count as one. Closed: every edge belongs to equally many faces in
    both directions.
    """
    _, same = np.unique(mesh.vertices, axis=0, return_inverse=True)
    faces = same.reshape(-1).astype(np.int64)[mesh.faces]
    edges = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    undirected = np.sort(edges, 1) @ [len(same), 1]
    order = np.argsort(undirected, kind='stable')
    again = np.flatnonzero(np.diff(undirected[order]) == 0)
    forth, back = edges @ [len(same), 1], edges @ [1, len(same)]
    return np.stack([order[again], order[again + 1]], -1) // 3, bool(
        np.array_equal(np.sort(forth), np.sort(back))
    )


def _donors(
    edge_pairs: NDArray[np.int64],
    unseen: NDArray[np.bool_],
    worth: NDArray[np.floating],
    centroid: NDArray[np.floating],
    piece: NDArray[np.integer],
) -> NDArray[np.int64]:
    """For each face, the face [F] whose colour it takes; visible faces take their own.

    Connected invisible faces (the wall inside a cup) share one colour: that of the adjacent visible
    face with the highest worth, preferably of the same piece. Without adjacent visible faces, each
    takes the nearest visible face.
    """
    donor = np.arange(len(unseen))
    if not unseen.any() or unseen.all():
        return donor
    first, second = edge_pairs.T
    both = unseen[first] & unseen[second]
    graph = coo_matrix((both[both], (first[both], second[both])), (len(unseen),) * 2)
    _, region = connected_components(graph, directed=False)
    _, nearest = cKDTree(centroid[~unseen]).query(centroid[unseen])
    donor[unseen] = np.flatnonzero(~unseen)[nearest]
    pairs = np.concatenate([edge_pairs, edge_pairs[:, ::-1]])
    pairs = pairs[unseen[pairs[:, 0]] & ~unseen[pairs[:, 1]]]
    foreign = piece[pairs[:, 0]] != piece[pairs[:, 1]]
    pairs = pairs[np.lexsort([worth[pairs[:, 1]], ~foreign])]  # the best is written last
    chosen = np.full(len(unseen), -1)
    chosen[region[pairs[:, 0]]] = pairs[:, 1]
    found = unseen & (chosen[region] >= 0)
    donor[found] = chosen[region[found]]
    return donor


def _pieces(mesh: ObjectMesh) -> NDArray[np.int32]:
    """The index of the piece [F] of each face; faces that share vertices belong to one piece."""
    count, faces = len(mesh.vertices), mesh.faces
    graph = coo_matrix(
        (np.ones(2 * len(faces)), (faces[:, [0, 0]].ravel(), faces[:, 1:].ravel())), (count,) * 2
    )
    piece: NDArray[np.int32] = connected_components(graph, directed=False)[1][faces[:, 0]]
    return piece


def _pixel(at: NDArray[np.floating], size: int) -> NDArray[np.int64]:
    """Row and column [..., 2] of image points (x, y) [..., 2]."""
    cell: NDArray[np.int64] = np.clip(np.floor(at[..., ::-1]), 0, size - 1).astype(np.int64)
    return cell


def _contrast(views: ObjectViews) -> NDArray[np.float32]:
    """Local contrast [6, S, S]: difference from the neighbourhood's mean, in grey levels."""
    rgb = views.rgb.astype(np.float32)
    away = np.abs(rgb - uniform_filter(rgb, (0, 5, 5, 0))).mean(-1)
    contrast: NDArray[np.float32] = uniform_filter(away, (0, 3, 3))
    return contrast


def _filled(views: ObjectViews, view: int) -> NDArray[np.uint8]:
    """A view with background and border pixels replaced by the nearest fully covered pixel."""
    mixed = views.coverage[view] < 0.99
    if mixed.all():
        covered: NDArray[np.uint8] = views.rgb[view]
        return covered
    row, col = distance_transform_edt(mixed, return_distances=False, return_indices=True)
    filled: NDArray[np.uint8] = views.rgb[view][row, col]
    return filled
