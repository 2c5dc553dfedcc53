"""`manivideo evaluate` end to end, with an untrained model and the first frames of a clip."""

import json

import pytest

from manivideo_ros.evaluation import cli
from manivideo_ros.evaluation import held_out as held_out_suite
from manivideo_ros.evaluation.suites.suite import entries


def test_a_run_writes_figures_thresholds_and_sheets(untrained, tmp_path, monkeypatch, capsys):
    # Two clips, each of which provides the other poses of the other.
    monkeypatch.setattr(held_out_suite, 'entries', lambda _: entries(None)[1:3])
    out = tmp_path / 'out'
    options = ['--clips', '1', '--frames', '2', '--steps', '1', '--workers', '1']
    assert cli.main(['--checkpoint', str(untrained), '--out', str(out), *options]) == 0
    report = json.loads((out / 'evaluation.json').read_text())
    assert [clip['frames'] for clip in report['clips']] == [2]
    assert set(report['subsets']) == {'exact', 'noise'}
    rows = report['subsets']['exact']['all']
    assert set(rows) == {'generated', 'painted', 'textured', 'true_light'}
    assert rows['generated']['psnr_db']['mean'] < rows['true_light']['psnr_db']['mean']
    assert report['empty_subsets']['human']
    assert len(list(out.glob('*.png'))) == 6
    shown = capsys.readouterr().out
    assert 'occlusion order right' in shown and 'evaluation.md' in shown


@pytest.mark.parametrize(
    'arguments',
    [
        ['--checkpoint', 'absent.safetensors'],
        ['--data', 'dexycb'],
        ['--data', 'dexycb', '--folder', 'absent'],
        ['absent-bag'],
    ],
)
def test_invalid_arguments_give_one_line_and_status_2(arguments, capsys, untrained, tmp_path):
    if '--data' in arguments:
        arguments = [*arguments, '--checkpoint', str(untrained), '--steps', '1']
    assert cli.main([*arguments, '--out', str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip().count('\n') == 0


@pytest.mark.parametrize('options', [['--clips', '0'], ['--frames', '1'], ['--steps', '0']])
def test_numbers_out_of_range_are_rejected(options):
    with pytest.raises(SystemExit):
        cli.main(options)
