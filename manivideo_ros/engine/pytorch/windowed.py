"""Quality mode for recordings: sampling in overlapping windows over a clip of any length.

Windows of 24 frames overlap by 4 (method: Training). A stream sees only past frames; in a window of
a latent model every frame sees every other. Windows are sampled in order, and at most two are held
in memory. At every denoising step, the clean images of a window and the previous one are blended
over the overlap, and the next step starts from the blend. Frames that were already yielded do not
change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.graph.export import PRECISIONS, shown_pixels
from manivideo_ros.engine.pytorch.latent_runner import encode_images, load_latent
from manivideo_ros.engine.runner import SCENE_INPUTS, Made, input_shapes
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.model.checkpoint import load_checkpoint, read_config
from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.model.latent.autoencoder import decode, place
from manivideo_ros.model.latent.network import (
    LatentConditions,
    LatentManiVideoNet,
    LatentSceneFeatures,
)
from manivideo_ros.model.latent.schedule import clean_latents, sampling_levels, step_to
from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet, SceneFeatures
from manivideo_ros.model.patch.schedule import ddim_step, sampling_times

WINDOW, OVERLAP = 24, 4

Inputs = Mapping[str, NDArray[Any]]
"""The inputs of a frame and of its scene, as a runner's `put` takes them."""


class WindowModel(Protocol):
    """The interface of a patch or latent model for the window sampler."""

    steps: int
    device: torch.device
    dtype: torch.dtype

    def encode(self, scene: Mapping[str, Tensor]) -> Any:
        """The features of SCENE_INPUTS."""

    def clean(self, latents: Tensor, step: int, inputs: Mapping[str, Tensor], scene: Any) -> Tensor:
        """The clean images of F frames that a step predicts [F, C, h, w], float32."""

    def after(self, latents: Tensor, clean: Tensor, step: int) -> Tensor:
        """The latents of the next step [F, c, h, w]."""

    def made(self, clean: Tensor) -> Tensor:  # [1, C, h, w]
        """What the network made of one frame; see engine.runner.Made."""


class PixelWindows:
    """The patch model; its clean images are images, gains and residuals [F, 9, H, W]."""

    def __init__(self, network: ManiVideoNet, steps: int) -> None:
        self.network, self.steps = network, steps
        self.times = [*sampling_times(steps), 0.0]
        self.device, self.dtype = network.head.weight.device, network.dtype
        self._corrects = network.config.base != 'none'

    def encode(self, scene: Mapping[str, Tensor]) -> SceneFeatures:
        """See WindowModel."""
        return self.network.encode_scene(*(scene[name] for name in SCENE_INPUTS))

    def clean(
        self, latents: Tensor, step: int, inputs: Mapping[str, Tensor], scene: SceneFeatures
    ) -> Tensor:
        """See WindowModel."""
        frames = len(latents)
        conditions = FrameConditions(**inputs)
        time = torch.full((frames,), self.times[step], device=self.device)
        gain, residual, _ = self.network.correct(
            latents.to(self.dtype), time, conditions, scene.repeat(frames), frames
        )
        base = conditions.base if self._corrects else torch.zeros_like(conditions.base)
        image = (base * gain + residual).float().clamp(0, 1)
        return torch.cat([image, gain.float(), residual.float()], 1)

    def after(self, latents: Tensor, clean: Tensor, step: int) -> Tensor:
        """See WindowModel."""
        predicted = self.network.patchify(clean[:, :3])
        return ddim_step(latents, predicted, self.times[step], self.times[step + 1])

    def made(self, clean: Tensor) -> Tensor:
        """See WindowModel."""
        return clean[0, 3:] if self._corrects else shown_pixels(clean[:, :3])


class LatentWindows:
    """A latent model; its clean images are latents [F, 4, h, w]."""

    def __init__(self, network: LatentManiVideoNet, vae: AutoencoderKL, steps: int) -> None:
        self.network, self.vae, self.steps = network, vae, steps
        self.levels = sampling_levels(steps)
        weight = network.guider.out.weight
        self.device, self.dtype = weight.device, weight.dtype

    def encode(self, scene: Mapping[str, Tensor]) -> LatentSceneFeatures:
        """See WindowModel."""
        return encode_images(self.network, self.vae, scene)

    def clean(
        self, latents: Tensor, step: int, inputs: Mapping[str, Tensor], scene: LatentSceneFeatures
    ) -> Tensor:
        """See WindowModel."""
        frames, level = len(latents), self.levels[step]
        conditions = LatentConditions(
            inputs['normal_map'], inputs['occlusion_confidence'], inputs.get('skeleton')
        )
        timesteps = torch.full((frames,), level.timestep, device=self.device)
        v = self.network.denoise(latents.to(self.dtype), timesteps, conditions, scene, frames)
        return clean_latents(latents, v.float(), level)

    def after(self, latents: Tensor, clean: Tensor, step: int) -> Tensor:
        """See WindowModel."""
        return step_to(latents, clean, self.levels[step], self.levels[step + 1])

    def made(self, clean: Tensor) -> Tensor:
        """See WindowModel."""
        return shown_pixels(decode(self.vae, clean.to(self.dtype)))


@torch.inference_mode()
def windowed(
    model: WindowModel, frames: Iterable[Inputs], window: int = WINDOW, overlap: int = OVERLAP
) -> Iterator[Made]:
    """Yield what the network makes of a clip's frames, in order; the scene is that of the first.

    frames: copied as they are consumed; at most two windows are held.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    scene = model.encode({name: _on(model, first[name]) for name in SCENE_INPUTS})
    held = [_frame(model, first), *(_frame(model, f) for f in islice(source, window - 1))]
    cleans = _sample(model, held, scene)
    shown = 0  # how many of the held frames were yielded
    while new := [_frame(model, f) for f in islice(source, window - overlap)]:
        settled = window - overlap
        yield from _images(model, cleans[-1][shown:settled])
        # A short last window is extended backwards over frames that were yielded already.
        moved = len(new)
        held = held[moved:] + new
        known = [clean[moved:] for clean in cleans]
        place = torch.arange(moved, window, device=model.device) - settled + 1
        weight = (place / (overlap + 1)).clamp_min(0).view(-1, 1, 1, 1)
        cleans = _sample(model, held, scene, known, weight)
        shown = settled - moved
    yield from _images(model, cleans[-1][shown:])


def open_windows(spec: EngineSpec, device: str) -> WindowModel:
    """The windowed model of a specification, on 'cpu' or 'cuda'.

    Raises CheckpointError; SpecError and WeightsError for the autoencoder.
    """
    dtype = PRECISIONS[spec.precision_on('torch' if device == 'cpu' else 'torch_cuda')]
    if isinstance(read_config(spec.weights).trunk, LatentTrunk):
        network, vae = load_latent(spec.weights, spec.autoencoder)
        network.to(device, dtype)
        place(vae, device, dtype)
        return LatentWindows(network, vae, spec.steps)
    return PixelWindows(load_checkpoint(spec.weights, spec.grid).to(device, dtype), spec.steps)


class Collector:
    """A runner that computes no frames but collects a session's inputs for the window sampler."""

    backend = 'windowed'

    def __init__(self, config: ModelConfig) -> None:
        self.shapes = input_shapes(config)
        self.collected: dict[str, NDArray[Any]] = {}
        width, height = config.size
        self._black = np.zeros((height, width, 3), np.uint8)

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        self.collected.update(values)

    def run(self) -> NDArray[np.uint8]:
        """A black frame."""
        return self._black

    def forget(self) -> None:
        """See Runner."""


def _on(model: WindowModel, value: NDArray[Any]) -> Tensor:
    return torch.tensor(value, device=model.device).to(model.dtype)


def _frame(model: WindowModel, inputs: Inputs) -> dict[str, Tensor]:
    """A frame's own inputs [1, ...]; an absent skeleton becomes a black map."""
    has_skeleton = bool(inputs.get('has_skeleton', True))
    left_out = (*SCENE_INPUTS, 'has_skeleton', 'latents')
    out = {name: _on(model, value) for name, value in inputs.items() if name not in left_out}
    if 'skeleton' in out:
        out['skeleton'] *= has_skeleton
    return out | {'latents': torch.tensor(inputs['latents'], device=model.device)}


def _sample(
    model: WindowModel,
    held: list[dict[str, Tensor]],  # the window's frames
    scene: Any,
    known: list[Tensor] | None = None,  # per step the previous window's clean images [K, ...]
    weight: Tensor | None = None,  # [K, 1, 1, 1], of the new clean images in the blend
) -> list[Tensor]:
    """The clean images of each step."""
    inputs = {name: torch.cat([frame[name] for frame in held]) for name in held[0]}
    latents = inputs.pop('latents')
    cleans: list[Tensor] = []
    for step in range(model.steps):
        clean = model.clean(latents, step, inputs, scene)
        if known is not None and weight is not None:
            blended = torch.lerp(known[step], clean[: len(weight)], weight)
            clean = torch.cat([blended, clean[len(weight) :]])
        cleans.append(clean)
        latents = model.after(latents, clean, step)
    return cleans


def _images(model: WindowModel, cleans: Tensor) -> Iterator[Made]:
    for clean in cleans.split(1):
        made: Made = model.made(clean).cpu().numpy()
        yield made
