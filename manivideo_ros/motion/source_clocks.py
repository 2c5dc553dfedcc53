"""Detects sources whose clocks disagree: which one is off, by how much, and what to do.

A delay is the time from a stamp to its receipt. A single one may come from a slow driver or a wrong
clock; comparison with the other sources and this machine's clock distinguishes the two.
"""

from __future__ import annotations

from collections.abc import Mapping

from manivideo_ros.motion.pose_buffer import HANDS, OBJECTS, PEOPLE

TOPICS = {HANDS: 'hand_poses', PEOPLE: 'skeleton_poses', OBJECTS: 'object_poses'}
OFFSET_S = 0.2  # a larger difference between two sources is a problem
STALE_S = 10.0  # no live source is so late: its stamps are from a bag, for example
_SPANS = ((31_557_600.0, 'years'), (86_400.0, 'days'), (3600.0, 'hours'), (60.0, 'minutes'))


class ClockWatch:
    """Compares the sources once a second; a problem is reported once until it is solved.

    problem: the current problem, '' without one.
    """

    def __init__(self) -> None:
        self.problem = ''
        self._known: set[str] = set()

    def compare(
        self, delays: Mapping[str, Mapping[str, float]], clock_s: float, simulated: bool
    ) -> list[str]:
        """The new problems, one line each.

        delays: seconds by kind and name of source, by the clock of receipt (PoseBuffer.delays);
        clock_s: by how much this node's clock is ahead of that one; simulated: it is /clock.
        """
        found = _problems(delays, clock_s, simulated)
        self.problem = next(iter(found.values()), '')
        new = [text for key, text in found.items() if key not in self._known]
        self._known = set(found)
        return new


def _problems(
    delays: Mapping[str, Mapping[str, float]], clock_s: float, simulated: bool
) -> dict[str, str]:
    """Problems, one line each, by a key of their cause."""
    kind = next((k for k in TOPICS if delays.get(k)), None)
    if kind is None:
        return {}
    delay_of = {(k, name): d + clock_s for k, of in delays.items() for name, d in of.items()}
    first = min((key for key in delay_of if key[0] == kind), key=lambda key: abs(delay_of[key]))
    base, lead = delay_of[first], TOPICS[kind]
    here = '/clock' if simulated else "this machine's clock"
    out = {}
    # A simulated clock may arrive a little after poses with later stamps.
    stale = base > STALE_S or base < (-STALE_S if simulated else -OFFSET_S)
    if stale and simulated:
        out[f'{lead} {base > 0}'] = (
            f'{lead}: stamps are {span(base)} {_side(base)} {here}: its source uses another '
            'clock: set use_sim_time there too'
        )
    elif stale and base > 0:
        out[f'{lead} behind'] = (
            f'{lead}: stamps are {span(base)} behind {here}: to play a bag, use --clock and '
            'use_sim_time. Latencies count from receipt'
        )
    elif stale:
        out[f'{lead} ahead'] = (
            f'{lead}: stamps are {span(base)} ahead of {here}: synchronise the clock of its '
            'machine. Latencies count from receipt'
        )
    for (other, name), delay in delay_of.items():
        topic, apart_s = TOPICS[other], delay - base
        if abs(apart_s) <= OFFSET_S:
            continue
        if abs(delay) < abs(base):
            if not stale:
                out[f'{lead} {apart_s < 0}'] = (
                    f'{lead}: stamps are {span(apart_s)} {_side(-apart_s)} those of {topic} and '
                    f'{here}: a slow driver, or the clock of its machine is off: synchronise it'
                )
        elif apart_s > 0:
            out[f'{topic} {name} behind'] = (
                f'{topic}: {name}: stamps are {span(apart_s)} behind those of {lead}: a slow '
                'detector, or the clock of its machine is off: synchronise it, or give hold_s more '
                'than that'
            )
        else:
            out[f'{topic} {name} ahead'] = (
                f'{topic}: {name}: stamps are {span(apart_s)} ahead of those of {lead}: the clock '
                f'of its machine is ahead of {here}: synchronise it'
            )
    return out


def _side(seconds: float) -> str:
    return 'behind' if seconds > 0 else 'ahead of'


def span(seconds: float) -> str:
    """The length of a time in words, regardless of sign: 0.7 s, 4 minutes, 12 days."""
    length = abs(seconds)
    for unit, name in _SPANS:
        if length >= 2 * unit:
            return f'{length / unit:.0f} {name}'
    return f'{length:.1f} s'
