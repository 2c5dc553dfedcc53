"""What the runners on a GPU share: captured graphs, uploads, and one thread at a time.

A CUDA graph is captured in the mode `thread_local`, and nobody else enqueues frames meanwhile: what
another thread allocates or waits for during a capture can end it, and with it both streams.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

EXCLUSIVE = threading.RLock()
"""Held while a graph is captured, and by every runner on a GPU while it is given inputs or runs."""

Work = Callable[[], None]


class Graphs(Protocol):
    """Makes work on a GPU repeatable at the cost of one launch."""

    def capture(self, work: Work) -> Work:
        """What repeats the work's launches; it does not run now. Raises what `work` raises."""


class CudaGraphs:
    """See Graphs: as CUDA graphs of the current device."""

    def capture(self, work: Work) -> Work:
        """See Graphs."""
        graph = torch.cuda.CUDAGraph()
        with EXCLUSIVE, torch.cuda.graph(graph, capture_error_mode='thread_local'):
            work()
        return graph.replay


class CapturedDraw:
    """Draws by replaying the graph of a drawing, captured again only for another drawing."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._draw: Work | None = None
        self._replay: Work | None = None

    def __call__(self, draw: Work) -> None:
        """Enqueue what `draw` enqueues, on the current stream."""
        # Equal, not identical: a bound method is another object each time it is looked up.
        if self._replay is None or self._draw != draw:
            draw()  # kernels are loaded and libraries set up before the capture
            self._replay, self._draw = self._graphs.capture(draw), draw
        self._replay()


class Uploads:
    """Brings host arrays into device tensors, through pinned memory of their own.

    A copy reads its pinned memory when the device comes to it, so that belongs to one tensor alone.
    Whoever gives a tensor twice before the device has read the first value sees the second.
    """

    def __init__(self, targets: Mapping[str, Tensor]) -> None:
        self._targets = targets
        self._staged: dict[str, Tensor] = {}

    def put(self, name: str, value: NDArray[Any]) -> None:
        """Enqueue the copy of a value into the tensor of that name."""
        target = self._targets[name]
        if name not in self._staged:
            pinned = target.is_cuda
            self._staged[name] = torch.empty(target.shape, dtype=target.dtype, pin_memory=pinned)
        self._staged[name].copy_(torch.from_numpy(value))
        target.copy_(self._staged[name], non_blocking=True)


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
