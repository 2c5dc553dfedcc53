"""What a gripper's recorded state says about contact, and whether it is so in 3D.

A gripper that has closed and stands still, not wide open and not quite closed, holds something: it
opens again, rather than closes further. Where efforts are recorded, those of its joints decide: it
stands still and pushes. One that is wide open carries nothing up, unless the object is between its
fingers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.evaluation.measures.contact import MOVES, TOUCH, Contacts
from manivideo_ros.geometry import Array
from manivideo_ros.hand.state import Side
from manivideo_ros.motion.motion import Motion, RobotTrack
from manivideo_ros.robot.model import RobotModel

MOST_FINGERS = 3
"""Of a gripper: how far a hand with more is open is no single number."""
STILL = 0.01
"""Metres a second below which a gripper stands still."""
WINDOW_S = 0.2
"""Over which speeds are measured, and how long a gripper stands still at least."""
CLOSED = 0.003
"""Metres of the gripper's least opening, and differences of openings that count."""
OPEN = 0.9
"""Share of the range from which a gripper is wide open."""
PUSHES = 3.0
"""How many times the least effort of a recording the greatest is, if efforts mean anything."""
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Grip:
    """What the state of a gripper says, frame by frame: opening [F], metres between the tips of its
    fingers; holds, is_open bool [F]. fingers: by index into the model's.
    """

    side: Side
    fingers: tuple[int, ...]
    opening: Array
    holds: Bools
    is_open: Bools


@dataclass(frozen=True)
class Claims:
    """Whether the state of the grippers is that of the scene in a frame.

    empty: a gripper holds something by its state, and touches no object; None where none does.
    open: a gripper that is wide open carries an object up; None where nothing is carried up.
    tips: world points [K, 3] of the tips of grippers of which that is so.
    """

    empty: bool | None
    open: bool | None
    tips: Array


class Grips:
    """The grippers of a motion."""

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._grips = {
            name: list(grips(track, motion.stamps_ns)) for name, track in motion.robots.items()
        }
        # A camera's frame does not say where up is.
        world = not motion.frame_id.endswith('optical_frame')
        self._rises = {n: _rises(motion, n) for n in motion.objects} if world else {}

    def of(self, index: int, contacts: Contacts) -> Claims:
        """The claims of the frame of this index, in which poses are known."""
        sample, robots = self._motion.frame(index), self._motion.robots_in(index)
        empty, opened, tips = [], [], [np.zeros((0, 3))]
        for name, state in robots.items():
            if not sample.objects:
                continue
            gaps = contacts.of_fingers(sample.objects, state)
            for grip in self._grips[name]:
                own = [(grip.side, state.model.fingers[n].name) for n in grip.fingers]
                touched = {o: [f for f in own if of.get(f, np.inf) <= TOUCH]
                           for o, of in gaps.items()}  # fmt: skip
                wrong = False
                if grip.holds[index]:
                    empty.append(not any(touched.values()))
                    wrong = empty[-1]
                for item, rising in self._rises.items():
                    if item in touched and rising[index] and self._together(item, name, index):
                        opened.append(bool(grip.is_open[index]) and len(touched[item]) < 2)
                        wrong |= opened[-1]
                if wrong:
                    tips.append(np.array([state.finger_points()[n][-1] for n in grip.fingers]))
        return Claims(
            any(empty) if empty else None, any(opened) if opened else None, np.concatenate(tips)
        )

    def _together(self, item: str, robot: str, index: int) -> bool:
        """Whether an object moves with a robot's hand, as if it were carried by it."""
        first, last = _around(self._motion.stamps_ns, index)
        seconds = 1e-9 * float(self._motion.stamps_ns[last] - self._motion.stamps_ns[first])
        poses, track = self._motion.objects[item].poses, self._motion.robots[robot]
        by = poses[last, :3, 3] - poses[first, :3, 3]
        hand = track.state(last).middle - track.state(first).middle
        return bool(np.linalg.norm(by - hand) < MOVES * seconds)


def grips(track: RobotTrack, stamps_ns: NDArray[np.int64]) -> Iterator[Grip]:
    """The grippers of a robot, with what their states say."""
    model = track.model
    poses = model.kinematics.poses(track.positions)
    for side in dict.fromkeys(finger.side for finger in model.fingers):
        fingers = tuple(n for n, finger in enumerate(model.fingers) if finger.side == side)
        if not 2 <= len(fingers) <= MOST_FINGERS:
            continue
        opening = _opening(model, fingers, poses)
        least, most = _range(model, side, fingers, opening)
        if most - least < 2 * CLOSED:
            continue
        first, last = _around_all(stamps_ns)
        seconds = np.maximum(1e-9 * (stamps_ns[last] - stamps_ns[first]), 1e-3)
        still = (np.abs(opening[last] - opening[first]) / seconds < STILL) & track.present
        is_open = opening > least + OPEN * (most - least)
        between = still & ~is_open & (opening > least + CLOSED)
        pushes = _pushes(track, _joints_of(model, side, fingers))
        if pushes is None:
            holds = _closed_on_something(between, still, opening, stamps_ns)
        else:
            holds = between & pushes
        yield Grip(side, fingers, opening, holds, is_open & track.present)


def _opening(model: RobotModel, fingers: tuple[int, ...], poses: Array) -> Array:
    """Metres [F] from the thumb's tip to the nearest of the others, for link poses [F, L, 4, 4]."""
    tips = []
    for n in fingers:
        link, point = model.fingers[n].link[-1], model.fingers[n].point[-1]
        tips.append(poses[:, link, :3, :3] @ point + poses[:, link, :3, 3])
    apart = [np.linalg.norm(tip - tips[0], axis=-1) for tip in tips[1:]]
    return np.asarray(np.min(apart, axis=0))


def _joints_of(model: RobotModel, side: Side, fingers: tuple[int, ...]) -> NDArray[np.int64]:
    """The joints that move a gripper's fingers against its palm, by index into positions."""
    robot = model.kinematics.robot
    links = [model.kinematics.links[k] for n in fingers for k in model.fingers[n].link]
    moved = set().union(*(robot.movers(link) for link in links)) - model.carriers[side]
    return np.flatnonzero(np.isin(model.kinematics.joints, sorted(moved)))


def _range(
    model: RobotModel, side: Side, fingers: tuple[int, ...], recorded: Array
) -> tuple[float, float]:
    """The least and the greatest opening, metres: of the recording and at the joints' limits."""
    joints = _joints_of(model, side, fingers)
    limits = model.kinematics.limits[joints]
    found = [float(recorded.min()), float(recorded.max())]
    if np.isfinite(limits).all():
        shares = [np.array(corner, float) for corner in product((0, 1), repeat=min(len(joints), 4))]
        shares = [np.resize(share, len(joints)) for share in shares if len(share)]
        shares += [np.full(len(joints), s) for s in np.linspace(0, 1, 11)]
        positions = np.zeros((len(shares), len(model.kinematics.joints)))
        positions[:, joints] = limits[:, 0] + np.array(shares) * (limits[:, 1] - limits[:, 0])
        reached = _opening(model, fingers, model.kinematics.poses(positions))
        found += [float(reached.min()), float(reached.max())]
    return min(found), max(found)


def _pushes(track: RobotTrack, joints: NDArray[np.int64]) -> Bools | None:
    """In which frames [F] a gripper's joints push; None where efforts say nothing."""
    if track.effort is None or not len(joints):
        return None
    effort = np.abs(track.effort[:, joints])
    known = np.isfinite(effort).any(1)
    if known.mean() < 0.5:
        return None
    effort = np.where(known, np.nanmax(np.where(known[:, None], effort, 0.0), axis=1), 0.0)
    least, most = np.percentile(effort[known], [5, 95])
    if most <= PUSHES * max(float(least), 1e-6):
        return None
    return np.asarray(effort > 0.5 * (least + most))


def _closed_on_something(
    between: Bools, still: Bools, opening: Array, stamps_ns: NDArray[np.int64]
) -> Bools:
    """The frames [F] of those between open and closed in which a gripper has closed, does not close
    further, and stands still for some time.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still, [0]]).astype(int)))
    rests = [
        (a, b - 1)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if stamps_ns[b - 1] - stamps_ns[a] >= WINDOW_S * 1e9
    ]
    out = np.zeros(len(still), bool)
    for a, b in rests:
        off = opening - np.median(opening[a : b + 1])
        off[np.abs(off) < CLOSED] = 0
        before, after = off[:a][off[:a] != 0], off[b + 1 :][off[b + 1 :] != 0]
        closed = len(before) > 0 and before[-1] > 0
        opens = len(after) > 0 and after[0] > 0
        if (closed and not len(after)) or (opens and (closed or not len(before))):
            out[a : b + 1] = between[a : b + 1]
    return out


def _rises(motion: Motion, item: str) -> Bools:
    """In which frames [F] an object moves up."""
    track = motion.objects[item]
    first, last = _around_all(motion.stamps_ns)
    seconds = np.maximum(1e-9 * (motion.stamps_ns[last] - motion.stamps_ns[first]), 1e-3)
    up = track.poses[last, 2, 3] - track.poses[first, 2, 3]
    return np.asarray((up / seconds > MOVES) & track.present[first] & track.present[last])


def _around(stamps_ns: NDArray[np.int64], index: int) -> tuple[int, int]:
    first, last = _around_all(stamps_ns)
    return int(first[index]), int(last[index])


def _around_all(stamps_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each frame the first and the last one [F] within half of WINDOW_S of it, or beside it."""
    half, count = round(0.5e9 * WINDOW_S), len(stamps_ns)
    rows = np.arange(count)
    first = np.minimum(np.searchsorted(stamps_ns, stamps_ns - half), np.maximum(rows - 1, 0))
    last = np.searchsorted(stamps_ns, stamps_ns + half, side='right') - 1
    return first, np.maximum(last, np.minimum(rows + 1, count - 1))
