"""Writes a small, complete, valid file of every kind."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from PIL import Image

from manivideo_ros.hand.mano_file import FIELDS

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / 'manivideo_ros' / 'assets'
URDF = """<?xml version="1.0" encoding="UTF-8"?>
<robot name="finger"><link name="a"/><link name="b"/><link name="c"/>
<joint name="j" type="revolute"><parent link="a"/><child link="b"/><origin xyz="0.1 0 0"/>
<axis xyz="0 1 0"/><limit lower="0" upper="1" effort="1" velocity="1"/></joint>
<joint name="k" type="revolute"><parent link="b"/><child link="c"/><axis xyz="0 1 0"/>
<limit lower="0" upper="1" effort="1" velocity="1"/><mimic joint="j" multiplier="0.5"/></joint>
</robot>"""
ARM = b'std_msgs/Header header\nfloat64[3] q\nbool closed\nstring NAME=arm\n'


def bag(folder: Path) -> Path:
    """The MCAP file of the smallest shipped motion."""
    source = min((ASSETS / 'motion').glob('*/*.mcap'), key=lambda p: p.stat().st_size).parent
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return next(folder.glob('*.mcap'))


def open_bag(folder: Path) -> Path:
    """Some of its messages, uncompressed and without checksums, so that corruptions reach them."""
    from manivideo_ros.bags.bag import BagReader

    source = min((ASSETS / 'motion').glob('*/*.mcap'), key=lambda p: p.stat().st_size)
    return _opened(BagReader(source), folder / 'open.mcap', 12)


def open_episode(folder: Path) -> Path:
    """An episode, uncompressed and without checksums."""
    from manivideo_ros.bags.bag import BagReader

    return _opened(BagReader(episode(folder / 'packed')), folder / 'open.mcap', 100)


def _opened(source: Any, path: Path, count: int) -> Path:
    from mcap.writer import CompressionType, Writer

    with path.open('wb') as stream:
        writer = Writer(stream, compression=CompressionType.NONE, enable_crcs=False)
        writer.start('ros2')
        channels = {}
        for topic, known in source.connections.items():
            schema = writer.register_schema(known.type_name, known.encoding, known.definition)
            channels[topic] = writer.register_channel(topic, 'cdr', schema)
        for _, message in zip(range(count), source.messages(), strict=False):
            writer.add_message(
                channels[message.topic], message.stamp_ns, message.data, message.published_ns
            )
        writer.finish()
    return path


def bag_metadata(folder: Path) -> Path:
    """The metadata of the shipped motion."""
    return bag(folder).with_name('metadata.yaml')


def bag_split(folder: Path) -> Path:
    """The last of a bag's two files, without metadata."""
    first = bag(folder)
    first.with_name('metadata.yaml').unlink()
    return Path(shutil.copy(open_bag(folder), folder / f'{first.stem[:-1]}1.mcap'))


def bag_packed(folder: Path) -> Path:
    """A compressed file of a bag."""
    packed = folder / 'take_0.mcap.zstd'
    packed.write_bytes(zstandard.ZstdCompressor().compress(open_bag(folder).read_bytes()))
    return packed


def bag_messages(folder: Path) -> Path:
    """A bag with compressed messages."""
    from manivideo_ros.bags.bag import BagReader, BagWriter

    source = BagReader(open_bag(folder))
    with BagWriter(folder / 'take') as out:
        for topic, known in source.connections.items():
            out.copy_topic(topic, known)
        for message in source.messages():
            data = zstandard.ZstdCompressor().compress(message.data)
            out.write(message.topic, data, message.stamp_ns)
    return out.file


def video(folder: Path) -> Path:
    """A key frame of a video."""
    from manivideo_ros.video.encoder import VideoEncoder

    path = folder / 'frame.h264'
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    path.write_bytes(VideoEncoder().encode(image, 0).data)
    return path


def urdf(folder: Path) -> Path:
    """A robot with two joints, one of which mimics the other."""
    path = folder / 'robot.urdf'
    path.write_text(URDF)
    return path


def episode(folder: Path) -> Path:
    """Three frames of images, keypoints and a custom state message, in one small file."""
    from manivideo_ros.bags.bag import BagWriter, Connection
    from manivideo_ros.hand.keypoint import KEYPOINT
    from manivideo_ros.messages.types import ROSBAGS, typestore

    with BagWriter(folder, {'provenance': '{"synthetic": true}'}) as out:
        for topic, kind in (
            ('/image_raw', 'sensor_msgs/msg/Image'),
            ('/mlo/mask', 'sensor_msgs/msg/Image'),
            ('/hand_keypoints', 'sensor_msgs/msg/PointCloud2'),
        ):
            out.add_topic(topic, kind)
        out.copy_topic('/arm', Connection('lab_msgs/msg/Arm', 'ros2msg', ARM, 'RIHS01_x', ''))
        for stamp in (10**9, 2 * 10**9, 3 * 10**9):
            for topic, message in (
                (
                    '/image_raw',
                    ROSBAGS.image(ROSBAGS.header(stamp, 'c'), np.zeros((4, 6, 3), np.uint8)),
                ),
                (
                    '/mlo/mask',
                    ROSBAGS.image(ROSBAGS.header(stamp, 'c'), np.zeros((4, 6), np.uint8)),
                ),
                (
                    '/hand_keypoints',
                    ROSBAGS.points(ROSBAGS.header(stamp, 'c'), np.zeros(21, KEYPOINT)),
                ),
            ):
                data = typestore().serialize_cdr(message, message.__msgtype__)
                out.write(topic, data, stamp)
            out.write('/arm', b'\0\1\0\0' + bytes(8) + b'\1\0\0\0\0' + bytes(3 + 24 + 1), stamp)
    return out.file


def _mano_arrays() -> dict[str, np.ndarray]:
    with np.load(ASSETS / 'hand' / 'right.npz') as data:
        return {key: np.asarray(data[key]) for key in data.files if key in FIELDS}


def mano(folder: Path) -> Path:
    """A pickle of a hand model."""
    path = folder / 'MANO_RIGHT.pkl'
    path.write_bytes(pickle.dumps(_mano_arrays(), protocol=2))
    return path


def mano_npz(folder: Path) -> Path:
    """The hand model as npz."""
    path = folder / 'hand.npz'
    np.savez(path, **_mano_arrays())
    return path


def hand_npz(folder: Path) -> Path:
    """A converted hand model."""
    return Path(shutil.copy(ASSETS / 'hand' / 'right.npz', folder))


def mesh(folder: Path, suffix: str) -> Path:
    """A box."""
    import trimesh

    path = folder / f'box.{suffix}'
    trimesh.creation.box((0.1, 0.1, 0.1)).export(str(path))
    return path


def imaged_mesh(folder: Path, suffix: str) -> Path:
    """A textured box; OBJ and glTF store the image in separate files."""
    import trimesh

    box = trimesh.creation.box((0.1, 0.1, 0.1))
    pixels = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    uv = np.random.default_rng(0).random((len(box.vertices), 2))
    box.visual = trimesh.visual.TextureVisuals(uv, image=pixels)
    path = folder / f'box.{suffix}'
    box.export(str(path))
    return path


def material(folder: Path) -> Path:
    """The material file of an OBJ."""
    imaged_mesh(folder, 'obj')
    return next(folder.glob('*.mtl'))


def checkpoint(folder: Path) -> Path:
    """A checkpoint with its configuration."""
    import torch

    from manivideo_ros.model.checkpoint import save_checkpoint
    from manivideo_ros.model.config import ModelConfig

    path = folder / 'x.safetensors'
    save_checkpoint({'a': torch.zeros(4)}, ModelConfig(), path)
    return path


def weights(folder: Path) -> Path:
    """Foreign weights, as written by torch."""
    import torch

    path = folder / 'x.bin'
    torch.save({'state_dict': {'a': torch.zeros(4)}, 'epoch': 3}, path)
    return path


def plan(folder: Path) -> Path:
    """The manifest of a TensorRT plan."""
    from manivideo_ros.engine.tensorrt.plan_cache import PlanCache

    return PlanCache(folder).store('x', b'plan', {'a': 'b'}).with_suffix('.json')


def spec(folder: Path) -> Path:
    """An engine specification."""
    return Path(shutil.copy(ROOT / 'engines' / 'tiny.yaml', folder))


def training(folder: Path) -> Path:
    """A training configuration."""
    return Path(shutil.copy(ROOT / 'config' / 'train' / 'tiny.yaml', folder))


def image(folder: Path, suffix: str = 'png') -> Path:
    """A background image."""
    path = folder / f'image.{suffix}'
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(path)
    return path


def hand_parts(folder: Path) -> Path:
    """The parts image of a hand image."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / 'hand.png')
    path = folder / 'hand.parts.png'
    Image.fromarray(np.ones((8, 8), np.uint8)).save(path)
    return path


def joints(folder: Path) -> Path:
    """WebXR joints over time, for `manivideo convert`."""
    path = folder / 'joints.npz'
    points = np.random.default_rng(0).random((3, 25, 3))
    np.savez_compressed(path, left=points, right=points, time_s=np.arange(3) / 30)
    return path


def people_npz(folder: Path) -> Path:
    """DWPose's arrays."""
    path = folder / 'people.npz'
    np.savez(path, candidate=np.zeros((2, 134, 2)), subset=np.ones((2, 134)))
    return path


def people_json(folder: Path) -> Path:
    """OpenPose's JSON."""
    path = folder / 'people.json'
    person = {'pose_keypoints_2d': [1.0] * 75, 'hand_left_keypoints_2d': [2.0] * 63}
    path.write_text(json.dumps({'version': 1.3, 'people': [person]}))
    return path


def dexycb_meta(folder: Path) -> Path:
    """The YAML of a recorded sequence."""
    path = folder / 'meta.yml'
    path.write_text(
        'serials: ["8364"]\nnum_frames: 72\nycb_ids: &a [2, 11]\nycb_grasp_ind: 0\n'
        "extrinsics: '20200702'\nmano_sides: !!python/tuple [right]\nagain: *a\n"
    )
    return path


def arctic(folder: Path) -> Path:
    """A dictionary in an npy, that is a pickle."""
    path = folder / 'seq.mano.npy'
    hand = {'rot': np.zeros((2, 3)), 'trans': np.zeros((2, 3)), 'names': ['a', 'b']}
    np.save(path, {'right': hand}, allow_pickle=True)
    return path


def labels_npz(folder: Path) -> Path:
    """The labels of a recorded frame."""
    path = folder / 'labels.npz'
    np.savez_compressed(path, seg=np.zeros((4, 4), np.uint8), pose_y=np.zeros((2, 3, 4)))
    return path


def scenes(folder: Path) -> Path:
    """The scene list of a shard."""
    shard = folder / 'shard_00000'
    shard.mkdir()
    path = shard / 'scenes.json'
    path.write_text(json.dumps([{'consecutive': True, 'kind': 'hand_object'}]))
    return path


def catalogue(folder: Path) -> Path:
    """Annotations of Objaverse."""
    path = folder / 'lvis.json.gz'
    path.write_bytes(gzip.compress(json.dumps({'mug': ['a' * 32, 'b' * 32]}).encode()))
    return path


def held_out(folder: Path) -> Path:
    """The held-out scene of a recording."""
    eye = np.eye(4).tolist()
    scene = {
        'seed': 3, 'intrinsics': np.eye(3).tolist(), 'camera_from_world': eye,
        'objects': {'mug': {'mesh': 'mug', 'scale': 1.0}}, 'side': 'right',
        'betas': [0.0] * 10, 'table_from_world': eye,
    }  # fmt: skip
    path = folder / 'scene.json'
    path.write_text(json.dumps(scene))
    return path


def verdicts(folder: Path) -> Path:
    """The report of the quality gate."""
    path = folder / 'report.json'
    path.write_text(json.dumps({'episodes': [{'episode': 'a', 'kept': True}]}))
    return path


def request(folder: Path) -> Path:
    """An HTTP request of the page with a form."""
    path = folder / 'request'
    form = b'token=secret&object%3Acup=mug&seed=7'
    head = (
        b'POST /scene HTTP/1.1\r\nHost: 127.0.0.1:8642\r\nOrigin: http://127.0.0.1:8642\r\n'
        b'Sec-Fetch-Site: same-origin\r\nContent-Length: %d\r\n\r\n' % len(form)
    )
    path.write_bytes(head + form)
    return path


def message(folder: Path, made: Any) -> Path:
    """A serialized message, as delivered by DDS."""
    from rclpy.serialization import serialize_message

    path = folder / 'message'
    path.write_bytes(serialize_message(made))
    return path
