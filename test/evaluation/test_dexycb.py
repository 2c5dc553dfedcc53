"""Evaluation of DexYCB clips, with recorded images as ground truth."""

import numpy as np
import pytest
from published_layouts import DEXYCB, DEXYCB_SERIALS, write_dexycb

from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.evaluation import dexycb
from manivideo_ros.evaluation.dexycb import Views, read_truth
from manivideo_ros.evaluation.run import Work
from manivideo_ros.evaluation.suites.clip_measures import Tools, evaluate_clip

SIZE = 64


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('dexycb')
    write_dexycb(folder, frames=5)
    return folder


@pytest.fixture(scope='module')
def truth(root):
    return read_truth(root, DEXYCB, DEXYCB_SERIALS[0], None, SIZE, 3)


def test_the_middle_frames_are_measured(truth):
    assert len(truth.inputs.motion) == 3
    whole = truth._clip.motion
    assert np.array_equal(truth.inputs.motion.stamps_ns, whole.stamps_ns[1:4])


def test_the_grasped_object_comes_first(truth):
    assert list(truth.inputs.objects) == ['004_sugar_box', '025_mug']
    assert list(truth.inputs.hands) == ['right']


def test_the_mask_covers_the_labels_of_the_hand_and_its_object(truth):
    frame = truth.frame(1)
    assert frame.image.shape == (SIZE, SIZE, 3) and frame.mask.shape == (SIZE, SIZE)
    labels = truth._clip.segmentation(2)
    share = np.isin(labels, [255, 3]).sum() / truth._box.side**2
    assert 0 < frame.mask.mean() <= share * 1.2
    assert frame.swapped is None and truth.true_light(truth.inputs.motion.frame(0)) is None


def test_other_poses_are_half_a_clip_away(truth):
    others = truth.other_hands()['right']
    assert others.shape == (3, 21, 2)
    assert not np.allclose(others[0], others[1])


def test_every_measure_has_a_value_or_a_reason(truth):
    motions = {'annotated': truth.inputs.motion}
    result = evaluate_clip(truth, {'grey': grey_frames}, motions, truth.other_hands(), Tools())
    rows = result['annotated'].figures
    assert {*rows} == {'grey', 'painted', 'textured'}
    assert rows['grey']['psnr_db'] > 5
    # The small file's image is flat inside the mask: no sharpness to compare with.
    assert np.isnan(rows['grey']['gradient_energy'])
    assert rows['grey']['lpips'] == 'no AlexNet weights given'
    assert 'not known' in rows['grey']['order']


def test_an_incomplete_dataset_or_unknown_split_is_an_error(root):
    with pytest.raises(RecordedError, match='get all of them'):
        Views(root, 's0').chosen()
    with pytest.raises(ValueError, match='no view'):
        Views(root, 's1', 'test').chosen()
    with pytest.raises(ValueError, match='split'):
        Views(root, 's9').chosen()


def test_views_are_evenly_spaced(root):
    everything = Views(root, 's1', 'train').chosen()
    assert {name for name, _ in everything} == {DEXYCB} and len(everything) == 8
    assert Views(root, 's1', 'train', clips=2).chosen() == [everything[0], everything[-1]]


def test_unusable_views_are_listed(root, monkeypatch):
    monkeypatch.setattr(Work, 'methods', lambda _: {'generated': grey_frames})
    monkeypatch.setattr(Work, 'tools', lambda _: Tools())
    work = Work({'generated': root}, SIZE)
    about = {'title': 'DexYCB'}
    result = dexycb.evaluate(work, None, Views(root, 's1', 'train', frames=2), 1, about)
    # The folder has two of the eight cameras.
    assert about['views'] == len(result.clips) == 2 and len(about['left_out']) == 6
    assert result.thresholds('annotated') == []
    assert result.summary('all', 'annotated')['generated']['psnr_db'].mean > 5


def grey_frames(inputs):
    while True:
        yield np.full((inputs.size, inputs.size, 3), 128, np.uint8)
