"""Links that fill their convex hull are replaced by it for shadows, hollow ones are not."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import ConvexHull

from manivideo_ros.objects.hulls import hull_of

CORNERS = 28


def mesh(*parts):
    joined = trimesh.util.concatenate(parts)
    return np.asarray(joined.vertices, np.float64), np.asarray(joined.faces, np.int64)


def box(size, at=(0, 0, 0)):
    return trimesh.creation.box(size, trimesh.transformations.translation_matrix(at))


@pytest.mark.parametrize(
    'part',
    [box((0.4, 0.02, 0.03)), trimesh.creation.capsule(0.3, 0.02), trimesh.creation.icosphere(4)],
)
def test_a_convex_link_has_few_triangles_that_enclose_nearly_its_volume(part):
    vertices, faces = mesh(part)
    hull = hull_of(vertices, faces, CORNERS)
    assert 0 < len(hull) <= 2 * CORNERS - 4
    assert set(hull.ravel()) <= set(faces.ravel())
    assert ConvexHull(vertices[np.unique(hull)]).volume > 0.75 * abs(part.volume)


def test_a_box_is_its_own_hull():
    vertices, faces = mesh(box((0.4, 0.02, 0.03)))
    assert len(hull_of(vertices, faces, CORNERS)) == len(faces) == 12


@pytest.mark.parametrize('opened_along', [0, 1, 2])
def test_a_bracket_is_not_filled(opened_along):
    """Two walls on a floor, as the links around a servo have them."""
    walls = [box((0.05, 0.005, 0.04), (0, y, 0.02)) for y in (-0.02, 0.02)]
    vertices, faces = mesh(box((0.05, 0.045, 0.005)), *walls)
    turned = np.roll(vertices, opened_along, axis=1)
    assert not len(hull_of(turned, faces, CORNERS))


def test_a_flat_link_has_no_hull():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    assert not len(hull_of(vertices, np.array([[0, 1, 2], [0, 2, 3]]), CORNERS))
