"""Makes each clip once: real-style ones, and synthetic ones of them.

The synthetic clips are made by `manivideo augment` out of the poses of the clips alone, judged by
`manivideo gate`. Stopped anywhere, it goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.synthetic_helps.clips import (
    Labelled,
    Part,
    photographs,
    sample_clip,
    write_recording,
)
from experiments.synthetic_helps.crops import Hands, hands_of
from experiments.synthetic_helps.files import whole
from manivideo_ros.augment import cli, gate_report
from manivideo_ros.augment.variation import episode_name
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.recording.episode import Episode


class Data:
    """The clips in a work folder; `checkpoint`: of the network that makes the synthetic ones."""

    def __init__(self, folder: Path, checkpoint: Path = SHIPPED) -> None:
        self.folder, self.checkpoint = folder, checkpoint

    def real(self, part: Part, numbers: Sequence[int]) -> list[Hands]:
        """The hands of real-style clips, one entry per clip."""
        out = []
        for number in tqdm(numbers, desc=f'real {part}', mininterval=5):
            file = self.folder / 'real' / f'{part}_{number:04d}.npz'
            if not file.exists():
                write_frames(photographs(sample_clip(part, number)), file)
            out.append(hands_of(read_frames(file)))
        return out

    def synthetic(self, numbers: Sequence[int], seeds: Sequence[int]) -> list[list[Hands]]:
        """The hands of the variations of training clips: per clip one entry for each seed."""
        names = [self._recording(number).name for number in numbers]
        wanted = [[episode_name(name, seed) for seed in seeds] for name in names]
        missing = [n for n, row in enumerate(wanted) if not all(map(self._is_made, row))]
        if missing:
            self._augment([numbers[n] for n in missing], seeds)
        out = []
        for row in tqdm(wanted, desc='synthetic', mininterval=5):
            for episode in row:
                if not self._is_made(episode):
                    hands_of(frames_of(self._bag(episode))).write(self._hands(episode))
            out.append([Hands.read(self._hands(episode)) for episode in row])
        return out

    def passing(self, numbers: Sequence[int], seeds: Sequence[int]) -> list[list[bool]]:
        """Whether the quality gate lets each of these variations pass."""
        report = self.folder / 'gate' / gate_report.REPORT
        wanted = [[episode_name(self._recording(n).name, s) for s in seeds] for n in numbers]
        episodes = [episode for row in wanted for episode in row]
        kept = _verdicts(report)
        if not set(episodes) <= set(kept):
            bags = [self._bag(episode) for episode in episodes]
            gate_report.write_report(bags, report.parent, gate_report.Thresholds())
            kept = _verdicts(report)
        return [[kept[episode] for episode in row] for row in wanted]

    def _augment(self, numbers: Sequence[int], seeds: Sequence[int]) -> None:
        for number in numbers:
            recording = self._recording(number)
            if not (recording / 'metadata.yaml').exists():
                write_recording(sample_clip('train', number), recording)
        arguments = [str(self._recording(number)) for number in numbers]
        arguments += ['--variations', str(len(seeds)), '--seed', str(seeds[0])]
        arguments += ['--out', str(self._bag('')), '--checkpoint', str(self.checkpoint)]
        if cli.main(arguments) != 0:
            raise ValueError('manivideo augment failed')

    def _recording(self, number: int) -> Path:
        return self.folder / 'recordings' / f'clip_{number:04d}'

    def _bag(self, episode: str) -> Path:
        return self.folder / 'augmented' / episode

    def _hands(self, episode: str) -> Path:
        return self.folder / 'synthetic' / f'{episode}.npz'

    def _is_made(self, episode: str) -> bool:
        return self._hands(episode).exists()


def frames_of(bag: Path) -> list[Labelled]:
    """The frames of a synthetic episode."""
    episode = Episode(bag)
    return [*map(Labelled, episode.images(), episode.keypoints())]


def write_frames(frames: Iterable[Labelled], file: Path) -> None:
    """Keep frames in a file, whole or not at all."""
    listed = list(frames)
    with whole(file) as partial:
        np.savez_compressed(
            partial,
            images=np.stack([frame.image for frame in listed]),
            keypoints=np.stack([frame.keypoints for frame in listed]),
        )


def read_frames(file: Path) -> list[Labelled]:
    """The frames of a file that `write_frames` wrote."""
    with np.load(file) as stored:
        return [*map(Labelled, stored['images'], stored['keypoints'])]


def _verdicts(report: Path) -> dict[str, bool]:
    if not report.exists():
        return {}
    return {v['episode']: bool(v['kept']) for v in json.loads(report.read_text())['episodes']}
