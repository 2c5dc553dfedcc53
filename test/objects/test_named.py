"""Meshes by their names in recordings."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.objects.mesh import MeshError, object_of
from manivideo_ros.objects.named import TRIANGLES, load_mesh, names_a_file, triangles_uri


def test_a_shape_and_its_variants():
    assert np.array_equal(load_mesh('mug', 1.0).vertices, generate('mug').vertices)
    assert np.array_equal(load_mesh('jar-3', 1.0).vertices, generate('jar', 3).vertices)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), faces=st.integers(1, 40))
def test_encoded_triangles_round_trip(seed, faces):
    rng = np.random.default_rng(seed)
    vertices = rng.normal(0, 0.1, (3 + faces, 3)).astype(np.float32)
    triangles = np.arange(faces)[:, None] + [0, 1, 2]
    found, expected = (
        load_mesh(triangles_uri(vertices, triangles), 9.0),
        object_of('', vertices, triangles),
    )
    for field in ('vertices', 'faces', 'corner_uv', 'texture'):
        assert np.array_equal(getattr(found, field), getattr(expected, field)), field


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_an_invalid_mesh_is_one_line(data):
    for text in (base64.b64encode(data).decode(), data.decode('latin-1')):
        problem = problem_of(TRIANGLES + text)
        assert '\n' not in problem and len(problem) < 400


def problem_of(name: str) -> str:
    try:
        load_mesh(name, 1.0)
    except MeshError as error:
        return str(error)
    return ''


def test_a_wrong_count_of_triangles_is_refused():
    data = bytes(80) + (2**32 - 1).to_bytes(4, 'little') + bytes(50)
    with pytest.raises(MeshError, match='no binary STL'):
        load_mesh(TRIANGLES + base64.b64encode(data).decode(), 1.0)
    with pytest.raises(MeshError, match='no binary STL'):
        load_mesh(TRIANGLES + base64.b64encode(bytes(84)).decode(), 1.0)


@pytest.mark.parametrize(
    ('name', 'file'),
    [('mug', False), ('jar-3', False), ('package://lab/a.obj', False), ('/a/mug.obj', True)],
)
def test_names_of_files(name, file):
    assert names_a_file(name) == file
    assert not names_a_file(TRIANGLES)
