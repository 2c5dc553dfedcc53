"""The description of a training run in YAML."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.files.errors import reason_of
from manivideo_ros.model.config import LatentTrunk, ModelConfig


class TrainConfigError(ValueError):
    """Raised for a training file with an invalid field; the message names it."""


@dataclass(frozen=True)
class Source:
    """A folder of scenes.

    folder: relative to --data, or absolute. share: how often the source is drawn in a round of all
    sources. reader: 'shards', or 'human' for clips of people with skeletons. hands: folder with the
    hand models of its poses, '' for the default hand. objects: use only the scenes of the first so
    many objects, sorted by name; 0: all scenes. smooth: standard deviation in pixels of a Gaussian
    through which predicted and true images are compared, for scenes whose poses are not exact or
    whose camera blurs: comparing their pixels would teach the network to blur; 0: pixels.
    """

    folder: str
    share: int = 1
    reader: Literal['shards', 'human'] = 'shards'
    hands: str = ''
    objects: int = 0
    smooth: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smooth < math.inf:
            raise ValueError(f'smooth is {self.smooth}; use pixels, or 0 to compare pixels')


def three_kinds() -> dict[str, Source]:
    """The three kinds of data in equal shares (arXiv 2412.16212), in folders of the same names."""
    return {name: Source(name) for name in ('hand_object', 'objaverse', 'human')}


@dataclass(frozen=True)
class TrainConfig:
    """The parameters of a run; saved with every checkpoint."""

    model: ModelConfig = field(default_factory=ModelConfig)
    sources: dict[str, Source] = field(default_factory=three_kinds)
    iterations: int = 9000
    scenes_per_batch: int = 4  # in an iteration on single frames, over all processes
    frames_per_scene: int = 2  # in an iteration on single frames
    clips_per_batch: int = 2  # in an iteration on clips, over all processes
    clip_frames: int = 4  # consecutive frames of a clip
    clip_share: float = 0.0  # share of clips in the image stage's iterations; trains all layers
    learning_rate: float = 8e-4
    final_learning_rate: float = 2e-5
    warmup: int = 200
    weight_decay: float = 1e-4
    beta2: float = 0.99
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    precision: Literal['bf16', 'fp32'] = 'bf16'
    micro_batch: int = 0  # scenes processed at a time; 0: all of a process
    gradient_checkpointing: bool = False  # latent model: recompute activations, to save memory
    offload: bool = False  # keep fp32 weights, their average and Adam's state on the CPU
    unconditional_rate: float = 0.0  # share of scenes without any condition
    drop_references: float = 0.0  # share of scenes without references
    drop_base: float = 0.0  # share of scenes without base image
    drop_both: float = 0.0  # share of scenes without either
    checkpoint_every: int = 250  # iterations
    sheet_every: int = 1000  # iterations between sheets of generated images; 0: none
    held_out: Source | None = None  # scenes that are measured and not trained on
    held_out_every: int = 100  # iterations between measures
    patience: int = 4  # measures worse than the best after which the run ends
    workers: int = 1  # processes that load data
    seed: int = 0

    # Patch model, which predicts x0.
    light_views: int = 2000  # hands to train the light estimator on (0.9 MB each)
    light_iterations: int = 12000
    light_batch: int = 48
    light_rate: float = 1e-3  # initial learning rate
    tune_light: bool = False  # train the light estimator of --init further, instead of keeping it
    panoramas: str = ''  # folder of HDR panoramas, which light half of the hands
    mirror_share: float = 0.5  # share of mirrored scenes
    pure_noise_share: float = 0.85  # share of scenes at t = 1; the others at random times
    unpainted_weight: float = 0.25  # loss weight of frames without base, whose loss is far larger
    background_weight: float = 0.3  # loss weight outside the hand-object mask
    gradient_weight: float = 0.7
    square_weight: float = 2.0
    structure_weight: float = 0.0  # of 1 - SSIM

    # Latent model, which predicts v.
    snr_gamma: float = 5.0
    noise_offset: float = 0.05
    causal_share: float = 0.0  # share of clips trained with causal attention, as in a stream
    vae: str = ''  # file with the autoencoder's weights; 'random' for tests
    sd15: str = ''  # file of a UNet to start from
    motion_modules: str = ''  # file of AnimateDiff's motion modules to start from

    # Distillation.
    distill_times: int = 16  # between t = 0 and pure noise; a multiple of the steps to learn
    truth_weight: float = 0.5  # weight of the loss against ground truth, added to the target's
    guidance: float = 1.0  # of the teacher, latent model only; 1: none

    @property
    def latent(self) -> bool:
        """Whether this run trains a latent model."""
        return isinstance(self.model.trunk, LatentTrunk)

    def to_yaml(self) -> str:
        """This run as YAML."""
        return yaml.safe_dump(asdict(self), sort_keys=False)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Read a run from a file. Raises TrainConfigError naming the invalid field."""
        try:
            content: Any = load_yaml(path.read_text()) or {}
        except (OSError, yaml.YAMLError, ValueError) as error:
            reason = reason_of(error)
            raise TrainConfigError(f'training file {path} cannot be read: {reason}') from None
        if not isinstance(content, dict):
            raise TrainConfigError(f'training file {path} contains no fields')
        unknown = set(content) - {f.name for f in fields(cls)}
        if unknown:
            raise TrainConfigError(f'training file {path}: unknown field {sorted(unknown)[0]!r}')
        try:
            model = ModelConfig.from_fields(content.pop('model', {}))
            if 'sources' in content:
                sources = content.pop('sources').items()
                content['sources'] = {name: Source(**values) for name, values in sources}
            if content.get('held_out') is not None:
                content['held_out'] = Source(**content['held_out'])
            return cls(model=model, **content)
        except (TypeError, ValueError, AttributeError) as error:
            raise TrainConfigError(f'training file {path}: {error}') from None
