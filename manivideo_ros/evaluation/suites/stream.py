"""Rate, latency and stage times of a recorded stream, computed from its bag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagMessage, BagReader
from manivideo_ros.bags.provenance import STATUS
from manivideo_ros.messages.names import DIAGNOSTICS, HANDS
from manivideo_ros.messages.types import decoded
from manivideo_ros.messages.video import is_shown, topic_of_images


@dataclass(frozen=True, eq=False)
class Stream:
    """Stamps of a bag: poses int64 [P]; frames int64 [F] and their receipt times [F], ns.

    diagnostics: the synthesizer's values by key, one dictionary per report. images: topics of the
    frames; of a video, those before its first key frame are not among them.
    """

    poses_ns: NDArray[np.int64]
    frames_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    diagnostics: list[dict[str, str]]
    images: tuple[str, ...] = ()

    @property
    def answers(self) -> NDArray[np.bool_]:
        """bool [F]: frames that have the stamp of a pose; frames made without new poses do not."""
        return np.isin(self.frames_ns, self.poses_ns)

    @property
    def latency_ms(self) -> NDArray[np.floating]:
        """Milliseconds from pose stamp to receipt of its image, for every answered pose."""
        return (self.received_ns - self.frames_ns)[self.answers] * 1e-6

    @property
    def rate_hz(self) -> float:
        """Received images per second while poses arrived."""
        received = self.received_ns[self.answers]
        if len(received) < 2 or received[-1] <= received[0]:
            return 0.0
        return (len(received) - 1) / (float(received[-1] - received[0]) * 1e-9)


def read_stream(bag: str | Path, images: str = '') -> Stream:
    """Read a recording of the synthesizer; images: topic of its frames, '' for the only image_raw.

    Raises BagError if the bag cannot be read, ValueError for several topics of images or none of
    that name, and a video that is no H.264.
    """
    reader = BagReader(bag)
    shown = _images(bag, reader.topics, images)
    wanted = [t for t, k in reader.topics.items() if k in (HANDS, DIAGNOSTICS) or t in shown]
    begun: set[str] = set()
    poses: list[int] = []
    frames: list[int] = []
    received: list[int] = []
    diagnostics: list[dict[str, str]] = []
    for record in reader.messages(wanted):
        if record.type_name == DIAGNOSTICS:
            message = decoded(record.data, record.type_name)
            diagnostics += [_values(s) for s in message.status if s.name.startswith(STATUS)]
            continue
        # All types start with their stamp: the image does not need to be decoded.
        stamp = stamp_of(record.data)
        if record.type_name == HANDS:
            poses.append(stamp)
        elif record.topic in begun or _is_shown(record):
            begun.add(record.topic)
            frames.append(stamp)
            received.append(record.stamp_ns)
    return Stream(
        np.array(poses, np.int64),
        np.array(frames, np.int64),
        np.array(received, np.int64),
        diagnostics,
        shown,
    )


def summary(stream: Stream) -> dict[str, Any]:
    """Fields of report.json: counts, rate, latency percentiles, mean stage times."""
    latency = stream.latency_ms
    last = stream.diagnostics[-1] if stream.diagnostics else {}
    quantiles = {
        f'p{q}': round(float(np.percentile(latency, q)), 2) if len(latency) else None
        for q in (50, 95, 99)
    }
    return {
        # Hands published one by one with the same stamp give one frame.
        'frames_in': len(np.unique(stream.poses_ns)),
        'frames_out': int(stream.answers.sum()),
        'rate_hz': round(stream.rate_hz, 2),
        'latency_ms': quantiles,
        'stages_ms': stages(stream.diagnostics),
        'backend': last.get('backend'),
        'preset': last.get('preset'),
        'checkpoint_sha256': last.get('checkpoint_sha256'),
    }


def stages(diagnostics: list[dict[str, str]]) -> dict[str, float]:
    """Mean milliseconds per stage over all reported frames."""
    sums: dict[str, float] = {}
    frames: dict[str, int] = {}
    for values in diagnostics:
        count = int(values.get('frames_window', '0'))
        for key, value in values.items():
            if key.endswith(' mean (ms)'):
                stage = key.removesuffix(' mean (ms)')
                sums[stage] = sums.get(stage, 0.0) + float(value) * count
                frames[stage] = frames.get(stage, 0) + count
    return {stage: round(total / frames[stage], 2) for stage, total in sums.items()}


def _values(status: Any) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def _images(bag: str | Path, types: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The topic of frames, in a tuple, as it is or as image_transport sends it."""
    names = {t[: t.rindex('image_raw') + 9] for t in types if 'image_raw' in t}
    asked = [name] if name else sorted(names)
    found = [topic for each in asked if (topic := topic_of_images(types, each)) is not None]
    if len(found) > 1 or (name and not found):
        what = f'no images on {name}' if name else 'several topics of images'
        raise ValueError(f'{bag}: {what}: choose one with --images: {", ".join(sorted(names))}')
    return tuple(found)


def _is_shown(record: BagMessage) -> bool:
    try:
        return is_shown(decoded(record.data, record.type_name))
    except ValueError as error:
        raise ValueError(f'topic {record.topic}: {error}') from None


def stamp_of(data: bytes | memoryview) -> int:
    """The stamp (ns) of a little-endian CDR message that starts with it, in a header or alone."""
    seconds, nanoseconds = np.frombuffer(data, '<i4,<u4', count=1, offset=4)[0]
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
