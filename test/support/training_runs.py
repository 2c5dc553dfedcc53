"""A small training run, and scenes for it."""

from dataclasses import replace

import numpy as np
import torch
from networks import SMALL, conditions_of, references

from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.saving import describe_run

CONFIG = TrainConfig(
    model=replace(SMALL, human=True),
    iterations=4,
    scenes_per_batch=6,
    frames_per_scene=2,
    clips_per_batch=2,
    clip_share=0.5,
    warmup=2,
    checkpoint_every=2,
    sheet_every=2,
    workers=0,
    precision='fp32',  # several times as fast as bf16 on processors without it
)

RUN = describe_run(CONFIG, 'image', 'none')

IMAGES = replace(CONFIG, clip_share=0.0)

KINDS = ('hand_object', 'objaverse', 'human')


class PlainScenes:
    """Three scenes whose ground truth is half as bright as the base."""

    consecutive = np.array([True, False, True])
    sided = np.array([False, False, False])

    def __init__(self, kind: str = 'hand_object') -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 3

    def frames_of(self, scene: int) -> int:
        return 5

    def references(self, scene: int) -> dict[str, torch.Tensor]:
        names = ('views', 'background', 'hand_reference', 'points')
        return {n: x[0].clone() for n, x in zip(names, references(SMALL), strict=True)}

    def frame(self, scene: int, frame: int) -> dict[str, torch.Tensor]:
        one = conditions_of(SMALL, 1, seed=100 * KINDS.index(self.kind) + 10 * scene + frame)
        layers = 0.0 if self.kind == 'human' else 1.0
        out = {
            'normal_map': one.normal_map[0] * layers,
            'occlusion_confidence': one.occlusion_confidence[0] * layers,
            'visible_normal': one.normal_map[0, 0] * layers,
            'horizon': one.base[0].mean() * layers * torch.ones(8, 32, 32),
            'base': one.base[0],
            'rgb': one.base[0] / 2,
            'mask': torch.ones(1, 64, 64),
        }
        return out | ({'skeleton': one.base[0]} if self.kind == 'human' else {})


SOURCES = {kind: PlainScenes(kind) for kind in KINDS}
