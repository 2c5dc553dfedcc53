"""Runs an evaluation in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from manivideo_ros.data.rendering.ground_truth import one_thread
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.estimation.runtime import EstimatorError
from manivideo_ros.evaluation.measures.features import fid
from manivideo_ros.evaluation.suites.clip_measures import Measured, Tools
from manivideo_ros.evaluation.suites.clips import FramesOf, RgbImage
from manivideo_ros.evaluation.suites.methods import streamed

Job = TypeVar('Job')
Result = TypeVar('Result')


@dataclass(frozen=True)
class Work:
    """Settings of every worker: graphs and the checkpoint of each by method name, image size, the
    user's weights.

    keep: folder for frames that FID needs once all clips are done, None without FID.
    human: whether the methods take skeletons.
    """

    graphs: Mapping[str, tuple[Path, Path]]
    size: int
    alexnet: Path | None = None
    keep: Path | None = None
    human: bool = False

    def methods(self) -> dict[str, FramesOf]:
        """The methods by name."""
        return {name: streamed(*files) for name, files in self.graphs.items()}

    def tools(self) -> Tools:
        """Estimator and weights for the measures."""
        return Tools(hand_estimator(), self.alexnet, self.keep is not None)

    def store_frames(self, number: int, measured: Mapping[str, Measured]) -> None:
        """Move the kept frames of clip `number` from memory into files."""
        for poses, one in measured.items():
            if self.keep is not None and one.frames:
                arrays: dict[str, Any] = {n: np.stack(f) for n, f in one.frames.items()}
                file = self.keep / f'{poses}-{number:04d}.npz'
                np.savez(file, **arrays, mask=np.stack(one.masks))
            one.frames, one.masks = {}, []


@cache
def hand_estimator() -> HandEstimator | None:
    """The hand estimator of this process, None where it cannot run."""
    try:
        return HandEstimator(threads=1)
    except EstimatorError:
        return None


def in_workers(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, label: str
) -> list[Result]:
    """Results of all jobs in order; shows progress on the terminal."""
    results: list[Result] = []
    with tqdm(total=len(jobs), desc=label, unit='clip', mininterval=1) as bar:
        for result in _results(function, jobs, workers):
            results.append(result)
            bar.update()
    return results


def _results(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    if workers <= 1:
        yield from map(function, jobs)
        return
    with multiprocessing.get_context('spawn').Pool(workers, one_thread) as pool:
        yield from pool.imap(function, jobs)


def fid_of_all(
    keep: Path | None, poses: Sequence[str], names: Sequence[str], weights: Path | None
) -> dict[str, dict[str, float | str]]:
    """FID over the frames of all clips by pose kind and candidate, or why there is none."""
    if weights is None or keep is None:
        why = fid([], [], [], None)
        return {kind: dict.fromkeys(names, why) for kind in poses}
    out: dict[str, dict[str, float | str]] = {}
    for kind in poses:
        files = sorted(keep.glob(f'{kind}-*.npz'))
        truth, masks = _stored(files, 'truth'), [m != 0 for m in _stored(files, 'mask')]
        out[kind] = {name: fid(_stored(files, name), truth, masks, weights) for name in names}
    return out


def _stored(files: Sequence[Path], name: str) -> list[RgbImage]:
    images: list[RgbImage] = []
    for file in files:
        with np.load(file, allow_pickle=False) as arrays:
            images += list(arrays[name])
    return images


def folder_for_frames(weights: Path | None) -> tempfile.TemporaryDirectory[str] | None:
    """A temporary folder for frames, None where FID is not computed."""
    return None if weights is None else tempfile.TemporaryDirectory()


def cores() -> int:
    """Number of cores available to this process."""
    return len(os.sched_getaffinity(0))
