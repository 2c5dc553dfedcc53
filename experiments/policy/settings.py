"""What an experiment consists of: its sizes, its arms, its files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

ARMS = {
    'demonstrations': ('demonstrations', False),
    'transforms': ('demonstrations', True),
    'variations': ('varied', False),
    'both': ('varied', True),
}
"""By arm: its training set, and whether lerobot's image transforms are applied."""


@dataclass(frozen=True)
class Settings:
    """Sizes of an experiment.

    variations: of each demonstration; size: pixels of a side of the images; seeds: of training;
    rollouts: of each policy under each condition; saved_every: steps after which a training run can
    be continued.
    """

    demonstrations: int = 40
    variations: int = 3
    size: int = 96
    steps: int = 3000
    batch: int = 16
    seeds: tuple[int, ...] = (0, 1)
    rollouts: int = 40
    arms: tuple[str, ...] = tuple(ARMS)
    saved_every: int = 500

    def __post_init__(self) -> None:
        for name in ('demonstrations', 'variations', 'size', 'steps', 'batch', 'rollouts'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name}: must be 1 or more, is {getattr(self, name)}')
        if unknown := [arm for arm in self.arms if arm not in ARMS]:
            raise ValueError(f'{unknown[0]}: is none of the arms {", ".join(ARMS)}')


SMOKE = Settings(2, 1, 64, 2, 2, (0,), 1, ('demonstrations', 'both'), 1)
"""All stages at a size that shows that they work, and nothing else."""
GROWING = ('seeds', 'arms')
"""Settings that may differ when an experiment is continued: they only add runs."""


def keep_settings(folder: Path, settings: Settings) -> None:
    """Write the settings beside what they make.

    Raises ValueError if the folder has files of other settings.
    """
    file = folder / 'settings.json'
    wanted = json.loads(json.dumps(asdict(settings)))
    if file.exists():
        found = json.loads(file.read_text())
        for name, value in wanted.items():
            if name not in GROWING and found.get(name) != value:
                raise ValueError(
                    f'{folder}: was made with {name} {found.get(name)}, not {value}: choose '
                    'another folder, or the same value'
                )
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wanted, indent=1) + '\n')
