"""Per-frame parameters that the host writes and kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray

ALIGNMENT = 64  # bytes at which an array begins


class Staging:
    """Small arrays on the host, and their copies on the device.

    layout: shape and Warp type of each array by name; all are 0 at first. arrays: the device's
    arrays, for kernels. On the CPU both are the same memory. On CUDA `upload` enqueues one copy
    from pinned memory, which is executed later, and again at every replay of a CUDA graph that
    contains it. `writable` waits until all enqueued copies have been executed, so that no draw sees
    values of the next frame. After a frame that ended with a synchronisation it does not wait.
    """

    def __init__(self, layout: Mapping[str, tuple[Any, Any]], device: str) -> None:
        self._device = wp.get_device(device)
        starts, size = {}, 0
        for name, (shape, dtype) in layout.items():
            starts[name] = size
            count = int(np.prod(shape)) * wp.types.type_size_in_bytes(dtype)
            size += -(-count // ALIGNMENT) * ALIGNMENT
        on_cpu = self._device.is_cpu
        size = max(size, ALIGNMENT)  # an empty array has no address
        self._host = wp.zeros(size, wp.uint8, 'cpu', pinned=not on_cpu)
        self._copy = self._host if on_cpu else wp.zeros(size, wp.uint8, self._device)
        self.arrays: dict[str, wp.array] = {}
        self._views: dict[str, NDArray[Any]] = {}
        for name, (shape, dtype) in layout.items():
            start = starts[name]
            self._views[name] = _view(self._host, start, shape, dtype).numpy()
            self.arrays[name] = _view(self._copy, start, shape, dtype)
        # External, so that records replayed by a CUDA graph can be waited for too.
        self._read = None if on_cpu else torch.cuda.Event(external=True)

    def writable(self) -> Mapping[str, NDArray[Any]]:
        """The host's arrays by name, after all uploads so far have read them."""
        if self._read is not None:
            self._read.synchronize()
        return self._views

    def upload(self) -> None:
        """Enqueue the copy to the device on torch's current stream, which must be Warp's too."""
        if self._read is not None:
            wp.copy(self._copy, self._host)
            self._read.record(torch.cuda.current_stream(self._device.ordinal))


def _view(memory: wp.array, start: int, shape: Any, dtype: Any) -> wp.array:
    """An array at an offset of `start` bytes in memory, which must outlive it."""
    return wp.array(ptr=memory.ptr + start, shape=shape, dtype=dtype, device=memory.device)
