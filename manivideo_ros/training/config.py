"""One YAML describes a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.files.errors import reason_of
from manivideo_ros.model.config import LatentTrunk, ModelConfig


class TrainConfigError(ValueError):
    """A training file with a wrong field; the message names it."""


@dataclass(frozen=True)
class Source:
    """A folder of scenes, and how often its turn comes in a round of all sources.

    folder: under --data, or absolute. reader: 'shards', or 'human' for clips of people with
    skeletons. hands: folder of the hand models that its poses are of, '' for the default hand.
    objects: only the scenes of the first so many objects, by name; 0: all scenes.
    """

    folder: str
    share: int = 1
    reader: Literal['shards', 'human'] = 'shards'
    hands: str = ''
    objects: int = 0


def three_kinds() -> dict[str, Source]:
    """Equal shares of the three kinds of data (arXiv 2412.16212), each in a folder of its name."""
    return {name: Source(name) for name in ('hand_object', 'objaverse', 'human')}


@dataclass(frozen=True)
class TrainConfig:
    """What a run needs to be told; saved with every checkpoint."""

    model: ModelConfig = field(default_factory=ModelConfig)
    sources: dict[str, Source] = field(default_factory=three_kinds)
    iterations: int = 9000
    scenes_per_batch: int = 4  # of an iteration on single frames, over all processes
    frames_per_scene: int = 2  # of these
    clips_per_batch: int = 2  # of an iteration on consecutive frames
    clip_frames: int = 4  # of a clip
    clip_share: float = 0.0  # of the image stage's iterations: clips, with all layers trained
    learning_rate: float = 8e-4
    final_learning_rate: float = 2e-5
    warmup: int = 200
    weight_decay: float = 1e-4
    beta2: float = 0.99
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    precision: Literal['bf16', 'fp32'] = 'bf16'
    micro_batch: int = 0  # scenes that are in memory at a time; 0: all of a process's
    gradient_checkpointing: bool = False  # of the latent networks: recompute, keep less
    offload: bool = False  # weights in fp32, their average and Adam's state stay with the CPU
    unconditional_rate: float = 0.0  # of the scenes that lose every condition
    drop_references: float = 0.0
    drop_base: float = 0.0
    drop_both: float = 0.0
    checkpoint_every: int = 250
    sheet_every: int = 1000  # an image of what the network makes now; 0: never
    workers: int = 1
    seed: int = 0

    # Of the network over pixel patches, which predicts x0.
    light_views: int = 2000  # hands for what comes first: learning the light (0.9 MB each)
    light_iterations: int = 12000
    light_batch: int = 48
    mirror_share: float = 0.5  # of the scenes, seen in a mirror
    pure_noise_share: float = 0.85  # of the scenes at t = 1; the others at random times
    unpainted_weight: float = 0.25  # of the loss of frames without base, which is far larger
    background_weight: float = 0.3  # of the loss outside of the hand-object mask
    gradient_weight: float = 0.7
    square_weight: float = 2.0
    structure_weight: float = 0.0  # of 1 - SSIM

    # Of the latent networks, which predict v.
    snr_gamma: float = 5.0
    noise_offset: float = 0.05
    causal_share: float = 0.0  # of the clips, seen as a stream sees them
    vae: str = ''  # file of the autoencoder's weights; 'random' for tests
    sd15: str = ''  # file of a UNet to start from
    motion_modules: str = ''  # file of AnimateDiff's, to start from

    # Of distillation.
    distill_times: int = 16  # between t = 0 and pure noise; a multiple of the steps to learn
    truth_weight: float = 0.5  # of the loss against the truth beside that against the target
    guidance: float = 1.0  # of the teacher, latent networks only; 1: none

    @property
    def latent(self) -> bool:
        """Whether the network works on an autoencoder's latents."""
        return isinstance(self.model.trunk, LatentTrunk)

    def to_yaml(self) -> str:
        """This run as YAML."""
        return yaml.safe_dump(asdict(self), sort_keys=False)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """The run that a file describes. Raises TrainConfigError naming the wrong field."""
        try:
            content: Any = load_yaml(path.read_text()) or {}
        except (OSError, yaml.YAMLError, ValueError) as error:
            reason = reason_of(error)
            raise TrainConfigError(f'training file {path} cannot be read: {reason}') from None
        if not isinstance(content, dict):
            raise TrainConfigError(f'training file {path} holds no fields')
        unknown = set(content) - {f.name for f in fields(cls)}
        if unknown:
            raise TrainConfigError(f'training file {path}: unknown field {sorted(unknown)[0]!r}')
        try:
            model = ModelConfig.from_fields(content.pop('model', {}))
            if 'sources' in content:
                named = content.pop('sources').items()
                content['sources'] = {name: Source(**given) for name, given in named}
            return cls(model=model, **content)
        except (TypeError, ValueError, AttributeError) as error:
            raise TrainConfigError(f'training file {path}: {error}') from None
