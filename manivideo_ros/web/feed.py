"""What the page shows: the newest image of each stream, and the state of the synthesizer."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Topic of each stream. A topic is subscribed to only while a page shows its stream.
STREAMS = {
    'video': 'image_raw/compressed',
    'normals': 'mlo/normals',
    'confidence': 'mlo/confidence',
    'mask': 'mlo/mask',
}
KEPT_FRAMES = 300  # whose latencies a page can plot as soon as it opens
MOST_OBJECTS = 32


class Feed:
    """Shared between the thread of the node, which writes, and that of the server, which reads."""

    def __init__(self, shapes: Collection[str]) -> None:
        self.shapes = sorted(shapes)
        self.started = secrets.token_hex(8)  # by which a page notices that the viewer restarted
        self._lock = threading.Lock()
        self._closed = False
        self._newest: dict[str, bytes] = {}
        self._watchers: dict[str, list[Callable[[bytes], Any]]] = {name: [] for name in STREAMS}
        self._latencies: deque[tuple[int, dict[str, float]]] = deque(maxlen=KEPT_FRAMES)
        self._frames = 0
        self._statuses: dict[str, dict[str, Any]] = {}
        self._objects: set[str] = set()

    def put_image(self, stream: str, jpeg: bytes) -> None:
        """Hand a stream's newest image to all who watch it."""
        with self._lock:
            if self._watchers[stream] and not self._closed:
                self._newest[stream] = jpeg
                for deliver in self._watchers[stream]:
                    deliver(jpeg)

    def put_latencies(self, since_stamp_ms: Mapping[str, float]) -> None:
        """Add a frame: the time from its poses' stamp to the end of each stage, ms."""
        with self._lock:
            self._frames += 1
            self._latencies.append((self._frames, dict(since_stamp_ms)))

    def put_status(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """Set the status of the 'engine' or the 'stream'; level: 0 OK, 1 warning, 2 error."""
        with self._lock:
            self._statuses[name] = {'level': level, 'message': message, 'values': dict(values)}

    def put_objects(self, ids: Collection[str]) -> None:
        """Add object ids that poses were received for; the page offers a shape for each."""
        with self._lock:
            if len(self._objects | set(ids)) <= MOST_OBJECTS:
                self._objects |= set(ids)

    def watched(self) -> set[str]:
        """The streams that at least one page shows."""
        with self._lock:
            return {stream for stream, watchers in self._watchers.items() if watchers}

    @contextmanager
    def watch(self, stream: str, deliver: Callable[[bytes], Any]) -> Iterator[None]:
        """Have `deliver` called, from any thread, with each new JPEG, and with b'' at the end."""
        with self._lock:
            # The last image, unless nobody watched: it would be out of date.
            if stream in self._newest or self._closed:
                deliver(b'' if self._closed else self._newest[stream])
            self._watchers[stream].append(deliver)
        try:
            yield
        finally:
            with self._lock:
                self._watchers[stream].remove(deliver)
                if not self._watchers[stream]:
                    self._newest.pop(stream, None)

    def close(self) -> None:
        """End all streams."""
        with self._lock:
            self._closed = True
            for watchers in self._watchers.values():
                for deliver in watchers:
                    deliver(b'')

    def state(self, after: int) -> dict[str, Any]:
        """Everything but the images, as JSON; latencies of frames with numbers above `after`."""
        with self._lock:
            return {
                'engine': self._statuses.get('engine'),
                'stream': self._statuses.get('stream'),
                'latencies': [[n, ms] for n, ms in self._latencies if n > after],
                'last': self._frames,
                'started': self.started,
                'objects': sorted(self._objects),
                'shapes': self.shapes,
            }
