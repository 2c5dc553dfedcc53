"""Foreign bytes are read or refused by a documented error: short form of `make fuzz`."""

import subprocess
import sys
from pathlib import Path

import pytest

from manivideo_ros.engine.spec import SpecError, load_spec
from manivideo_ros.recording.bag import BagError, BagReader
from manivideo_ros.references import load_hand_reference
from manivideo_ros.training.config import TrainConfig, TrainConfigError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize('name', ['engine_spec', 'plan_manifest', 'bag_metadata', 'hand_parts'])
def test_corrupted_files_do_no_harm(name):
    command = [sys.executable, '-m', 'fuzz.run', name, '40']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize('name', ['../secret.mcap', '/etc/hostname', 'a/../../secret.mcap'])
def test_a_bag_names_no_file_outside_of_it(name, tmp_path):
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
def test_yaml_that_the_reader_itself_stumbles_over_is_refused(text, tmp_path):
    file = tmp_path / 'some.yaml'
    file.write_text(text)
    with pytest.raises(SpecError):
        load_spec(file)
    with pytest.raises(TrainConfigError):
        TrainConfig.read(file)


def test_hand_parts_that_are_no_picture_are_named(tmp_path):
    from PIL import Image

    Image.new('RGB', (8, 8)).save(tmp_path / 'hand.png')
    (tmp_path / 'hand.parts.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'hand\.parts\.png: cannot be read'):
        load_hand_reference(tmp_path / 'hand.png')


def test_a_mesh_of_flat_vertices_is_named(tmp_path):
    from manivideo_ros.objects.mesh import MeshError, load_object

    flat = tmp_path / 'flat.obj'
    flat.write_text('v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n')
    with pytest.raises(MeshError, match=r'flat\.obj'):
        load_object(flat, 1.0)
