"""Findings of a validation, and the checks that all datasets share."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from manivideo_ros.files.errors import reason_of

Result = TypeVar('Result')
SHOWN = 5  # problems of one kind that are listed individually


@dataclass
class Findings:
    """facts: contents of the data; problems: what is wrong with it; one line each."""

    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def attempt(self, work: Callable[..., Result], *arguments: object) -> Result | None:
        """Call `work`; on a ValueError or OSError, report the problem once and return None."""
        try:
            return work(*arguments)
        except (ValueError, OSError) as error:
            line = reason_of(error, None)
            if line not in self.problems:
                self.problems.append(line)
            return None

    def report(self, lines: Sequence[str], rest: str) -> None:
        """Add the first SHOWN lines to the problems, then their number and `rest`."""
        self.problems += lines[:SHOWN]
        if len(lines) > SHOWN:
            self.problems.append(f'{len(lines) - SHOWN} more {rest}')

    def check_frames(self, folder: Path, frames: int, patterns: Sequence[str]) -> int:
        """Check that the files `pattern % frame` of a view exist and that npz files are whole.

        Returns the number of files of the first pattern, the images.
        """
        if not folder.is_dir():
            self.problems.append(f'{folder}: no such folder: get this part of the dataset too')
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
                self.problems.append(
                    f'{folder}: {gone[0]}{more} of {frames} missing or empty: get them again'
                )
            cut = [n for n in there if n.endswith('.npz') and not zipfile.is_zipfile(folder / n)]
            lines = [f'{folder / n}: truncated, not a readable npz: get it again' for n in cut]
            self.report(lines, f'npz files of {folder} are truncated')
        return counts[0]

    def check_models(self, meshes: set[Path]) -> None:
        """Check that the meshes of the objects exist."""
        gone = sorted(mesh for mesh in meshes if not mesh.is_file())
        self.facts.append(f'models: {len(meshes) - len(gone)} of {len(meshes)} objects')
        lines = [f'{mesh}: no such model: get the models of the dataset too' for mesh in gone]
        self.report(lines, 'models are missing')
