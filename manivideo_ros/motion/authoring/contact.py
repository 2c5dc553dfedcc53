"""Signed distances to triangle meshes, for authoring and checking motions."""

from __future__ import annotations

import numpy as np
import warp as wp
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.mlo.warp_runtime import prepare_warp


@wp.kernel
def _query(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    reach: float,
    distance: wp.array(dtype=float),
    gradient: wp.array(dtype=wp.vec3),
):
    i = wp.tid()
    p = points[i]
    hit = wp.mesh_query_point_sign_winding_number(mesh, p, reach)
    if hit.result:
        q = wp.mesh_eval_position(mesh, hit.face, hit.u, hit.v)
        away = p - q
        length = wp.length(away)
        distance[i] = hit.sign * length
        if length > 1.0e-7:
            gradient[i] = hit.sign * away / length
        else:
            gradient[i] = wp.mesh_eval_face_normal(mesh, hit.face)
    else:
        distance[i] = reach


class SignedDistance:
    """Distance to a mesh, negative inside, as decided by the winding number (Jacobson et al. 2013):
    overlapping closed parts are one solid, and small holes are tolerated.

    vertices [V,3] metres; faces [F,3], counterclockwise from outside.
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike) -> None:
        prepare_warp()
        self._points = wp.array(np.asarray(vertices, np.float32), dtype=wp.vec3, device='cpu')
        indices = np.ascontiguousarray(np.asarray(faces, np.int32).reshape(-1))
        self._indices = wp.array(indices, dtype=wp.int32, device='cpu')
        self._mesh = wp.Mesh(self._points, self._indices, support_winding_number=True)

    def __call__(
        self, points: ArrayLike, reach: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Distances [N] (metres, at most reach) and their unit gradients [N,3] at points [N,3]."""
        p = np.ascontiguousarray(np.asarray(points, np.float32).reshape(-1, 3))
        distance = wp.zeros(len(p), dtype=float, device='cpu')
        gradient = wp.zeros(len(p), dtype=wp.vec3, device='cpu')
        where = wp.array(p, dtype=wp.vec3, device='cpu')
        inputs = [self._mesh.id, where, reach, distance, gradient]
        wp.launch(_query, len(p), inputs, device='cpu')
        return distance.numpy(), gradient.numpy()
