"""Episodes of one recording made in a process of its own, which may be stopped anywhere."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from manivideo_ros.augment.jobs import end_with_parent, plan, sole_writer
from manivideo_ros.augment.variation import PARTIAL, make_episode
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec

LOOK_S = 0.05
"""How often whoever waits for news may look elsewhere."""


@dataclass(frozen=True)
class Order:
    """Which episodes to make: a variation of the recording for each seed, into `out`."""

    bag: Path
    out: Path
    seeds: range
    engine: EngineSpec
    hand_folder: str = ''


@dataclass(frozen=True)
class Begun:
    """The order can be met; folders: of all its episodes, in the order of the seeds.

    warnings: what else there is to know beforehand, one line each.
    """

    folders: tuple[Path, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameDone:
    """So many frames of the variation of a seed are done."""

    seed: int
    frame: int
    frames: int


@dataclass(frozen=True)
class _Ended:
    """Nothing follows; error: why not everything was made, '' where it was."""

    error: str


@contextmanager
def made_apart(order: Order) -> Iterator[Iterator[Begun | FrameDone | None]]:
    """What happens while a process makes the episodes; leaving it early ends the process.

    None comes whenever nothing happened for LOOK_S. Episodes are whole or not there afterwards. The
    iterator raises ValueError, one line, for an order that cannot be met and a process that died.
    """
    # Spawned: a fork would inherit the threads of a ROS node half dead.
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield _news(ours, process)
    finally:
        process.kill()
        process.join()
        ours.close()
        if (order.out / PARTIAL).exists():
            with suppress(ValueError), sole_writer(order.out):
                pass  # which cleared it away; somebody else at work there has done so already


def _news(
    pipe: Connection, process: multiprocessing.process.BaseProcess
) -> Iterator[Begun | FrameDone | None]:
    while True:
        if not pipe.poll(LOOK_S):
            yield None
            continue
        try:
            told = pipe.recv()
        except EOFError:
            process.join()
            raise ValueError(
                f'the process that makes the episodes ended with status {process.exitcode}: its '
                'last words are in the log'
            ) from None
        if not isinstance(told, _Ended):
            yield told
            continue
        if told.error:
            raise ValueError(told.error)
        return


def _work(order: Order, pipe: Connection) -> None:
    end_with_parent()
    try:
        with sole_writer(order.out):
            work = plan([str(order.bag)], order.out, order.seeds, order.engine, order.hand_folder)
            pipe.send(Begun(tuple(work.folders), work.warnings))
            for job in work.jobs:
                make_episode(job, partial(_tell, pipe, job.seed))
        pipe.send(_Ended(''))
    except (ValueError, OSError, EngineError) as error:
        pipe.send(_Ended(str(error)))


def _tell(pipe: Connection, seed: int, frame: int, frames: int) -> None:
    pipe.send(FrameDone(seed, frame, frames))
