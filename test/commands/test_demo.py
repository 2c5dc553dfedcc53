"""The demo and the command line: results, refusals, interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from manivideo_ros import cli
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.commands import demo, doctor
from manivideo_ros.evaluation.suites.stream import Stream, stages, summary
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.process.node_processes import environment, free_domain, node_arguments

ROOT = Path(__file__).resolve().parents[2]


def manivideo(*arguments, **options):
    return subprocess.run(
        [sys.executable, '-m', 'manivideo_ros.cli', *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def test_ctrl_c_leaves_a_readable_bag(shipped, motion_file, tmp_path):
    env = {**environment(free_domain()), 'ROS_DOMAIN_ID': ''}
    command = [sys.executable, '-m', 'manivideo_ros.cli', 'demo', '--seconds', '60']
    command += ['--motion', motion_file, '--checkpoint', shipped, '--out', tmp_path / 'out']
    # Tests that run in the background ignore SIGINT, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [str(c) for c in command],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    output = ''
    for line in process.stdout:
        output += line
        if 'poses' in line and ' frames 0' not in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output += process.stdout.read()
    assert process.wait(60) == 130, output
    assert 'stopped' in output
    reader = BagReader(tmp_path / 'out' / 'bag')
    assert not reader.truncated and 'held_out' in reader.custom_data
    motion = load_motion(tmp_path / 'out' / 'bag')
    assert len(motion) > 10 and set(motion.hands) == {'left', 'right'}
    assert '/image_raw' in reader.topics
    # No process is left running.
    time.sleep(0.5)
    running = subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in running.stdout


def test_unreadable_files_end_with_one_line_and_status_2(motion_file, tmp_path, capsys):
    broken = tmp_path / 'broken.obj'
    broken.write_bytes(b'\x00\x01nothing')
    done = manivideo('demo', '--out', tmp_path / 'out', '--motion', broken)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr + done.stdout
    options = ['--out', tmp_path / 'out', '--motion', motion_file, '--object', broken]
    assert cli.main(['demo', *map(str, options)]) == 2
    for error in (done.stderr, capsys.readouterr().err):
        assert len(error.strip().splitlines()) == 1, error
        assert error.startswith('error: ') and 'broken.obj' in error


def test_earlier_results_are_replaced_and_nothing_else(tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'report.json').write_text('{}')
    (tmp_path / 'mine.txt').write_text('mine')
    demo.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='file'):
        demo.clear(tmp_path / 'file')


def test_the_users_object_takes_the_place_of_the_motions(motion_file, tmp_path):
    mesh = tmp_path / 'mine.obj'
    mesh.write_text('v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n')
    chosen = demo.Demo(tmp_path, str(motion_file), str(mesh), object_scale=0.05)
    track = demo.chosen_motion(chosen).objects['mug']
    assert (track.mesh, track.scale) == (str(mesh), 0.05)
    chosen = demo.Demo(tmp_path, str(motion_file), 'box')
    assert demo.chosen_motion(chosen).objects['mug'].mesh == 'box'


def test_progress_is_read_from_the_recorder():
    lines = ['[INFO] recorded: /hand_poses 30, /image_raw 29', '[INFO] recorded: no messages yet']
    assert demo.recorded_counts(lines) == {'/hand_poses': 30, '/image_raw': 29}
    assert demo.recorded_counts([]) == {}
    assert demo.progress_bar(5, 10, 4) == '[##..]'


def test_the_table_contains_the_figures():
    report = {
        'frames_in': 300, 'frames_out': 298, 'rate_hz': 29.9, 'preset': 'tiny',
        'latency_ms': {'p50': 40.0, 'p95': 55.0, 'p99': 60.0}, 'backend': 'onnxruntime',
        'stages_ms': {'denoise': 25.0},
        'quality': {'psnr_db': 26.0, 'ssim': 0.9, 'painted_psnr_db': 23.0, 'painted_ssim': 0.86,
                    'true_light_psnr_db': 29.0},
    }  # fmt: skip
    text = demo.table(report)
    for part in ('300, 298', '29.9 Hz', '55.0', 'denoise', '26.00 dB', '23.00 dB', '29.00 dB'):
        assert part in text
    assert 'PSNR' not in demo.table({**report, 'quality': None})


def test_latency_and_rate_come_from_stamps_and_receipts():
    poses = np.arange(30) * 33_000_000 + 10**18
    frames = np.append(poses[::2], poses[-1] + 400_000_000)  # the last one was held, not answered
    values = {'frames_window': '3', 'denoise mean (ms)': '30.0', 'backend': 'onnxruntime'}
    stream = Stream(poses, frames, frames + 40_000_000, [values])
    report = summary(stream)
    assert report['frames_in'] == 30 and report['frames_out'] == 15
    assert report['latency_ms'] == {'p50': 40.0, 'p95': 40.0, 'p99': 40.0}
    assert report['rate_hz'] == pytest.approx(1000 / 66, abs=0.01)
    assert report['backend'] == 'onnxruntime'


def test_stages_are_weighted_by_their_frames():
    reported = [
        {'frames_window': '1', 'denoise mean (ms)': '10.0'},
        {'frames_window': '3', 'denoise mean (ms)': '30.0'},
        {'frames_window': '0'},
    ]
    assert stages(reported) == {'denoise': 25.0}


def test_shipped_motions_have_names(tmp_path, monkeypatch):
    assert motion_path('').name == 'turn_mug'
    assert motion_path(str(tmp_path)) == tmp_path
    assert motion_path('no_such_motion') == Path('no_such_motion')


def test_the_doctor_checks_everything(capsys):
    status = doctor.run()
    shown = capsys.readouterr().out
    for name in (
        'interpreter', 'compiler', 'ROS 2', 'RMW', 'numpy', '/dev/shm', 'GPU', 'CPU engine',
        'caches',
    ):  # fmt: skip
        assert name in shown
    assert status == int('bad ' in shown)
    for line in shown.splitlines():
        if line.startswith('bad'):
            assert '->' in shown.split(line)[1].splitlines()[1], 'every problem has a fix'


def test_the_doctor_reports_problems(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert doctor.compiler().state == doctor.BAD and 'g++' in doctor.compiler().fix
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file' / 'cache'))
    assert doctor.caches().state == doctor.BAD and 'XDG_CACHE_HOME' in doctor.caches().fix
    monkeypatch.setattr(doctor.shutil, 'disk_usage', lambda _: doctor.shutil._ntuple_diskusage(
        64 << 20, 60 << 20, 4 << 20))  # fmt: skip
    assert doctor.shared_memory().state == doctor.BAD
    monkeypatch.setenv('ROS_DISTRO', 'foxy')
    assert doctor.distribution().state == doctor.NOTE


@pytest.fixture
def a_gpu(monkeypatch, tmp_path):
    """A machine whose driver names an RTX 4090, and a PyTorch that can be chosen."""
    tool = tmp_path / 'nvidia-smi'
    tool.write_text('#!/bin/sh\necho "NVIDIA RTX 4090, 580.12"\n')
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    import torch
    import warp

    def choose(cuda, available, warp_sees=True, capability=(8, 9)):
        monkeypatch.setattr(torch.version, 'cuda', cuda)
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: available)
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: capability)
        monkeypatch.setattr(warp, 'is_cuda_available', lambda: warp_sees)
        monkeypatch.setattr(warp, 'get_cuda_device', lambda: SimpleNamespace(name='RTX 4090'))
        return doctor.gpu()

    return choose


def test_the_doctor_reports_what_a_gpu_needs(a_gpu, monkeypatch):
    without = a_gpu(None, False)
    assert without.state == doctor.NOTE and 'driver 580.12' in without.found
    assert 'has no CUDA' in without.found and 'to use the GPU: pip install' in without.fix
    old = a_gpu('13.0', False)
    assert 'update the driver to one for CUDA 13.0' in old.fix
    blind = a_gpu('13.0', True, warp_sees=False)
    assert blind.state == doctor.NOTE and 'Warp' in blind.found and 'driver' in blind.fix
    whole = a_gpu('13.0', True)
    assert whole.state == doctor.OK and 'compute capability 8.9' in whole.found
    assert 'tensorrt-rtx' in whole.found + whole.fix
    monkeypatch.setattr(doctor.importlib.util, 'find_spec', lambda name: None)
    assert a_gpu('13.0', True, capability=(9, 0)).fix.endswith('pip install tensorrt')


def test_commands_are_listed():
    text = cli.make_parser().format_help()
    commands = 'demo render doctor play record convert train evaluate export'
    for command in commands.split():
        assert command in text
    assert manivideo().returncode == 2


def test_values_reach_the_nodes_unchanged():
    values = {'motion': '', 'rate_hz': 30.0, 'topics': ['a', '/b'], 'bag': '12'}
    arguments = node_arguments(**values)
    read = dict(item.split(':=', 1) for item in arguments[2::2])
    assert {name: yaml.safe_load(text) for name, text in read.items()} == values


def test_invalid_lengths_are_refused():
    done = manivideo('demo', '--seconds', '-3')
    assert done.returncode == 2 and '--seconds' in done.stderr
