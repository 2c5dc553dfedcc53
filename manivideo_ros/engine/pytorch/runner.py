"""Runs the patch model in torch: eagerly on the CPU, the reference; as a CUDA graph on a GPU."""

from __future__ import annotations

from torch import Tensor

from manivideo_ros.engine.graph.export import FRAME_INPUTS, FrameGraph, SceneGraph, SkeletonGraph
from manivideo_ros.engine.pytorch.stream import TorchStream, in_channels_last
from manivideo_ros.engine.runner import SCENE_INPUTS
from manivideo_ros.model.patch.network import NUM_BLOCKS, ManiVideoNet


class TorchRunner(TorchStream):
    """See TorchStream: the patch model."""

    def __init__(
        self, network: ManiVideoNet, steps: int = 1, precision: str = 'fp32', device: str = 'cpu'
    ) -> None:
        self._network, self._steps = network, steps
        super().__init__(network.config, precision, device)

    def _load(self) -> None:
        network = self._network.to(self._device, self._dtype).eval()
        if self._queue:
            in_channels_last(network)
        self._frame_graph = FrameGraph(network, self._steps)
        self._scene_graph, self._skeleton_graph = SceneGraph(network), SkeletonGraph(network)

    def _encoded(self) -> tuple[Tensor, ...]:
        features: tuple[Tensor, ...] = self._scene_graph(*(self._values[n] for n in SCENE_INPUTS))
        return features

    def _guided(self) -> Tensor:
        guide: Tensor = self._skeleton_graph(self._values['skeleton'])
        return guide

    def _empty_caches(self) -> tuple[list[Tensor], Tensor]:
        caches, valid = self._network.empty_caches()
        # Each step works at its own noise level, so it has its own caches.
        return [caches[i % NUM_BLOCKS].clone() for i in range(self._steps * NUM_BLOCKS)], valid

    def _compute(self) -> None:
        inputs = [self._values[name] for name in FRAME_INPUTS]
        made, valid, *caches = self._frame_graph(
            *inputs, *self._features, self._valid, *self._guide, *self._caches
        )
        self._made.copy_(made)
        self._valid.copy_(valid)
        for cache, value in zip(self._caches, caches, strict=True):
            cache.copy_(value)
