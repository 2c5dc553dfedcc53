"""The newest state of every source, at one instant: interpolated, held, faded, missing.

Sources are hands, objects and the skeleton of a person. A frame's time is the newest hand stamp,
or while no hands come the newest skeleton's. Other sources are interpolated to it where they have
samples on both sides, else their last good state is held: silently for `late` seconds, then as
late; after `hold` it fades out over `fade` seconds and is reported as missing. Time that jumps
back starts everything anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.blending import blend_hands, blend_poses
from manivideo_ros.mlo.surfaces import HandState

State = TypeVar('State')
SECOND = 1_000_000_000
# A stamp this much older than the newest is a clock that was set back, not a message out of order.
JUMP_NS = SECOND // 2
SKELETON = 'skeleton'
"""What the source of skeletons is called in `presence` and `age`."""


@dataclass(frozen=True)
class Timing:
    """How long a silent source counts, in seconds."""

    late: float = 0.05
    hold: float = 0.2
    fade: float = 0.3

    def presence(self, age: float) -> float:
        """Weight 0..1 of a state that is `age` seconds old."""
        if age <= self.hold:
            return 1.0
        return max(0.0, 1.0 - (age - self.hold) / self.fade) if self.fade > 0 else 0.0


@dataclass(frozen=True)
class Snapshot:
    """What is where at one instant (stamp_ns).

    hands by side, objects (world_from_object [4, 4]) by id and the skeleton [134, 3] (pixels of the
    frame, mlo/skeleton.py) hold all whose presence is above 0; presence: weight 0..1 of each; age:
    seconds since each one's last good state, also of those that are missing.
    """

    stamp_ns: int
    hands: dict[str, HandState]
    objects: dict[str, NDArray[np.floating]]
    presence: dict[str, float]
    age: dict[str, float] = field(default_factory=dict)
    skeleton: NDArray[np.floating] | None = None

    @classmethod
    def of(
        cls,
        stamp_ns: int,
        hands: Mapping[str, HandState],
        objects: Mapping[str, NDArray[np.floating]],
    ) -> Snapshot:
        """Hands and objects that are all wholly there."""
        present = dict.fromkeys([*hands, *objects], 1.0)
        return cls(stamp_ns, dict(hands), dict(objects), present)

    @property
    def missing(self) -> tuple[str, ...]:
        """Sources that were seen once and have faded out."""
        return tuple(sorted(name for name in self.age if name not in self.presence))


class _Track(Generic[State]):
    """The last samples of one source, in the order of their stamps."""

    def __init__(self, blend: Callable[[State, State, float], State]) -> None:
        self.samples: deque[tuple[int, State]] = deque(maxlen=64)
        self.blend = blend

    def add(self, stamp_ns: int, state: State) -> None:
        if not self.samples or stamp_ns > self.samples[-1][0]:
            self.samples.append((stamp_ns, state))

    def at(self, stamp_ns: int) -> tuple[State, int]:
        """The state at that instant and the stamp of the last sample that it rests on."""
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


class PoseTracker:
    """Collects poses as they come and tells what is where at an instant. Not thread-safe."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self.newest_ns: int | None = None  # newest hand stamp
        self.newest_skeleton_ns: int | None = None
        self.clock: tuple[int, int] | None = None  # newest stamp of all, its time of receipt
        self._first_ns = 0  # stamp of the first message, whoever sent it
        self.jumps = 0
        self._hands: dict[str, _Track[HandState]] = {}
        self._objects: dict[str, _Track[NDArray[np.floating]]] = {}
        self._people: dict[str, _Track[NDArray[np.floating]]] = {}

    def reset(self) -> None:
        """Forget every source."""
        self.newest_ns, self.newest_skeleton_ns, self.clock = None, None, None
        for tracks in (self._hands, self._objects, self._people):
            tracks.clear()

    def start_anew(self) -> None:
        """Forget every source: time jumped back."""
        self.reset()
        self.jumps += 1

    def clock_began(self, received_ns: int) -> None:
        """The clock of receipt only now begins: what was received so far counts as of now."""
        if self.clock is not None:
            self.clock = (self.clock[0], received_ns)

    def forget_objects(self) -> None:
        """Forget the objects: the scene has others now."""
        self._objects.clear()

    def add_hands(self, stamp_ns: int, hands: Mapping[str, HandState], received_ns: int) -> bool:
        """Take hands by side; received_ns on any monotonic clock. True where time jumped back."""
        jumped = self._advance(stamp_ns, received_ns)
        self.newest_ns = max(stamp_ns, self.newest_ns or stamp_ns)
        for side, state in hands.items():
            self._hands.setdefault(side, _Track(blend_hands)).add(stamp_ns, state)
        return jumped

    def add_objects(
        self, stamp_ns: int, objects: Mapping[str, NDArray[np.floating]], received_ns: int
    ) -> bool:
        """Take object poses [4, 4] by id; True where time jumped back."""
        jumped = self._advance(stamp_ns, received_ns)
        for name, pose in objects.items():
            self._objects.setdefault(name, _Track(blend_poses)).add(stamp_ns, pose)
        return jumped

    def add_skeleton(
        self, stamp_ns: int, skeleton: NDArray[np.floating] | None, received_ns: int
    ) -> bool:
        """Take a skeleton [134, 3], None where nobody is seen; True where time jumped back."""
        jumped = self._advance(stamp_ns, received_ns)
        self.newest_skeleton_ns = max(stamp_ns, self.newest_skeleton_ns or stamp_ns)
        if skeleton is not None:
            self._people.setdefault(SKELETON, _Track(_nearer)).add(stamp_ns, skeleton)
        return jumped

    def hands_after(self, stamp_ns: int) -> int | None:
        """How many stamps of hands came after that one; None where it is none of theirs."""
        stamps = {s for track in self._hands.values() for s, _ in track.samples}
        return sum(s > stamp_ns for s in stamps) if stamp_ns in stamps else None

    def silent(self, received_ns: int, after: float) -> bool:
        """Whether hands and skeletons lie more than `after` seconds behind the sources' clock.

        Where none came yet, behind the first message: objects may come a moment before their hands.
        """
        newest = max(self.newest_ns or 0, self.newest_skeleton_ns or 0)
        return self._behind(newest or self._first_ns, received_ns, after)

    def hands_silent(self, received_ns: int, after: float) -> bool:
        """Whether the last hand stamp lies more than `after` seconds behind the sources' clock."""
        return self._behind(self.newest_ns or 0, received_ns, after)

    def frame_stamp(self, received_ns: int, after: float) -> int | None:
        """The stamp of a frame to be made now; None before the first hands, for `after` seconds.

        The newest hands', or while these are silent the newest skeleton's, or the sources' clock.
        """
        if not self.hands_silent(received_ns, after):
            return self.newest_ns
        if not self.silent(received_ns, after):
            return self.newest_skeleton_ns
        return self.estimate(received_ns)

    def _behind(self, newest_ns: int, received_ns: int, after: float) -> bool:
        now = self.estimate(received_ns)
        return now is not None and now - newest_ns > after * SECOND

    def estimate(self, received_ns: int) -> int | None:
        """The sources' clock at a time of receipt: the newest stamp and what has passed since."""
        if self.clock is None:
            return None
        stamp_ns, at = self.clock
        return stamp_ns + max(0, received_ns - at)

    def sample(self, stamp_ns: int) -> Snapshot:
        """Everything at that instant."""
        out = Snapshot(stamp_ns, {}, {}, {})
        for side, hand in self._hands.items():
            self._place(out, side, hand, out.hands)
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

    def _advance(self, stamp_ns: int, received_ns: int) -> bool:
        jumped = self.clock is not None and stamp_ns < self.clock[0] - JUMP_NS
        if jumped:
            self.start_anew()
        if self.clock is None:
            self._first_ns = stamp_ns
        if self.clock is None or stamp_ns > self.clock[0]:
            self.clock = (stamp_ns, received_ns)
        return jumped


def _nearer(
    first: NDArray[np.floating], second: NDArray[np.floating], fraction: float
) -> NDArray[np.floating]:
    """Of two skeletons the nearer in time, as it is: they may be of two people."""
    return first if fraction < 0.5 else second
