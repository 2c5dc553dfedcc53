"""Inputs that fall silent: reported once, with their names, and once when they are back."""

from __future__ import annotations

from collections.abc import Collection

SILENT_S = 5.0


class InputWatch:
    """Notes when each input came. now_s: seconds on any one monotonic clock.

    wanted: groups of topics, one topic of each of which must come; others only must not stop once
    they came.
    """

    def __init__(self, wanted: Collection[Collection[str]], now_s: float) -> None:
        self._wanted = [tuple(group) for group in wanted]
        self._began_s = now_s
        self._last: dict[str, float] = {}
        self._silent: set[str] = set()

    def came(self, topic: str, now_s: float) -> str:
        """A message came; one line where its topic had been reported as silent, else ''."""
        before = self._last.get(topic, self._began_s)
        self._last[topic] = now_s
        for group in self._wanted:
            if len(group) > 1 and topic in group:
                self._silent.discard(' or '.join(group))
        if topic not in self._silent:
            return ''
        self._silent.discard(topic)
        return f'{topic}: back after {now_s - before:.0f} s'

    def fell_silent(self, now_s: float) -> list[str]:
        """One line for each input that has been silent for SILENT_S and was not reported so."""
        last = dict(self._last)
        for group in self._wanted:
            if not last.keys() & set(group):
                last[' or '.join(group)] = self._began_s
        new = [t for t, at in last.items() if now_s - at >= SILENT_S and t not in self._silent]
        self._silent.update(new)
        return [
            f'{topic}: nothing came for {SILENT_S:g} s: does its publisher run, in this namespace '
            'and ROS_DOMAIN_ID?'
            for topic in new
        ]
