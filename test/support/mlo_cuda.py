"""A stand-in for CUDA's asynchronous execution: enqueued work runs when it is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import warp as wp

from manivideo_ros.mlo import posed_surfaces, rasterizer, staging


class Stream:
    """Runs enqueued work in order, in `wait_for` or `finish`; during a capture it is recorded."""

    def __init__(self) -> None:
        self._queue: list[Callable[[], None] | object] = []
        self._graph: list[Callable[[], None] | object] | None = None

    def enqueue(self, work: Callable[[], None] | object) -> None:
        """Enqueue work, or an event that marks a position in the stream."""
        (self._queue if self._graph is None else self._graph).append(work)

    def wait_for(self, event: object) -> None:
        """Run up to the last record of an event."""
        assert self._graph is None, 'waited during a capture'
        while event in self._queue:
            self._step()

    def finish(self) -> None:
        """Run everything, as the synchronisation at the end of a frame does."""
        while self._queue:
            self._step()

    @property
    def idle(self) -> bool:
        """Whether no work is pending."""
        return not self._queue

    @contextmanager
    def capture(self) -> Iterator[Callable[[], None]]:
        """Yield the `replay` of a graph, which enqueues the work recorded in this context."""
        graph: list[Callable[[], None] | object] = []
        self._graph = graph
        yield lambda: self._queue.extend(graph)
        self._graph = None

    def _step(self) -> None:
        work = self._queue.pop(0)
        if callable(work):
            work()


def as_on_cuda(monkeypatch) -> Stream:
    """Let new rasterizers use CUDA's code paths (chunks, lanes, staging) on the returned stream."""
    stream, device = Stream(), SimpleNamespace(is_cpu=False, ordinal=0)
    cuda = SimpleNamespace(**vars(wp))
    cuda.get_device = lambda name: device
    cuda.zeros = lambda shape, dtype, device, pinned=False: wp.zeros(shape, dtype, 'cpu')
    cuda.copy = lambda target, source: stream.enqueue(lambda: wp.copy(target, source))

    class Event:
        def __init__(self, external):
            assert external, 'a record in a graph could not be waited for'

        def record(self, on):
            on.enqueue(self)

        def synchronize(self):
            stream.wait_for(self)

    launch = wp.Launch.launch
    torch_cuda = SimpleNamespace(Event=Event, current_stream=lambda ordinal: stream)
    monkeypatch.setattr(posed_surfaces, 'wp', cuda)
    monkeypatch.setattr(rasterizer, 'wp', cuda)
    monkeypatch.setattr(staging, 'wp', cuda)
    monkeypatch.setattr(staging, 'torch', SimpleNamespace(cuda=torch_cuda))
    monkeypatch.setattr(wp.Launch, 'launch', lambda self: stream.enqueue(lambda: launch(self)))
    return stream
