"""A GPU's order of events on the CPU: copies and launches wait in a stream till somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import warp as wp

from manivideo_ros.mlo import posed_surfaces, rasterizer, staging


class Stream:
    """What is enqueued runs in order, in `wait_for` or `finish`; a capture collects it instead."""

    def __init__(self) -> None:
        self._queue: list[Callable[[], None] | object] = []
        self._graph: list[Callable[[], None] | object] | None = None

    def enqueue(self, work: Callable[[], None] | object) -> None:
        """Work, or an event: a mark that says how far the stream has come."""
        (self._queue if self._graph is None else self._graph).append(work)

    def wait_for(self, event: object) -> None:
        """Run till the last mark of an event."""
        assert self._graph is None, 'waited during a capture'
        while event in self._queue:
            self._step()

    def finish(self) -> None:
        """Run all: the synchronisation at a frame's end."""
        while self._queue:
            self._step()

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting."""
        return not self._queue

    @contextmanager
    def capture(self) -> Iterator[Callable[[], None]]:
        """Yield a graph's `replay`: it enqueues what was enqueued here."""
        graph: list[Callable[[], None] | object] = []
        self._graph = graph
        yield lambda: self._queue.extend(graph)
        self._graph = None

    def _step(self) -> None:
        work = self._queue.pop(0)
        if callable(work):
            work()


def as_on_cuda(monkeypatch) -> Stream:
    """Rasterizers made from now on take CUDA's way, chunks, lanes and staging, in this stream."""
    stream, device = Stream(), SimpleNamespace(is_cpu=False, ordinal=0)
    cuda = SimpleNamespace(**vars(wp))
    cuda.get_device = lambda name: device
    cuda.zeros = lambda shape, dtype, device, pinned=False: wp.zeros(shape, dtype, 'cpu')
    cuda.copy = lambda target, source: stream.enqueue(lambda: wp.copy(target, source))

    class Event:
        def __init__(self, external):
            assert external, 'a graph would keep the record to itself'

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
