"""The diagnostics of the synthesizer: rates, latency by stage, ages of the inputs, drops."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from manivideo_ros.bags.provenance import status_name
from manivideo_ros.motion.pose_buffer import Snapshot

# Stages of a frame's latency, ms. From the stamp of the poses: receipt, sampling, total. Durations:
# publishing, and the stages of the synthesizer.
RECEIVED, SAMPLED, PUBLISHED, TOTAL = 'received', 'sampled', 'published', 'total'


class FrameStatistics:
    """Counts and latencies since the last report. Written by the frame thread, read by another.

    inputs: number of messages by topic; refused: of those with problems.
    """

    def __init__(self) -> None:
        self.frames_in = 0
        self.frames_out = 0
        self.drops = 0
        self.failures = 0
        self.inputs: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self._reported_inputs: dict[str, int] = {}
        self._stages: deque[dict[str, float]] = deque(maxlen=1000)
        self._last_report_s: float | None = None
        self._reported_in = self._reported_out = 0

    def add(self, stages_ms: Mapping[str, float]) -> None:
        """Add one frame's latencies (ms) by stage."""
        self.frames_out += 1
        self._stages.append(dict(stages_ms))

    def received(self, topic: str, valid: bool) -> None:
        """Count a message of an input."""
        self.inputs[topic] = self.inputs.get(topic, 0) + 1
        self.refused[topic] = self.refused.get(topic, 0) + (not valid)

    def report(self, now_s: float) -> dict[str, str]:
        """Rates and latencies since the last report; now in seconds on a monotonic clock."""
        taken = [self._stages.popleft() for _ in range(len(self._stages))]
        passed = now_s - self._last_report_s if self._last_report_s is not None else 0.0
        rate_in = (self.frames_in - self._reported_in) / passed if passed > 0 else 0.0
        rate_out = (self.frames_out - self._reported_out) / passed if passed > 0 else 0.0
        self._last_report_s = now_s
        self._reported_in, self._reported_out = self.frames_in, self.frames_out
        values = {
            'frames_in': str(self.frames_in),
            'frames_out': str(self.frames_out),
            'frames_window': str(len(taken)),
            'drops': str(self.drops),
            'failures': str(self.failures),
            'rate_in (Hz)': f'{rate_in:.2f}',
            'rate_out (Hz)': f'{rate_out:.2f}',
        }
        for topic, count in self.inputs.items():
            new = count - self._reported_inputs.get(topic, 0)
            values[f'{topic} (Hz)'] = f'{new / passed if passed > 0 else 0.0:.2f}'
            values[f'{topic} with problems'] = str(self.refused[topic])
        self._reported_inputs = dict(self.inputs)
        for stage in taken[0] if taken else ():
            samples = [s[stage] for s in taken if stage in s]
            values[f'{stage} p50 (ms)'] = f'{np.percentile(samples, 50):.2f}'
            values[f'{stage} p95 (ms)'] = f'{np.percentile(samples, 95):.2f}'
            values[f'{stage} mean (ms)'] = f'{np.mean(samples):.3f}'
        return values


def engine_status(description: Mapping[str, str], degraded: str) -> DiagnosticStatus:
    """The status of the engine; degraded: how it differs from the requested one, '' if not."""
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if degraded else DiagnosticStatus.OK,
        name='manivideo: engine',
        message=degraded or f'running on {description["backend"]}',
        values=[KeyValue(key=k, value=v) for k, v in description.items()],
    )


def status(
    header: Header,
    values: Mapping[str, str],
    snapshot: Snapshot | None,
    late: float,
    problem: str = '',
    node: str = '/synthesizer',
) -> DiagnosticArray:
    """The diagnostics: WARN if an input is missing or older than `late` (s), or for a problem.

    node: its fully qualified name, which distinguishes the nodes of several namespaces.
    """
    ages = {} if snapshot is None else snapshot.age
    level, text = DiagnosticStatus.OK, 'streaming'
    if snapshot is None:
        level, text = DiagnosticStatus.WARN, 'no poses yet'
    elif snapshot.missing:
        level, text = DiagnosticStatus.WARN, f'missing: {", ".join(snapshot.missing)}'
    elif any(age > late for age in ages.values()):
        late_ones = sorted(name for name, age in ages.items() if age > late)
        level, text = DiagnosticStatus.WARN, f'late: {", ".join(late_ones)}'
    if problem:
        level, text = DiagnosticStatus.WARN, problem
    shown = {**values, **{f'age of {name} (s)': f'{age:.3f}' for name, age in ages.items()}}
    return DiagnosticArray(
        header=header,
        status=[
            DiagnosticStatus(
                level=level,
                name=status_name(node.rpartition('/')[0]),
                message=text,
                hardware_id=node,
                values=[KeyValue(key=k, value=v) for k, v in shown.items()],
            )
        ],
    )
