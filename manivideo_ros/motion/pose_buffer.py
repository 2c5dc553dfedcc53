"""Buffers stamped poses and interpolates them at a query time.

Sources are hands, robots, objects and the skeleton of a person; what is said of hands holds for
robots. A frame's time is the newest hand stamp, or the newest skeleton's while no hands arrive.
Other sources are interpolated to it if they have samples on both sides; else their last valid state
is held for `hold` seconds, then fades out over `fade` seconds and is reported as missing.

Stamps are compared with earlier stamps of the same source only, so that a source with a constant
delay or a clock that is ahead disturbs no other. A clock reset of the source that sets the frames'
clock clears the buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.interpolation import interpolate_hands, interpolate_rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.pose_filter import HandFilter, RigidFilter
from manivideo_ros.robot.state import RobotState, interpolate_robots

State = TypeVar('State')
SECOND = 1_000_000_000
CLOCK_RESET_NS = SECOND // 2
"""A stamp that is older than its source's last one by more than this is a clock reset; by less, a
message out of order."""
# After hands are silent for QUIET_NS, other sources advance the frames' clock, each stamp by up to
# AHEAD_NS more than the time that has passed.
QUIET_NS = AHEAD_NS = SECOND // 10
DELAYS = 16  # messages of a source over which its delay is measured
HANDS, PEOPLE, OBJECTS = 'hands', 'people', 'objects'
_RANKS = {HANDS: 0, PEOPLE: 1, OBJECTS: 2}  # the lowest that is present sets the frames' clock
SKELETON = 'skeleton'
"""Name of the skeletons' source in `presence` and `age`."""


@dataclass(frozen=True)
class Timing:
    """Limits on the age of a source's last state, in seconds."""

    late: float = 0.05
    hold: float = 0.2
    fade: float = 0.3

    def presence(self, age: float) -> float:
        """Presence 0..1 of a state that is `age` seconds old."""
        if age <= self.hold:
            return 1.0
        return max(0.0, 1.0 - (age - self.hold) / self.fade) if self.fade > 0 else 0.0


@dataclass(frozen=True)
class Snapshot:
    """Hands, robots and objects at one instant (stamp_ns).

    hands by side, robots by name, objects (world_from_object [4, 4]) by id and the skeleton
    [134, 3] (pixels of the frame, drawing/skeleton.py) have a presence above 0; presence: 0..1 of
    each; age: seconds since the last valid state of each, missing ones included.
    """

    stamp_ns: int
    hands: dict[str, HandState]
    objects: dict[str, NDArray[np.floating]]
    presence: dict[str, float]
    age: dict[str, float] = field(default_factory=dict)
    skeleton: NDArray[np.floating] | None = None
    robots: dict[str, RobotState] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        stamp_ns: int,
        hands: Mapping[str, HandState],
        objects: Mapping[str, NDArray[np.floating]],
        robots: Mapping[str, RobotState] | None = None,
    ) -> Snapshot:
        """A snapshot in which every hand, object and robot has presence 1."""
        robots = dict(robots or {})
        present = dict.fromkeys([*hands, *objects, *robots], 1.0)
        return cls(stamp_ns, dict(hands), dict(objects), present, robots=robots)

    @property
    def missing(self) -> tuple[str, ...]:
        """Sources that have faded out."""
        return tuple(sorted(name for name in self.age if name not in self.presence))


class _Track(Generic[State]):
    """The last samples of one source, in the order of their stamps.

    filtered: the state at a stamp without jitter, by the states before; called for the samples that
    are added, in their order.
    """

    def __init__(
        self,
        blend: Callable[[State, State, float], State],
        filtered: Callable[[int, State], State] | None = None,
    ) -> None:
        self.samples: deque[tuple[int, State]] = deque(maxlen=64)
        self.blend, self.filtered = blend, filtered

    def add(self, stamp_ns: int, state: State, smooth: bool = False) -> None:
        if not self.samples or stamp_ns > self.samples[-1][0]:
            if smooth and self.filtered is not None:
                state = self.filtered(stamp_ns, state)
            self.samples.append((stamp_ns, state))

    def at(self, stamp_ns: int) -> tuple[State, int]:
        """The state at a stamp, and the stamp up to which samples cover it."""
        after: tuple[int, State] | None = None
        for stamp, state in reversed(self.samples):
            if stamp == stamp_ns or (stamp < stamp_ns and after is None):
                return state, stamp
            if stamp < stamp_ns and after is not None:
                fraction = (stamp_ns - stamp) / (after[0] - stamp)
                return self.blend(state, after[1], fraction), stamp_ns
            after = (stamp, state)
        assert after is not None
        return after[1], after[0]


@dataclass
class _SourceClock:
    """A source's newest stamp and receipt time; delays_ns: receipt minus stamp of recent messages.

    earlier_ns: a stamp long before the newest that no second one has confirmed yet.
    """

    stamp_ns: int
    received_ns: int
    delays_ns: deque[int] = field(default_factory=lambda: deque(maxlen=DELAYS))
    earlier_ns: int | None = None


_Key = tuple[str, str]  # kind and name of a source; '' for empty messages


class PoseBuffer:
    """Buffers stamped poses and interpolates them at a query time. Not thread-safe.

    clock: the frames' clock, a stamp and its receipt time; resets: number of clock resets; smooth:
    whether jitter is removed from the hands and objects that are added (pose_filter.py). Methods
    that take a message return the problems with its stamp.
    """

    def __init__(self, timing: Timing | None = None, smooth: bool = False) -> None:
        self.timing, self.smooth = timing or Timing(), smooth
        self.clock: tuple[int, int] | None = None
        self._leader: _Key = (OBJECTS, '')  # the source that sets `clock`
        self._first_received_ns = 0  # of the first message of any source
        self._clocks: dict[_Key, _SourceClock] = {}
        self.resets = 0
        self._hands: dict[str, _Track[HandState]] = {}
        self._robots: dict[str, _Track[RobotState]] = {}
        self._objects: dict[str, _Track[NDArray[np.floating]]] = {}
        self._people: dict[str, _Track[NDArray[np.floating]]] = {}

    @property
    def newest_ns(self) -> int | None:
        """The newest hand stamp."""
        return self._newest(HANDS)

    @property
    def newest_skeleton_ns(self) -> int | None:
        """The newest stamp of skeletons."""
        return self._newest(PEOPLE)

    def reset(self) -> None:
        """Drop all samples."""
        self.clock = None
        for sources in (self._clocks, self._hands, self._robots, self._objects, self._people):
            sources.clear()

    def restart(self) -> None:
        """Drop all samples after a clock reset."""
        self.reset()
        self.resets += 1

    def clock_began(self, received_ns: int) -> None:
        """The receipt clock has just started: earlier messages count as received now."""
        if self.clock is not None:
            self.clock = (self.clock[0], received_ns)
        self._first_received_ns = received_ns
        for source in self._clocks.values():
            source.received_ns = received_ns
            source.delays_ns.clear()

    def forget_objects(self) -> None:
        """Drop the objects' samples, for a scene with other objects."""
        self._objects.clear()

    def add_hands(
        self, stamp_ns: int, hands: Mapping[str, HandState], received_ns: int
    ) -> list[str]:
        """Add hands by side; received_ns: receipt time by any monotonic clock."""
        taken, problems = self._take(HANDS, [*hands], stamp_ns, received_ns)
        for side in taken:
            if side not in self._hands:
                self._hands[side] = _Track(interpolate_hands, HandFilter().add)
            self._hands[side].add(stamp_ns, hands[side], self.smooth)
        return problems

    def add_robots(
        self, stamp_ns: int, robots: Mapping[str, RobotState], received_ns: int
    ) -> list[str]:
        """Add robots by name; like hands they set the time of frames, by the same clock."""
        taken, problems = self._take(HANDS, [*robots], stamp_ns, received_ns)
        for name in taken:
            if name not in self._robots:
                self._robots[name] = _Track(interpolate_robots)
            self._robots[name].add(stamp_ns, robots[name])
        return problems

    def add_objects(
        self, stamp_ns: int, objects: Mapping[str, NDArray[np.floating]], received_ns: int
    ) -> list[str]:
        """Add object poses [4, 4] by id."""
        taken, problems = self._take(OBJECTS, [*objects], stamp_ns, received_ns)
        for name in taken:
            if name not in self._objects:
                self._objects[name] = _Track(interpolate_rigid, RigidFilter().add)
            self._objects[name].add(stamp_ns, objects[name], self.smooth)
        return problems

    def add_skeleton(
        self, stamp_ns: int, skeleton: NDArray[np.floating] | None, received_ns: int
    ) -> list[str]:
        """Add a skeleton [134, 3]; None if nobody is seen."""
        taken, problems = self._take(PEOPLE, [SKELETON], stamp_ns, received_ns)
        if skeleton is not None and taken:
            self._people.setdefault(SKELETON, _Track(_nearer)).add(stamp_ns, skeleton)
        return problems

    def hands_after(self, stamp_ns: int) -> int | None:
        """The number of buffered hand stamps after this one; None if it is no hand stamp."""
        tracks: list[_Track[Any]] = [*self._hands.values(), *self._robots.values()]
        stamps = {s for track in tracks for s, _ in track.samples}
        return sum(s > stamp_ns for s in stamps) if stamp_ns in stamps else None

    def silent(self, received_ns: int, after: float) -> bool:
        """Whether neither hands nor skeletons were received for more than `after` seconds.

        Before the first of them, since the first message: objects may arrive just before hands.
        """
        last = [at for kind in (HANDS, PEOPLE) if (at := self._received(kind)) is not None]
        since = max(last, default=self._first_received_ns)
        return self.clock is not None and received_ns - since > after * SECOND

    def hands_silent(self, received_ns: int, after: float) -> bool:
        """Whether no hands were received for more than `after` seconds, but something was."""
        last = self._received(HANDS)
        return self.clock is not None and (last is None or received_ns - last > after * SECOND)

    def frame_stamp(self, received_ns: int, after: float) -> int | None:
        """The stamp of the next frame: that of the newest hands; of the newest skeleton if hands
        are silent for `after` seconds; else the frames' clock. None before any of these.
        """
        if not self.hands_silent(received_ns, after):
            return self.newest_ns
        if not self.silent(received_ns, after):
            return self.newest_skeleton_ns
        return self.estimate(received_ns)

    def estimate(self, received_ns: int) -> int | None:
        """The frames' clock at a receipt time: its newest stamp plus the time since."""
        if self.clock is None:
            return None
        stamp_ns, at = self.clock
        return stamp_ns + max(0, received_ns - at)

    def delays(self) -> dict[str, dict[str, float]]:
        """The least recent delay, stamp to receipt (s), by kind and name of source.

        Sources with too few messages are omitted.
        """
        out: dict[str, dict[str, float]] = {}
        for (kind, name), source in self._clocks.items():
            if name and len(source.delays_ns) >= DELAYS // 4:
                out.setdefault(kind, {})[name] = min(source.delays_ns) / SECOND
        return out

    def sample(self, stamp_ns: int) -> Snapshot:
        """The state of all sources at a stamp."""
        out = Snapshot(stamp_ns, {}, {}, {})
        for side, hand in self._hands.items():
            self._place(out, side, hand, out.hands)
        for name, robot in self._robots.items():
            self._place(out, name, robot, out.robots)
        for name, thing in self._objects.items():
            self._place(out, name, thing, out.objects)
        people: dict[str, NDArray[np.floating]] = {}
        for name, person in self._people.items():
            self._place(out, name, person, people)
        return replace(out, skeleton=people.get(SKELETON))

    def _place(
        self, out: Snapshot, name: str, track: _Track[State], states: dict[str, State]
    ) -> None:
        state, last_ns = track.at(out.stamp_ns)
        age = max(0, out.stamp_ns - last_ns) / SECOND
        out.age[name] = age
        presence = self.timing.presence(age)
        if presence > 0:
            states[name], out.presence[name] = state, presence

    def _newest(self, kind: str) -> int | None:
        stamps = (source.stamp_ns for (of, _), source in self._clocks.items() if of == kind)
        return max(stamps, default=None)

    def _received(self, kind: str) -> int | None:
        times = (source.received_ns for (of, _), source in self._clocks.items() if of == kind)
        return max(times, default=None)

    def _take(
        self, kind: str, names: list[str], stamp_ns: int, received_ns: int
    ) -> tuple[list[str], list[str]]:
        """The names of the sources whose states are used, and problems with the stamp."""
        problems = []
        dropped = set()
        for name in names or ['']:
            source = self._clocks.get((kind, name))
            if source is None:
                continue
            back = source.stamp_ns - stamp_ns
            confirmed = source.earlier_ns is not None and stamp_ns > source.earlier_ns
            leads = self._leads((kind, name))
            if back <= CLOCK_RESET_NS:
                source.earlier_ns = None
            elif kind == HANDS or (leads and (kind == PEOPLE or confirmed)):
                problems.append(f'header.stamp: set back by {back / SECOND:.1f} s: clock reset')
                self._reset_to(stamp_ns)
                break
            elif not confirmed:
                # A second, late detector, or the first stamp after a clock reset.
                source.earlier_ns = stamp_ns
                dropped.add(name)
                problems.append(
                    f'header.stamp: {name or kind}: {back / SECOND:.1f} s before its last one: '
                    'dropped'
                )
            else:
                problems.append(
                    f'header.stamp: {name or kind}: set back by {back / SECOND:.1f} s: its earlier '
                    'poses are dropped'
                )
                self._forget((kind, name))
        for name in names or ['']:
            if name not in dropped:
                self._note((kind, name), stamp_ns, received_ns)
        return [name for name in names if name not in dropped], problems

    def _note(self, key: _Key, stamp_ns: int, received_ns: int) -> None:
        """Advance a source's clock, and the frames' if this source sets it."""
        source = self._clocks.setdefault(key, _SourceClock(stamp_ns, received_ns))
        if self.clock is None:
            self._first_received_ns = received_ns
        if self._moves_on(key, stamp_ns, received_ns):
            self.clock, self._leader = (stamp_ns, received_ns), key
        source.stamp_ns = max(stamp_ns, source.stamp_ns)
        source.received_ns = received_ns
        source.delays_ns.append(received_ns - stamp_ns)

    def _leads(self, key: _Key) -> bool:
        """Whether this source, or any hand if it is one, sets the frames' clock."""
        return key == self._leader or key[0] == HANDS == self._leader[0]

    def _moves_on(self, key: _Key, stamp_ns: int, received_ns: int) -> bool:
        """Whether a stamp advances the frames' clock."""
        if self.clock is None or _RANKS[key[0]] < _RANKS[self._leader[0]]:
            return True
        newest_ns, at_ns = self.clock
        if self._leads(key):
            return stamp_ns > newest_ns
        elapsed = received_ns - at_ns
        if key[0] != self._leader[0] and elapsed <= QUIET_NS:
            return False
        # A source whose clock is ahead would make all others late.
        return newest_ns < stamp_ns <= newest_ns + elapsed + AHEAD_NS

    def _reset_to(self, stamp_ns: int) -> None:
        """Drop the sources with stamps after a clock reset of the source that sets the clock."""
        self.resets += 1
        self.clock = None
        for key, source in list(self._clocks.items()):
            if key[0] == HANDS or source.stamp_ns > stamp_ns + CLOCK_RESET_NS:
                self._forget(key)

    def _forget(self, key: _Key) -> None:
        kind, name = key
        self._clocks.pop(key, None)
        tracks: dict[str, dict[str, Any]] = {
            HANDS: self._hands,
            OBJECTS: self._objects,
            PEOPLE: self._people,
        }
        tracks[kind].pop(name, None)
        if kind == HANDS:
            self._robots.pop(name, None)


def _nearer(
    first: NDArray[np.floating], second: NDArray[np.floating], fraction: float
) -> NDArray[np.floating]:
    """Of two skeletons the nearer in time: they may be of two people."""
    return first if fraction < 0.5 else second
