"""Export of the patch model to one static graph.

Inputs are conditions and caches, outputs the uint8 frame and the next caches. The scene's
references are encoded in the same graph, under an ONNX `If` that runs only if `refresh_scene` is
set; otherwise their cached features pass through. For a network with `human`, the skeleton is
encoded likewise if `has_skeleton` is set; otherwise nothing is added to the noise.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import fields
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from manivideo_ros.engine.graph.stitch import run_if, without_annotations
from manivideo_ros.engine.runner import CORRECTION, FRAME, SCENE_INPUTS
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS, LAYER_MAPS
from manivideo_ros.model.patch.network import (
    NUM_BLOCKS,
    FrameConditions,
    ManiVideoNet,
    SceneFeatures,
)
from manivideo_ros.model.patch.schedule import ddim_step, sampling_times

OPSET = 20
PRECISIONS = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}
ONNX_TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float16: TensorProto.FLOAT16,
    torch.bfloat16: TensorProto.BFLOAT16,
}
SCENE_FEATURES = tuple(entry.name for entry in fields(SceneFeatures))
FRAME_INPUTS = ('latents', *LAYER_MAPS, 'base')


class SceneGraph(nn.Module):
    """Encodes the references of a scene."""

    def __init__(self, network: ManiVideoNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, views: Tensor, background: Tensor, hand_reference: Tensor, points: Tensor
    ) -> tuple[Tensor, ...]:
        """SCENE_INPUTS to SCENE_FEATURES."""
        references = (views, background, hand_reference, points)
        scene = self.network.encode_scene(*(x.to(self.network.dtype) for x in references))
        return tuple(getattr(scene, name) for name in SCENE_FEATURES)


class SkeletonGraph(nn.Module):
    """Encodes a skeleton map to what is added to the noise."""

    def __init__(self, network: ManiVideoNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, skeleton: Tensor) -> Tensor:
        """G1(S)."""
        return self.network.guide_skeleton(skeleton.to(self.network.dtype))


class FrameGraph(nn.Module):
    """One frame of a stream in a fixed number of denoising steps.

    Each step has its own caches, because it works at its own noise level. A network with `human`
    takes G1(S) before the caches. Conditions are float32; features and caches have the network's
    type.
    """

    levels: Tensor  # [steps, T], the embedding of each step's noise level

    def __init__(self, network: ManiVideoNet, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps
        self.corrects = network.config.base != 'none'
        self.times = [*sampling_times(steps), 0.0]
        with torch.no_grad():
            time = torch.tensor(self.times[:-1], device=network.head.weight.device)
            self.register_buffer('levels', network.embed_time(time))

    def forward(
        self,
        latents: Tensor,
        normal_map: Tensor,
        occlusion_confidence: Tensor,
        visible_normal: Tensor,
        horizon: Tensor,
        base: Tensor,
        *rest: Tensor,  # SCENE_FEATURES, the validity, the guide of a network with `human`, caches
    ) -> tuple[Tensor, ...]:
        """What the network makes, the next validity and the next caches.

        Made is the correction float32 [6, H, W] of the base image, its gain and its residual; with
        `base: none` the uint8 frame [H, W, 3].
        """
        features, (valid, *caches) = rest[: len(SCENE_FEATURES)], rest[len(SCENE_FEATURES) :]
        guide = caches.pop(0) if self.network.config.human else None
        dtype, times = self.network.dtype, self.times
        latents = latents.to(dtype)
        maps = (normal_map, occlusion_confidence, base, visible_normal, horizon)
        conditions = FrameConditions(*(x.to(dtype) for x in maps))
        scene = SceneFeatures(*features)
        next_caches: list[Tensor] = []
        for step in range(self.steps):
            own = caches[step * NUM_BLOCKS : (step + 1) * NUM_BLOCKS]
            gain, residual, own = self.network.correct(
                latents, self.levels[step : step + 1], conditions, scene, 1, own, valid, guide
            )
            next_caches += own
            if step + 1 < self.steps:
                image = conditions.base * gain + residual if self.corrects else residual
                predicted = self.network.patchify(image.clamp(0, 1))
                latents = ddim_step(latents, predicted, times[step], times[step + 1])
        next_valid = torch.cat([valid[:, 1:], torch.ones_like(valid[:, :1])], 1)
        made = torch.cat([gain, residual], 1)[0].float() if self.corrects else None
        return shown_pixels(residual) if made is None else made, next_valid, *next_caches


def shown_pixels(image: Tensor) -> Tensor:  # [1, 3, H, W], 0..1 and beyond
    """The uint8 frame [H, W, 3]."""
    # TensorRT supports uint8 for an output only, not inside the graph.
    shown = image[0].float().permute(1, 2, 0).clamp(0, 1)
    return (shown * 255 + 0.5).to(torch.uint8)


def example_inputs(network: ManiVideoNet) -> dict[str, Tensor]:
    """Random inputs of batch 1 by the graph's names, without caches."""
    config = network.config
    (width, height), reference = config.size, config.reference_size
    return {
        'latents': torch.randn(1, config.latent_channels, *config.latent_size),
        'normal_map': torch.rand(1, config.layers, 3, height, width) * 2 - 1,
        'occlusion_confidence': torch.rand(1, config.layers, height, width),
        'visible_normal': torch.rand(1, 3, height, width) * 2 - 1,
        'horizon': torch.rand(1, HORIZON_DIRECTIONS, height // 2, width // 2),
        'base': torch.rand(1, 3, height, width),
        'views': torch.rand(1, 6, 3, reference, reference),
        'background': torch.rand(1, 3, reference, reference),
        'hand_reference': torch.rand(1, 3, reference, reference),
        'points': torch.rand(1, config.num_points, 3) * 0.1,
        'skeleton': torch.rand(1, 3, height, width),
    }


def _export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            module,
            # A tensor passed twice would become one input of the graph.
            tuple(value.clone() for value in inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def build_graph(network: ManiVideoNet, steps: int = 1, precision: str = 'fp32') -> onnx.ModelProto:
    """The graph of a stream, in a precision.

    Inputs: the frame's (FRAME_INPUTS), the scene's (SCENE_INPUTS), `refresh_scene`, for a network
    with `human` also `skeleton` and `has_skeleton`, and the caches (`cached_*`, `valid`,
    `cache_N`), whose next values are the outputs `next_*`.
    """
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    network = network.eval().to(PRECISIONS[precision])
    example = example_inputs(network)
    with torch.no_grad():
        encoded = SceneGraph(network)(*(example[name] for name in SCENE_INPUTS))
    features = dict(zip(SCENE_FEATURES, encoded, strict=True))
    caches, valid = network.empty_caches()
    cache_names = [f'cache_{i}' for i in range(steps * NUM_BLOCKS)]
    latents = torch.zeros_like(example['latents'], dtype=network.dtype)
    guide = {'skeleton_guide': latents}
    frame_inputs = {
        **{n: example[n] for n in FRAME_INPUTS},
        **features,
        'valid': valid,
        **(guide if network.config.human else {}),
        **{name: caches[i % NUM_BLOCKS] for i, name in enumerate(cache_names)},
    }
    made = FRAME if network.config.base == 'none' else CORRECTION
    outputs = [made, 'next_valid', *(f'next_{name}' for name in cache_names)]
    model = _export(FrameGraph(network, steps), frame_inputs, outputs)
    graph = model.graph
    if network.config.human:
        _add_skeleton(graph, network, example['skeleton'])
    _add_scene(graph, network, example, features)
    without_annotations(model)
    onnx.checker.check_model(model)
    return model


def _add_scene(
    graph: onnx.GraphProto,
    network: ManiVideoNet,
    example: dict[str, Tensor],
    features: dict[str, Tensor],
) -> None:
    """Add the scene's features: encoded again or taken from the cache, and an output as well."""
    inputs = {name: example[name] for name in SCENE_INPUTS}
    branch = _export(SceneGraph(network), inputs, list(features)).graph
    branch.name = 'encode_scene'
    keep = [helper.make_node('Identity', ['cached_' + n], ['kept_' + n]) for n in features]
    run_if(graph, 'refresh_scene', branch, keep, list(features))

    def info(name: str, feature: Tensor) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, ONNX_TYPES[feature.dtype], feature.shape)

    graph.node.extend(helper.make_node('Identity', [n], ['next_' + n]) for n in features)
    graph.input.extend(info('cached_' + n, feature) for n, feature in features.items())
    graph.output.extend(info('next_' + n, feature) for n, feature in features.items())


def _add_skeleton(graph: onnx.GraphProto, network: ManiVideoNet, skeleton: Tensor) -> None:
    """Add the skeleton's guide G1(S), or zeros without a skeleton."""
    branch = _export(SkeletonGraph(network), {'skeleton': skeleton}, ['guide']).graph
    branch.name = 'guide_skeleton'
    with torch.no_grad():
        guide = network.guide_skeleton(skeleton.to(network.dtype))
    nothing = helper.make_tensor(
        'nothing', ONNX_TYPES[guide.dtype], guide.shape, bytes(guide.nbytes), raw=True
    )
    zeros = helper.make_node('Constant', [], ['nothing'], value=nothing)
    run_if(graph, 'has_skeleton', branch, [zeros], ['skeleton_guide'])


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write a graph to a file, atomically."""
    partial = path.with_suffix('.partial')
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)
