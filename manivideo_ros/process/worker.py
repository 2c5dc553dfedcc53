"""One thread that makes frames: a request that comes while it works replaces the one that waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class NewestWorker:
    """Runs `work` in its thread once per request, never twice for requests it was too slow for.

    Calls handed to `submit` run in the same thread, between two frames. replaced: requests that a
    newer one took the place of.
    """

    def __init__(self, work: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self._work, self._failed = work, failed
        self._wake = threading.Condition()
        self._wanted = False
        self._stopped = False
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self.replaced = 0
        self._thread = threading.Thread(target=self._run, name='frames', daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Ask for a frame of what is newest when it is made."""
        with self._wake:
            self.replaced += self._wanted
            self._wanted = True
            self._wake.notify()

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Run a call between two frames."""
        future: Future[Any] = Future()
        with self._wake:
            if self._stopped:
                future.set_exception(RuntimeError('the worker was stopped'))
                return future
            self._calls.append((call, future))
            self._wake.notify()
        return future

    def stop(self) -> None:
        """Finish the frame in work and end the thread."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()
        for _, future in self._calls:
            future.cancel()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._wanted or self._calls or self._stopped)
                if self._stopped:
                    return
                call = self._calls.popleft() if self._calls else None
                if call is None:
                    self._wanted = False
            if call is not None:
                _answer(*call)
                continue
            try:
                self._work()
            except Exception as error:  # one bad frame must not end the stream
                self._failed(error)


def _answer(call: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
