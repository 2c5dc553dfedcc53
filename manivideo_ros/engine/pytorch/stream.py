"""The base of the torch runners: scene features, in-place caches, CUDA graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manivideo_ros.engine.cuda_queue import (
    EXCLUSIVE,
    CapturedDraw,
    CudaQueue,
    HostCopy,
    Queue,
    Staging,
)
from manivideo_ros.engine.graph.export import PRECISIONS
from manivideo_ros.engine.runner import (
    OTHER_BACKEND,
    SCENE_INPUTS,
    EngineError,
    Finish,
    Made,
    input_shapes,
    require_device,
    unchanged,
)
from manivideo_ros.files.errors import reason_of
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.model.config import ModelConfig

WARM_UP = 3
"""Frames run before a capture, in which libraries choose their kernels."""


class TorchStream(ABC):
    """See Runner; on 'cuda' a DeviceRunner whose frames are CUDA graphs.

    The network is one CUDA graph, captured at construction; a drawing function is another, captured
    at its first frame. A frame replays both, so every tensor keeps its address. READS: the maps
    that the network reads, exposed as `inputs`.

    Raises EngineError if torch finds no CUDA device, or too little memory on it.
    """

    READS: tuple[str, ...] = (*LAYER_MAPS, 'base')

    def __init__(self, config: ModelConfig, precision: str, device: str) -> None:
        self.backend = 'torch' if device == 'cpu' else 'torch_cuda'
        require_device(device)
        self._config = config
        self._device, self._dtype = torch.device(device), PRECISIONS[precision]
        self._queue = self._make_queue()
        self._exclusive: AbstractContextManager[Any] = EXCLUSIVE if self._queue else nullcontext()
        # Not exclusive, so that another runner's stream continues; the capture itself is.
        self._guarded(self._load, nullcontext())
        self._guarded(self._prepare, nullcontext())

    def _make_queue(self) -> Queue | None:
        """The queue that captures frames; None for eager execution."""
        return CudaQueue() if self._device.type == 'cuda' else None

    @abstractmethod
    def _load(self) -> None:
        """Move the modules to the device, in their type."""

    @abstractmethod
    def _encoded(self) -> tuple[Tensor, ...]:
        """The features of the current scene inputs."""

    @abstractmethod
    def _guided(self) -> Tensor:
        """What the current skeleton adds to the noise, for a network with `human`."""

    @abstractmethod
    def _empty_caches(self) -> tuple[list[Tensor], Tensor]:
        """The caches of all steps without past frames, and their validity."""

    @abstractmethod
    def _compute(self) -> None:
        """Compute one frame from and into this object's tensors."""

    @torch.no_grad()  # tensors made in inference mode could not be written outside of it
    def _prepare(self) -> None:
        self.shapes: Mapping[str, tuple[int, ...]] = input_shapes(self._config)
        self._values = {
            name: torch.zeros(shape, device=self._device)
            for name, shape in self.shapes.items()
            if name != 'has_skeleton'
        }
        self._inputs = {name: self._values[name] for name in self.READS}
        self._guide = [torch.zeros_like(self._guided())] if self._config.human else []
        self._has_skeleton = self._guiding = False
        self._refresh = True
        self._features = [value.clone() for value in self._encoded()]
        self._caches, self._valid = self._empty_caches()
        width, height = self._config.size
        corrects = self._config.base != 'none'
        self._made = (
            torch.zeros(6, height, width, device=self._device)
            if corrects
            else torch.zeros(height, width, 3, dtype=torch.uint8, device=self._device)
        )
        if self._queue is None:
            self._denoise, self._draw = self._compute, _run_now
            return
        self._shown = HostCopy(self._queue)
        self._staging = Staging(self._queue)
        self._denoise, self._draw = self._captured(self._queue), CapturedDraw(self._queue)

    def _captured(self, queue: Queue) -> Callable[[], None]:
        """The replay of the network's graph; the caches are empty afterwards."""
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

    def run(self) -> Made:
        """See Runner."""
        return self.run_drawn(None)

    def run_drawn(self, draw: Callable[[], None] | None, finish: Finish = unchanged) -> Made:
        """See DeviceRunner."""
        self._guarded(lambda: self._run(draw, finish))
        return self._result

    def forget(self) -> None:
        """See Runner."""
        self._guarded(lambda: self._valid.zero_())

    @torch.inference_mode()
    def _put(self, values: Mapping[str, NDArray[Any]]) -> None:
        for name, value in values.items():
            if name == 'has_skeleton':
                self._has_skeleton = bool(value)
            elif self._queue:
                self._staging.upload(name, self._values[name], value)
            else:
                self._values[name].copy_(torch.from_numpy(value))
        self._refresh = self._refresh or not values.keys().isdisjoint(SCENE_INPUTS)

    @torch.inference_mode()
    def _run(self, draw: Callable[[], None] | None, finish: Finish) -> None:
        if self._refresh:
            for feature, value in zip(self._features, self._encoded(), strict=True):
                feature.copy_(value)
        for guide in self._guide:
            if self._has_skeleton:
                guide.copy_(self._guided())
            elif self._guiding:
                guide.zero_()
        self._guiding = self._has_skeleton
        if draw is not None:
            self._draw(draw)
        self._denoise()
        made = finish(self._made)
        if self._queue:
            self._result = self._shown.of(made)
            self._queue.wait()  # the only synchronisation of a frame
        else:
            self._result = made.cpu().numpy().copy()
        self._refresh = False

    def _guarded(
        self, work: Callable[[], object], exclusive: AbstractContextManager[Any] | None = None
    ) -> None:
        """Run work on the device under a lock, EXCLUSIVE by default; its errors as EngineError."""
        queued = self._queue.entered() if self._queue else nullcontext()
        try:
            with exclusive or self._exclusive, queued:
                work()
        except EngineError:
            raise
        except torch.OutOfMemoryError:
            raise EngineError(
                f'no memory left on the GPU: stop other programs on it, {OTHER_BACKEND}'
            ) from None
        except RuntimeError as error:
            reason = reason_of(error)
            raise EngineError(
                f'torch failed on {self._device} ({reason}): check nvidia-smi, {OTHER_BACKEND}'
            ) from None


def _run_now(draw: Callable[[], None]) -> None:
    draw()


def in_channels_last(module: nn.Module) -> None:
    """Convert convolution weights to channels_last, which tensor cores use without conversion."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def chosen_kernels(dtype: torch.dtype) -> Iterator[None]:
    """Enable cuDNN's benchmark mode, and for float32 disable TF32, which has only 10 bits."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    cudnn.benchmark = True
    if dtype == torch.float32:
        cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
