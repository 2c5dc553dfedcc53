"""Makes episodes of one recording in a separate process, which can be stopped at any time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from manivideo_ros.augment.jobs import plan, sole_writer
from manivideo_ros.augment.variation import PARTIAL, make_episode
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.process.pool import end_with_parent
from manivideo_ros.recording.cutting.cuts import parts_of

LOOK_S = 0.05
"""Longest time between two events of `run_in_process`."""


@dataclass(frozen=True)
class Order:
    """Episodes to make: a variation of the recording for each seed, in `out`.

    cameras: topics of their CameraInfo, none for the only one.
    """

    bag: Path
    out: Path
    seeds: range
    engine: EngineSpec
    hand_folder: str = ''
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """The order is valid; folders: of all its episodes, in the order of the seeds; warnings: one
    line each.
    """

    folders: tuple[Path, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameDone:
    """A number of frames of a seed's variation are done."""

    seed: int
    frame: int
    frames: int


@dataclass(frozen=True)
class _Ended:
    """The last event; error: why not all episodes were made, '' if they were."""

    error: str


@contextmanager
def run_in_process(order: Order) -> Iterator[Iterator[Started | FrameDone | None]]:
    """Events of a process that makes the episodes; leaving the context ends the process.

    None is yielded after LOOK_S without an event. Partial episodes are removed at the end. The
    iterator raises ValueError, one line, for an invalid order and a process that died.
    """
    # Spawned, because threads of a ROS node do not survive a fork.
    context = multiprocessing.get_context('spawn')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(order, sender), daemon=True)
    process.start()
    sender.close()
    try:
        yield _news(receiver, process)
    finally:
        process.kill()
        process.join()
        receiver.close()
        if (order.out / PARTIAL).exists():
            with suppress(ValueError), sole_writer(order.out):
                pass  # it removes partial episodes, unless another writer has done so


def _news(
    pipe: Connection, process: multiprocessing.process.BaseProcess
) -> Iterator[Started | FrameDone | None]:
    while True:
        if not pipe.poll(LOOK_S):
            yield None
            continue
        try:
            event = pipe.recv()
        except EOFError:
            process.join()
            raise ValueError(
                f'the process that makes the episodes ended with status {process.exitcode}: see '
                'its output in the log'
            ) from None
        if not isinstance(event, _Ended):
            yield event
            continue
        if event.error:
            raise ValueError(event.error)
        return


def _work(order: Order, pipe: Connection) -> None:
    end_with_parent()
    try:
        with sole_writer(order.out):
            work = plan(
                parts_of(order.bag).kept, order.out, order.seeds, order.engine, order.hand_folder,
                cameras=order.cameras,
            )  # fmt: skip
            pipe.send(Started(tuple(work.folders), work.warnings))
            for job in work.jobs:
                make_episode(job, partial(_report, pipe, job.seed))
        pipe.send(_Ended(''))
    except (ValueError, OSError, EngineError) as error:
        pipe.send(_Ended(str(error)))


def _report(pipe: Connection, seed: int, frame: int, frames: int) -> None:
    pipe.send(FrameDone(seed, frame, frames))
