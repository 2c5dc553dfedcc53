"""Figures of many clips, the thresholds, and the report files."""

import json

import numpy as np
import pytest

from manivideo_ros.evaluation.measures.features import FeatureStatistics
from manivideo_ros.evaluation.measures.intervals import ratio_of_sums
from manivideo_ros.evaluation.reports.evaluation import (
    Evaluation,
    as_json,
    as_markdown,
    ranked,
    write,
)
from manivideo_ros.evaluation.reports.summary import gap_closed, summarize, thresholds
from manivideo_ros.evaluation.suites.clip_measures import Measured


def figures(psnr, **others):
    """A clip's figures."""
    base = {
        'psnr_db': psnr,
        'ssim': 0.9,
        'lpips': 'no weights',
        'gradient_energy': 1.0,
        'temporal_ratio': 1.0,
        'order': 1.0,
        'order_pixels': 100,
        'hands': 10,
        'hand_misses': 0,
        'hand_own': 0.05,
        'hand_other': 0.25,
        'hand_with_misses': 0.07,
    }
    return base | others


def test_a_ratio_of_sums_weights_clips_by_their_size():
    assert ratio_of_sums([1, 0], [1, 9]).mean == pytest.approx(0.1)
    interval = ratio_of_sums([1, 2, 3], [2, 4, 6])
    assert interval == pytest.approx((0.5, 0.5, 0.5))
    assert ratio_of_sums([1, np.nan], [2, 5]).mean == 0.5
    assert np.isnan(ratio_of_sums([1.0], [0.0]).mean) and np.isnan(ratio_of_sums([], []).mean)


def test_order_is_weighted_by_pixels_and_hand_error_by_hands():
    few = figures(20, order=0.0, order_pixels=100, hand_with_misses=0.25, hands=1)
    many = figures(20, order=1.0, order_pixels=900, hand_with_misses=0.05, hands=9)
    row = summarize([few, many])
    assert row['order'].mean == pytest.approx(0.9)
    assert row['hand_share'].mean == pytest.approx(0.1)


def test_a_hand_error_below_that_of_ground_truth_is_not_clipped():
    assert summarize([figures(20, hand_with_misses=0.04)])['hand_share'].mean < 0


def test_an_estimator_that_errs_more_on_the_ground_truth_gives_no_hand_error():
    row = summarize([figures(20, hand_with_misses=0.02)])
    assert 'errs more on the ground-truth images' in row['hand_share']


def test_a_measure_missing_in_all_clips_gives_its_reason():
    assert summarize([figures(20)])['lpips'] == 'no weights'
    unlit = {key: value for key, value in figures(20).items() if key != 'order_pixels'}
    assert summarize([unlit | {'order': 'no light'}])['order'] == 'no light'


def test_the_closed_gap_is_computed_from_means_over_clips():
    low, high = [figures(20), figures(22)], [figures(30), figures(32)]
    closed = gap_closed([figures(27), figures(29)], low, high, 'psnr_db')
    assert closed.mean == pytest.approx(0.7)


@pytest.mark.parametrize(
    ('change', 'missed'),
    [
        ({}, set()),
        ({'psnr_db': 25.9}, {'PSNR, dB'}),
        ({'gradient_energy': 1.3}, {'gradient energy ratio'}),
        ({'hand_with_misses': 0.09}, {'hand error'}),
        ({'temporal_ratio': 0.6}, {'temporal error ratio'}),
        ({'order': 0.94}, {'occlusion order right'}),
    ],
)
def test_a_threshold_is_reached_within_its_range(change, missed):
    clips = {
        'generated': [figures(28) | change],
        'textured': [figures(18, ssim=0.5)],
        'true_light': [figures(29, ssim=0.95)],
        'better': [figures(28.5, ssim=0.9)],
    }
    found = thresholds(clips, 'generated', None if 'psnr_db' in change else 'better')
    assert {one.name for one in found if one.reached is False} == missed
    unmeasured = {t.name for t in thresholds(clips, 'generated', None) if t.reached is None}
    assert len(unmeasured) == 4 and all('more steps' in name for name in unmeasured)


def test_more_steps_must_be_similar_and_reach_the_thresholds():
    clips = {'generated': [figures(28)], 'textured': [figures(18, ssim=0.5)]}
    clips['true_light'] = [figures(29, ssim=0.95)]
    for more, missed in ((28.9, 0), (29.1, 1), (26.9, 1), (25.0, 3)):
        found = thresholds(clips | {'better': [figures(more)]}, 'generated', 'better')
        assert sum(one.reached is False for one in found) == missed, more


def test_clips_by_skeleton_are_reported_separately(result):
    result.clips[0]['subsets'] = ['human']
    assert result.summary('all', 'exact')['generated']['psnr_db'].mean == 27.5
    assert result.summary('human', 'exact')['generated']['psnr_db'].mean == 20
    assert 0 not in ranked(result, 'exact').values()


def test_without_true_light_its_thresholds_are_not_measured():
    found = thresholds({'generated': [figures(28)], 'textured': [figures(20)]}, 'generated', None)
    assert [one.reached for one in found[:2]] == [None, None]


def test_a_clip_whose_light_is_unknown_counts_for_all_other_candidates(result):
    del result.measured[1]['exact'].figures['true_light']
    del result.measured[1]['exact'].statistics['true_light']
    result.clips[1]['subsets'] = result.clips[2]['subsets'] = ['human']
    rows = result.summary('human', 'exact')
    assert rows['true_light']['psnr_db'].mean == 28 and rows['generated']['psnr_db'].mean == 27.5
    json.dumps(as_json(result), allow_nan=False)
    assert as_markdown(result)


@pytest.fixture
def result():
    out = Evaluation({'title': 'Held-out suite', 'steps': [1]}, 'generated', None)
    plain = np.full((32, 32, 3), 90, np.uint8)
    for number, psnr in enumerate((20.0, 30.0, 25.0)):
        one = Measured()
        for place, name in enumerate(('generated', 'painted', 'textured', 'true_light')):
            one.figures[name] = figures(psnr + place)
        for name in (*one.figures, 'truth'):
            one.sheet[name] = [plain, plain]
            one.statistics[name] = FeatureStatistics()
        out.clips.append({'name': f'clip/{number}', 'subsets': ['a' if number else 'b']})
        out.measured.append({'exact': one, 'noise': one})
    out.fid = {kind: dict.fromkeys(one.figures, 'no weights for it') for kind in ('exact', 'noise')}
    out.empty = {'human': 'none yet'}
    return out


def test_the_json_has_every_clip_subset_and_threshold(result):
    read = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert len(read['clips']) == 3 and len(read['thresholds']) == 22
    cell = read['subsets']['exact']['all']['generated']
    assert cell['psnr_db']['mean'] == 25 and cell['psnr_db']['lo'] < 25 < cell['psnr_db']['hi']
    assert cell['lpips'] == {'mean': None, 'lo': None, 'hi': None, 'why': 'no weights'}
    assert read['subsets']['noise']['b']['generated']['psnr_db']['mean'] == 20
    assert read['empty_subsets'] == {'human': 'none yet'}


def test_the_markdown_has_thresholds_tables_and_reasons(result):
    text = as_markdown(result)
    assert '| PSNR, dB | >= 26 | 25.00' in text and '| NO |' in text
    assert '### b (1 clips)' in text and 'no weights for it' in text and 'human: no clip' in text


def test_sheets_show_the_best_median_and_worst_clip(result, tmp_path):
    assert ranked(result, 'exact') == {'best': 1, 'median': 2, 'worst': 0}
    write(result, tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert {'evaluation.json', 'evaluation.md', 'exact_best_clip_1.png'} <= names
    assert len(names) == 8
