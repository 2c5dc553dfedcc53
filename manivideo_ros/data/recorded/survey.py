"""What a check of a dataset found, and the checks that all datasets share."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.files import one_line
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand

# The published 21 keypoints that are MANO's 16 joints, in MANO's order.
JOINTS = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]
AGREE = 0.006  # metres: a mended left hand's shape is off by a few millimetres
Result = TypeVar('Result')
SHOWN = 5  # faults of one kind that are told one by one


@dataclass
class Survey:
    """facts: what was found; faults: what is wrong with it; a line each."""

    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def attempt(self, work: Callable[..., Result], *arguments: object) -> Result | None:
        """What some reading gives, or None: its error is then a fault, told once."""
        try:
            return work(*arguments)
        except (ValueError, OSError) as error:
            line = ' '.join(str(error).split()) or one_line(error)
            if line not in self.faults:
                self.faults.append(line)
            return None

    def check_frames(self, folder: Path, frames: int, patterns: Sequence[str]) -> int:
        """Files `pattern % frame` of a view, whole where they are npz; how many images there are.

        The first pattern is the images'.
        """
        if not folder.is_dir():
            self.faults.append(f'{folder}: no such folder: get this part of the dataset too')
            return 0
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        counts = []
        for pattern in patterns:
            names = [pattern % index for index in range(frames)]
            there = [name for name in names if sizes.get(name, 0) > 0]
            gone = [name for name in names if sizes.get(name, 0) == 0]
            counts.append(len(there))
            if gone:
                more = f' and {len(gone) - 1} more' if len(gone) > 1 else ''
                self.faults.append(
                    f'{folder}: {gone[0]}{more} of {frames} missing or empty: get them again'
                )
            cut = [n for n in there if n.endswith('.npz') and not zipfile.is_zipfile(folder / n)]
            for name in cut[:SHOWN]:
                self.faults.append(f'{folder / name}: cut short, not a readable npz: get it again')
            if len(cut) > SHOWN:
                self.faults.append(f'{folder}: {len(cut) - SHOWN} more npz files are cut short')
        return counts[0]

    def check_models(self, meshes: set[Path]) -> None:
        """Whether the objects' meshes are there."""
        gone = sorted(mesh for mesh in meshes if not mesh.is_file())
        self.facts.append(f'models: {len(meshes) - len(gone)} of {len(meshes)} objects')
        for mesh in gone[:SHOWN]:
            self.faults.append(f'{mesh}: no such model: get the models of the dataset too')
        if len(gone) > SHOWN:
            self.faults.append(f'{gone[0].parents[1]}: {len(gone) - SHOWN} more models are absent')


def joint_error(
    clip: RecordedClip, side: str, frame: int, keypoints: np.ndarray, folder: Path
) -> float:
    """Mean distance (m) of a clip's MANO joints from published keypoints [21, 3] in the world."""
    track = clip.motion.hands[side]
    values = (track.theta, track.wrist_rotation, track.wrist_position)
    theta, turn, place = (torch.as_tensor(value[frame : frame + 1]) for value in values)
    hand = load_hand('left' if side == 'left' else 'right', folder / f'{side}.npz')
    with torch.no_grad():
        joints = lbs(hand, theta, torch.as_tensor(track.betas)[None], turn, place)[1][0].numpy()
    return float(np.linalg.norm(joints - keypoints[JOINTS], axis=1).mean())
