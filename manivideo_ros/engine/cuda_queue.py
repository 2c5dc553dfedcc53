"""A CUDA stream for a runner's work: graph capture, and uploads of host arrays.

CUDA graphs are captured in the mode `thread_local`, and no other runner enqueues work meanwhile:
an allocation or synchronisation in another thread can invalidate a capture and break both streams.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.runner import require_device

EXCLUSIVE = threading.RLock()
"""Held while a graph is captured, and by every GPU runner while it takes inputs or runs."""

Work = Callable[[], None]


class Queue(Protocol):
    """A stream in which a runner enqueues its work; only `wait` and called marks block.

    device: the device of the tensors. handle: the stream's address, for libraries.
    """

    device: torch.device
    handle: int

    def entered(self) -> AbstractContextManager[None]:
        """Make it torch's current stream, ordered after the work of the previous one."""

    def host_tensor(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A host tensor that the GPU can copy from and to asynchronously."""

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Enqueue a copy; one of them may be a host tensor."""

    def mark(self) -> Work:
        """A function that waits until everything enqueued before the mark has finished."""

    def capture(self, work: Work) -> Work:
        """Record what `work` enqueues as a CUDA graph; returns the function that replays it."""

    def wait(self) -> None:
        """Wait until everything enqueued has finished."""


class CudaQueue:
    """See Queue. Not the default stream, on which TensorRT synchronises at every run.

    Raises EngineError if torch finds no CUDA device.
    """

    def __init__(self) -> None:
        require_device('cuda')
        self.device = torch.device('cuda', torch.cuda.current_device())
        self._stream = torch.cuda.Stream()
        self.handle: int = self._stream.cuda_stream

    @contextmanager
    def entered(self) -> Iterator[None]:
        """See Queue."""
        before = torch.cuda.current_stream()
        if before == self._stream:
            yield
            return
        self._stream.wait_stream(before)
        with torch.cuda.stream(self._stream):
            yield
        before.wait_stream(self._stream)

    def host_tensor(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """See Queue."""
        return torch.zeros(tuple(shape), dtype=dtype, pin_memory=True)

    def copy(self, target: Tensor, source: Tensor) -> None:
        """See Queue."""
        target.copy_(source, non_blocking=True)

    def mark(self) -> Work:
        """See Queue."""
        event = torch.cuda.Event()
        event.record(self._stream)
        return event.synchronize

    def capture(self, work: Work) -> Work:
        """See Queue."""
        graph = torch.cuda.CUDAGraph()
        captured = torch.cuda.graph(graph, stream=self._stream, capture_error_mode='thread_local')
        with EXCLUSIVE, captured:
            work()
        return graph.replay

    def wait(self) -> None:
        """See Queue."""
        self._stream.synchronize()


class CapturedDraw:
    """Replays the CUDA graph of a drawing function; captures again only for another function."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._draw: Work | None = None
        self._replay: Work | None = None

    def __call__(self, draw: Work) -> None:
        """Enqueue what `draw` enqueues."""
        # Equal, not identical: a bound method is a new object each time it is looked up.
        if self._replay is None or self._draw != draw:
            draw()  # kernels must be loaded and libraries initialised before the capture
            self._replay, self._draw = self._queue.capture(draw), draw
        self._replay()


class HostCopy:
    """Copies GPU tensors to one host tensor, which is allocated again for another shape or type."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._host: Tensor | None = None

    def of(self, source: Tensor) -> NDArray[Any]:
        """Enqueue the copy; the array is complete after the queue's `wait`."""
        host = self._host
        if host is None or (host.shape, host.dtype) != (source.shape, source.dtype):
            host = self._host = self._queue.host_tensor(source.shape, source.dtype)
        self._queue.copy(host, source)
        copied: NDArray[Any] = host.numpy()
        return copied


class Staging:
    """Uploads host arrays to GPU tensors, in order with the queue's other work.

    Each name has its own host tensor, which is not rewritten before the GPU has read it.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._staged: dict[str, Tensor] = {}
        self._read: dict[str, Work] = {}

    def upload(self, name: str, target: Tensor, value: NDArray[np.floating]) -> None:
        """Enqueue the copy of a contiguous value of the target's shape and type.

        The caller may change the value afterwards. Raises ValueError for another shape or type.
        """
        source = torch.from_numpy(value)
        if (source.shape, source.dtype) != (target.shape, target.dtype):
            raise ValueError(
                f'{name}: must be {target.dtype} {tuple(target.shape)}; '
                f'is {source.dtype} {tuple(source.shape)}'
            )
        if name in self._read:
            self._read[name]()
        else:
            self._staged[name] = self._queue.host_tensor(target.shape, target.dtype)
        self._staged[name].copy_(source)
        self._queue.copy(target, self._staged[name])
        self._read[name] = self._queue.mark()
