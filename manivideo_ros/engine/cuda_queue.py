"""Work for the GPU in order, on a CUDA stream of its own, and host arrays on their way to it.

CUDA graphs are captured in the mode `thread_local`, and nobody else enqueues frames meanwhile: what
another thread allocates or waits for during a capture can end it, and with it both streams.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.runner import require_device

EXCLUSIVE = threading.RLock()
"""Held while a graph is captured, and by every runner on a GPU while it is given inputs or runs."""

Work = Callable[[], None]


class Queue(Protocol):
    """What a runner enqueues its work in; nothing of it waits but `wait` and marks that are.

    device: where the tensors lie. handle: the stream's address, for libraries.
    """

    device: torch.device
    handle: int

    def entered(self) -> AbstractContextManager[None]:
        """Make it torch's current stream, after all that was enqueued on the one before it."""

    def host_tensor(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An empty tensor that the GPU can copy from and to while the host goes on."""

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Enqueue a copy; one of them may be a host tensor."""

    def mark(self) -> Work:
        """What waits until all that was enqueued before is done."""

    def capture(self, work: Work) -> Work:
        """Record what `work` enqueues, as a CUDA graph; the call that enqueues it all at once."""

    def wait(self) -> None:
        """Wait for all that was enqueued."""


class CudaQueue:
    """See Queue. Not the default stream: TensorRT synchronises there at every run.

    Raises EngineError where torch finds no CUDA.
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
    """Draws by replaying the graph of a drawing, captured again only for another drawing."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._draw: Work | None = None
        self._replay: Work | None = None

    def __call__(self, draw: Work) -> None:
        """Enqueue what `draw` enqueues."""
        # Equal, not identical: a bound method is another object each time it is looked up.
        if self._replay is None or self._draw != draw:
            draw()  # kernels are loaded and libraries set up before the capture
            self._replay, self._draw = self._queue.capture(draw), draw
        self._replay()


class Staging:
    """Host arrays on their way into tensors on the GPU, in order with the queue's other work.

    Each has a host tensor of its own, which is not rewritten before the GPU has read it.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._staged: dict[str, Tensor] = {}
        self._read: dict[str, Work] = {}

    def upload(self, name: str, target: Tensor, value: NDArray[np.floating]) -> None:
        """Enqueue the copy of a value, contiguous and of the target's shape and type.

        The value is copied before this returns. Raises ValueError for one that does not fit.
        """
        given = torch.from_numpy(value)
        if (given.shape, given.dtype) != (target.shape, target.dtype):
            raise ValueError(
                f'{name}: must be {target.dtype} {tuple(target.shape)}; '
                f'is {given.dtype} {tuple(given.shape)}'
            )
        if name in self._read:
            self._read[name]()
        else:
            self._staged[name] = self._queue.host_tensor(target.shape, target.dtype)
        self._staged[name].copy_(given)
        self._queue.copy(target, self._staged[name])
        self._read[name] = self._queue.mark()

    def holds(self, name: str, value: NDArray[np.floating]) -> bool:
        """Whether the last value under that name was the same, number by number."""
        return name in self._staged and np.array_equal(self._staged[name].numpy(), value)
