"""docs/tutorials/imitation.md: its commands on episodes, in their order.

test/learners/test_tutorial.py runs all of it, with nodes, the generation and the training.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from episode_samples import with_masks

from manivideo_ros import cli
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from tools.command_blocks import ROOT, blocks, commands

pytest.importorskip('pyarrow')


def test_its_dataset_has_an_action_and_passes_the_check(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recording, data, training, _ = blocks(ROOT / 'docs' / 'tutorials' / 'imitation.md')
    order = [words[1] for words in commands(recording.text) if words[0] == 'manivideo']
    assert order == ['record', 'play']  # the recorder runs before the motion begins
    for program, *words in commands(data.text):
        assert program == 'manivideo'
        if words[0] == 'augment':
            out = Path(words[words.index('--out') + 1])
            count = int(words[words.index('--variations') + 1])
            for seed in range(count):
                with_masks(out / f'turn_mug_seed{seed}', 5)
            continue
        if words[:2] == ['dataset', 'lerobot']:
            _pass_all(tmp_path / words[words.index('--gate') + 1] / 'report.json')
        assert cli.run(words[0], words[1:]) == 0, words
    assert '0 errors, 0 warnings' in capsys.readouterr().out
    made = LeRobotSet(tmp_path / 'out' / 'lerobot')
    assert made.tasks == ['turn the mug'] and len(made) == 2
    state, action = (made.values(made.episodes[0], n) for n in ('observation.state', 'action'))
    assert (action[:-1] == state[1:]).all()
    (train,) = commands(training.text)
    assert '--dataset.root=out/lerobot' in train


def _pass_all(file):
    """Change a report of the gate so that all episodes pass: the samples show no hands."""
    report = json.loads(file.read_text())
    for verdict in report['episodes']:
        verdict['kept'] = True
    file.write_text(json.dumps(report))
