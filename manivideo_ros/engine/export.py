"""One fused static graph: conditions and caches in, the uint8 frame and the next caches out.

The scene's references are encoded inside the same graph, under an ONNX `If` that runs only when
`refresh_scene` is set; otherwise their cached features pass through.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from manivideo_ros.model.network import NUM_BLOCKS, FrameConditions, ManiVideoNet, SceneFeatures
from manivideo_ros.model.schedule import ddim_step, sampling_times

OPSET = 20
SCENE_INPUTS = ('views', 'background', 'hand_view', 'points')
SCENE_FEATURES = ('reference', 'appearance', 'light', 'point_tokens')
FRAME_INPUTS = ('latents', 'normal_map', 'occlusion_confidence', 'base')


class SceneGraph(nn.Module):
    """The references' features of one scene."""

    def __init__(self, network: ManiVideoNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, views: Tensor, background: Tensor, hand_view: Tensor, points: Tensor
    ) -> tuple[Tensor, ...]:
        """SCENE_INPUTS to SCENE_FEATURES."""
        scene = self.network.encode_scene(views, background, hand_view, points)
        return scene.reference, scene.appearance, scene.light, scene.point_tokens


class FrameGraph(nn.Module):
    """One frame of a stream in a fixed number of denoising steps.

    Each step has caches of its own, since it sees its own noise level.
    """

    def __init__(self, network: ManiVideoNet, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(
        self,
        latents: Tensor,
        normal_map: Tensor,
        occlusion_confidence: Tensor,
        base: Tensor,
        reference: Tensor,
        appearance: Tensor,
        light: Tensor,
        point_tokens: Tensor,
        valid: Tensor,
        *caches: Tensor,
    ) -> tuple[Tensor, ...]:
        """The uint8 frame [H, W, 3], the next validity and the next caches."""
        conditions = FrameConditions(normal_map, occlusion_confidence, base)
        scene = SceneFeatures(reference, appearance, light, point_tokens)
        times = [*sampling_times(self.steps), 0.0]
        next_caches: list[Tensor] = []
        for step in range(self.steps):
            own = list(caches[step * NUM_BLOCKS : (step + 1) * NUM_BLOCKS])
            time = torch.full((1,), times[step], dtype=latents.dtype)
            picture, own = self.network.denoise(
                latents, time, conditions, scene, caches=own, valid=valid
            )
            next_caches += own
            if step + 1 < self.steps:
                predicted = self.network.patchify(picture.clamp(0, 1))
                latents = ddim_step(latents, predicted, times[step], times[step + 1])
        pixels = (picture[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        next_valid = torch.cat([valid[:, 1:], torch.ones_like(valid[:, :1])], 1)
        return pixels.permute(1, 2, 0), next_valid, *next_caches


def example_inputs(network: ManiVideoNet) -> dict[str, Tensor]:
    """Inputs of the right shapes (random, batch 1), by the graph's names, caches excepted."""
    config = network.config
    size, reference = config.image_size, config.reference_size
    return {
        'latents': torch.randn(1, config.latent_channels, config.trunk_size, config.trunk_size),
        'normal_map': torch.rand(1, config.layers, 3, size, size) * 2 - 1,
        'occlusion_confidence': torch.rand(1, config.layers, size, size),
        'base': torch.rand(1, 3, size, size),
        'views': torch.rand(1, 6, 3, reference, reference),
        'background': torch.rand(1, 3, reference, reference),
        'hand_view': torch.rand(1, 3, reference, reference),
        'points': torch.rand(1, config.num_points, 3) * 0.1,
    }


def _export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _prefix(graph: onnx.GraphProto, prefix: str, keep: set[str]) -> None:
    """Rename every value of a graph but the kept ones, so that two graphs can share a scope."""

    def new(name: str) -> str:
        return name if not name or name in keep else prefix + name

    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    for value in [*graph.initializer, *graph.output, *graph.value_info]:
        value.name = new(value.name)


def build_graph(network: ManiVideoNet, steps: int = 1) -> onnx.ModelProto:
    """The engine's one graph, float32, for a stream of one scene at a time.

    Its inputs are the frame's (FRAME_INPUTS), the scene's (SCENE_INPUTS), `refresh_scene`, and
    its own caches (`cached_*`, `valid`, `cache_N`), whose next values are outputs `next_*`.
    """
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    network = network.eval().float()
    example = example_inputs(network)
    with torch.no_grad():
        features = SceneGraph(network)(*(example[name] for name in SCENE_INPUTS))
    scene = _export(
        SceneGraph(network), {n: example[n] for n in SCENE_INPUTS}, list(SCENE_FEATURES)
    )
    caches, valid = network.empty_caches()
    cache_names = [f'cache_{i}' for i in range(steps * NUM_BLOCKS)]
    frame_inputs = {
        **{n: example[n] for n in FRAME_INPUTS},
        **dict(zip(SCENE_FEATURES, features, strict=True)),
        'valid': valid,
        **{name: caches[i % NUM_BLOCKS] for i, name in enumerate(cache_names)},
    }
    outputs = ['frame', 'next_valid', *(f'next_{name}' for name in cache_names)]
    model = _export(FrameGraph(network, steps), frame_inputs, outputs)

    refreshed = ['refreshed_' + name for name in SCENE_FEATURES]
    _prefix(scene.graph, 'scene_', {*SCENE_INPUTS})
    shapes = {n: tuple(f.shape) for n, f in zip(SCENE_FEATURES, features, strict=True)}

    def info(name: str, feature: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[feature])

    then_branch = onnx.GraphProto(name='encode_scene')
    then_branch.node.extend(scene.graph.node)
    then_branch.initializer.extend(scene.graph.initializer)
    then_branch.output.extend(scene.graph.output)
    keep_nodes = [
        helper.make_node('Identity', ['cached_' + n], ['kept_' + n]) for n in SCENE_FEATURES
    ]
    else_branch = helper.make_graph(
        keep_nodes, 'keep_scene', [], [info('kept_' + n, n) for n in SCENE_FEATURES]
    )
    choose = helper.make_node(
        'If', ['refresh_scene'], refreshed, then_branch=then_branch, else_branch=else_branch
    )
    graph = model.graph
    for node in graph.node:
        node.input[:] = ['refreshed_' + n if n in SCENE_FEATURES else n for n in node.input]
    graph.node.insert(0, choose)
    publish = [
        helper.make_node('Identity', ['refreshed_' + n], ['next_' + n]) for n in SCENE_FEATURES
    ]
    graph.node.extend(publish)
    kept = [value for value in graph.input if value.name not in SCENE_FEATURES]
    del graph.input[:]
    graph.input.extend(kept)
    graph.input.extend(scene.graph.input)
    graph.input.append(helper.make_tensor_value_info('refresh_scene', TensorProto.BOOL, []))
    graph.input.extend(info('cached_' + n, n) for n in SCENE_FEATURES)
    graph.output.extend(info('next_' + n, n) for n in SCENE_FEATURES)
    onnx.checker.check_model(model)
    return model


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write a graph whole or not at all."""
    partial = path.with_suffix('.partial')
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)
