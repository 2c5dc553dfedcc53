"""DexYCB's published splits (Chao et al., CVPR 2021, section 5): s0, s1, s2 and s3.

A subject is identified by its number (0 to 9), a camera by its index in the sorted list of eight
serials, a sequence by its index i in the sorted list of its subject's 100 sequences.

- s0, unseen grasps of seen subjects, views and objects: train i % 5 != 4; of the others
  subjects 0-1 are val, 2-9 test.
- s1, unseen subjects: train 0-5 and 9, val 6, test 7 and 8.
- s2, unseen views: train cameras 0-5, val 6, test 7.
- s3, unseen grasped objects: every five consecutive sequences grasp one object;
  test i // 5 in (7, 11, 15), val in (3, 19), train all others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from manivideo_ros.data.recorded.files import RecordedError, folders

Setup = Literal['s0', 's1', 's2', 's3']
Subset = Literal['train', 'val', 'test']

SETUPS: tuple[Setup, ...] = ('s0', 's1', 's2', 's3')
SUBSETS: tuple[Subset, ...] = ('train', 'val', 'test')
SERIALS = (
    '836212060125',
    '839512060362',
    '840412060917',
    '841412060263',
    '932122060857',
    '932122060861',
    '932122061900',
    '932122062010',
)
SUBJECTS, SEQUENCES = 10, 100


def subset_of(setup: Setup, subject: int, camera: int, sequence: int) -> Subset:
    """The subset of a view: subject 0-9, camera 0-7, sequence 0-99."""
    if setup == 's0':
        if sequence % 5 != 4:
            return 'train'
        return 'val' if subject < 2 else 'test'
    if setup == 's1':
        return 'val' if subject == 6 else 'test' if subject in (7, 8) else 'train'
    if setup == 's2':
        return 'val' if camera == 6 else 'test' if camera == 7 else 'train'
    if setup == 's3':
        group = sequence // 5
        return 'val' if group in (3, 19) else 'test' if group in (7, 11, 15) else 'train'
    raise ValueError(f'a DexYCB split is one of {", ".join(SETUPS)}, got {setup!r}')


def views(root: str | Path, setup: Setup, subset: Subset) -> list[tuple[str, str]]:
    """Pairs (sequence, serial) of a subset, for the subjects in the folder.

    Raises RecordedError if a split needs the index of sequences and a subject does not have all of
    its 100 sequences, ValueError for an unknown subset.
    """
    if subset not in SUBSETS:
        raise ValueError(f'a subset is one of {", ".join(SUBSETS)}, got {subset!r}')
    found = []
    for folder in folders(Path(root)):
        number = folder.rpartition('-subject-')[2]
        if '-subject-' not in folder or not number.isdigit():
            continue
        names = folders(Path(root) / folder)
        if len(names) != SEQUENCES and setup in ('s0', 's3'):
            raise RecordedError(
                f'{Path(root) / folder}: {len(names)} of {SEQUENCES} sequences found:'
                f' {setup} depends on their order, get all of them'
            )
        for index, name in enumerate(names):
            for camera, serial in enumerate(SERIALS):
                if subset_of(setup, int(number) - 1, camera, index) == subset:
                    found.append((f'{folder}/{name}', serial))
    return found
