"""What every stream on torch does: features once a scene, caches in place, on CUDA one graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manivideo_ros.engine.cuda_queue import EXCLUSIVE, CapturedDraw, CudaQueue, Queue, Staging
from manivideo_ros.engine.graph.export import PRECISIONS
from manivideo_ros.engine.runner import (
    OTHER_BACKEND,
    SCENE_INPUTS,
    EngineError,
    input_shapes,
    require_device,
)
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.model.config import ModelConfig

WARM_UP = 3
"""Frames before a capture, in which libraries choose their kernels."""


class TorchStream(ABC):
    """See Runner; on 'cuda' a DeviceRunner: every tensor keeps its address, frames are captured.

    The network is one CUDA graph, captured once; a drawing is another, captured once a drawing. A
    frame replays both. READS: the maps that the network reads, for whoever draws them.

    Raises EngineError for 'cuda' where torch finds none, or too little memory on it.
    """

    READS: tuple[str, ...] = (*LAYER_MAPS, 'base')

    def __init__(self, config: ModelConfig, precision: str, device: str) -> None:
        self.backend = 'torch' if device == 'cpu' else 'torch_cuda'
        require_device(device)
        self._config = config
        self._device, self._dtype = torch.device(device), PRECISIONS[precision]
        self._queue = self._make_queue()
        self._alone: AbstractContextManager[Any] = EXCLUSIVE if self._queue else nullcontext()
        # Beside other streams: only captures are alone.
        self._guarded(self._load, nullcontext())
        self._guarded(self._prepare, nullcontext())

    def _make_queue(self) -> Queue | None:
        """What captures frames; None where each is run operation by operation."""
        return CudaQueue() if self._device.type == 'cuda' else None

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
        self._inputs = {name: self._given[name] for name in self.READS}
        self._guide = [torch.zeros_like(self._guided())] if self._config.human else []
        self._has_skeleton = self._guiding = False
        self._refresh = True
        self._features = [value.clone() for value in self._encoded()]
        self._caches, self._valid = self._empty_caches()
        size = self._config.image_size
        self._frame = torch.zeros(size, size, 3, dtype=torch.uint8, device=self._device)
        if self._queue is None:
            self._shown = torch.zeros_like(self._frame, device='cpu')
            self._denoise, self._draw = self._compute, _now
            return
        self._shown = self._queue.host_tensor(self._frame.shape, torch.uint8)
        self._staging = Staging(self._queue)
        self._denoise, self._draw = self._captured(self._queue), CapturedDraw(self._queue)

    def _captured(self, queue: Queue) -> Callable[[], None]:
        """What replays the network, which has seen no frame."""
        with chosen_kernels(self._dtype):
            for _ in range(WARM_UP):
                self._compute()
            for cache in (self._valid, *self._caches):
                cache.zero_()
            return queue.capture(self._compute)

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """See DeviceRunner."""
        return self._inputs

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        self._guarded(lambda: self._put(values))

    def run(self) -> NDArray[np.uint8]:
        """See Runner."""
        return self.run_drawn(None)

    def run_drawn(self, draw: Callable[[], None] | None) -> NDArray[np.uint8]:
        """See DeviceRunner."""
        self._guarded(lambda: self._run(draw))
        frame: NDArray[np.uint8] = self._shown.numpy()
        return frame

    def forget(self) -> None:
        """See Runner."""
        self._guarded(lambda: self._valid.zero_())

    @torch.inference_mode()
    def _put(self, values: Mapping[str, NDArray[Any]]) -> None:
        for name, value in values.items():
            if name == 'has_skeleton':
                self._has_skeleton = bool(value)
            elif self._queue:
                self._staging.upload(name, self._given[name], value)
            else:
                self._given[name].copy_(torch.from_numpy(value))
        self._refresh = self._refresh or not values.keys().isdisjoint(SCENE_INPUTS)

    @torch.inference_mode()
    def _run(self, draw: Callable[[], None] | None) -> None:
        if self._refresh:
            for kept, value in zip(self._features, self._encoded(), strict=True):
                kept.copy_(value)
        for guide in self._guide:
            if self._has_skeleton:
                guide.copy_(self._guided())
            elif self._guiding:
                guide.zero_()
        self._guiding = self._has_skeleton
        if draw is not None:
            self._draw(draw)
        self._denoise()
        if self._queue:
            self._queue.copy(self._shown, self._frame)
            self._queue.wait()  # the frame's one wait
        else:
            self._shown.copy_(self._frame)
        self._refresh = False

    def _guarded(
        self, work: Callable[[], object], alone: AbstractContextManager[Any] | None = None
    ) -> None:
        """Run work on the device, alone; what fails there is an EngineError."""
        queued = self._queue.entered() if self._queue else nullcontext()
        try:
            with alone or self._alone, queued:
                work()
        except EngineError:
            raise
        except torch.OutOfMemoryError:
            raise EngineError(
                f'no memory left on the GPU: end what else runs there, {OTHER_BACKEND}'
            ) from None
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(
                f'torch failed on {self._device} ({reason}): look at nvidia-smi, {OTHER_BACKEND}'
            ) from None


def _now(draw: Callable[[], None]) -> None:
    draw()


def in_channels_last(module: nn.Module) -> None:
    """Bring the weights of convolutions into the order that a GPU's matrix units take them in."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def chosen_kernels(dtype: torch.dtype) -> Iterator[None]:
    """Have cuDNN measure its kernels, and compute float32 as float32: TF32 has 10 bits of it."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    kept = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    cudnn.benchmark = True
    if dtype == torch.float32:
        cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = kept
