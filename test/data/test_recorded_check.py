"""Validation of published datasets: recognition, reported problems, rejected files."""

import os
import pickle
import shutil

import numpy as np
import pytest
from published_layouts import (
    ARCTIC,
    DEXYCB,
    DEXYCB_SERIALS,
    HO_CAP,
    HO_CAP_SERIALS,
    write_arctic,
    write_dexycb,
    write_ho_cap,
    write_mano,
)

from manivideo_ros.data.recorded.check import check, main, recognise
from manivideo_ros.data.recorded.datasets import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.datasets.dexycb_splits import SETUPS, SUBSETS, subset_of, views
from manivideo_ros.data.recorded.hands import read_published_mano


@pytest.fixture(scope='module')
def originals(tmp_path_factory):
    root = tmp_path_factory.mktemp('datasets')
    for name, write in (('dex', write_dexycb), ('cap', write_ho_cap), ('arc', write_arctic)):
        (root / name).mkdir()
        write(root / name, frames=3)
    return root


@pytest.fixture
def datasets(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / 'datasets')


@pytest.fixture(scope='module')
def hands(tmp_path_factory):
    return write_mano(tmp_path_factory.mktemp('hands') / 'mano')


def problems(capsys, folder, hands=None):
    assert check(folder, hands) == 1
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith('problem:')]


def test_whole_datasets_are_recognised_and_have_no_problems(originals, hands, capsys):
    for name, dataset in (('dex', 'DexYCB'), ('cap', 'HO-Cap'), ('arc', 'ARCTIC')):
        assert recognise(originals / name) == dataset
        status = main(['check', str(originals / name), '--hands', str(hands)])
        text = capsys.readouterr().out
        assert status == 0, text
        assert f'{dataset}\n' in text and 'sequences: 1, 3 frames' in text
        assert text.endswith('no problems found\n')
        assert 'models: 2 of 2 objects' in text
        if name != 'arc':
            assert 'right joints' in text and '6 images' in text
    assert 'view 0: 3, view 1: 3' in text


def test_an_unknown_folder_gives_one_line(tmp_path, capsys):
    assert main(['check', str(tmp_path)]) == 2
    assert main(['check', str(tmp_path / 'nowhere')]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert 'not a known dataset' in lines[0] and 'no such folder' in lines[1]


def test_truncated_npz_gives_one_line(datasets, capsys):
    file = datasets / 'dex' / DEXYCB / 'pose.npz'
    file.write_bytes(file.read_bytes()[:-100])
    labels = datasets / 'dex' / DEXYCB / DEXYCB_SERIALS[1] / 'labels_000002.npz'
    labels.write_bytes(labels.read_bytes()[:1000])
    found = problems(capsys, datasets / 'dex')
    assert len(found) == 2
    assert 'pose.npz: not a readable npz' in found[0]
    assert 'labels_000002.npz: truncated' in found[1]
    with pytest.raises(ValueError, match=r'pose\.npz: not a readable npz'):
        dexycb.read_clip(datasets / 'dex', DEXYCB, DEXYCB_SERIALS[0])


def test_missing_calibration_frames_and_models_give_a_line_each(datasets, capsys):
    dex = datasets / 'dex'
    shutil.rmtree(dex / 'calibration' / 'extrinsics_20200702_151821')
    (dex / DEXYCB / DEXYCB_SERIALS[0] / 'color_000001.jpg').unlink()
    (dex / 'models' / '025_mug' / 'textured_simple.obj').unlink()
    found = problems(capsys, dex)
    assert len(found) == 3
    assert 'extrinsics.yml: no such file' in found[0]
    assert 'color_000001.jpg of 3 missing or empty' in found[1]
    assert '025_mug/textured_simple.obj: no such model' in found[2]


def test_ho_cap_and_arctic_problems_give_a_line_each(datasets, capsys):
    cap, arc = datasets / 'cap', datasets / 'arc'
    (cap / 'calibration' / 'intrinsics' / f'{HO_CAP_SERIALS[1]}.yaml').unlink()
    (cap / HO_CAP / HO_CAP_SERIALS[0] / 'label_000000.npz').write_bytes(b'PK')
    found = problems(capsys, cap)
    assert len(found) == 2
    assert 'label_000000.npz: truncated' in found[0]
    assert f'{HO_CAP_SERIALS[1]}.yaml: no such file' in found[1]
    (arc / 'meta' / 'misc.json').unlink()
    (arc / 'raw_seqs/s01/box_use_01.mano.npy').write_bytes(b'\x93NUMPY')
    found = problems(capsys, arc)
    assert any('misc.json: no such file' in line for line in found)
    assert any('box_use_01.mano.npy: not a readable npy' in line for line in found)


def test_joints_that_differ_from_the_labels_are_reported(datasets, hands, capsys):
    file = datasets / 'cap' / HO_CAP / 'poses_m.npy'
    poses = np.load(file)
    poses[0, :, 3:48] += 0.5
    np.save(file, poses)
    found = problems(capsys, datasets / 'cap', hands)
    assert len(found) == 1
    assert 'right joints with flat_hand_mean=True' in found[0]


class Evil:
    """A pickle that creates a folder if it is executed."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_are_rejected_and_not_executed(datasets, hands, tmp_path):
    harm = tmp_path / 'harm'
    evil = np.array([Evil(harm)], dtype=object)
    np.save(datasets / 'cap' / HO_CAP / 'poses_m.npy', evil, allow_pickle=True)
    with pytest.raises(ValueError, match=r'poses_m\.npy: refused, holds a pickle'):
        ho_cap.read_clip(datasets / 'cap', HO_CAP, HO_CAP_SERIALS[0])
    # ARCTIC's own files are pickles: only their arrays are read.
    file = datasets / 'arc/raw_seqs/s01/box_use_01.mano.npy'
    np.save(file, {'right': Evil(harm)}, allow_pickle=True)
    with pytest.raises(ValueError, match=r'mano\.npy: refused, .*mkdir is not allowed'):
        arctic.read_clip(datasets / 'arc', ARCTIC, 1, read_published_mano(hands))
    assert not harm.exists()
    pickle.loads(pickle.dumps(Evil(harm)))  # the pickle works
    assert harm.exists()


def test_names_in_files_cannot_leave_the_folder(datasets):
    meta = datasets / 'dex' / DEXYCB / 'meta.yml'
    text = meta.read_text().replace('20200702_151821', '../../../elsewhere')
    meta.write_text(text)
    with pytest.raises(ValueError, match=r'meta\.yml: extrinsics .* is not a plain name'):
        dexycb.read_clip(datasets / 'dex', DEXYCB, DEXYCB_SERIALS[0])
    meta.write_text('!!python/object/apply:os.getcwd []')
    with pytest.raises(ValueError, match=r'meta\.yml: cannot be read'):
        dexycb.read_clip(datasets / 'dex', DEXYCB, DEXYCB_SERIALS[0])


def test_unknown_cameras_are_errors(originals, hands):
    with pytest.raises(ValueError, match=r"meta\.yml: serials has no camera '1'"):
        dexycb.read_clip(originals / 'dex', DEXYCB, '1')
    with pytest.raises(ValueError, match=r"realsense\.serials has no camera '1'"):
        ho_cap.read_clip(originals / 'cap', HO_CAP, '1')
    with pytest.raises(ValueError, match=r'view 9 is not in 0\.\.8'):
        arctic.read_clip(originals / 'arc', ARCTIC, 9, read_published_mano(hands))
    with pytest.raises(ValueError, match='convert your MANO files'):
        arctic.read_clip(originals / 'arc', ARCTIC, 1, None)


def test_published_splits_partition_all_views():
    every = [(s, c, i) for s in range(10) for c in range(8) for i in range(100)]
    sizes = {
        setup: [sum(subset_of(setup, *view) == subset for view in every) for subset in SUBSETS]
        for setup in SETUPS
    }
    assert sizes == {
        's0': [6400, 320, 1280],
        's1': [5600, 800, 1600],
        's2': [6000, 1000, 1000],
        's3': [6000, 800, 1200],
    }
    assert subset_of('s0', 2, 0, 4) == 'test' and subset_of('s0', 1, 0, 4) == 'val'
    assert subset_of('s3', 0, 0, 35) == 'test' and subset_of('s3', 0, 0, 15) == 'val'


def test_a_split_by_order_requires_all_sequences(tmp_path):
    for index in range(99):
        (tmp_path / '20200813-subject-02' / f'20200813_{index:06d}').mkdir(parents=True)
    assert len(views(tmp_path, 's2', 'test')) == 99
    with pytest.raises(ValueError, match='99 of 100 sequences found'):
        views(tmp_path, 's0', 'val')
    (tmp_path / '20200813-subject-02' / '20200813_000099').mkdir()
    held = views(tmp_path, 's0', 'val')
    assert len(held) == 20 * 8
    assert held[0] == ('20200813-subject-02/20200813_000004', DEXYCB_SERIALS[0])
