"""docs/tutorials/imitation.md, its commands in their order, with lerobot's own training."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.recording.lerobot.check.cli import check
from tools.command_blocks import ROOT, blocks
from tools.try_commands import run

pytest.importorskip('lerobot')
TUTORIAL = ROOT / 'docs' / 'tutorials' / 'imitation.md'
SMALL = (
    '--steps=1 --batch_size=1 --num_workers=0 --policy.device=cpu --save_checkpoint=false '
    '--policy.pretrained_backbone_weights=null --policy.dim_model=32 --policy.n_heads=2 '
    '--policy.dim_feedforward=32 --policy.n_encoder_layers=1 --policy.chunk_size=2 '
    '--policy.n_action_steps=2 --dataset.video_backend=pyav'
)


@pytest.mark.long
def test_it_records_augments_exports_and_trains_as_written(tmp_path, node_environment):
    bin_folder = tmp_path / 'bin'
    bin_folder.mkdir()
    for name, module in (
        ('manivideo', 'manivideo_ros.cli'), ('lerobot-train', 'lerobot.scripts.lerobot_train')
    ):  # fmt: skip
        file = bin_folder / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        file.chmod(0o755)
    python = Path(sys.executable).parent
    env = {**os.environ, **node_environment, 'PYTHONUNBUFFERED': '1'}
    env['PATH'] = os.pathsep.join([str(bin_folder), str(python), os.environ['PATH']])
    env['PYTHONPATH'] = os.pathsep.join([os.environ.get('PYTHONPATH', ''), str(ROOT)])
    recording, data, training, server = blocks(TUTORIAL)
    assert server.text.startswith('ros2 launch') and training.needs == 'lerobot'
    assert run(recording, tmp_path, env, tmp_path) == ''
    bag = BagReader(tmp_path / 'out' / 'episodes' / 'turn_mug')
    count = sum(1 for _ in bag.messages(['/hand_poses']))
    assert 90 < count <= 120  # those before the recorder has found the player are not recorded
    assert run(data, tmp_path, env, tmp_path) == ''
    _, found = check(tmp_path / 'out' / 'lerobot')
    assert found.text() == []
    smaller = training.text.strip() + f' {SMALL}\n'
    changed = type(training)(training.file, training.line, '', smaller)
    assert run(changed, tmp_path, env, tmp_path) == ''
