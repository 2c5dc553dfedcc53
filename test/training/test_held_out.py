"""Runs that are measured on held-out scenes, and end when they get worse."""

import json
from dataclasses import replace

import pytest
import torch
from training_runs import IMAGES, RUN, SOURCES

from manivideo_ros.model.checkpoint import load_checkpoint
from manivideo_ros.training.config import Source, TrainConfig
from manivideo_ros.training.held_out import HeldOut
from manivideo_ros.training.loop import train
from manivideo_ros.training.networks import start

CONFIG = replace(
    IMAGES, iterations=12, scenes_per_batch=3, frames_per_scene=1, precision='fp32',
    held_out=Source('held_out'), held_out_every=1, patience=3, sheet_every=0, checkpoint_every=100,
)  # fmt: skip
SCENES = SOURCES['hand_object']


@pytest.fixture(scope='module')
def held_out():
    return HeldOut(SCENES, CONFIG)


def measures(monkeypatch, values):
    given = iter(values)
    monkeypatch.setattr(HeldOut, 'psnr', lambda *_: next(given))


def test_the_averaged_weights_are_measured_and_the_networks_own_stay(held_out):
    trainer = start(CONFIG)
    first = held_out.psnr(trainer)
    assert first == held_out.psnr(trainer)  # always the same frames
    with torch.no_grad():
        for parameter in trainer.objective.network.parameters():
            parameter.add_(0.3)
    network = trainer.objective.network
    changed = {name: value.clone() for name, value in network.state_dict().items()}
    assert held_out.psnr(trainer) == first
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in changed.items())
    with torch.no_grad():
        for name in trainer.trained:
            trainer.average[name].add_(0.02)
    assert held_out.psnr(trainer) < first


def test_a_run_that_gets_worse_ends_and_keeps_its_best_weights(tmp_path, monkeypatch, capsys):
    measures(monkeypatch, [20.0, 20.5, 21.0, 20.9, 20.8, 20.7, 99.0])
    trainer = train(start(CONFIG), SOURCES, tmp_path, RUN, held_out=HeldOut(SCENES, CONFIG))
    said = capsys.readouterr().out
    assert trainer.iteration == 5
    assert 'held out: 20.00 dB at iteration 0; best 20.00 at 0' in said
    assert 'held out: worse than at iteration 2 for 3 measures: training ends' in said
    assert [at for at, _ in json.loads((tmp_path / 'held_out.json').read_text())] == [*range(6)]
    best = load_checkpoint(tmp_path / 'best.safetensors')
    assert best.config == CONFIG.model
    last = load_checkpoint(tmp_path / 'model.safetensors')
    first, second = (network.state_dict() for network in (best, last))
    assert not all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_resumed_run_remembers_its_best_measure(tmp_path, monkeypatch, capsys):
    config = replace(CONFIG, iterations=2)
    measures(monkeypatch, [20.0, 22.0, 21.0])
    train(start(config), SOURCES, tmp_path, RUN, held_out=HeldOut(SCENES, config))
    measures(monkeypatch, [21.5, 21.4])
    again = train(start(CONFIG), SOURCES, tmp_path, RUN, held_out=HeldOut(SCENES, CONFIG))
    assert again.iteration == 4
    assert 'worse than at iteration 1 for 3 measures' in capsys.readouterr().out


def test_the_run_is_described_in_yaml(tmp_path):
    (tmp_path / 'run.yaml').write_text(CONFIG.to_yaml())
    assert TrainConfig.read(tmp_path / 'run.yaml').held_out == Source('held_out')
