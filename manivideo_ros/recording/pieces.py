"""Episodes of a dataset, written apart from each other by several processes, and kept until all are
there: after an interruption the others are not written again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.folder import state_of
from manivideo_ros.bags.part import Part, reader_of
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.process.pool import in_processes
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics
from manivideo_ros.recording.options import Options

DONE = 'piece.json'


class Joiner(Protocol):
    """Joins the pieces of a dataset."""

    def add(self, folder: Path, piece: dict[str, Any], name: str) -> None:
        """Append an episode of a folder; piece: what was returned with it; name: for errors."""

    def close(self) -> None:
        """Complete the dataset."""


class Format(NamedTuple):
    """A format: what writes an episode into a folder, and what joins these in an empty folder."""

    write: Callable[[Episode, Path, Options], dict[str, Any]]
    joiner: Callable[[Path, Options], Joiner]


@dataclass(frozen=True)
class Job:
    """An episode to be written; skips: whether it is read whole before anything is written."""

    part: Part
    topics: Topics
    options: Options
    write: Callable[[Episode, Path, Options], dict[str, Any]]
    folder: Path
    skips: bool = False


@dataclass(frozen=True)
class Piece:
    """An episode that was written, or the error that prevents it.

    content: what its format returned; entry: for the dataset's provenance; remarks: a line each.
    """

    folder: Path
    name: str
    frames: int = 0
    content: dict[str, Any] | None = None
    entry: dict[str, Any] | None = None
    remarks: tuple[str, ...] = ()
    error: str = ''


def write_pieces(jobs: Sequence[Job], workers: int, stops: bool) -> list[Piece]:
    """Write the episodes that are missing; returns those of all jobs in their order.

    stops: whether the first error ends it. Raises EpisodeError for that one, OSError.
    """
    found: dict[Path, Piece] = {}
    with tqdm(total=len(jobs), unit='episode', disable=None) as progress:
        for piece in in_processes(write_piece, jobs, workers):
            if piece.error and stops:
                raise EpisodeError(piece.error)
            found[piece.folder] = piece
            progress.update()
    _OPENED.clear()
    return [found[job.folder] for job in jobs]


def write_piece(job: Job) -> Piece:
    """Write an episode, unless it is there. Raises OSError."""
    fingerprint = _fingerprint(job)
    known = _known(job.folder, fingerprint)
    if known is not None:
        return known
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    try:
        episode = Episode(_reader(job.part, job.topics.hands), job.topics)
        episode.check_gaps()
        if job.skips:
            episode.check()
        content = job.write(episode, job.folder, job.options)
    except ValueError as error:
        shutil.rmtree(job.folder)
        return Piece(job.folder, job.part.name, error=str(error))
    entry = {'episode': episode.name, **episode.provenance}
    remarks = [f'{episode.name}: {remark}' for remark in episode.remarks]
    if not episode.part.whole:
        entry['part'] = {
            'received_ns': [episode.part.start_ns, episode.part.end_ns],
            'reason': episode.part.reason,
        }
    if episode.held:
        entry['held'] = {topic: held._asdict() for topic, held in episode.held.items()}
        remarks += [
            f'{episode.name}: topic {topic} ({held.text})' for topic, held in episode.held.items()
        ]
    piece = Piece(job.folder, str(episode.part), len(episode), content, entry, tuple(remarks))
    text = json.dumps({'fingerprint': fingerprint, 'piece': asdict(piece) | {'folder': ''}})
    partial = job.folder / f'{DONE}.partial'
    partial.write_text(text)
    partial.replace(job.folder / DONE)
    return _known(job.folder, fingerprint) or piece  # as a later run reads it


def _known(folder: Path, fingerprint: str) -> Piece | None:
    """The episode that an interrupted run has written with the same means; None without one."""
    try:
        found = json.loads((folder / DONE).read_text())
        if found['fingerprint'] != fingerprint:
            return None
        own = found['piece'] | {'folder': folder, 'remarks': tuple(found['piece']['remarks'])}
        return Piece(**own)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fingerprint(job: Job) -> str:
    """A hash of what an episode is written from."""
    read = [*state_of(job.part.path)]
    if job.options.like:
        info = Path(job.options.like) / 'meta' / 'info.json'
        read.append((info.read_text() if info.is_file() else '', 0, 0))
    name = f'{job.write.__module__}.{job.write.__qualname__}'
    own = [read, asdict(job.topics), asdict(job.options), name, asdict(job.part)]
    return hashlib.sha256(json.dumps(own, default=str).encode()).hexdigest()


_OPENED: dict[tuple[Path, str], BagReader] = {}
"""The bag that was opened last: its parts follow each other."""


def _reader(part: Part, hands: str) -> BagReader:
    key = (part.path, hands)
    if key not in _OPENED:
        _OPENED.clear()
        _OPENED[key] = open_bag(part.path, hands)
    return reader_of(part, _OPENED[key])
