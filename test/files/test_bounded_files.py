"""Small files that would take too much memory or time are refused at once."""

import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from functools import cache
from io import BytesIO

import lz4.frame
import numpy as np
import pytest
import yaml
import zstandard
from mcap.exceptions import McapError
from mcap.records import Chunk
from mcap.writer import CompressionType, Writer
from PIL import Image

from manivideo_ros.bags import unpacking
from manivideo_ros.bags.bag import BagError, BagReader
from manivideo_ros.camera.background import load_background
from manivideo_ros.data.recorded.datasets.pickled import read_pickled
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.shards import ShardDataset, ShardError
from manivideo_ros.engine.spec import SpecError, load_spec
from manivideo_ros.files.bounded_yaml import LARGEST, load_yaml
from manivideo_ros.files.npz import read_npz
from manivideo_ros.hand.mano_file import convert_mano
from manivideo_ros.hand.model import HandFileError
from manivideo_ros.hand.reference import load_hand_reference
from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.names import COMPRESSED
from manivideo_ros.messages.types import typestore
from manivideo_ros.objects.mesh import MeshError, load_object

MIB = 2**20


def laughs(line: str, times: int = 9) -> str:
    """A list, and lists of the list before."""
    text = 'a0: &a0 [x]\n'
    for i in range(1, times):
        text += f'a{i}: &a{i} ' + line.format(', '.join([f'*a{i - 1}'] * 10)) + '\n'
    return text


@pytest.fixture
def little_memory():
    """What a test takes of Python's memory stays below 100 MiB."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * MIB


@pytest.mark.parametrize(
    'text',
    [
        laughs('[{}]'),
        laughs('{{k: 1, <<: [{}]}}').replace('[x]', '{x: 1}'),
        '[' * 5000,
        '{"a":' * 5000,
        '- ' * 5000,
        '? ' * 5000,
        'a: &a [*a]',
        'a: ' + '1:' * 5000 + '1',
        'a: ' + '9' * 5000,
        '- a\n' * (LARGEST + 1),
        '# ' + 'x' * 2**20,
    ],
    ids=lambda text: text[:12].replace('\n', ' '),
)
def test_yaml_beyond_the_limits_is_refused(text, tmp_path):
    file = tmp_path / 'some.yaml'
    file.write_text(text)
    with pytest.raises(SpecError, match=r'some\.yaml: is not YAML'):
        load_spec(file)


def test_ordinary_yaml_is_read():
    text = 'a: &a {b: 1.5}\nc: {<<: *a, d: [1, 0x10, 10:20]}\ne: [*a, *a]\nf: 2020-01-02\n'
    assert load_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize('field', ['compression_mode', 'storage_identifier', 'custom_data'])
def test_bag_metadata_with_any_field_replaced_is_handled(field, tmp_path):
    (tmp_path / 'x.mcap').write_bytes(b'')
    for value in ('[1, 2]', '{a: {b: c}}', '3', '*a8', '"\\0"'):
        info = {'storage_identifier': 'mcap', 'relative_file_paths': '[x.mcap]', field: value}
        lines = ''.join(f'  {name}: {value}\n' for name, value in info.items())
        text = f'{laughs("[{}]") if "*" in value else ""}rosbag2_bagfile_information:\n{lines}'
        (tmp_path / 'metadata.yaml').write_text(text)
        with pytest.raises(BagError) as caught:
            BagReader(tmp_path)
        assert len(str(caught.value)) < 1000 and '\n' not in str(caught.value)


def write_mcap(path, compression, data):
    with path.open('wb') as stream:
        writer = Writer(stream, compression=compression, chunk_size=10**9)
        writer.start('ros2')
        channel = writer.register_channel('/a', 'cdr', writer.register_schema('a', 'ros2msg', b''))
        writer.add_message(channel, 1, data, 1)
        writer.finish()


@pytest.mark.parametrize('cut', [0, 40], ids=['whole', 'cut off'])
@pytest.mark.parametrize('compression', [CompressionType.ZSTD, CompressionType.LZ4])
def test_a_chunk_that_unpacks_to_too_much_is_refused(compression, cut, tmp_path, monkeypatch):
    path = tmp_path / 'x.mcap'
    write_mcap(path, compression, bytes(2 * MIB))
    path.write_bytes(path.read_bytes()[: -cut or None])
    assert path.stat().st_size < 20_000
    assert [len(m.data) for m in BagReader(path).messages()] == [2 * MIB]
    monkeypatch.setattr(unpacking, 'LARGEST_CHUNK', MIB)
    if cut:  # what cannot be read counts as the end
        assert not list(BagReader(path).messages())
    else:
        with pytest.raises(
            BagError, match=r'x\.mcap: damaged \(a chunk unpacks to more than 1 MiB'
        ):
            list(BagReader(path).messages())


@pytest.mark.parametrize(
    ('compression', 'packed'),
    [('zstd', zstandard.compress(b'')), ('lz4', lz4.frame.compress(bytes(MIB))), ('lz4', b'no')],
)
def test_the_stated_size_of_a_chunk_is_not_trusted(compression, packed, monkeypatch):
    monkeypatch.setattr(unpacking, 'LARGEST_CHUNK', MIB - 1)
    if compression == 'zstd':
        stream = zstandard.ZstdCompressor(write_content_size=False)
        packed, stated = stream.compress(bytes(2 * MIB)), 10**15
    else:
        stated = 1
    chunk = Chunk(compression, packed, 1, 1, 0, stated)
    with pytest.raises(McapError):
        unpacking._bounded(chunk)


def test_an_archive_of_zeros_is_refused(tmp_path, little_memory, monkeypatch):
    path = tmp_path / 'zeros.npz'
    np.savez_compressed(path, a=np.zeros(MIB))
    assert path.stat().st_size < 20_000
    assert read_npz(path)['a'].shape == (MIB,)
    monkeypatch.setattr('manivideo_ros.files.npz.LARGEST', MIB)
    with pytest.raises(ValueError, match='unpacks to more than 1 MiB'):
        read_npz(path)


def test_an_array_that_claims_more_than_its_archive_holds_is_refused(tmp_path):
    path = tmp_path / 'claims.npz'
    head = BytesIO()
    shape = {'descr': '<f8', 'fortran_order': False, 'shape': (10**14,)}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.npy', head.getvalue())
    with pytest.raises(ValueError):  # noqa: PT011  (numpy's words)
        read_npz(path)


@cache
def bomb() -> bytes:
    """An image of 81 million pixels in a few kB."""
    out = BytesIO()
    Image.new('1', (9000, 9000)).save(out, 'PNG')
    return out.getvalue()


def test_a_small_file_with_a_huge_image_is_refused(tmp_path, little_memory):
    path = tmp_path / 'black.png'
    path.write_bytes(bomb())
    for load in (load_background, load_hand_reference):
        with pytest.raises(ValueError, match=r'black\.png: .*9000x9000 is too large an image'):
            load(path)
    message = typestore().types[COMPRESSED](
        header=None, format='png', data=np.frombuffer(bomb(), np.uint8)
    )
    with pytest.raises(ValueError, match='data: 9000x9000 is too large'):
        read_image(message)


@pytest.mark.parametrize('suffix', ['glb', 'obj'])
def test_a_huge_image_of_a_mesh_is_refused(suffix, tmp_path, little_memory):
    import trimesh

    box = trimesh.creation.box((0.1, 0.1, 0.1))
    uv = np.zeros((len(box.vertices), 2))
    small = Image.new('RGB', (2, 2))
    box.visual = trimesh.visual.TextureVisuals(uv, image=small)
    path = tmp_path / f'box.{suffix}'
    box.export(str(path))
    if suffix == 'obj':
        next(tmp_path.glob('*.png')).write_bytes(bomb())
    else:
        out = BytesIO()
        small.save(out, 'PNG')
        path.write_bytes(replaced_image(path.read_bytes(), bomb()))
    with pytest.raises(MeshError, match='9000x9000 is too large'):
        load_object(path, 1.0)


def replaced_image(glb: bytes, image: bytes) -> bytes:
    """A GLB with another image in place of its own."""
    length = struct.unpack('<I', glb[12:16])[0]
    gltf, binary = json.loads(glb[20 : 20 + length]), glb[28 + length :]
    view = gltf['bufferViews'][gltf['images'][0]['bufferView']]
    binary += bytes(-len(binary) % 4)
    view['byteOffset'], view['byteLength'] = len(binary), len(image)
    binary += image + bytes(-len(image) % 4)
    gltf['buffers'][0]['byteLength'] = len(binary)
    text = json.dumps(gltf).encode()
    text += b' ' * (-len(text) % 4)
    chunks = struct.pack('<I4s', len(text), b'JSON') + text
    chunks += struct.pack('<I4s', len(binary), b'BIN\0') + binary
    return struct.pack('<4sII', b'glTF', 2, 12 + len(chunks)) + chunks


def test_images_that_start_external_programs_are_refused(tmp_path):
    path = tmp_path / 'image.png'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n')
    with pytest.raises(ValueError, match=r'image\.png: cannot be read .*give one of PNG'):
        load_background(path)


@pytest.mark.parametrize('name', ['thing.zip', 'thing.tar.gz', 'thing.zae', 'thing.3mf', 'thing'])
def test_archives_are_no_meshes(name, tmp_path):
    with zipfile.ZipFile(tmp_path / name, 'w') as archive:
        archive.writestr('box.obj', 'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n')
    with pytest.raises(MeshError, match='export it'):
        load_object(tmp_path / name, 1.0)


LAUGHS = '<!DOCTYPE a [<!ENTITY a0 "lol">' + ''.join(
    f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)
)
FILE = '<!DOCTYPE a [<!ENTITY a11 SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16'])
@pytest.mark.parametrize('entities', [LAUGHS, FILE])
def test_collada_has_no_entities(entities, encoding, tmp_path, little_memory):
    import trimesh

    path = tmp_path / 'box.dae'
    trimesh.creation.box((0.1, 0.1, 0.1)).export(str(path))
    assert load_object(path, 1.0).extents.max() > 0.05
    text = path.read_text()
    start = text.index('?>') + 2 if text.startswith('<?xml') else 0
    body = text[start:].replace('</asset>', '<title>&a11;</title></asset>')
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    path.write_bytes(f'{head}{entities}]>{body}'.encode(encoding))
    with pytest.raises(MeshError, match=r'box\.dae: .*document type'):
        load_object(path, 1.0)


@pytest.mark.parametrize('named', ['../secret.png', '/SECRET', 'link.png', 'pipe.png', '..', '.'])
def test_a_mesh_reads_only_regular_files_of_its_folder(named, tmp_path):
    secret = tmp_path / 'secret.png'
    Image.new('RGB', (4, 4), (255, 0, 0)).save(secret)
    folder = tmp_path / 'meshes'
    folder.mkdir()
    (folder / 'link.png').symlink_to(secret)
    os.mkfifo(folder / 'pipe.png')
    lines = ['mtllib thing.mtl', *(f'v {i % 2} {i // 2 % 2} {i // 4}' for i in range(8))]
    lines += ['vt 0 0', 'vt 1 0', 'vt 0 1', 'usemtl m', 'f 1/1 2/2 3/3', 'f 5/1 6/2 7/3']
    (folder / 'thing.obj').write_text('\n'.join(lines) + '\n')
    name = named.replace('/SECRET', str(secret))
    (folder / 'thing.mtl').write_text(f'newmtl m\nKd 0 1 0\nmap_Kd {name}\n')
    texture = load_object(folder / 'thing.obj', 0.1).texture.reshape(-1, 3)
    assert not np.any((texture[:, 0] > 200) & (texture[:, 1] < 50))
    (folder / 'thing.mtl').unlink()
    os.mkfifo(folder / 'thing.mtl')
    assert load_object(folder / 'thing.obj', 0.1).extents.max() > 0.05


def nested(times):
    """A list that is small in a pickle, and 2^times items when written out."""
    out = [1.0]
    for _ in range(times):
        out = [out, out]
    return out


def in_itself():
    out = [1.0]
    out.append(out)
    return out


PAIRS = b')' + b'q\0h\0\x86' * 60  # a tuple in a pickle, and pairs of the one before
DEEP = b'\x80\x02}X\x0a\x00\x00\x00v_template' + b']' * 5000 + b'a' * 4999 + b's.'


@pytest.mark.parametrize('content', [nested(40), in_itself()], ids=['often', 'in itself'])
def test_pickled_lists_that_expand_without_limit_are_refused(content, tmp_path):
    path = tmp_path / 'seq.mano.npy'
    np.save(path, {'right': content}, allow_pickle=True)
    with pytest.raises(RecordedError, match=r'seq\.mano\.npy: .*holds itself'):
        read_pickled(path)
    refused_as_mano(tmp_path, pickle.dumps({'v_template': content}))


def test_deeply_nested_pickled_lists_are_refused(tmp_path):
    refused_as_mano(tmp_path, DEEP)


def test_pickled_keys_that_take_forever_to_hash_are_refused(tmp_path):
    for dictionary in (b'}' + PAIRS + b'Ns.', b'}(' + PAIRS + b'Nu.', b'(' + PAIRS + b'Nd.'):
        refused_as_mano(tmp_path, b'\x80\x02' + dictionary, 'a key of type tuple')
    for members in (b'\x8f(' + PAIRS + b'\x90.', b'(' + PAIRS + b'\x91.'):
        refused_as_mano(tmp_path, b'\x80\x04' + members, 'a key of type tuple')


def test_a_pickled_dtype_that_is_no_text_is_refused_without_printing_it(tmp_path):
    code = b'cnumpy\ndtype\n' + PAIRS + b'\x85R'
    array = b'cnumpy.core.multiarray\n_reconstruct\n)R(K\1)' + code + b'\x89X\0\0\0\0tb'
    named = r"v_template cannot be read \(values of type 'tuple' are not numbers"
    refused_as_mano(tmp_path, b'\x80\x02}X\x0a\0\0\0v_template' + array + b's.', named)


def refused_as_mano(folder, content, named='holds itself'):
    path = folder / 'MANO_RIGHT.pkl'
    path.write_bytes(content)
    with pytest.raises(HandFileError, match=rf'MANO_RIGHT\.pkl: .*{named}'):
        convert_mano(path, folder / 'out.npz')


def test_a_pickled_array_with_a_truncated_state_is_named(tmp_path):
    """Found by the guided fuzzer."""
    path = tmp_path / 'seq.mano.npy'
    np.save(path, {'rot': np.zeros(3)}, allow_pickle=True)
    sound = path.read_bytes()
    at = sound.rindex(b't')  # makes a tuple of all that a mark began
    path.write_bytes(sound[:at] + b'0' + sound[at:])
    with pytest.raises(RecordedError, match=r'seq\.mano\.npy: not a readable npy'):
        read_pickled(path)


def test_a_shard_of_no_scenes_is_named(tmp_path):
    """Found by the guided fuzzer."""
    (tmp_path / 'shard_00000').mkdir()
    (tmp_path / 'shard_00000' / 'scenes.json').write_text('[]')
    with pytest.raises(ShardError, match=r'shard_00000/scenes\.json: .*not a list of scenes'):
        ShardDataset(tmp_path)
