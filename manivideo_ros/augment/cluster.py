"""Makes episodes on a Ray cluster whose machines share folders, which is checked first."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manivideo_ros.augment.jobs import prepare
from manivideo_ros.augment.variation import PARTIAL, Job, Made, make_episode
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.files.errors import reason_of

TOKEN = 'token'
CONNECT_S = 5.0
AGAIN = 3  # retries of an episode whose process or machine died
ON_GPU = ('tensorrt', 'tensorrt_rtx', 'torch_cuda', 'onnxruntime_cuda')
PER_GPU = 4  # concurrent episodes per GPU, which waits for their drawing and writing


@dataclass(frozen=True)
class Trial:
    """Requirements of jobs on a machine; token: the text of a file in `out`."""

    token: str
    out: str
    bags: tuple[str, ...]
    job: Job


def run_on_ray(jobs: Sequence[Job], address: str) -> Iterator[Made]:
    """Make episodes on a Ray cluster.

    Raises ValueError (one line, which names the machine) if ray is not installed, nothing answers
    at the address, a machine does not share the folders or would make other images, or an episode
    cannot be made.
    """
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--ray: ray is not installed here: pip install 'manivideo_ros[ray]', on the workers too"
        ) from None
    if not jobs:
        return
    _check_listening(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level='warning')
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = reason_of(error)
        raise ValueError(f'--ray: no cluster answers at {address} ({reason})') from None
    try:
        needs = needs_of(jobs[0])
        _check_machines(ray, jobs, needs)
        # max_calls: by default Ray ends a process after each task on a GPU, which would load the
        # engine again for every episode.
        make = ray.remote(**needs, max_retries=AGAIN, max_calls=0)(_make)
        waiting = [make.remote(job) for job in jobs]
        while waiting:
            (done,), waiting = ray.wait(waiting, num_returns=1)
            made = _result(ray, done)
            if isinstance(made, str):
                raise ValueError(made)
            if not Path(made.folder).is_dir():
                raise ValueError(f'{made.folder}: made on a disk that is not shared: share it')
            yield made
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Raise ValueError if nothing listens at host:port: Ray takes minutes to report that."""
    host, _, port = address.rpartition(':')
    if '/' in address or not port.isdecimal():
        return  # 'auto', or ray://...
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f'--ray: no cluster answers at {address} ({error})') from None


def needs_of(job: Job) -> dict[str, float]:
    """Ray's resources for one episode."""
    return {'num_cpus': 1, 'num_gpus': 1 / PER_GPU if job.engine.backend in ON_GPU else 0}


def missing(trial: Trial) -> str:
    """Why this machine cannot do the jobs, one line that names it; '' if it can."""
    out, job = Path(trial.out), trial.job
    try:
        shared = (out / PARTIAL / TOKEN).read_text() == trial.token
    except OSError:
        shared = False
    if not shared:
        return _here(f'{out}: is not the folder that the command writes to: share it at this path')
    try:
        with tempfile.TemporaryFile(dir=out / PARTIAL):
            pass
    except OSError as error:
        return _here(f'{out}: cannot be written to ({error.strerror})')
    for bag in trial.bags:
        if not Path(bag).exists():
            return _here(f'{bag}: does not exist: share the output folder at this path')
    try:
        own = prepare(job.engines, job.hand_folder, job.scene)
    except (ValueError, OSError, EngineError) as error:
        return _here(str(error))
    for name, value in job.made_by:
        if name in own and own[name] != value:
            return _here(
                f'{name} is {own[name]:.12}, where the command has {value:.12}: install the same '
                'versions of manivideo_ros, torch and onnxruntime'
            )
    return ''


def _check_machines(ray: Any, jobs: Sequence[Job], needs: dict[str, float]) -> None:
    """Check the requirements on every machine that may get work. Raises ValueError."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    names = {'num_cpus': 'CPU', 'num_gpus': 'GPU'}
    nodes = [
        node
        for node in ray.nodes()
        if node['Alive'] and all(node['Resources'].get(names[k], 0) >= v for k, v in needs.items())
    ]
    if not nodes:
        raise ValueError(f'--ray: no machine of the cluster offers {needs}: add one that does')
    out = Path(jobs[0].out)
    token = secrets.token_hex(16)
    (out / PARTIAL).mkdir(exist_ok=True)
    (out / PARTIAL / TOKEN).write_text(token)
    trial = Trial(token, str(out), tuple(sorted({job.source.folder for job in jobs})), jobs[0])
    check = ray.remote(num_cpus=0)(missing)
    checks = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node['NodeID'], soft=False)
        name = f'{node["NodeManagerHostname"]} ({node["NodeManagerAddress"]})'
        checks[name] = check.options(scheduling_strategy=there).remote(trial)
    for name, found in checks.items():
        try:
            line = _result(ray, found)
        except ValueError as error:
            raise ValueError(f'--ray: {name}: cannot run manivideo_ros: {error}') from None
        if line:
            raise ValueError(f'--ray: {name}: {line}')


def _make(job: Job) -> Made | str:
    """The episode, or why it cannot be made."""
    try:
        return make_episode(job)
    except (ValueError, OSError) as error:
        return _here(str(error))


def _result(ray: Any, task: Any) -> Any:
    """The result of a task. Raises ValueError, one line, if it failed."""
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ValueError(f'{type(error).__name__}: {lines[-1].strip() if lines else ""}') from None


def _here(line: str) -> str:
    return f'{socket.gethostname()}: {line}'
