"""What every stream on torch does: features once a scene, caches in place, on CUDA one graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.export import PRECISIONS
from manivideo_ros.engine.runner import (
    OTHER_BACKEND,
    SCENE_INPUTS,
    EngineError,
    input_shapes,
    require_device,
)
from manivideo_ros.model.config import ModelConfig


class TorchStream(ABC):
    """See Runner; on 'cuda' a DeviceRunner: every tensor keeps its address, frames are captured.

    Raises EngineError for 'cuda' where torch finds none, or too little memory on it.
    """

    def __init__(self, config: ModelConfig, precision: str, device: str) -> None:
        self.backend = 'torch' if device == 'cpu' else 'torch_cuda'
        require_device(device)
        self._config = config
        self._device, self._dtype = torch.device(device), PRECISIONS[precision]
        self._guarded(self._load)
        self._guarded(self._prepare)

    @abstractmethod
    def _load(self) -> None:
        """Bring the modules to the device, in their type."""

    @abstractmethod
    def _encoded(self) -> tuple[Tensor, ...]:
        """The features of the scene that is given."""

    @abstractmethod
    def _guided(self) -> Tensor:
        """What the skeleton that is given adds to the noise, for a network with `human`."""

    @abstractmethod
    def _empty_caches(self) -> tuple[list[Tensor], Tensor]:
        """The caches of all steps of a stream that has seen no frame, and their validity."""

    @abstractmethod
    def _compute(self) -> None:
        """One frame, from and into the tensors kept here."""

    @torch.no_grad()  # inference mode would make tensors that nobody outside of it can write
    def _prepare(self) -> None:
        self.shapes: Mapping[str, tuple[int, ...]] = input_shapes(self._config)
        self._given = {
            name: torch.zeros(shape, device=self._device)
            for name, shape in self.shapes.items()
            if name != 'has_skeleton'
        }
        self._guide = [torch.zeros_like(self._guided())] if self._config.human else []
        self._has_skeleton, self._refresh = False, True
        self._features = [value.clone() for value in self._encoded()]
        self._caches, self._valid = self._empty_caches()
        size = self._config.image_size
        self._frame = torch.zeros(size, size, 3, dtype=torch.uint8, device=self._device)
        pinned = self._device.type == 'cuda'
        self._shown = torch.zeros(size, size, 3, dtype=torch.uint8, pin_memory=pinned)
        self._captured = self._capture(self._compute) if pinned else None
        self._drawn: tuple[Callable[[], None], torch.cuda.CUDAGraph | None] | None = None

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """See DeviceRunner."""
        return self._given

    @torch.inference_mode()
    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        for name, value in values.items():
            if name == 'has_skeleton':
                self._has_skeleton = bool(value)
            elif self._device.type == 'cpu':
                self._given[name] = torch.from_numpy(value)
            else:
                self._given[name].copy_(torch.from_numpy(value).pin_memory(), non_blocking=True)
        self._refresh = self._refresh or not values.keys().isdisjoint(SCENE_INPUTS)

    def run(self) -> NDArray[np.uint8]:
        """See Runner."""
        self._guarded(lambda: self._run(self._captured, self._compute))
        frame: NDArray[np.uint8] = self._shown.numpy()
        return frame

    def run_drawn(self, draw: Callable[[], None]) -> NDArray[np.uint8]:
        """See DeviceRunner."""

        def draw_and_compute() -> None:
            draw()
            self._compute()

        def run() -> None:
            if self._drawn is None or self._drawn[0] is not draw:
                captured = self._capture(draw_and_compute) if self._captured else None
                self._drawn = draw, captured
            self._run(self._drawn[1], draw_and_compute)

        self._guarded(run)
        frame: NDArray[np.uint8] = self._shown.numpy()
        return frame

    @torch.inference_mode()
    def forget(self) -> None:
        """See Runner."""
        self._valid.zero_()

    @torch.inference_mode()
    def _run(self, captured: torch.cuda.CUDAGraph | None, compute: Callable[[], None]) -> None:
        if self._refresh:
            for kept, value in zip(self._features, self._encoded(), strict=True):
                kept.copy_(value)
        for guide in self._guide:
            if self._has_skeleton:
                guide.copy_(self._guided())
            else:
                guide.zero_()
        if captured is None:
            compute()
        else:
            captured.replay()
        self._shown.copy_(self._frame, non_blocking=True)
        if self._device.type == 'cuda':
            torch.cuda.current_stream().synchronize()  # the frame's one wait
        self._refresh = False

    @torch.inference_mode()
    def _capture(self, compute: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """A graph of one frame; the past frames stay as they are."""
        kept = [value.clone() for value in (self._valid, *self._caches)]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # libraries choose their kernels before the capture
            for _ in range(3):
                compute()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            compute()
        for value, before in zip((self._valid, *self._caches), kept, strict=True):
            value.copy_(before)
        return graph

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except torch.OutOfMemoryError:
            raise EngineError(
                f'no memory left on the GPU: end what else runs there, {OTHER_BACKEND}'
            ) from None
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(
                f'torch failed on {self._device} ({reason}): look at nvidia-smi, {OTHER_BACKEND}'
            ) from None
