"""Reports inputs that fall silent, once, and once again when they return."""

from __future__ import annotations

from collections.abc import Collection

SILENT_S = 5.0


class InputWatch:
    """Stores when each input was last received. now_s: seconds on a monotonic clock.

    required: groups of topics, of each of which at least one must be received; the silence of
    other topics is reported only after they were received once.
    """

    def __init__(self, required: Collection[Collection[str]], now_s: float) -> None:
        self._required = [tuple(group) for group in required]
        self._start_s = now_s
        self._last: dict[str, float] = {}
        self._silent: set[str] = set()

    def received(self, topic: str, now_s: float) -> str:
        """Add a message; returns one line if its topic had been reported as silent, else ''."""
        before = self._last.get(topic, self._start_s)
        self._last[topic] = now_s
        for group in self._required:
            if len(group) > 1 and topic in group:
                self._silent.discard(' or '.join(group))
        if topic not in self._silent:
            return ''
        self._silent.discard(topic)
        return f'{topic}: received again after {now_s - before:.0f} s'

    def fell_silent(self, now_s: float) -> list[str]:
        """One line for each input that is silent for SILENT_S and was not reported yet."""
        last = dict(self._last)
        for group in self._required:
            if not last.keys() & set(group):
                last[' or '.join(group)] = self._start_s
        new = [t for t, at in last.items() if now_s - at >= SILENT_S and t not in self._silent]
        self._silent.update(new)
        return [
            f'{topic}: no message for {SILENT_S:g} s: check that its publisher runs, in this '
            'namespace and ROS_DOMAIN_ID'
            for topic in new
        ]
