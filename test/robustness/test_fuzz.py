"""Untrusted data is read or rejected by a documented error: a short form of `make fuzz`."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from manivideo_ros.bags.bag import BagError, BagReader, BagWriter, Connection
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.data.human.keypoints import KeypointError, read_people
from manivideo_ros.data.shards import ShardDataset, ShardError
from manivideo_ros.engine.spec import SpecError, load_spec
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError, PlanCache
from manivideo_ros.evaluation.suites.held_out import HeldOutError, HeldOutScene
from manivideo_ros.hand.reference import load_hand_reference
from manivideo_ros.messages.types import decoded
from manivideo_ros.motion.files import MotionError, load_motion
from manivideo_ros.recording.dataset import passing
from manivideo_ros.training.config import TrainConfig, TrainConfigError
from robustness.fuzz.samples import bag, episode

ROOT = Path(__file__).resolve().parents[2]
SHORT = (
    'bag_metadata', 'engine_spec', 'episode', 'hand_message', 'hand_parts', 'mesh_dae',
    'plan_manifest', 'request',
)  # fmt: skip


def ran(*command):
    command = [sys.executable, *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_corrupted_files_are_read_or_rejected():
    done = ran('-m', 'robustness.fuzz.campaign', '--examples', '10', *SHORT)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count('passed True') == len(SHORT)


HARM = {
    "open('/etc/passwd').read()": "FORBIDDEN: opens '/etc/passwd'",
    "open('/tmp/elsewhere', 'w')": "FORBIDDEN: opens '/tmp/elsewhere'",
    "os.system('true')": 'FORBIDDEN: os.system',
    "subprocess.run(['true'])": 'FORBIDDEN: subprocess.Popen',
    "socket.create_connection(('127.0.0.1', 9))": 'FORBIDDEN: socket.',
    "eval('1 + 1')": 'FORBIDDEN: runs',
    "pickle.loads(b'cos\\nsystem\\n.')": 'FORBIDDEN: pickle.find_class',
    "os.remove('/tmp/elsewhere')": 'FORBIDDEN: os.remove',
    'b"x" * 2**31': 'MemoryError',
    'sum(range(10**12))': 'Current thread',
    "{}['a']": 'KeyError',
    "int('x')": 'does not name the file',
}
# One parser with forbidden operations, forked for each: only one process to start.
DO_HARM = """
import os, pickle, socket, subprocess, sys
from robustness.fuzz import campaign, run, watch
from robustness.fuzz.parsers import Parser

watch.LONGEST_S, watch.MEMORY = 0.3, 2**29 - 2**26

def make(folder):
    (folder / 'x').write_bytes(b'valid')
    return folder / 'x'

def harmful(name, examples):
    parse = eval(f"lambda path: {name} if path.read_bytes() == b'bad' else None")
    run.parsers = lambda: {name: Parser(make, parse)}
    with run.subject(name) as watched:
        watched.read(b'bad')

campaign.run = harmful
for name in sys.argv[1:]:
    status, output = campaign.examined(name, 1)
    assert status, name
    print(repr(output[-3000:]))
"""


def test_forbidden_operations_are_detected():
    done = ran('-c', DO_HARM, *HARM)
    assert done.returncode == 0, done.stderr
    for (harm, message), seen in zip(HARM.items(), done.stdout.splitlines(), strict=True):
        assert message in seen.replace("\\'", "'"), (harm, seen)


@pytest.mark.parametrize('name', ['../secret.mcap', '/etc/hostname', 'a/../../secret.mcap'])
def test_a_bag_cannot_name_files_outside_it(name, tmp_path):
    bag = tmp_path / 'bag'
    bag.mkdir()
    (tmp_path / 'secret.mcap').write_bytes(b'secret')
    (bag / 'metadata.yaml').write_text(
        'rosbag2_bagfile_information: '
        f'{{storage_identifier: mcap, relative_file_paths: ["{name}"]}}'
    )
    with pytest.raises(BagError, match='outside of it'):
        BagReader(bag)


@pytest.mark.parametrize('text', ['2020-99-99', '[' * 3000])
def test_yaml_that_crashes_the_loader_is_rejected(text, tmp_path):
    file = tmp_path / 'some.yaml'
    file.write_text(text)
    with pytest.raises(SpecError):
        load_spec(file)
    with pytest.raises(TrainConfigError):
        TrainConfig.read(file)


@pytest.mark.parametrize(
    'data', [b'', b'\0', b'\xff\xff\0\0', b'\0\1\0\0', b'\0\1\0\0' + b'\xff' * 40, bytes(2000)]
)
def test_invalid_message_bytes_name_the_type(data):
    with pytest.raises(ValueError, match='a manivideo_ros/msg/HandPoses does not decode'):
        decoded(data, 'manivideo_ros/msg/HandPoses')


def copied(source, folder, changed):
    """Copy a bag with changed(topic, data) for each message."""
    reader = BagReader(source.parent)
    with BagWriter(folder) as out:
        for topic, connection in reader.connections.items():
            out.copy_topic(topic, connection)
        for message in reader.messages():
            data = changed(message.topic, bytes(message.data))
            out.write(message.topic, data, message.stamp_ns)


def test_a_motion_with_a_corrupted_message_is_rejected(tmp_path):
    def corrupt(topic, data):
        return b'\xff' * 9 if topic == '/hand_poses' else data

    copied(bag(tmp_path / 'valid'), tmp_path / 'corrupted', corrupt)
    with pytest.raises(MotionError, match=r'corrupted: a .*HandPoses does not decode'):
        load_motion(tmp_path / 'corrupted')


@pytest.mark.parametrize(
    'definition',
    [
        b'\xff',
        b'nonsense',
        b'float64 LIMIT=1e999\n',
        b'Loop[] loop\n',
        b'uint8[99999999999999999999] a\n',
        b'string NAME="""\n__import__("os").abort()\n"""\n',
        b'float64 a\nfloat64 a\n',
    ],
)
@pytest.mark.parametrize('name', ['lab_msgs/msg/Loop', 'x', '1/2/3', 'a\nimport os', 'a/msg/B(C)'])
def test_a_message_definition_in_a_bag_executes_nothing(name, definition, tmp_path):
    with BagWriter(tmp_path / 'bag') as out:
        out.copy_topic('/a', Connection(name, 'ros2msg', definition, '', ''))
        out.write('/a', b'\0\1\0\0' + bytes(8), 1)
    reader = BagReader(tmp_path / 'bag')
    message = ''
    try:
        types = typestore_of(reader)
        decoded(next(iter(reader.messages())).data, name, types)
    except ValueError as error:
        message = str(error)
    assert '\n' not in message


DEEP = '{"a":' * 100_000


@pytest.mark.parametrize('text', [DEEP, '[' * 100_000, '{}', '[]', 'null', '1e999', '"\ud800"'])
def test_deeply_nested_or_unexpected_json_is_rejected(text, tmp_path):
    file = tmp_path / 'report.json'
    file.write_text(text, errors='surrogatepass')
    with pytest.raises(ValueError, match='run it again'):
        passing([], tmp_path)
    with pytest.raises(KeypointError):
        read_people(file, 4, 4)
    with pytest.raises(HeldOutError):
        HeldOutScene.from_json(text)
    shard = tmp_path / 'shard_0'
    shard.mkdir()
    shutil.copy(file, shard / 'scenes.json')
    with pytest.raises(ShardError):
        ShardDataset(tmp_path)
    plan = PlanCache(tmp_path).store('x', b'plan', {}).with_suffix('.json')
    shutil.copy(file, plan)
    with pytest.raises(NoPlanError):
        PlanCache(tmp_path).load('x', {})


@pytest.mark.parametrize('signature', ['null', '3', '"\ud800"', '"\u00e9"', '{}', '""'])
def test_a_plan_is_loaded_only_with_its_own_signature(signature, tmp_path):
    cache = PlanCache(tmp_path)
    plan = cache.store('x', b'plan', {'a': 'b'})
    assert cache.load('x', {'a': 'b'}) == b'plan'
    manifest = plan.with_suffix('.json')
    signed = manifest.read_text()
    place = signed.index('"signature": ') + len('"signature": ')
    manifest.write_text(signed[:place] + signature + '\n}', errors='surrogatepass')
    with pytest.raises(NoPlanError):
        cache.load('x', {'a': 'b'})
    manifest.write_text(signed)
    plan.write_bytes(b'plot')
    with pytest.raises(NoPlanError, match='not as this machine wrote it'):
        cache.load('x', {'a': 'b'})


def test_the_error_of_a_truncated_recorded_image_names_its_topic(tmp_path):
    from manivideo_ros.recording.episode import Episode, EpisodeError

    def cut(topic, data):
        if topic == '/image_raw':  # 4 rows become 400
            data = data.replace(struct.pack('<II', 4, 6), struct.pack('<II', 400, 6))
        return data

    copied(episode(tmp_path / 'valid'), tmp_path / 'cut', cut)
    with pytest.raises(EpisodeError, match='cut: /image_raw: '):
        list(Episode(tmp_path / 'cut').images())


def test_the_error_of_keypoints_with_other_fields_names_their_topic(tmp_path):
    from manivideo_ros.recording.episode import Episode, EpisodeError

    def other(topic, data):
        return data.replace(b'visible', b'hidden\0')

    copied(episode(tmp_path / 'valid'), tmp_path / 'other', other)
    with pytest.raises(EpisodeError, match='other: /hand_keypoints: fields: must be'):
        Episode(tmp_path / 'other').keypoints()


def test_the_error_of_invalid_hand_parts_names_the_file(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'hand.png')
    (tmp_path / 'hand.parts.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'hand\.parts\.png: cannot be read'):
        load_hand_reference(tmp_path / 'hand.png')


def test_hand_parts_that_link_out_of_the_folder_are_rejected(tmp_path):
    folder = tmp_path / 'allowed'
    folder.mkdir()
    for file in (folder / 'hand.png', tmp_path / 'secret.png'):
        Image.new('RGB', (8, 8)).save(file)
    (folder / 'hand.parts.png').symlink_to(tmp_path / 'secret.png')
    with pytest.raises(ValueError, match=r'hand\.parts\.png: is a link to elsewhere'):
        load_hand_reference(folder / 'hand.png')


def test_the_error_of_a_mesh_with_2d_vertices_names_the_file(tmp_path):
    from manivideo_ros.objects.mesh import MeshError, load_object

    flat = tmp_path / 'flat.obj'
    flat.write_text('v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n')
    with pytest.raises(MeshError, match=r'flat\.obj'):
        load_object(flat, 1.0)
