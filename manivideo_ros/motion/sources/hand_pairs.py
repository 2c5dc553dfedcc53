"""Joins hands that come in separate messages: both hands of one stamp in one HandPoses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manivideo_ros.messages.read import stamp_ns

WAIT_S = 0.05
"""How long a hand waits at most for the other one, after its receipt."""
# Stamps that differ by up to half a period of the source, and at most MOST_NS, count as equal.
TOLERANCE_NS, MOST_NS = 5_000_000, 17_000_000
# A hand without messages for so many periods, or so long while the period is unknown, is lost.
LOST_PERIODS, LOST_NS = 3, 1_000_000_000
FIRST = 3  # messages of one hand that wait for another one that was not seen yet


@dataclass
class _Side:
    """One hand: its newest stamp, the period before it, its frame, the number of messages."""

    stamp_ns: int
    period_ns: int
    frame_id: str
    count: int


class HandPairs:
    """Takes HandPoses of one or two hands and returns those that are complete. Not thread-safe.

    apart: whether left and right come in separate messages. A hand waits only if the other one was
    seen recently, and until the next message at most.
    """

    def __init__(self, apart: bool) -> None:
        self.apart = apart
        self._seen: dict[int, _Side] = {}
        self._held: Any | None = None

    @property
    def waits(self) -> bool:
        """Whether a hand waits for the other."""
        return self._held is not None

    def reset(self) -> None:
        """Forget everything, after a clock reset."""
        self._seen.clear()
        self._held = None

    def release(self) -> list[Any]:
        """The waiting hand, without the other one."""
        held, self._held = self._held, None
        return [] if held is None else [held]

    def add(self, messages: list[Any]) -> list[Any]:
        """Add messages that arrived together; returns those that are complete, ordered by stamp."""
        out = []
        for message in messages:
            if len(message.hands) == 1:
                out += self._add(message, self.apart or len(messages) > 1)
            else:
                out += [*self.release(), message]
                for hand in message.hands:
                    self._note(hand.side, message)
        return out

    def _add(self, message: Any, may_wait: bool) -> list[Any]:
        side, stamp = message.hands[0].side, stamp_ns(message.header)
        self._note(side, message)
        ready: list[Any] = []
        if self._held is not None:
            held_side, held_ns = self._held.hands[0].side, stamp_ns(self._held.header)
            near = self._tolerance()
            if held_side != side and abs(stamp - held_ns) <= near and self._one_frame(message):
                first, self._held = self._held, None
                return [_joined(first, message)]
            if held_side != side and stamp < held_ns:
                return [message]  # older than the waiting hand: its pair has passed
            ready = self.release()
        if may_wait and self._expected(side, stamp):
            self._held = message
            return ready
        return [*ready, message]

    def _note(self, side: int, message: Any) -> None:
        stamp, before = stamp_ns(message.header), self._seen.get(side)
        period = 0 if before is None else max(0, stamp - before.stamp_ns)
        count = 1 if before is None else before.count + 1
        self._seen[side] = _Side(stamp, period, message.header.frame_id, count)

    def _one_frame(self, message: Any) -> bool:
        assert self._held is not None
        return bool(self._held.header.frame_id == message.header.frame_id)

    def _period(self) -> int:
        """The source's period: the shorter one of both hands, since one may have paused."""
        return min((s.period_ns for s in self._seen.values() if s.period_ns > 0), default=0)

    def _tolerance(self) -> int:
        return min(max(TOLERANCE_NS, self._period() // 2), MOST_NS)

    def _expected(self, side: int, stamp: int) -> bool:
        """Whether the other hand of this stamp is still expected."""
        mine, other = self._seen[side], self._seen.get(1 - side)
        if other is None:
            return self.apart and mine.count <= FIRST
        lost = LOST_PERIODS * self._period() or LOST_NS
        behind = stamp - other.stamp_ns
        return other.frame_id == mine.frame_id and self._tolerance() < behind <= lost


def _joined(first: Any, second: Any) -> Any:
    """Both hands under the later of the stamps."""
    later = max(first, second, key=lambda message: stamp_ns(message.header))
    hands = sorted([*first.hands, *second.hands], key=lambda hand: hand.side)
    return type(later)(header=later.header, hands=hands)
