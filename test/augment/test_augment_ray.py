"""Episodes on a Ray cluster of two machines: the same as made here, whatever dies, or one line why
not. Needs ray; the second machine's own disks need the right to make namespaces.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from augmenting import augment, hashes
from episode_samples import record_episode

from manivideo_ros.augment.cluster import Trial, missing, needs_of
from manivideo_ros.augment.engine import engine_named
from manivideo_ros.augment.jobs import plan
from manivideo_ros.augment.variation import PARTIAL
from manivideo_ros.process.node_processes import free_port

ROOT = Path(__file__).resolve().parents[2]
FRAMES, STARTED_S, MADE_S = 24, 120, 300
needs_ray = pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='needs ray')


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return record_episode(tmp_path_factory.mktemp('recorded') / 'grasp', FRAMES)


@pytest.fixture(scope='module')
def made_here(recording, shipped, tmp_path_factory):
    """Hashes of two variations, made by one process."""
    out = tmp_path_factory.mktemp('here') / 'out'
    assert augment(recording, out, shipped, 2) == 0
    return hashes(out)


@pytest.fixture
def trial(recording, shipped, tmp_path):
    """What a machine must have for a plan's first job."""
    out = tmp_path / 'out'
    (out / PARTIAL).mkdir(parents=True)
    (out / PARTIAL / 'token').write_text('here')
    (job,) = plan([str(recording)], out, range(1), engine_named('tiny_cpu', shipped)).jobs
    return Trial('here', str(out), (str(recording),), job)


def test_a_machine_that_meets_all_requirements(trial):
    assert missing(trial) == ''


def test_a_missing_requirement_is_one_line_with_the_machine(trial, recording, tmp_path):
    from dataclasses import replace

    other = replace(trial.job, made_by=(('engine_sha256', 'f' * 64),))
    gone = engine_named('tiny_cpu', trial.job.engine.checkpoint)
    gone = replace(gone, checkpoint=str(tmp_path / 'gone.safetensors'))
    for changed, named in (
        (replace(trial, token='there'), f'{trial.out}: is not the folder that the command writes'),
        (replace(trial, bags=(f'{recording}x',)), f'{recording}x: does not exist'),
        (replace(trial, job=other), 'engine_sha256 is'),
        (replace(trial, job=replace(trial.job, engine=gone)), 'gone.safetensors'),
    ):
        line = missing(changed)
        assert line.startswith(f'{socket.gethostname()}: ') and named in line
        assert '\n' not in line


def test_an_episode_needs_one_core_and_a_share_of_a_gpu(trial):
    from dataclasses import replace

    assert needs_of(trial.job) == {'num_cpus': 1, 'num_gpus': 0}
    engine = replace(trial.job.engine, backend='torch_cuda')
    assert 0 < needs_of(replace(trial.job, engine=engine))['num_gpus'] < 1


def test_an_address_without_a_cluster_is_an_error_at_once(
    recording, shipped, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, 'ray', object())
    address = f'127.0.0.1:{free_port()}'
    assert augment(recording, tmp_path / 'out', shipped, 1, '--ray', address) == 2
    assert f'error: --ray: no cluster answers at {address}' in capsys.readouterr().err


@contextmanager
def machine(*arguments, before=()):
    """A node of a cluster: `ray start` and whatever it starts, until the block ends."""
    command = [*before, sys.executable, '-m', 'ray.scripts.scripts', 'start', *arguments]
    command += ['--node-ip-address', '127.0.0.1', '--num-cpus', '1', '--block']
    command += ['--object-store-memory', '100000000', '--disable-usage-stats']
    process = subprocess.Popen(
        command, env=environment(), start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if 'Ray runtime started' in line:
                break
        else:
            pytest.fail(''.join(lines))
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        process.stdout.close()


def environment():
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return {**os.environ, 'PYTHONPATH': path, 'RAY_worker_niceness': '0'}  # 15 by default


@pytest.fixture(scope='module')
def head():
    """The address of a cluster of one machine."""
    port = free_port()
    folder = tempfile.mkdtemp(prefix='ray_', dir='/tmp')  # its sockets' names must be short
    try:
        with machine('--head', '--port', str(port), '--include-dashboard', 'false',
                     '--temp-dir', folder):  # fmt: skip
            yield f'127.0.0.1:{port}'
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def started(recording, out, shipped, head):
    """`manivideo augment` of two variations on the cluster."""
    command = [sys.executable, '-m', 'manivideo_ros.cli', 'augment', recording, '--variations', '2']
    command += ['--out', out, '--checkpoint', shipped, '--ray', head]
    return subprocess.Popen(
        [str(c) for c in command], env=environment(), text=True, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def writers(out: Path, command: int) -> list[int]:
    """The processes that are writing an episode there, and not the command's own."""
    found = set()
    for process in Path('/proc').glob('[0-9]*'):
        files: list[str] = []
        with suppress(OSError):  # it has just ended
            files = os.listdir(process / 'fd')
        for file in files:
            with suppress(OSError):  # it has just closed this one
                if f'{out}/{PARTIAL}/' in os.readlink(process / 'fd' / file):
                    found.add(int(process.name))
    return sorted(found - {command})


@needs_ray
def test_a_cluster_makes_the_same_episodes_after_a_worker_is_killed(
    head, recording, shipped, made_here, tmp_path
):
    with machine('--address', head):
        process = started(recording, tmp_path / 'out', shipped, head)
        deadline = time.monotonic() + STARTED_S
        while not (found := writers(tmp_path / 'out', process.pid)):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.01)
        os.kill(found[0], signal.SIGKILL)
        output, complaint = process.communicate(timeout=MADE_S)
        assert process.returncode == 0, complaint
        made = [line for line in output.splitlines() if f'{FRAMES} frames' in line]
        assert len(made) == 2, 'each is reported once'
        assert hashes(tmp_path / 'out') == made_here
        assert sorted(f.name for f in (tmp_path / 'out').iterdir()) == [
            '.lock', 'grasp_seed0', 'grasp_seed1'
        ]  # fmt: skip


@needs_ray
def test_a_machine_without_the_shared_folder_is_named_before_work_begins(
    head, recording, shipped, tmp_path
):
    out = tmp_path / 'out'
    out.mkdir()
    apart = ['unshare', '--mount', '--uts', 'sh', '-c',
             f'hostname elsewhere && mount -t tmpfs tmpfs {out} && exec "$@"', 'sh']  # fmt: skip
    if shutil.which('unshare') is None or subprocess.run([*apart, 'true']).returncode:
        pytest.skip('making namespaces is not permitted here')
    with machine('--address', head, before=apart):
        process = started(recording, out, shipped, head)
        _, complaint = process.communicate(timeout=MADE_S)
    assert process.returncode == 2
    (line,) = [line for line in complaint.splitlines() if line.startswith('error: ')]
    assert 'elsewhere' in line and f'{out}: is not the folder that the command writes to' in line
    assert not list(out.glob('grasp*'))
