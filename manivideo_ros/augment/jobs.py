"""Which episodes are to be made, which are there already, and who makes the rest."""

from __future__ import annotations

import fcntl
import multiprocessing
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from manivideo_ros.augment.source import Source
from manivideo_ros.augment.variation import PARTIAL, Job, Made, episode_name, make_episode
from manivideo_ros.processes import signal_with_parent
from manivideo_ros.recording.bag import BagReader
from manivideo_ros.recording.provenance import provenance_of

LOCK = '.lock'


def plan(
    bags: Sequence[str], out: Path, seeds: Sequence[int], checkpoint: Path, engine: dict[str, str]
) -> tuple[list[Job], list[Path]]:
    """What is to be made, and the episodes that are there already.

    Raises ValueError for a bag that cannot be used, two bags of one name, and an episode in `out`
    that was made otherwise.
    """
    sources = [Source(bag) for bag in bags]
    by_name: dict[str, Source] = {}
    for source in sources:
        other = by_name.setdefault(source.name, source)
        if other is not source:
            raise ValueError(f'{other.path} and {source.path} have one name: rename one of them')
    todo, there = [], []
    for source in sources:
        digest = source.sha256
        for seed in seeds:
            folder = out / episode_name(source.name, seed)
            if folder.exists():
                _check_same(folder, digest, engine)
                there.append(folder)
            else:
                path = str(source.path.resolve())
                todo.append(Job(path, str(out), seed, str(checkpoint), tuple(engine.items())))
    return todo, there


def run_here(jobs: Sequence[Job], workers: int) -> Iterator[Made]:
    """Make episodes by this many processes, in the order in which they are done."""
    if workers == 1 or len(jobs) < 2:
        yield from map(make_episode, jobs)
        return
    # Spawned: a fork would inherit the threads of torch and onnxruntime half dead.
    context = multiprocessing.get_context('spawn')
    count = min(workers, len(jobs))
    with ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(make_episode, job) for job in jobs]):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_on_ray(jobs: Sequence[Job], address: str) -> Iterator[Made]:
    """Make episodes on a Ray cluster whose machines share the folders.

    Raises ValueError where ray is not installed or nothing answers at the address.
    """
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--ray: ray is not installed here: pip install 'manivideo_ros[ray]', on the workers too"
        ) from None
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise ValueError(f'--ray: no cluster answers at {address} ({error})') from None
    try:
        make = ray.remote(num_cpus=1, max_retries=3)(make_episode)
        waiting = [make.remote(job) for job in jobs]
        while waiting:
            (done,), waiting = ray.wait(waiting, num_returns=1)
            try:
                yield ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
    finally:
        ray.shutdown()


@contextmanager
def sole_writer(out: Path) -> Iterator[None]:
    """Keep others from writing there, and clear away what a killed run left half done.

    Raises ValueError where somebody else is at work. The lock goes with the process, however it
    ends.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f'{out}: another augment is writing there: wait for it') from None
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(out / PARTIAL, ignore_errors=True)


def _check_same(folder: Path, digest: str, engine: dict[str, str]) -> None:
    told = provenance_of(BagReader(folder))
    made_from = {'source': told.get('source', {}).get('sha256')}
    wanted = {'source': digest}
    key = 'checkpoint_sha256'
    made_from[key], wanted[key] = told.get(key), engine[key]
    for name, value in wanted.items():
        if made_from[name] != value:
            raise ValueError(
                f'{folder}: was made of another {name.removesuffix("_sha256")}: choose another '
                'folder to write to, or remove it'
            )


def end_with_parent() -> None:
    """A worker must not go on writing when its run was killed and begun anew."""
    signal_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
