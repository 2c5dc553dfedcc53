"""Loading meshes: formats, scale, materials, and invalid files."""

import warnings

import collada
import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from manivideo_ros.objects.formats.mesh_file import read_pieces
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.objects.mesh import MAX_TRIANGLES, MeshError, load_object

FORMATS = ('obj', 'glb', 'ply', 'stl', 'dae')
formats = pytest.mark.parametrize('suffix', FORMATS)


def looked_up(mesh):
    """Colours [F, 3, 3] of the corners by bilinear lookup, and positions [F, 3, 3]."""
    side = len(mesh.texture)
    at = mesh.corner_uv.astype(np.float64) * side - 0.5
    low = np.clip(np.floor(at).astype(int), 0, max(side - 2, 0))
    fx, fy = np.moveaxis((at - low)[..., None, :], -1, 0)
    x, y = low[..., 0], low[..., 1]
    t = mesh.texture.astype(np.float64)
    top = t[y, x] * (1 - fx) + t[y, x + 1] * fx
    return top * (1 - fy) + (t[y + 1, x] * (1 - fx) + t[y + 1, x + 1] * fx) * fy, mesh.vertices[
        mesh.faces
    ]


def saved(mesh, path):
    mesh.export(str(path))
    return path


def textured_square(image, uv=((0, 0), (1, 0), (1, 1), (0, 1)), **material):
    """A unit square in xy whose uv (v up) shows the image upright."""
    vertices = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)
    look = trimesh.visual.TextureVisuals(
        uv=np.array(uv, float),
        material=trimesh.visual.material.PBRMaterial(
            baseColorTexture=Image.fromarray(image), **material
        ),
    )
    return trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], visual=look, process=False)


QUARTERS = np.zeros((64, 64, 3), np.uint8)
QUARTERS[:32, :32], QUARTERS[:32, 32:] = (200, 30, 30), (30, 200, 30)
QUARTERS[32:, :32], QUARTERS[32:, 32:] = (30, 30, 200), (200, 200, 30)
UPRIGHT = {
    (0, 1): (200, 30, 30),
    (1, 1): (30, 200, 30),
    (0, 0): (30, 30, 200),
    (1, 0): (200, 200, 30),
}


def shows_quarters(mesh):
    colours, points = looked_up(mesh)
    for colour, point in zip(colours.reshape(-1, 3), points.reshape(-1, 3), strict=True):
        expected = UPRIGHT[tuple(np.round(point[:2]).astype(int))]
        np.testing.assert_allclose(colour, expected, atol=12)


@formats
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    extents=st.tuples(*[st.floats(0.2, 300.0)] * 3),
    corner=st.tuples(*[st.floats(-50.0, 50.0)] * 3),
    scale=st.sampled_from([1.0, 0.01, 0.001]),
)
def test_every_format_keeps_extents_place_and_scale(tmp_path, suffix, extents, corner, scale):
    box = trimesh.creation.box(extents)
    box.apply_translation(corner)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        mesh = load_object(saved(box, tmp_path / f'box.{suffix}'), scale)
    reach = np.abs(box.bounds).max() * scale
    assert mesh.name == 'box'
    assert len(mesh.faces) == 12
    np.testing.assert_allclose(mesh.extents, np.array(extents) * scale, atol=2e-6 * reach)
    np.testing.assert_allclose(mesh.vertices.min(0), box.bounds[0] * scale, atol=2e-6 * reach)


@formats
def test_shape_and_volume_survive_a_round_trip(tmp_path, suffix):
    mug = generate('mug')
    source = trimesh.Trimesh(mug.vertices, mug.faces, process=False)
    mesh = load_object(saved(source, tmp_path / f'mug.{suffix}'), 1.0)
    assert len(mesh.faces) == pytest.approx(len(mug.faces), rel=0.01)
    assert trimesh.Trimesh(mesh.vertices, mesh.faces).volume == pytest.approx(source.volume, 1e-3)
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    assert mesh.texture.dtype == np.uint8
    assert mesh.texture.shape[0] == mesh.texture.shape[1]


def test_vertices_are_shared_over_smooth_edges_and_split_at_sharp_ones(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    assert len(load_object(saved(ball, tmp_path / 'ball.stl'), 1.0).vertices) == len(ball.vertices)
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    assert len(load_object(saved(box, tmp_path / 'box.stl'), 1.0).vertices) == 24


@pytest.mark.parametrize('suffix', ['obj', 'glb'])
def test_texture_images_stay_upright(tmp_path, suffix):
    shows_quarters(load_object(saved(textured_square(QUARTERS), tmp_path / f'q.{suffix}'), 0.9))


def test_a_textured_collada_file(tmp_path):
    Image.fromarray(QUARTERS).save(tmp_path / 'quarters.png')
    doc = collada.Collada()
    image = collada.material.CImage('image', 'quarters.png', doc)
    surface = collada.material.Surface('surface', image)
    sampler = collada.material.Sampler2D('sampler', surface)
    look = collada.material.Map(sampler, 'UVSET0')
    effect = collada.material.Effect('effect', [surface, sampler], 'phong', diffuse=look)
    material = collada.material.Material('material', 'material', effect)
    doc.images.append(image)
    doc.effects.append(effect)
    doc.materials.append(material)
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32)
    points = collada.source.FloatSource('points', square.ravel(), ('X', 'Y', 'Z'))
    uv = collada.source.FloatSource('uv', square[:, :2].ravel(), ('S', 'T'))
    geometry = collada.geometry.Geometry(doc, 'geometry', 'square', [points, uv])
    inputs = collada.source.InputList()
    inputs.addInput(0, 'VERTEX', '#points')
    inputs.addInput(1, 'TEXCOORD', '#uv', set='0')
    index = np.repeat([0, 1, 2, 0, 2, 3], 2)
    geometry.primitives.append(geometry.createTriangleSet(index, inputs, 'symbol'))
    doc.geometries.append(geometry)
    bound = collada.scene.MaterialNode('symbol', material, inputs=[])
    node = collada.scene.Node(
        'node',
        children=[collada.scene.GeometryNode(geometry, [bound])],
        transforms=[collada.scene.TranslateTransform(0, 0, 5)],
    )
    doc.scenes.append(collada.scene.Scene('scene', [node]))
    doc.scene = doc.scenes[0]
    doc.write(str(tmp_path / 'square.dae'))
    mesh = load_object(tmp_path / 'square.dae', 1.0)
    shows_quarters(mesh)
    np.testing.assert_allclose(mesh.vertices[:, 2], 5, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    shift=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    repeats=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_repeated_textures_are_laid_out_as_often_as_they_show(shift, repeats):
    from manivideo_ros.objects.formats.appearance import bake
    from manivideo_ros.objects.formats.mesh_file import Piece

    uv = np.array([[(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]]) * repeats + shift
    piece = Piece(np.eye(3), np.array([[0, 1, 2]]), QUARTERS, uv, None, 0.5)
    texture, corner_uv, gloss = bake([piece], np.array([0]))
    at = np.clip((corner_uv[0] * len(texture)).astype(int), 0, len(texture) - 1)
    wrapped = np.stack([uv[0, :, 0] % 1, 1 - uv[0, :, 1] % 1], -1)
    away = np.abs(wrapped - 0.5).min(-1) > 0.05  # Clear of the image's inner edges.
    away &= np.minimum(wrapped, 1 - wrapped).min(-1) > 0.05
    expected = QUARTERS[
        (wrapped[:, 1] * 64).astype(int) % 64, (wrapped[:, 0] * 64).astype(int) % 64
    ]
    np.testing.assert_array_equal(texture[at[away, 1], at[away, 0]], expected[away])
    assert gloss == 0.5


@pytest.mark.parametrize('suffix', ['ply', 'glb', 'obj', 'dae'])
def test_vertex_colours_blend_over_their_triangles(tmp_path, suffix):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    ball.visual.vertex_colors = np.clip(ball.vertices * 1270 + 128, 0, 255).astype(np.uint8)
    colours, points = looked_up(load_object(saved(ball, tmp_path / f'ball.{suffix}'), 1.0))
    np.testing.assert_allclose(colours, points * 1270 + 128, atol=2.0)


def test_face_colours_stay_flat(tmp_path):
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    painted = np.abs(box.face_normals * (200, 120, 60)) + np.array([40, 20, 10])
    box.visual.face_colors = painted.astype(np.uint8)
    mesh = load_object(saved(box, tmp_path / 'box.ply'), 1.0)
    colours, points = looked_up(mesh)
    normal = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    normal = np.abs(normal / np.linalg.norm(normal, axis=-1, keepdims=True))
    expected = np.round(normal * (200, 120, 60) + (40, 20, 10))
    np.testing.assert_allclose(colours, np.repeat(expected[:, None], 3, 1), atol=1.5)


def test_a_plain_material_colour(tmp_path):
    (tmp_path / 'm.mtl').write_text('newmtl red\nKd 0.8 0.2 0.1\n')
    (tmp_path / 'm.obj').write_text(
        'mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n'
    )
    colours, _ = looked_up(load_object(tmp_path / 'm.obj', 1.0))
    np.testing.assert_allclose(colours, np.broadcast_to([204, 51, 26], (1, 3, 3)), atol=1)


def test_gltf_colour_factors_are_linear_light(tmp_path):
    grey = np.full((8, 8, 3), 200, np.uint8)
    square = textured_square(grey, baseColorFactor=[0.25, 1.0, 1.0, 1.0], roughnessFactor=0.2)
    mesh = load_object(saved(square, tmp_path / 'tint.glb'), 1.0)
    srgb = 255 * (1.055 * (64 / 255) ** (1 / 2.4) - 0.055)  # The factor is kept in 8 bits.
    colours, _ = looked_up(mesh)
    np.testing.assert_allclose(colours[0, 0], (200 * srgb / 255, 200, 200), atol=1.5)
    assert mesh.gloss == pytest.approx(0.8, abs=0.01)


def test_gltf_materials_are_metals_where_the_file_says_it(tmp_path):
    grey = np.full((4, 4, 3), 128, np.uint8)
    for stated, metal in (({}, 0.0), ({'metallicFactor': 0.75}, 0.75)):
        path = tmp_path / f'{metal}.glb'
        textured_square(grey, **stated).export(path)
        assert [piece.metal for piece in read_pieces(path)] == [metal]


def test_a_scene_of_several_materials_becomes_one_mesh_and_one_texture(tmp_path):
    red = textured_square(np.full((40, 20, 3), (220, 10, 10), np.uint8))
    blue = textured_square(np.full((16, 64, 3), (10, 10, 220), np.uint8))
    green = trimesh.creation.box((0.5, 0.5, 0.5))
    green.visual.vertex_colors = (10, 220, 10, 255)
    scene = trimesh.Scene()
    scene.add_geometry(red)
    lift = trimesh.transformations.translation_matrix((0, 0, 2))
    scene.add_geometry(blue, transform=lift @ np.diag([2.0, 2.0, 2.0, 1.0]))
    scene.add_geometry(green, transform=trimesh.transformations.translation_matrix((0, 0, -3)))
    mesh = load_object(saved(scene, tmp_path / 'scene.glb'), 1.0)
    assert len(mesh.faces) == 2 + 2 + 12
    np.testing.assert_allclose(mesh.extents, (2.25, 2.25, 5.25), atol=1e-5)
    colours, points = looked_up(mesh)
    for colour, z in zip(colours.reshape(-1, 3), points[..., 2].ravel(), strict=True):
        expected = (10, 10, 220) if z > 1 else (220, 10, 10) if z > -1 else (10, 220, 10)
        np.testing.assert_allclose(colour, expected, atol=1)


def test_degenerate_and_non_finite_triangles_are_dropped(tmp_path):
    (tmp_path / 'holes.obj').write_text(
        'v 0 0 0\nv 1 0 0\nv 0 1 0\nv 2 0 0\nv nan 0 0\nv inf 1 0\n'
        'f 1 2 3\nf 1 2 4\nf 1 1 3\nf 1 2 5\nf 1 3 6\n'
    )
    mesh = load_object(tmp_path / 'holes.obj', 1.0)
    assert len(mesh.faces) == 1
    assert np.isfinite(mesh.vertices).all()


BROKEN = {
    'absent.obj': (None, 'no such mesh file'),
    'noise.glb': (b'glTF\2\0\0\0', 'cannot be read as a mesh'),
    'cut.ply': (
        b'ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nend_header\n',
        'cannot',
    ),
    'wrong.dae': (b'<a/>', 'cannot be read as a mesh'),
    'index.obj': (b'v 0 0 0\nv 1 0 0\nf 1 2 9\n', 'cannot be read as a mesh'),
    'thing.xyzzy': (b'?', 'cannot be read as a mesh'),
    'nothing.stl': (b'', 'mesh is empty'),
    'noise.obj': (b'not a mesh', 'mesh is empty'),
    'points.obj': (b'v 0 0 0\nv 1 0 0\nv 0 1 0\n', 'mesh is empty'),
    'line.obj': (b'v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n', 'no triangle with an area'),
    'nan.obj': (b'v 0 0 0\nv nan 0 0\nv 2 1 0\nf 1 2 3\n', 'no triangle with an area'),
}


@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_file_is_one_line_with_the_fix(tmp_path, name):
    content, reason = BROKEN[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=reason) as caught:
        load_object(tmp_path / name, 1.0)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name))
    assert '\n' not in message
    assert 'export' in message or 'give the path' in message


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.floats(0.0, 0.999), suffix=st.sampled_from(FORMATS))
def test_a_truncated_file_is_read_in_part_or_refused_in_one_line(tmp_path, cut, suffix):
    whole = trimesh.creation.icosphere(subdivisions=1, radius=0.1).export(file_type=suffix)
    data = whole.encode() if isinstance(whole, str) else whole
    path = tmp_path / f'cut.{suffix}'
    path.write_bytes(data[: int(cut * len(data))])
    refusal, mesh = '', None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            mesh = load_object(path, 1.0)
        except MeshError as error:
            refusal = str(error)
    assert '\n' not in refusal
    assert mesh is None or np.isfinite(mesh.vertices).all()


@pytest.mark.parametrize('scale', [0.0, -1.0, float('nan'), float('inf')])
def test_scale_must_be_positive(tmp_path, scale):
    with pytest.raises(MeshError, match='scale must be a positive number of metres per unit'):
        load_object(saved(trimesh.creation.box(), tmp_path / 'box.stl'), scale)


def test_an_implausible_size_asks_about_the_scale(tmp_path):
    path = saved(trimesh.creation.box((90, 60, 95)), tmp_path / 'in_millimetres.stl')
    with pytest.warns(UserWarning, match='95 m across; is scale 1 metres per unit right'):
        load_object(path, 1.0)


def torus(rings, sides):
    """A bumpy torus of 2 * rings * sides triangles, about 2.6 units across."""
    u = np.arange(rings)[:, None] * 2 * np.pi / rings
    v = np.arange(sides)[None] * 2 * np.pi / sides
    r = 0.3 + 0.01 * np.sin(40 * u) * np.sin(20 * v)
    across = 1 + r * np.cos(v)
    points = np.stack([across * np.cos(u), across * np.sin(u), r * np.sin(v) + 0 * u], -1)
    i = np.arange(rings * sides).reshape(rings, sides)
    a, b, c, d = i, np.roll(i, -1, 0), np.roll(i, (-1, -1), (0, 1)), np.roll(i, -1, 1)
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return trimesh.Trimesh(points.reshape(-1, 3), faces, process=False)


def test_a_million_triangles_are_simplified_with_a_warning(tmp_path):
    source = torus(700, 700)
    source.visual.vertex_colors = np.clip(source.vertices * 90 + 128, 0, 255).astype(np.uint8)
    path = saved(source, tmp_path / 'huge.ply')
    with pytest.warns(UserWarning, match='980000 triangles simplified to') as caught:
        mesh = load_object(path, 0.1)
    assert len(caught) == 1
    assert 0.5 * MAX_TRIANGLES < len(mesh.faces) <= MAX_TRIANGLES
    np.testing.assert_allclose(mesh.extents, source.extents * 0.1, rtol=0.01)
    body = trimesh.Trimesh(mesh.vertices, mesh.faces)
    assert body.volume == pytest.approx(source.volume * 1e-3, rel=0.02)
    colours, points = looked_up(mesh)
    np.testing.assert_allclose(colours, np.clip(points * 900 + 128, 0, 255), atol=8)


@settings(max_examples=15, deadline=None)
@given(
    rings=st.integers(8, 60),
    sides=st.integers(8, 60),
    most=st.integers(200, 4000),
    soup=st.booleans(),
)
def test_clustering_keeps_to_its_budget_and_to_the_surface(rings, sides, most, soup):
    from manivideo_ros.objects.simplify import cluster

    mesh = torus(rings, sides)
    vertices, faces = mesh.vertices.view(np.ndarray), mesh.faces.view(np.ndarray)
    if soup:
        vertices, faces = vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
    kept = np.arange(len(faces))
    thin, origin = cluster(vertices, faces, kept, most)
    assert 0 < len(thin) <= most
    assert len(thin) == len(origin)
    assert origin.min() >= 0
    assert origin.max() < len(faces)
    corners = vertices[thin]
    assert (np.abs(corners[:, 0] - corners[:, 1]).max(-1) > 0).all()
