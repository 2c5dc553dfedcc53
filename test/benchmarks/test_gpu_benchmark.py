"""benchmarks.gpu: every step is reported, also if another one fails."""

import json

import pytest
import torch
from networks import SMALL

from benchmarks import gpu
from benchmarks.gpu_parts import networks
from benchmarks.gpu_parts import step as gpu_step

MACHINE = {'torch': '2', 'gpu': '', 'device': 'cpu'}


def scripted(monkeypatch, **codes):
    """Replace the steps by lines of Python."""
    monkeypatch.setattr(gpu, 'machine', lambda device: MACHINE)
    made = {name: gpu.Step(limit, ('-c', code)) for name, (limit, code) in codes.items()}
    monkeypatch.setattr(gpu, 'steps', lambda device: made)


FIGURES = {'rows': [{'name': 'x', 'fps': 1.5}], 'checks': [['x', '1.5 >= 1', True]]}


def test_a_failed_step_does_not_stop_the_others(monkeypatch, tmp_path, capsys):
    missed = {**FIGURES, 'checks': [['x', '1.5 >= 2', False]]}
    scripted(
        monkeypatch,
        crash=(20, 'import os; os.abort()'),
        hang=(0.5, 'import time; time.sleep(60)'),
        miss=(20, f'import json; print(json.dumps({missed}))'),
        fine=(20, f'import json; print("a line"); print(json.dumps({FIGURES}))'),
    )
    out = tmp_path / 'gpu.json'
    assert gpu.main(['--device', 'cpu', '--out', str(out)]) == 0
    kept = json.loads(out.read_text())['steps']
    assert [kept[n]['status'].split()[0] for n in kept] == ['failed', 'timeout', 'missed', 'passed']
    assert kept['fine']['rows'] == FIGURES['rows'] and kept['fine']['lines'] == ['a line']
    assert '1 of 4 passed; not passed: crash, hang, miss' in capsys.readouterr().out


def test_only_and_resume_select_steps(monkeypatch, tmp_path):
    ran, out = tmp_path / 'ran', tmp_path / 'gpu.json'
    code = 'import sys; open(sys.argv[1], "a").write(sys.argv[2])'
    made = {n: gpu.Step(20, ('-c', code, str(ran), n)) for n in 'abc'}
    monkeypatch.setattr(gpu, 'steps', lambda device: made)
    monkeypatch.setattr(gpu, 'machine', lambda device: MACHINE)
    arguments = ['--device', 'cpu', '--out', str(out)]
    gpu.main([*arguments, '--only', 'b'])
    gpu.main([*arguments, '--resume'])
    assert ran.read_text() == 'bac'
    assert set(json.loads(out.read_text())['steps']) == {'a', 'b', 'c'}


@pytest.mark.skipif(torch.cuda.is_available(), reason='CUDA is available')
def test_without_a_gpu_it_prints_a_message(capsys):
    assert gpu.main([]) == 1
    assert 'finds no CUDA GPU: nothing was measured' in capsys.readouterr().out


def test_the_time_limits_of_the_steps():
    made = gpu.steps('cuda')
    assert list(made)[:2] == ['doctor', 'tests']
    assert list(made)[6:] == [
        'mlo', 'tiny', 'tensorrt', 'base', 'paper', 'stream', 'changes', 'memory'
    ]  # fmt: skip
    assert set(made) - {'doctor', 'tests'} == set(gpu_step.STEPS)
    assert max(step.limit_s for step in made.values()) < 600
    assert sum(step.limit_s for step in made.values()) <= 25 * 60


def test_layers_and_a_network_are_measured_on_a_cpu(monkeypatch, capsys):
    monkeypatch.setattr(networks, 'config_of', lambda preset, device: SMALL)
    monkeypatch.setattr(networks, 'rates', lambda device, precision: (1e9, 1e9))
    assert gpu_step.main(['mlo', '--device', 'cpu']) == 0
    mlo = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert mlo['rows'][0]['share_off'] == 0.0
    assert gpu_step.main(['tiny', '--device', 'cpu']) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])['rows'][0]
    assert row['fps'] > 0 and row['fps_without_drawing'] > 0 and row['gflop'] > 0
