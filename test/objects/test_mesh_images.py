"""Mesh files of other programs: images and materials are found, or warned about once."""

import base64
import json
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from manivideo_ros.objects.mesh import MeshError, load_object

CORNERS = [(-0.05, -0.05, 0), (0.05, -0.05, 0), (0.05, 0.05, 0), (-0.05, 0.05, 0)]
UV_UP = [(0, 0), (1, 0), (1, 1), (0, 1)]
QUARTERS = np.zeros((64, 64, 3), np.uint8)
QUARTERS[:32, :32], QUARTERS[:32, 32:] = (200, 30, 30), (30, 200, 30)
QUARTERS[32:, :32], QUARTERS[32:, 32:] = (30, 30, 200), (200, 200, 30)
AS_DRAWN = {(-1, 1): (200, 30, 30), (1, 1): (30, 200, 30), (-1, -1): (30, 30, 200)}
AS_DRAWN[1, -1] = (200, 200, 30)


def loaded(path, scale=1.0):
    """The mesh, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        mesh = load_object(path, scale)
    return mesh, [str(w.message) for w in caught]


def seen(mesh):
    """Corner (sign of x, sign of y) to its colour, of a mesh of the square CORNERS."""
    at = np.clip((mesh.corner_uv * len(mesh.texture)).astype(int), 0, len(mesh.texture) - 1)
    colours = mesh.texture[at[..., 1], at[..., 0]].reshape(-1, 3)
    points = mesh.vertices[mesh.faces].reshape(-1, 3)
    return {
        (int(np.sign(x)), int(np.sign(y))): tuple(colour.tolist())
        for (x, y, _), colour in zip(points, colours, strict=True)
    }


def near(found, expected=AS_DRAWN, atol=8):
    assert found.keys() == expected.keys()
    for corner, colour in expected.items():
        np.testing.assert_allclose(found[corner], colour, atol=atol, err_msg=str(corner))


def plain(colour):
    return dict.fromkeys(AS_DRAWN, colour)


def write_obj(folder, line, extra='', vertices=CORNERS, mtl='m.mtl'):
    rows = [f'mtllib {mtl}', *('v ' + ' '.join(map(str, v)) for v in vertices)]
    rows += [f'vt {u} {v}' for u, v in UV_UP] + ['usemtl a b', 'f 1/1 2/2 3/3 4/4']
    (folder / 'square.obj').write_text('\n'.join(rows) + '\n')
    (folder / 'm.mtl').write_text(f'newmtl a b\nKd 0.2 0.4 0.6\n{extra}{line}\n', 'utf-8')
    return folder / 'square.obj'


@pytest.mark.parametrize(
    ('line', 'file'),
    [
        ('map_Kd image.png', 'image.png'),
        ('map_Kd -s 1 1 1 -o 0 0 0 image.png', 'image.png'),
        ('map_Kd -blendu on -clamp on -mm 0 1 -bm 0.5 my image.png', 'my image.png'),
        ('map_Kd -s 1 1 image 2.png', 'image 2.png'),
        ('map_kd\tmaps\\image.png', 'maps/image.png'),
        ('map_Kd ..\\maps\\image.png', 'image.png'),
        ('map_Kd C:\\scans\\image.png', 'image.png'),
        ('map_Kd /home/someone/image.png', 'image.png'),
        ('map_Kd file:///home/someone/my%20image.png', 'my image.png'),
        ('map_Kd my%20image.png', 'my image.png'),
        ('map_Kd IMAGE.PNG', 'image.png'),
        ('map_Kd Maps/Image.png', 'maps/IMAGE.png'),
        ('map_Kd Größe.png', 'Größe.png'),
        ('map_Kd 画像.png', '画像.png'),
        ('map_Kd image.tga', 'image.tga'),
        ('map_Kd image.webp', 'image.webp'),
        ('map_Kd image.bmp', 'image.bmp'),
        ('map_Kd image.dds', 'image.dds'),
        ('map_Kd "image.png"', 'image.png'),
    ],
)
def test_an_objs_image_is_found_by_the_name_it_has_there(line, file, tmp_path):
    path = write_obj(tmp_path, line)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    Image.fromarray(QUARTERS).save(tmp_path / file)
    mesh, texts = loaded(path)
    near(seen(mesh))
    assert texts == []


def test_the_material_file_may_be_of_latin_1(tmp_path):
    path = write_obj(tmp_path, 'map_Kd Größe.png')
    text = (tmp_path / 'm.mtl').read_text('utf-8')
    (tmp_path / 'm.mtl').write_bytes(text.encode('latin-1'))
    Image.fromarray(QUARTERS).save(tmp_path / 'Größe.png')
    near(seen(loaded(path)[0]))


def test_scale_and_offset_of_a_map_move_it(tmp_path):
    path = write_obj(tmp_path, 'map_Kd -s 0.5 0.5 1 -o 0.5 0 0 image.png')
    Image.fromarray(QUARTERS).save(tmp_path / 'image.png')
    found = seen(loaded(path)[0])
    near({(1, -1): found[1, -1]}, {(1, -1): (200, 200, 30)})


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('gone.png', 'is not in the folder of the mesh'),
        ('../gone.png', 'lies outside the folder of the mesh'),
        ('noise.png', 'is none of PNG'),
        ('cut.png', 'cannot be read'),
        ('image.ktx2', 'KTX2'),
        ('image.exr', 'OpenEXR'),
    ],
)
def test_a_missing_image_is_warned_about_once_with_its_replacement(name, reason, tmp_path):
    folder = tmp_path / 'meshes'
    folder.mkdir()
    Image.fromarray(QUARTERS).save(tmp_path / 'gone.png')
    Image.fromarray(QUARTERS).save(folder / 'whole.png')
    (folder / 'noise.png').write_bytes(bytes(range(200)))
    (folder / 'cut.png').write_bytes((folder / 'whole.png').read_bytes()[:60])
    (folder / 'image.ktx2').write_bytes(b'\xabKTX 20\xbb\r\n\x1a\n' + bytes(80))
    (folder / 'image.exr').write_bytes(b'v/1\x01' + bytes(80))
    mesh, texts = loaded(write_obj(folder, f'map_Kd {name}'))
    near(seen(mesh), plain((51, 102, 153)))
    assert len(texts) == 1
    assert repr(name) in texts[0] and reason in texts[0] and '(51, 102, 153)' in texts[0]


def test_a_missing_material_file_is_named_once(tmp_path):
    mesh, texts = loaded(write_obj(tmp_path, '', mtl='gone.mtl'))
    near(seen(mesh), plain((160, 160, 160)))
    assert len(texts) == 1 and "'gone.mtl' is not in the folder" in texts[0] and 'grey' in texts[0]
    mesh, texts = loaded(write_obj(tmp_path, '', mtl='gone.mtl m.mtl'))
    assert texts == []  # Another one has the material.


@pytest.mark.parametrize('most', [1, 255])
def test_an_objs_vertices_have_colours_of_either_range(most, tmp_path):
    rgb = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 0.4, 0.6)]
    vertices = [(*p, *(most * c for c in colour)) for p, colour in zip(CORNERS, rgb, strict=True)]
    mesh, texts = loaded(write_obj(tmp_path, '', vertices=vertices))
    found = seen(mesh)
    assert texts == []
    near(
        found,
        {(-1, -1): (255, 0, 0), (1, -1): (0, 255, 0), (1, 1): (0, 0, 255), (-1, 1): (51, 102, 153)},
    )


def test_an_emissive_material_has_the_emitted_colour(tmp_path):
    mesh, _ = loaded(write_obj(tmp_path, 'Ke 1 0 0', extra='Kd 0 0 0\n'))
    near(seen(mesh), plain((255, 0, 0)))


# glTF


class Scene:
    """A glTF of one square, put together by hand."""

    def __init__(self, **material):
        self.binary = b''
        self.json = {
            'asset': {'version': '2.0'},
            'scene': 0,
            'scenes': [{'nodes': [0]}],
            'nodes': [{'mesh': 0}],
            'meshes': [{'primitives': [{'attributes': {}, 'material': 0}]}],
            'materials': [material],
            'textures': [{'source': 0}],
            'images': [],
            'accessors': [],
            'bufferViews': [],
            'buffers': [{}],
        }
        self.primitive = self.json['meshes'][0]['primitives'][0]
        self.attribute('POSITION', np.array(CORNERS, 'f4'))
        self.attribute('TEXCOORD_0', np.array([(u, 1 - v) for u, v in UV_UP], 'f4'))
        self.primitive['indices'] = self.accessor(np.array([0, 1, 2, 0, 2, 3], 'u2')[:, None])

    def view(self, data):
        self.binary += bytes(-len(self.binary) % 4)
        view = {'buffer': 0, 'byteOffset': len(self.binary), 'byteLength': len(data)}
        self.json['bufferViews'].append(view)
        self.binary += data
        return len(self.json['bufferViews']) - 1

    def accessor(self, values, normalized=False):
        kind = {'b': 5120, 'B': 5121, 'h': 5122, 'H': 5123, 'I': 5125, 'f': 5126}[values.dtype.char]
        self.json['accessors'].append(
            {
                'bufferView': self.view(values.tobytes()),
                'componentType': kind,
                'count': len(values),
                'type': {1: 'SCALAR', 2: 'VEC2', 3: 'VEC3', 4: 'VEC4'}[values.shape[1]],
                'normalized': normalized,
            }
        )
        return len(self.json['accessors']) - 1

    def attribute(self, name, values, normalized=False):
        self.primitive['attributes'][name] = self.accessor(values, normalized)

    def image(self, folder, name='image.png', uri=None):
        Image.fromarray(QUARTERS).save(folder / name)
        self.json['images'].append({'uri': uri or name})

    def save(self, folder, name='square.gltf', uri='square.bin', file=None):
        self.json['buffers'] = [{'uri': uri, 'byteLength': len(self.binary)}]
        (folder / (file or uri)).write_bytes(self.binary)
        (folder / name).write_text(json.dumps(self.json))
        return folder / name

    def glb(self, folder, behind=b''):
        self.json['buffers'] = [{'byteLength': len(self.binary)}]
        text = json.dumps(self.json).encode()
        text += b' ' * (-len(text) % 4)
        binary = self.binary + bytes(-len(self.binary) % 4)
        chunks = struct.pack('<I4s', len(text), b'JSON') + text
        chunks += struct.pack('<I4s', len(binary), b'BIN\0') + binary
        head = struct.pack('<4sII', b'glTF', 2, 12 + len(chunks))
        (folder / 'square.glb').write_bytes(head + chunks + behind)
        return folder / 'square.glb'


def base(**info):
    return {'pbrMetallicRoughness': {'baseColorTexture': {'index': 0, **info}}}


def moved(**transform):
    return base(extensions={'KHR_texture_transform': transform})


@pytest.mark.parametrize('uri', ['my%20image%C3%A4.png', 'my imageä.png', 'MY IMAGEÄ.PNG'])
def test_gltf_names_are_uris_or_plain_names(uri, tmp_path):
    scene = Scene(**base())
    scene.image(tmp_path, 'my imageä.png', uri)
    mesh, texts = loaded(scene.save(tmp_path, uri='my%20part.bin', file='my part.bin'))
    near(seen(mesh))
    assert texts == []


def test_a_self_contained_gltf(tmp_path):
    scene = Scene(**base())
    scene.image(tmp_path)
    png = base64.b64encode((tmp_path / 'image.png').read_bytes()).decode()
    scene.json['images'] = [{'uri': f'data:image/png;base64,{png}'}]
    near(seen(loaded(scene.glb(tmp_path))[0]))


def test_gltf_texture_coordinates_are_transformed(tmp_path):
    scene = Scene(**moved(offset=[0.5, 0.0], scale=[0.5, 0.5]))
    scene.image(tmp_path)
    found = seen(loaded(scene.save(tmp_path))[0])
    near({(-1, 1): found[-1, 1]}, {(-1, 1): (30, 200, 30)})
    # Turned by 90 degrees: what was at the image's lower left stands at its upper left.
    scene = Scene(**moved(rotation=np.pi / 2, offset=[0.0, 1.0]))
    scene.image(tmp_path)
    near(
        seen(loaded(scene.save(tmp_path))[0]),
        {
            (-1, 1): AS_DRAWN[-1, -1],
            (1, 1): AS_DRAWN[-1, 1],
            (-1, -1): AS_DRAWN[1, -1],
            (1, -1): AS_DRAWN[1, 1],
        },
    )


@pytest.mark.parametrize('where', ['info', 'transform'])
def test_gltf_images_are_looked_up_by_the_set_they_name(where, tmp_path):
    scene = Scene(**(base(texCoord=1) if where == 'info' else moved(texCoord=1)))
    whole = np.array([(u, 1 - v) for u, v in UV_UP])
    scene.attribute('TEXCOORD_0', np.full((4, 2), 0.25, 'f4'))
    scene.attribute('TEXCOORD_1', np.round(whole * 65535).astype('u2'), normalized=True)
    scene.image(tmp_path)
    near(seen(loaded(scene.save(tmp_path))[0]))


def test_quantized_gltf_keeps_size_and_texture(tmp_path):
    scene = Scene(**moved(scale=[1 / 4095, 1 / 4095]))
    scene.json['extensionsRequired'] = ['KHR_mesh_quantization', 'KHR_texture_transform']
    scene.attribute('POSITION', np.round(np.array(CORNERS) * 20000).astype('i2'))
    uv = np.array([(u, 1 - v) for u, v in UV_UP])
    scene.attribute('TEXCOORD_0', np.round(uv * 4095).astype('u2'))
    scene.json['nodes'] = [{'mesh': 0, 'scale': [1 / 20000] * 3}]
    scene.image(tmp_path)
    mesh, texts = loaded(scene.save(tmp_path))
    near(seen(mesh))
    np.testing.assert_allclose(mesh.extents, (0.1, 0.1, 0), atol=1e-5)
    assert texts == []


@pytest.mark.parametrize(
    ('kind', 'scale'), [('f4', 1.0), ('u1', 255), ('u2', 65535)], ids=['float', 'u8', 'u16']
)
def test_gltf_vertex_colours_are_linear_light_in_each_layout(kind, scale, tmp_path):
    scene = Scene()
    light = np.full((4, 3), 0.2) * scale
    scene.attribute('COLOR_0', light.astype(kind), normalized=kind != 'f4')
    near(seen(loaded(scene.save(tmp_path))[0]), plain((124, 124, 124)), atol=2)


def test_factors_of_gltf_multiply_the_image_and_emission_alone_is_a_colour(tmp_path):
    material = base()
    material['pbrMetallicRoughness']['baseColorFactor'] = [1, 0, 0, 1]
    scene = Scene(**material)
    scene.image(tmp_path)
    near(
        seen(loaded(scene.save(tmp_path))[0]),
        {corner: (rgb[0], 0, 0) for corner, rgb in AS_DRAWN.items()},
    )
    dark = {'pbrMetallicRoughness': {'baseColorFactor': [0, 0, 0, 1]}}
    scene = Scene(**dark, emissiveFactor=[1, 1, 1], emissiveTexture={'index': 0})
    scene.image(tmp_path)
    near(seen(loaded(scene.save(tmp_path))[0]))


def test_diffuse_of_the_older_gltf_material(tmp_path):
    older = {'diffuseTexture': {'index': 0}}
    scene = Scene(extensions={'KHR_materials_pbrSpecularGlossiness': older})
    scene.image(tmp_path)
    near(seen(loaded(scene.save(tmp_path))[0]))


@pytest.mark.parametrize(
    'name',
    [
        'EXT_meshopt_compression',
        'KHR_meshopt_compression',
        'KHR_texture_basisu',
        'VENDOR_of_tomorrow',
    ],
)
def test_an_extension_that_is_required_and_not_read_is_refused_by_name(name, tmp_path):
    scene = Scene()
    scene.json['extensionsRequired'] = [name]
    with pytest.raises(MeshError, match=rf'square\.glb: .*needs {name}, which is not read: export'):
        load_object(scene.glb(tmp_path), 1.0)


def test_draco_is_decoded(tmp_path):
    draco = pytest.importorskip('DracoPy')
    scene = Scene()
    packed = draco.encode(np.array(CORNERS, 'f4'), np.array([[0, 1, 2], [0, 2, 3]], 'u4'))
    scene.json['extensionsRequired'] = ['KHR_draco_mesh_compression']
    scene.primitive['extensions'] = {
        'KHR_draco_mesh_compression': {
            'bufferView': scene.view(packed),
            'attributes': {'POSITION': 0},
        }
    }
    mesh, _ = loaded(scene.glb(tmp_path))
    np.testing.assert_allclose(mesh.extents, (0.1, 0.1, 0), atol=1e-3)


def test_gltf_without_scenes_or_nodes_has_all_meshes(tmp_path):
    scene = Scene()
    del scene.json['scenes'], scene.json['scene']
    assert loaded(scene.save(tmp_path))[0].extents[0] == pytest.approx(0.1)
    del scene.json['nodes']
    assert loaded(scene.save(tmp_path))[0].extents[0] == pytest.approx(0.1)


def test_sparse_accessors_replace_what_they_name(tmp_path):
    scene = Scene()
    where, what = np.array([2], 'u2'), np.array([[0.15, 0.05, 0]], 'f4')
    scene.json['accessors'][0]['sparse'] = {
        'count': 1,
        'indices': {'bufferView': scene.view(where.tobytes()), 'componentType': 5123},
        'values': {'bufferView': scene.view(what.tobytes())},
    }
    assert loaded(scene.save(tmp_path))[0].extents[0] == pytest.approx(0.2)


def test_a_mirroring_node_keeps_the_outside_outside(tmp_path):
    scene = Scene()
    scene.json['nodes'] = [{'mesh': 0, 'scale': [-1, 1, 1]}]
    mesh, _ = loaded(scene.save(tmp_path))
    a, b, c = mesh.vertices[mesh.faces[0]]
    assert np.cross(b - a, c - a)[2] > 0


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        (lambda j: j['accessors'][0].update(count=5), r'accessors\[0\] needs 60 bytes'),
        (lambda j: j['bufferViews'][0].update(byteLength=10**6), r'bufferViews\[0\] ends at'),
        (lambda j: j['buffers'][0].update(byteLength=10**6), 'byteLength is 1000000'),
        (lambda j: j['nodes'][0].update(mesh=4), r'refers to meshes\[4\], but has 1'),
        (lambda j: j['nodes'][0].update(children=[0]), r'nodes\[0\] has two parents'),
        (lambda j: j['accessors'][0].pop('count'), "does not follow the specification .*'count'"),
        (lambda j: j['asset'].update(version='1.0'), r'glTF 1\.0; convert it to glTF 2\.0'),
    ],
)
def test_errors_in_a_gltf_are_named(change, named, tmp_path):
    path = Scene().save(tmp_path)
    stated = json.loads(path.read_text())
    change(stated)
    path.write_text(json.dumps(stated))
    with pytest.raises(MeshError, match=rf'square\.gltf: .*{named}'):
        load_object(path, 1.0)


def test_trailing_bytes_of_a_glb_are_warned_about_and_a_truncated_one_is_refused(tmp_path):
    path = Scene().glb(tmp_path, behind=b'12345')
    assert [m for m in loaded(path)[1] if '5 bytes after its end' in m]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(MeshError, match='truncated'):
        load_object(path, 1.0)


@given(
    offset=st.tuples(*[st.floats(-0.9, 0.9)] * 2),
    scale=st.tuples(*[st.floats(0.3, 2.0)] * 2),
    rotation=st.floats(-3.2, 3.2),
)
def test_the_transform_is_scale_then_turn_then_offset(offset, scale, rotation):
    from manivideo_ros.objects.formats.gltf_materials import placed_on

    info = {'extensions': {'KHR_texture_transform': {}}}
    info['extensions']['KHR_texture_transform'] |= {'offset': offset, 'scale': scale}
    info['extensions']['KHR_texture_transform']['rotation'] = rotation
    uv = np.array([(0.3, 0.8)])
    _, at = placed_on(QUARTERS, info, {}, uv)
    u, v = uv[0] * scale
    turned = complex(u, -v) * np.exp(1j * rotation)  # v down: counterclockwise as it is seen
    expected = (turned.real + offset[0], 1 - (offset[1] - turned.imag))
    np.testing.assert_allclose(at[0], expected, atol=1e-9)


def test_a_clamped_image_is_extended_by_its_edge(tmp_path):
    scene = Scene(**moved(scale=[2, 2], offset=[-0.5, -0.5]))
    scene.json['samplers'] = [{'wrapS': 33071, 'wrapT': 33071}]
    scene.json['textures'] = [{'source': 0, 'sampler': 0}]
    scene.image(tmp_path)
    near(seen(loaded(scene.save(tmp_path))[0]))  # Repeating, every corner would be of another.


# PLY, STL, OFF, DAE


def write_ply(path, properties, rows, faces='3 0 1 2\n3 0 2 3\n', comment='', face=''):
    text = f'ply\nformat ascii 1.0\n{comment}element vertex 4\n'
    text += ''.join(f'property float {n}\n' for n in 'xyz') + properties
    text += f'element face {faces.count(chr(10))}\nproperty list uchar int vertex_indices\n{face}'
    text += 'end_header\n' + rows + faces
    path.write_text(text)
    return path


RGB = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (51, 102, 153)]
BY_VERTEX = {(-1, -1): RGB[0], (1, -1): RGB[1], (1, 1): RGB[2], (-1, 1): RGB[3]}


@pytest.mark.parametrize('prefix', ['', 'diffuse_'])
@pytest.mark.parametrize(
    ('kind', 'most'), [('uchar', 255), ('float', 1), ('float', 255), ('ushort', 65535)]
)
def test_ply_colours_in_each_layout_in_use(prefix, kind, most, tmp_path):
    names = ''.join(f'property {kind} {prefix}{n}\n' for n in ('red', 'green', 'blue'))
    rows = ''
    for point, rgb in zip(CORNERS, RGB, strict=True):
        values = [c / 255 * most if kind == 'float' else round(c / 255 * most) for c in rgb]
        rows += ' '.join(map(str, (*point, *values))) + '\n'
    mesh, texts = loaded(write_ply(tmp_path / 'square.ply', names, rows))
    near(seen(mesh), BY_VERTEX, atol=2)
    assert texts == []


@pytest.mark.parametrize('where', ['vertices', 'faces'])
def test_a_plys_image_is_named_in_a_comment(where, tmp_path):
    Image.fromarray(QUARTERS).save(tmp_path / 'my image.png')
    comment = 'comment TextureFile my image.png\n'
    rows = [' '.join(map(str, p)) for p in CORNERS]
    if where == 'vertices':
        names = 'property float texture_u\nproperty float texture_v\n'
        rows = [f'{row} {u} {v}' for row, (u, v) in zip(rows, UV_UP, strict=True)]
        path = write_ply(
            tmp_path / 'q.ply', names, '\n'.join(rows) + '\n', comment=comment, faces='4 0 1 2 3\n'
        )
    else:
        uv = [
            ' '.join(f'{u} {v}' for u, v in (UV_UP[i] for i in f)) for f in ((0, 1, 2), (0, 2, 3))
        ]
        faces = f'3 0 1 2 6 {uv[0]}\n3 0 2 3 6 {uv[1]}\n'
        face = 'property list uchar float texcoord\n'
        path = write_ply(
            tmp_path / 'q.ply', '', '\n'.join(rows) + '\n', faces, comment=comment, face=face
        )
    mesh, texts = loaded(path)
    near(seen(mesh))
    assert texts == []
    (tmp_path / 'my image.png').unlink()
    _, texts = loaded(path)
    assert (
        len(texts) == 1 and "'my image.png' is not in the folder" in texts[0] and 'grey' in texts[0]
    )


def test_the_counts_of_a_ply_are_checked(tmp_path):
    rows = ''.join(' '.join(map(str, p)) + '\n' for p in CORNERS)
    path = write_ply(tmp_path / 'square.ply', '', rows)
    text = path.read_text()
    path.write_text(text + '1 2 3\n')
    _, texts = loaded(path)
    assert len(texts) == 1 and '3 numbers after its last element are ignored' in texts[0]
    path.write_text(text.removesuffix('3 0 2 3\n'))
    with pytest.raises(MeshError, match="it has fewer than 2 of 'face'"):
        load_object(path, 1.0)


@pytest.mark.parametrize('order', ['little', 'big'])
def test_a_binary_ply_may_mix_triangles_and_polygons(order, tmp_path):
    mark = {'little': '<', 'big': '>'}[order]
    head = f'ply\nformat binary_{order}_endian 1.0\nelement vertex 5\n'
    head += ''.join(f'property float {n}\n' for n in 'xyz')
    head += 'element face 2\nproperty list uchar int vertex_index\nend_header\n'
    vertices = np.array([*CORNERS, (0.1, 0, 0)], f'{mark}f4').tobytes()
    faces = struct.pack(f'{mark}B4i', 4, 0, 1, 2, 3) + struct.pack(f'{mark}B3i', 3, 1, 4, 2)
    path = tmp_path / 'mixed.ply'
    path.write_bytes(head.encode() + vertices + faces)
    mesh, texts = loaded(path)
    assert len(mesh.faces) == 3 and texts == []
    path.write_bytes(head.encode() + vertices + faces[:-1])
    with pytest.raises(MeshError, match="it has fewer than 2 of 'face'"):
        load_object(path, 1.0)


def write_stl(path, count=2, behind=b'', colours=(0, 0), title=b''):
    triangles = np.array(CORNERS, '<f4')[[[0, 1, 2], [0, 2, 3]]]
    rows = b''.join(
        bytes(12) + t.tobytes() + struct.pack('<H', c)
        for t, c in zip(triangles, colours, strict=True)
    )
    path.write_bytes(title.ljust(80, b' ') + struct.pack('<I', count) + rows + behind)
    return path


def test_the_count_of_an_stl_is_checked(tmp_path):
    mesh, texts = loaded(write_stl(tmp_path / 'a.stl', behind=b'abc'))
    assert len(mesh.faces) == 2
    assert len(texts) == 1 and '3 bytes after the last of its 2 triangles' in texts[0]
    with pytest.raises(MeshError, match='its header has 7 triangles, it has 2'):
        load_object(write_stl(tmp_path / 'b.stl', count=7), 1.0)


def test_attribute_bytes_of_an_stl_may_be_colours(tmp_path):
    viscam = write_stl(tmp_path / 'a.stl', colours=(0x8000 | 31 << 10, 0x8000 | 31 << 10))
    near(seen(loaded(viscam)[0]), plain((255, 0, 0)))
    magics = write_stl(tmp_path / 'b.stl', title=b'COLOR=\x00\xff\x00\xff', colours=(0x8000,) * 2)
    near(seen(loaded(magics)[0]), plain((0, 255, 0)))
    near(seen(loaded(write_stl(tmp_path / 'c.stl', colours=(7, 9)))[0]), plain((160,) * 3))


@pytest.mark.parametrize(('most', 'form'), [(1, '{:.3f}'), (255, '{:.0f}')])
def test_off_has_colours_of_vertices_or_faces(most, form, tmp_path):
    rows = [
        ' '.join([*map(str, p), *(form.format(c / 255 * most) for c in rgb)])
        for p, rgb in zip(CORNERS, RGB, strict=True)
    ]
    path = tmp_path / 'square.off'
    path.write_text('COFF\n4 1 0\n' + '\n'.join(rows) + '\n4 0 1 2 3\n')
    near(seen(loaded(path)[0]), BY_VERTEX, atol=2)
    rows = [' '.join(map(str, p)) for p in CORNERS]
    behind = ' '.join(form.format(c / 255 * most) for c in (51, 255, 153))
    path.write_text('OFF\n4 1 0\n' + '\n'.join(rows) + f'\n4 0 1 2 3 {behind}\n')
    near(seen(loaded(path)[0]), plain((51, 255, 153)), atol=2)


def write_dae(path, metre, up='Z_UP', image=None):
    points = ' '.join(f'{c / metre:.8g}' for p in CORNERS for c in p)
    uv = ' '.join(f'{c}' for pair in UV_UP for c in pair)
    look = '<color>0.2 0.4 0.6 1</color>'
    images = parameters = ''
    if image:
        images = (
            f'<library_images><image id="i"><init_from>{image}</init_from></image></library_images>'
        )
        parameters = (
            '<newparam sid="s"><surface type="2D"><init_from>i</init_from></surface></newparam>'
            '<newparam sid="t"><sampler2D><source>s</source></sampler2D></newparam>'
        )
        look = '<texture texture="t" texcoord="UV"/>'
    path.write_text(f"""<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit name="u" meter="{metre}"/><up_axis>{up}</up_axis></asset>{images}
<library_effects><effect id="e"><profile_COMMON>{parameters}<technique sid="c"><lambert><diffuse>
{look}</diffuse></lambert></technique></profile_COMMON></effect></library_effects>
<library_materials><material id="m" name="paint"><instance_effect url="#e"/></material>
</library_materials><library_geometries><geometry id="g"><mesh>
<source id="p"><float_array id="pa" count="12">{points}</float_array><technique_common>
<accessor source="#pa" count="4" stride="3"><param name="X" type="float"/>
<param name="Y" type="float"/><param name="Z" type="float"/></accessor></technique_common></source>
<source id="q"><float_array id="qa" count="8">{uv}</float_array><technique_common>
<accessor source="#qa" count="4" stride="2"><param name="S" type="float"/>
<param name="T" type="float"/></accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles count="2" material="x"><input semantic="VERTEX" source="#v" offset="0"/>
<input semantic="TEXCOORD" source="#q" offset="0" set="0"/><p>0 1 2 0 2 3</p></triangles></mesh>
</geometry></library_geometries><library_visual_scenes><visual_scene id="s"><node>
<instance_geometry url="#g"><bind_material><technique_common>
<instance_material symbol="x" target="#m"/></technique_common></bind_material>
</instance_geometry></node></visual_scene></library_visual_scenes>
<scene><instance_visual_scene url="#s"/></scene></COLLADA>""")
    return path


@pytest.mark.parametrize('up', ['X_UP', 'Y_UP', 'Z_UP'])
@pytest.mark.parametrize('metre', [1.0, 0.0254, 0.01, 0.001])
def test_the_unit_of_a_dae_is_applied_and_its_up_axis_is_not(metre, up, tmp_path):
    mesh, texts = loaded(write_dae(tmp_path / 'square.dae', metre, up))
    np.testing.assert_allclose(mesh.extents, (0.1, 0.1, 0), atol=1e-6)
    near(seen(mesh), plain((51, 102, 153)))
    assert texts == []


def test_the_image_of_a_dae_is_found_or_warned_about(tmp_path):
    Image.fromarray(QUARTERS).save(tmp_path / 'my image.png')
    path = write_dae(tmp_path / 'square.dae', 1.0, image='file:///C:/scans/my%20image.png')
    mesh, texts = loaded(path)
    near(seen(mesh))
    assert texts == []
    (tmp_path / 'my image.png').unlink()
    mesh, texts = loaded(path)
    near(seen(mesh), plain((160, 160, 160)))
    assert len(texts) == 1 and 'my%20image.png' in texts[0] and 'grey' in texts[0]


@pytest.mark.parametrize(
    ('scale', 'asked'),
    [
        (100.0, r'is 10 m across; .* Scale 1 \(metres\) would make it 0\.1 m'),
        (0.01, r'is 0\.001 m across'),
    ],
)
def test_an_implausible_size_is_warned_about_once(scale, asked, tmp_path):
    _, texts = loaded(write_dae(tmp_path / 'square.dae', 1.0), scale)
    assert len(texts) == 1
    with pytest.warns(UserWarning, match=asked):
        load_object(tmp_path / 'square.dae', scale)


def test_a_packages_mesh_may_name_images_of_the_whole_package(tmp_path, monkeypatch):
    from manivideo_ros.objects.named import load_mesh

    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    share = tmp_path / 'share' / 'lab_tools'
    (share / 'meshes').mkdir(parents=True)
    (share / 'textures').mkdir()
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'lab_tools'
    index.parent.mkdir(parents=True)
    index.touch()
    Image.fromarray(QUARTERS).save(share / 'textures' / 'image.png')
    write_dae(share / 'meshes' / 'a square.dae', 1.0, image='../textures/image.png')
    near(seen(load_mesh('package://lab_tools/meshes/a%20square.dae', 1.0)))
