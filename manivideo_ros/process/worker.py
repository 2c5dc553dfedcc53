"""A worker thread with a queue of one: a new request replaces a waiting one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class NewestWorker:
    """Runs `work` in a thread, once per request; requests that it is too slow for are merged.

    Calls given to `submit` run in the same thread, between two frames. failed: called with an
    exception of `work`. replaced: number of requests that a newer one replaced.
    """

    def __init__(self, work: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self._work, self._failed = work, failed
        self._wake = threading.Condition()
        self._requested = False
        self._stopped = False
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self.replaced = 0
        self._thread = threading.Thread(target=self._run, name='frames', daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Request a frame."""
        with self._wake:
            self.replaced += self._requested
            self._requested = True
            self._wake.notify()

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Run a call between two frames; cancelled by `stop`."""
        future: Future[Any] = Future()
        with self._wake:
            if self._stopped:
                future.set_exception(RuntimeError('the worker was stopped'))
                return future
            self._calls.append((call, future))
            self._wake.notify()
        return future

    def stop(self) -> None:
        """Finish the current frame and end the thread."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()
        for _, future in self._calls:
            future.cancel()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._requested or self._calls or self._stopped)
                if self._stopped:
                    return
                call = self._calls.popleft() if self._calls else None
                if call is None:
                    self._requested = False
            if call is not None:
                _answer(*call)
                continue
            try:
                self._work()
            except Exception as error:  # a failed frame must not end the stream
                self._failed(error)


def _answer(call: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
