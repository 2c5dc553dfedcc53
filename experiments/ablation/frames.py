"""Training batches: a pure function of the seed and the step, the same for all rows."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from experiments.ablation.inputs import BASE, SIZE, WARPED, FrameInputs, small, small_tensor
from manivideo_ros.data.packing import unpack_mask
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.hand.state import SIDES

REFERENCES = ('views', 'background', 'hand_reference', 'points')
KEPT_SCENES = 24  # number of scenes with cached rasterizers


class TrainingFrames:
    """Batches of stored scenes at the ablation's size.

    needs: inputs (inputs.py). objects: use only scenes of the most frequent `objects` objects; 0:
    use all scenes.
    """

    def __init__(
        self, folder: Path, needs: Collection[str], objects: int = 0, size: int = SIZE
    ) -> None:
        self.shards, self.needs, self.size = ShardDataset(folder), set(needs), size
        self.scenes = scenes_of(self.shards, objects)
        self._inputs: OrderedDict[int, FrameInputs] = OrderedDict()

    def batch(
        self, step: int, seed: int, scenes: int, frames: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """References by name [scenes, ...] and inputs, rgb and mask [scenes * frames, ...]."""
        rng = np.random.default_rng([seed, step])
        # Relative positions, so that a subset of scenes is drawn in the same order.
        chosen = [self.scenes[int(u * len(self.scenes))] for u in rng.random(scenes)]
        rows = []
        for scene in chosen:
            order = rng.permutation(self.shards.frames_of(scene))[:frames].tolist()
            for place, frame in enumerate(order):
                rows.append(self.frame(scene, frame, order[place - 1]))
        references = [self.shards.references(scene) for scene in chosen]
        return stacked(references), stacked(rows)

    def frame(self, scene: int, frame: int, source: int) -> dict[str, Tensor]:
        """One frame's inputs, rgb [3, S, S] and mask [1, S, S]; source: the frame to warp."""
        shards, size = self.shards, self.size
        warped = None
        if WARPED in self.needs:
            image = small(shards.array(scene, 'rgb')[source], size)
            warped = image, shards.poses(scene, source)
        poses = shards.poses(scene, frame)
        row = self._renderer(scene).of(shards.camera(scene), poses, warped)
        if BASE in self.needs:
            row[BASE] = small_tensor(shards.array(scene, 'base')[frame], size)
        row['rgb'] = small_tensor(shards.array(scene, 'rgb')[frame], size)
        covered = unpack_mask(np.asarray(shards.array(scene, 'mask')[frame]))
        mask = cv2.resize(covered, (size, size), interpolation=cv2.INTER_AREA)
        row['mask'] = torch.from_numpy(np.asarray(mask, np.float32))[None]
        return row

    def _renderer(self, scene: int) -> FrameInputs:
        if scene not in self._inputs:
            while len(self._inputs) >= KEPT_SCENES:
                self._inputs.popitem(last=False)
            surfaces = self.shards.surfaces(scene)
            sides = [*SIDES, *[None] * (len(surfaces) - len(SIDES))]
            background = small(self.shards.array(scene, 'background'), self.size)
            self._inputs[scene] = FrameInputs(surfaces, sides, self.needs, background, self.size)
        self._inputs.move_to_end(scene)
        return self._inputs[scene]


def scenes_of(shards: ShardDataset, objects: int) -> list[int]:
    """Indices of hand-object scenes; only those of the most frequent `objects` if not 0."""
    chosen = [i for i in range(len(shards)) if shards.kind(i) == 'hand_object']
    if not objects:
        return chosen
    shown = {i: {shards.scenes[i]['object'], *shards.scenes[i].get('others', [])} for i in chosen}
    counts = Counter(name for names in shown.values() for name in names if name)
    # Ties are broken by name, so that the choice does not depend on the order of shards.
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    kept = {'', *ranked[:objects]}
    return [i for i in chosen if shown[i] <= kept]


def stacked(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Rows with the same keys, stacked to batches."""
    return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
