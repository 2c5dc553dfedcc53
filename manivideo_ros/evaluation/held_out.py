"""Evaluates a checkpoint on the held-out suite (suite.py)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manivideo_ros.evaluation.reports.evaluation import Evaluation
from manivideo_ros.evaluation.run import Work, fid_of_all, in_workers
from manivideo_ros.evaluation.suites.clip_measures import Measured
from manivideo_ros.evaluation.suites.suite import (
    FRAMES,
    HUMAN,
    POSES,
    RECORDING,
    SUBSETS,
    SuiteClip,
    build,
    describe,
    entries,
    human_entries,
    measure,
)
from manivideo_ros.motion.motion import Motion


@dataclass(frozen=True)
class Part:
    """The part of the suite to evaluate: its first clips, and the first frames of each.

    recordings: folder of the real recording.
    """

    clips: int | None = None
    frames: int = FRAMES
    recordings: Path | None = None


def evaluate(
    work: Work, inception: Path | None, part: Part, workers: int, about: dict[str, Any]
) -> Evaluation:
    """Measure the methods of `work` on the suite.

    Thresholds apply to the first method; the second is the same model with more steps. Raises
    ValueError if a method cannot be run.
    """
    listed = [*entries(part.recordings), *human_entries()]
    jobs = [(index, part.recordings) for index in range(len(listed))]
    motions = in_workers(_motion, jobs, workers, 'motions')
    built = build(listed, motions)
    human = [clip for clip in built if HUMAN in clip.subsets]
    clips = [clip for clip in built if clip not in human][: part.clips]
    clips += human if work.human else []
    if part.frames < FRAMES:
        clips = [clip.cut(part.frames) for clip in clips]
    done = in_workers(
        _measure, [(i, clip, work) for i, clip in enumerate(clips)], workers, 'measured'
    )
    generated, *better = work.graphs
    result = Evaluation(about, generated, better[0] if better else None)
    for clip, measured in zip(clips, done, strict=True):
        result.clips.append(describe(clip))
        result.measured.append(measured)
    candidates = list(done[0][POSES[0]].figures)
    result.fid = fid_of_all(work.keep, POSES, candidates, inception)
    present = set(result.subsets())
    result.empty = {name: _why(name, part) for name in SUBSETS if name not in present}
    return result


def _why(subset: str, part: Part) -> str:
    """The reason why a subset has no clip."""
    if subset == HUMAN:
        return 'the model takes no skeleton'
    if subset == 'recorded' and (
        part.recordings is None or not (part.recordings / RECORDING).is_file()
    ):
        return f'{RECORDING} not found: set --recordings to its folder'
    return 'excluded by --clips'


def _motion(job: tuple[int, Path | None]) -> Motion:
    index, recordings = job
    return [*entries(recordings), *human_entries()][index].make(FRAMES)


def _measure(job: tuple[int, SuiteClip, Work]) -> dict[str, Measured]:
    number, clip, work = job
    if HUMAN in clip.subsets:  # reported separately: excluded from the FID over all clips
        work = replace(work, keep=None)
    measured = measure(clip, work.methods(), work.size, work.tools())
    work.store_frames(number, measured)
    return measured
