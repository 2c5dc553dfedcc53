"""What a recorded stream was like, from its bag alone: rates, latency as received, stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.bags.bag import BagReader
from manivideo_ros.recording.messages.maker import DIAGNOSTICS, STATUS
from manivideo_ros.recording.messages.types import decoded

HANDS, IMAGE = 'manivideo_ros/msg/HandPoses', 'sensor_msgs/msg/Image'


@dataclass(frozen=True, eq=False)
class Stream:
    """Stamps of a bag: poses int64 [P]; frames int64 [F] and when each was received [F], ns.

    diagnostics: the synthesizer's values by key, one dictionary a report.
    """

    poses_ns: NDArray[np.int64]
    frames_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    diagnostics: list[dict[str, str]]

    @property
    def answers(self) -> NDArray[np.bool_]:
        """Which frames [F] answer a pose: those made while no poses came carry other stamps."""
        return np.isin(self.frames_ns, self.poses_ns)

    @property
    def latency_ms(self) -> NDArray[np.floating]:
        """From pose stamp to receipt of its image, of every answered pose."""
        return (self.received_ns - self.frames_ns)[self.answers] * 1e-6

    @property
    def rate_hz(self) -> float:
        """Images a second, as received, while poses came."""
        received = self.received_ns[self.answers]
        if len(received) < 2 or received[-1] <= received[0]:
            return 0.0
        return (len(received) - 1) / (float(received[-1] - received[0]) * 1e-9)


def read_stream(bag: str | Path) -> Stream:
    """Read a recording of the synthesizer. Raises BagError where the bag cannot be read."""
    reader = BagReader(bag)
    wanted = {t: k for t, k in reader.topics.items() if k in (HANDS, IMAGE, DIAGNOSTICS)}
    wanted = {t: k for t, k in wanted.items() if k != IMAGE or t.endswith('image_raw')}
    poses: list[int] = []
    frames: list[int] = []
    received: list[int] = []
    diagnostics: list[dict[str, str]] = []
    for record in reader.messages(list(wanted)):
        if record.type_name == DIAGNOSTICS:
            message = decoded(record.data, record.type_name)
            diagnostics += [_values(s) for s in message.status if s.name.startswith(STATUS)]
            continue
        # Both types begin with their header: no need to unpack the image.
        stamp = stamp_of(record.data)
        if record.type_name == HANDS:
            poses.append(stamp)
        else:
            frames.append(stamp)
            received.append(record.stamp_ns)
    return Stream(
        np.array(poses, np.int64),
        np.array(frames, np.int64),
        np.array(received, np.int64),
        diagnostics,
    )


def summary(stream: Stream) -> dict[str, Any]:
    """The report's fields about the stream: counts, rate, latency percentiles, mean stages."""
    latency = stream.latency_ms
    last = stream.diagnostics[-1] if stream.diagnostics else {}
    quantiles = {
        f'p{q}': round(float(np.percentile(latency, q)), 2) if len(latency) else None
        for q in (50, 95, 99)
    }
    return {
        # Hands that came one by one under one stamp are answered by one frame.
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
    """Mean milliseconds by stage over all reported frames."""
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


def stamp_of(data: bytes | memoryview) -> int:
    """The header stamp (ns) of a little-endian CDR message that begins with one."""
    seconds, nanoseconds = np.frombuffer(data, '<i4,<u4', count=1, offset=4)[0]
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
