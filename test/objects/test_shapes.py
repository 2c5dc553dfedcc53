"""The generated shapes: sizes, closedness, textures, budgets, determinism."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES, SHAPES, generate

# Longest side in millimetres that each thing has in a household, and whether it holds together
# as closed surfaces.
LONGEST_MM = {
    'mug': (90, 135), 'tumbler': (105, 145), 'bowl': (120, 170), 'plate': (200, 280),
    'teapot': (190, 270), 'pitcher': (160, 230), 'pan': (320, 460), 'can': (90, 125),
    'bottle': (190, 240), 'box': (180, 230), 'milk_carton': (180, 225), 'jar': (85, 115),
    'spray_bottle': (190, 240), 'tube': (150, 210), 'screwdriver': (190, 260),
    'hammer': (270, 350), 'wrench': (170, 220), 'flashlight': (150, 210),
    'paintbrush': (190, 240), 'ball': (80, 130), 'apple': (65, 95), 'banana': (140, 210),
    'book': (160, 205), 'remote': (140, 190), 'phone': (130, 165), 'dice': (40, 60),
    'puzzle_cube': (50, 64), 'duck': (85, 125),
}  # fmt: skip
CLOSED = (
    'mug', 'tumbler', 'bowl', 'plate', 'pitcher', 'pan', 'box', 'wrench', 'ball', 'apple',
    'banana', 'book', 'phone', 'dice', 'puzzle_cube', 'duck',
)  # fmt: skip
shapes = pytest.mark.parametrize('name', SHAPES)


def welded(mesh):
    """A trimesh whose coinciding vertices are one."""
    out = trimesh.Trimesh(mesh.vertices.round(7), mesh.faces, process=False)
    out.merge_vertices(merge_tex=True, merge_norm=True)
    return out


def test_there_are_at_least_sixteen_shapes_and_some_are_held_out():
    assert len(SHAPES) >= 16
    assert set(LONGEST_MM) == set(SHAPES)
    assert set(HELD_OUT_SHAPES) < set(SHAPES)
    assert 'mug' in HELD_OUT_SHAPES
    assert len(SHAPES) - len(HELD_OUT_SHAPES) >= 16


@shapes
@pytest.mark.parametrize('seed', [0, 1])
def test_a_shape_is_a_sound_textured_mesh_of_real_size(name, seed):
    mesh = generate(name, seed)
    assert mesh.name == name
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    assert mesh.corner_uv.dtype == np.float32
    assert mesh.texture.dtype == np.uint8
    assert 500 <= len(mesh.faces) <= 5000
    assert mesh.faces.min() == 0
    assert mesh.faces.max() == len(mesh.vertices) - 1
    assert np.isfinite(mesh.vertices).all()
    assert mesh.corner_uv.shape == (len(mesh.faces), 3, 2)
    assert mesh.corner_uv.min() >= 0
    assert mesh.corner_uv.max() <= 1
    assert mesh.texture.shape in ((256, 256, 3), (512, 512, 3))
    assert 0 <= mesh.gloss <= 1
    low, high = LONGEST_MM[name]
    assert low <= 1000 * mesh.extents.max() <= high
    centre = mesh.vertices.min(0) + mesh.vertices.max(0)
    np.testing.assert_allclose(centre, 0, atol=1e-6)
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(np.float64), 1, 0)
    assert np.linalg.norm(np.cross(b - a, c - a), axis=-1).min() > 1e-12


@shapes
def test_seen_from_outside_every_face_faces_outwards(name):
    mesh = generate(name)
    body = welded(mesh)
    rng = np.random.default_rng(0)
    out = rng.normal(size=(2000, 3))
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    targets = rng.uniform(-0.5, 0.5, out.shape) * mesh.extents
    hit = body.ray.intersects_first(targets + 2 * np.linalg.norm(mesh.extents) * out, -out)
    facing = np.sum(body.face_normals[hit] * out, -1)[hit >= 0]
    assert len(facing) > 100
    assert np.mean(facing < -0.02) < 0.002


@pytest.mark.parametrize('name', CLOSED)
def test_solid_things_are_closed_surfaces(name):
    body = welded(generate(name))
    assert body.is_watertight
    assert body.is_winding_consistent
    assert body.volume > 0


def test_vessels_are_hollow():
    for name in ('mug', 'tumbler', 'bowl', 'pitcher', 'pan'):
        mesh = generate(name)
        foot = mesh.vertices[mesh.vertices[:, 2] < mesh.vertices[:, 2].min() + 1e-4]
        above = [[0.5 * (foot[:, 0].min() + foot[:, 0].max()), 1e-5, 1.0]]
        floor = welded(mesh).ray.intersects_location(above, [[0, 0, -1.0]])[0][:, 2].max()
        assert 0.002 < floor - foot[:, 2].min() < 0.02


@shapes
def test_the_same_seed_gives_the_same_object_and_another_seed_another(name):
    first, again, other = generate(name, 3), generate(name, 3), generate(name, 4)
    for field in ('vertices', 'faces', 'corner_uv', 'texture'):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert (
        first.texture.shape != other.texture.shape or (first.texture != other.texture).mean() > 0.01
    )
    assert np.abs(first.extents - other.extents).max() > 1e-5


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(SHAPES), seed=st.integers(0, 2**31))
def test_any_seed_gives_a_sound_object(name, seed):
    mesh = generate(name, seed)
    assert 500 <= len(mesh.faces) <= 5000
    assert np.isfinite(mesh.vertices).all()
    assert mesh.corner_uv.min() >= 0
    assert mesh.corner_uv.max() <= 1
    low, high = LONGEST_MM[name]
    assert low <= 1000 * mesh.extents.max() <= high


@shapes
def test_textures_show_more_than_one_colour_on_the_surface(name):
    mesh = generate(name)
    rng = np.random.default_rng(0)
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(np.float64), 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    face = rng.choice(len(area), 3000, p=area / area.sum())
    uv = np.sum(rng.dirichlet((1, 1, 1), 3000)[..., None] * mesh.corner_uv[face], 1)
    column, row = (uv * len(mesh.texture)).astype(int).T
    seen = mesh.texture[row, column].astype(float)
    assert seen.std(0).max() > 12


def test_labels_read_from_the_front_and_handles_point_to_x():
    mug = generate('mug')
    far = mug.vertices[mug.vertices[:, 0] > 0.9 * mug.vertices[:, 0].max()]
    assert np.abs(far[:, 1]).max() < 0.02
    can = generate('can')
    middle = can.vertices[can.faces].mean(1)
    front = (middle[:, 1] < -0.03) & (np.abs(middle[:, 2]) < 0.03)
    p, uv = can.vertices[can.faces[front]].reshape(-1, 3), can.corner_uv[front].reshape(-1, 2)
    assert np.corrcoef(p[:, 0], uv[:, 0])[0, 1] > 0.9  # To the right in space and image,
    assert np.corrcoef(p[:, 2], uv[:, 1])[0, 1] < -0.9  # and v runs down.


def test_an_unknown_shape_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'cupp' is unknown; choose one of mug"):
        generate('cupp')
    with pytest.raises(ValueError, match='seed must not be negative'):
        generate('mug', -1)
