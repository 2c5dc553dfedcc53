"""Lists the views of a dataset and reads them as clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manivideo_ros.data.mixture import held_out
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.datasets import arctic, dexycb, dexycb_splits, ho_cap
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.recorded.hands import PublishedMano
from manivideo_ros.data.scenes.library import Split
from manivideo_ros.hand.state import Side

Dataset = Literal['DexYCB', 'HO-Cap', 'ARCTIC']


@dataclass(frozen=True)
class View:
    """One camera's view of a recorded sequence."""

    dataset: Dataset
    root: Path
    sequence: str
    camera: str

    def read(
        self, mano: Mapping[Side, PublishedMano] | None, flat_hand_mean: bool | None = None
    ) -> RecordedClip:
        """The clip. flat_hand_mean: of HO-Cap's poses; None: the reader's default.

        Raises RecordedError.
        """
        if self.dataset == 'DexYCB':
            return dexycb.read_clip(self.root, self.sequence, self.camera, mano)
        if self.dataset == 'ARCTIC':
            return arctic.read_clip(self.root, self.sequence, int(self.camera), mano)
        flat = ho_cap.FLAT_HAND_MEAN if flat_hand_mean is None else flat_hand_mean
        return ho_cap.read_clip(self.root, self.sequence, self.camera, mano, flat_hand_mean=flat)


def list_views(
    dataset: Dataset,
    root: Path,
    split: Split = 'train',
    setup: dexycb_splits.Setup | None = None,
) -> list[View]:
    """All views of a split by fixed cameras, from which a background can be computed.

    setup: one of DexYCB's published splits; None: 3% of the sequences, chosen by name, are the test
    split. Raises RecordedError for folders that are not as published, or without a view.
    """
    pairs: list[tuple[str, str]]
    if setup is not None:
        if dataset != 'DexYCB':
            raise RecordedError(f'{root}: {dataset} has no split {setup}: leave the setup out')
        pairs = dexycb_splits.views(root, setup, split)
    elif dataset == 'ARCTIC':
        sequences = {n: arctic.Sequence(root, n) for n in arctic.sequences(root)}
        pairs = [
            (name, str(view))
            for name, sequence in sequences.items()
            for view in range(1, arctic.VIEWS)
            if sequence.view(view).folder.is_dir()
        ]
    else:
        reader = dexycb if dataset == 'DexYCB' else ho_cap
        names = reader.sequences(root)
        pairs = [(n, serial) for n in names for serial in reader.Sequence(root, n).serials]
    if setup is None:
        pairs = [(n, camera) for n, camera in pairs if held_out(n) == (split == 'test')]
    if not pairs:
        raise RecordedError(
            f'{root}: no view of {dataset} in the {split} split: see `manivideo data check`'
        )
    return [View(dataset, root, sequence, camera) for sequence, camera in pairs]
