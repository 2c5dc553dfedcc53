"""Truncated recordings, their repair, and full disks."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from manivideo_ros.bags.bag import (
    CHUNK_BYTES,
    BagError,
    BagFullError,
    BagReader,
    BagWriter,
)
from manivideo_ros.bags.repair import main, repair
from manivideo_ros.messages.types import typestore

ROOT = Path(__file__).resolve().parents[2]
JPEG, DIAGNOSTICS = 'sensor_msgs/msg/CompressedImage', 'diagnostic_msgs/msg/DiagnosticArray'
MESSAGE_BYTES, COUNT = 20_000, 60

RECORDER = """
import random, sys, time
sys.path.insert(0, {root!r})
from manivideo_ros.bags.bag import BagWriter
bag = BagWriter({folder!r}, {{'held_out': 'a scene'}})
bag.add_topic('/image_raw', 'sensor_msgs/msg/CompressedImage', reliable=False)
data = random.Random(0)
for i in range({count}):
    bag.write('/image_raw', data.randbytes({size}), 1000 + i, 900 + i)
print('ready', flush=True)
time.sleep(60)
"""


@pytest.fixture
def killed(tmp_path):
    """The bag of a recorder that was killed."""
    folder = tmp_path / 'bag'
    code = RECORDER.format(root=str(ROOT), folder=str(folder), count=COUNT, size=MESSAGE_BYTES)
    with subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    return folder


def test_a_killed_recording_loses_one_chunk_and_repair_keeps_the_rest(killed):
    before = list(BagReader(killed).messages())
    assert BagReader(killed).truncated
    assert (COUNT - len(before)) * MESSAGE_BYTES <= CHUNK_BYTES + MESSAGE_BYTES
    cut = hashlib.sha256((killed / 'bag_0.mcap').read_bytes()).digest()
    assert repair(killed) == len(before)
    reader = BagReader(killed)
    assert not reader.truncated
    assert list(reader.messages()) == before
    with Reader(killed) as other:  # rosbags reads it as any bag
        assert other.message_count == len(before)
        qos = other.connections[0].ext.offered_qos_profiles[0]
        assert qos.reliability.name == 'BEST_EFFORT'
    assert sorted(f.name for f in killed.iterdir()) == [
        'bag_0.mcap', 'bag_0.mcap.cut', 'metadata.yaml'
    ]  # fmt: skip
    assert hashlib.sha256((killed / 'bag_0.mcap.cut').read_bytes()).digest() == cut
    assert repair(killed) is None


def report_bytes(seed):
    types = typestore().types
    values = {'appearance_seed': seed, 'checkpoint_sha256': 'c0ffee', 'frames_in': '3'}
    status = types['diagnostic_msgs/msg/DiagnosticStatus'](
        level=0, name='manivideo: synthesizer', message='', hardware_id='',
        values=[types['diagnostic_msgs/msg/KeyValue'](key=k, value=v) for k, v in values.items()],
    )  # fmt: skip
    stamp = types['builtin_interfaces/msg/Time'](sec=1, nanosec=2)
    header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='')
    message = types[DIAGNOSTICS](header=header, status=[status])
    return bytes(typestore().serialize_cdr(message, DIAGNOSTICS))


def test_repair_restores_the_provenance(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/diagnostics', DIAGNOSTICS)
        bag.write('/diagnostics', report_bytes('3'), 1)
        bag.write('/diagnostics', report_bytes('4'), 2)
    (tmp_path / 'bag' / 'metadata.yaml').unlink()  # killed just before its last step
    assert repair(tmp_path / 'bag') == 2
    provenance = json.loads(BagReader(tmp_path / 'bag').custom_data['provenance'])
    assert provenance == {'synthetic': True, 'appearance_seed': '4', 'checkpoint_sha256': 'c0ffee'}


def test_the_command_reports_its_result(killed, tmp_path, capsys):
    assert main([str(killed)]) == 0
    assert 'messages; the original files end in .cut' in capsys.readouterr().out
    assert main([str(killed)]) == 0
    assert 'is complete' in capsys.readouterr().out
    assert main([str(tmp_path / 'absent')]) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_a_failed_repair_leaves_the_bag_unchanged(killed, monkeypatch):
    before = {f.name: f.read_bytes() for f in killed.iterdir()}

    def full(self, *_):
        raise BagFullError('the disk is full')

    monkeypatch.setattr(BagWriter, 'write', full)
    with pytest.raises(BagError):
        repair(killed)
    assert {f.name: f.read_bytes() for f in killed.iterdir()} == before


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 12 MB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', str(folder)]
    if shutil.which('mount') is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('mounting is not permitted here')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


def test_a_recording_is_complete_when_the_disk_is_full(small_disk):
    data, written = random.Random(0), []

    def fill(bag):
        for stamp in range(1000):
            written.append(stamp)
            bag.write('/image_raw', data.randbytes(50_000), stamp)

    with BagWriter(small_disk / 'bag', {'seed': '3'}) as bag:
        bag.add_topic('/image_raw', JPEG)
        with pytest.raises(BagFullError, match='the disk is full'):
            fill(bag)
    reader = BagReader(small_disk / 'bag')
    assert not reader.truncated and reader.custom_data == {'seed': '3'}
    assert len(list(reader.messages())) == len(written)  # that which filled it too
    assert 60 < len(written) < 110  # the reserve was not used before
    with Reader(small_disk / 'bag') as other:
        assert other.message_count == len(written)
    assert not (small_disk / 'bag' / '.reserve').exists()
