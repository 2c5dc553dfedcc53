"""What a page shows: the newest image of each stream, and the state of the synthesizer."""

from __future__ import annotations

import secrets
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Stream by name -> its topic. Each is subscribed to only while a page shows it.
STREAMS = {
    'video': 'image_raw/compressed',
    'normals': 'mlo/normals',
    'confidence': 'mlo/confidence',
    'mask': 'mlo/mask',
}
KEPT_FRAMES = 300  # whose latencies a page that was just opened can plot
MOST_OBJECTS = 32


class Feed:
    """Filled by the node's thread, read by one thread for every connection of a page."""

    def __init__(self, shapes: Collection[str]) -> None:
        self.shapes = sorted(shapes)
        self.started = secrets.token_hex(8)  # tells this start from the next
        self._news = threading.Condition()
        self._images: dict[str, tuple[int, bytes]] = {}
        self._watched: Counter[str] = Counter()
        self._latencies: deque[tuple[int, dict[str, float]]] = deque(maxlen=KEPT_FRAMES)
        self._frames = 0
        self._told: dict[str, dict[str, Any]] = {}
        self._objects: set[str] = set()

    def put_image(self, stream: str, jpeg: bytes) -> None:
        """The newest image of a stream; one that nobody fetched in time is forgotten."""
        with self._news:
            number = self._images.get(stream, (0, b''))[0] + 1
            self._images[stream] = number, jpeg
            self._news.notify_all()

    def put_latencies(self, since_stamp_ms: Mapping[str, float]) -> None:
        """How long after its poses' stamp (ms) each stage of one frame was done."""
        with self._news:
            self._frames += 1
            self._latencies.append((self._frames, dict(since_stamp_ms)))

    def tell(self, what: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """What 'engine' or 'stream' says of itself; level 0 is well, 1 a warning, 2 an error."""
        with self._news:
            self._told[what] = {'level': level, 'message': message, 'values': dict(values)}

    def put_objects(self, ids: Collection[str]) -> None:
        """Object ids that poses came for: those that a scene can give a shape."""
        with self._news:
            if len(self._objects | set(ids)) <= MOST_OBJECTS:
                self._objects |= set(ids)

    def watched(self) -> set[str]:
        """The streams that some page shows now."""
        with self._news:
            return {stream for stream, count in self._watched.items() if count > 0}

    @contextmanager
    def watch(self, stream: str) -> Iterator[None]:
        """Count as one page that shows the stream."""
        with self._news:
            # An image from before would be shown as if it were live.
            if not self._watched[stream]:
                number = self._images.get(stream, (0, b''))[0]
                self._images[stream] = number, b''
            self._watched[stream] += 1
        try:
            yield
        finally:
            with self._news:
                self._watched[stream] -= 1

    def image(self, stream: str, after: int, timeout_s: float) -> tuple[int, bytes] | None:
        """The newest image (number, JPEG) with a number above `after`; None where none came."""
        with self._news:

            def fresh() -> bool:
                number, jpeg = self._images.get(stream, (0, b''))
                return number > after and bool(jpeg)

            return self._images[stream] if self._news.wait_for(fresh, timeout_s) else None

    def state(self, after: int) -> dict[str, Any]:
        """All but the images, as JSON takes it; latencies of frames with numbers above after."""
        with self._news:
            return {
                'engine': self._told.get('engine'),
                'stream': self._told.get('stream'),
                'latencies': [[n, ms] for n, ms in self._latencies if n > after],
                'last': self._frames,
                'started': self.started,
                'objects': sorted(self._objects),
                'shapes': self.shapes,
            }
