"""A thin table per source: its joints to the solver's 21 points, each named by what is missing.

The 21 points are MediaPipe's: wrist, then thumb, index, middle, ring and little finger, four each
outwards. OpenXR, WebXR, Vision Pro and IsaacCapture share one order of 25 joints (OpenXR's 26 have
the palm before them); without the four fingers' metacarpals these are the 21.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.hand.state import Side
from manivideo_ros.inputs.webxr import KEYPOINTS_OF_JOINTS

Array = NDArray[np.floating]

FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')
# XR_EXT_hand_tracking, XrHandJointEXT, and WebXR Hand Input, XRHandJoint, without the palm.
JOINTS = (
    'wrist',
    *(f'thumb_{part}' for part in ('metacarpal', 'proximal', 'distal', 'tip')),
    *(
        f'{finger}_{part}'
        for finger in FINGERS[1:]
        for part in ('metacarpal', 'proximal', 'intermediate', 'distal', 'tip')
    ),
)
POINTS = tuple(JOINTS[k] for k in KEYPOINTS_OF_JOINTS)
_CHAINS = {finger: slice(1 + 4 * n, 5 + 4 * n) for n, finger in enumerate(FINGERS)}
# manus_ros2 names the SDK's metacarpal, proximal, intermediate, distal and tip so, outwards.
_MANUS_JOINTS = ('MCP', 'PIP', 'IP', 'DIP', 'TIP')
_MANUS_CHAINS = dict(zip(('Thumb', 'Index', 'Middle', 'Ring', 'Pinky'), FINGERS, strict=True))
NO_FRAME = '-'
# A joint is at most so far from the nearest other one, by the largest distance among these.
NEAREST = 0.6


@dataclass(frozen=True, eq=False)
class TrackedHand:
    """What a source tells of one hand at one instant, as it tells it: its own frame and unit.

    points [21, 3]; rotations [21, 3, 3] of the same joints where the source has them; confidence
    0..1 is the source's own.
    """

    side: Side
    points: Array
    rotations: Array | None = None
    confidence: float = 1.0


def openxr(
    side: Side,
    positions: ArrayLike,  # [25 or 26, 3]
    rotations: ArrayLike | None = None,  # [25 or 26, 3, 3]
) -> TrackedHand | None:
    """The hand of joints in OpenXR's or WebXR's order; None where no joint is tracked.

    Raises ValueError where joints were left out or some are not tracked.
    """
    joints = np.asarray(positions, np.float64)
    if len(joints) not in (25, 26):
        raise ValueError(
            f'{len(joints)} joints, must be 25 (WebXR) or 26 (OpenXR): a driver that leaves out '
            'what is not tracked shifts all that follow; have it publish every joint'
        )
    palm = len(joints) - 25
    turns = None if rotations is None else np.asarray(rotations, np.float64)[palm:]
    return _of_joints(side, joints[palm:], turns, np.ones(25, bool))


def named(
    names: Sequence[str],
    positions: ArrayLike,  # [N, 3]
    rotations: ArrayLike | None,  # [N, 3, 3]
    valid: Sequence[bool],
) -> tuple[list[TrackedHand], list[str]]:
    """Hands of joints by name, as IsaacCapture's NamedPoseArray has them (`left_INDEX_TIP`).

    Returns the hands and a problem for each hand of which only a part is there.
    """
    places = {name.lower(): n for n, name in enumerate(names)}
    points = np.asarray(positions, np.float64)
    turns = None if rotations is None else np.asarray(rotations, np.float64)
    hands, problems = [], []
    sides: tuple[Side, Side] = ('left', 'right')
    for side in sides:
        wanted = [f'{side}_{joint}' for joint in JOINTS]
        absent = [name for name in wanted if name not in places]
        if len(absent) == len(wanted):
            continue
        try:
            if absent:
                raise ValueError(f'name: {side} hand: {_listed(absent)} not there')
            at = [places[name] for name in wanted]
            told = np.array([bool(valid[k]) for k in at])
            hand = _of_joints(side, points[at], None if turns is None else turns[at], told)
        except ValueError as error:
            problems.append(str(error))
            continue
        if hand is not None:
            hands.append(hand)
    if not hands and not problems and not any(name.startswith(sides) for name in places):
        problems.append(f'name: none like left_WRIST or right_INDEX_TIP ({_listed(places)})')
    return hands, problems


def manus(
    side: str, nodes: Iterable[tuple[str, str, Sequence[float]]]
) -> tuple[Side, Array] | tuple[None, None]:
    """Side and points [21, 3] of a glove's nodes (chain type, joint type, position).

    By chain and joint, never by index: node ids differ between SDKs. The thumb has no
    intermediate (or no distal) joint. (None, None) while the glove is not yet calibrated: no
    nodes. Raises ValueError naming the side or the nodes that are missing.
    """
    wearer: Side
    if side.lower() in ('left', 'l'):
        wearer = 'left'
    elif side.lower() in ('right', 'r'):
        wearer = 'right'
    else:
        raise ValueError(f"side: {side!r} is neither 'Left' nor 'Right'")
    found: dict[str, dict[str, Sequence[float]]] = {}
    for chain, joint, position in nodes:
        found.setdefault(chain, {})[joint] = position
    if not found:
        return None, None
    missing = [] if found.get('Hand') else ['Hand']
    points = np.full((21, 3), np.nan)
    if not missing:
        points[0] = next(iter(found['Hand'].values()))
    for chain, finger in _MANUS_CHAINS.items():
        has = found.get(chain, {})
        outer = [joint for joint in _MANUS_JOINTS if joint in has][-4:]
        if len(outer) < 4 or (finger != 'thumb' and outer[0] != 'PIP'):
            told = ', '.join(has) or 'nothing'
            missing.append(f'{chain} (has {told}, needs {", ".join(_MANUS_JOINTS[1:])})')
        else:
            points[_CHAINS[finger]] = [has[joint] for joint in outer]
    if missing:
        raise ValueError(f'raw_nodes: incomplete: {"; ".join(missing)}')
    return wearer, points


def manus_skeleton(
    positions: ArrayLike,  # [21, 3], each in the axes of the node before it
    rotations: ArrayLike | None = None,  # [21, 3, 3] likewise; None where no node is turned
) -> Array:
    """Points [21, 3] in the frame of the hand's node of a skeleton of the Manus SDK.

    Nodes as SDKMinimalClient of manus_ros2 sets them up: the hand, then thumb, index, middle, ring
    and little finger, four each outwards; every pose is told in its parent's frame. Raises
    ValueError for another number of nodes.
    """
    places = np.asarray(positions, np.float64)
    if places.shape != (21, 3):
        raise ValueError(
            f"{len(places)} nodes, must be the 21 of manus_ros2's skeleton: the hand, then four of "
            'each finger'
        )
    turns = np.tile(np.eye(3), (21, 1, 1)) if rotations is None else np.asarray(rotations)
    points = np.zeros((21, 3))
    for chain in _CHAINS.values():
        at, turn = np.zeros(3), np.eye(3)
        for node in range(chain.start, chain.stop):
            at, turn = at + turn @ places[node], turn @ turns[node]
            points[node] = at
    return points


def ultraleap(
    fingers: Mapping[int, Mapping[int, tuple[ArrayLike, ArrayLike]]],
    wrist: ArrayLike | None = None,
) -> Array:
    """Points [21, 3] of bones by finger (0 thumb .. 4) and bone (0 metacarpal .. 3 distal).

    Each bone is (its joint towards the wrist, its joint towards the tip). The thumb's metacarpal
    has no length, so that its four points are the starts of bones 1 to 3 and the tip. The wrist
    [3] is where the arm ends, else amid the starts of the metacarpals. Raises ValueError naming
    the finger whose bones are missing.
    """
    points = np.empty((21, 3))
    starts = []
    for n, finger in enumerate(FINGERS):
        bones = fingers.get(n, {})
        missing = [k for k in range(4) if k not in bones]
        if missing:
            raise ValueError(f'fingers: {finger} lacks bones {missing}: four each are needed')
        ends = [np.asarray(bones[k][0], np.float64) for k in range(4)]
        chain = [*ends[1:], np.asarray(bones[3][1], np.float64)]
        points[_CHAINS[finger]] = chain
        starts.append(ends[0])
    points[0] = np.mean(starts[1:4], 0) if wrist is None else wrist
    return points


def mediapipe(side: Side, positions: ArrayLike) -> TrackedHand | None:
    """The hand of MediaPipe's 21 world landmarks [21, 3], metres; None where none is tracked.

    Raises ValueError for another number of points, or where some are not tracked.
    """
    points = np.asarray(positions, np.float64)
    if points.shape != (21, 3):
        raise ValueError(f'{len(points)} points, must be 21 in the order of MediaPipe')
    return seen(side, points)


def seen(
    side: Side, points: Array, rotations: Array | None = None, confidence: float = 1.0
) -> TrackedHand | None:
    """The hand of 21 points; None where none is tracked. Raises ValueError where some are not."""
    return _whole(side, points, rotations, tracked(points), confidence)


def tracked(points: ArrayLike) -> NDArray[np.bool_]:
    """Which joints [J] of one hand's positions [J, 3] a source tracks, by what they are.

    Lost joints are not finite, or several at one place, or at zero and far from the others. One at
    zero that is where a hand may have it is the origin of the source's frame, as a wrist's own.
    """
    p = np.asarray(points, np.float64)
    finite = np.isfinite(p).all(-1)
    with np.errstate(invalid='ignore'):
        apart = np.linalg.norm(p[:, None] - p[None], axis=-1)  # [J, J], NaN where not finite
    there = finite & ((apart == 0).sum(-1) == 1)
    for zero in np.flatnonzero(there & ~p.any(-1)):
        others = there & (np.arange(len(p)) != zero)
        if others.any():
            reach = NEAREST * apart[np.ix_(others, others)].max()
            there[zero] = apart[zero, others].min() <= reach
    return np.asarray(there)


def frames(side: Side, positions: ArrayLike) -> TrackedHand:
    """The hand of 21 frames [21, 3], not a number for a point that it does not have; a missing
    little finger is drawn beside the ring finger, as hands with four fingers have none.

    Raises ValueError where another point has no frame.
    """
    points = np.array(positions, np.float64)
    if len(points) != 21:
        raise ValueError(f'{len(points)} frames, must be 21: {", ".join(POINTS)} ("-" for none)')
    little = np.isnan(points[_CHAINS['little']]).any()
    if little:
        ring, middle = points[_CHAINS['ring']], points[_CHAINS['middle']]
        points[_CHAINS['little']] = 2 * ring[0] - middle[0] + 0.8 * (ring - ring[0])
    absent = [POINTS[k] for k in np.flatnonzero(np.isnan(points).any(1))]
    if absent:
        raise ValueError(f'no frame for {_listed(absent)}: only the little finger may be left out')
    return TrackedHand(side, points)


def _of_joints(
    side: Side, joints: Array, rotations: Array | None, valid: NDArray[np.bool_]
) -> TrackedHand | None:
    """The hand of 25 joints, valid by the source's own word; None where none is tracked.

    Raises ValueError where some are not.
    """
    kept = list(KEYPOINTS_OF_JOINTS)
    there = (valid & tracked(joints))[kept]
    return _whole(side, joints[kept], None if rotations is None else rotations[kept], there)


def _whole(
    side: Side,
    points: Array,
    rotations: Array | None,
    there: NDArray[np.bool_],
    confidence: float = 1.0,
) -> TrackedHand | None:
    if not there.any():
        return None
    lost = [POINTS[n] for n in np.flatnonzero(~there)]
    if lost:
        raise ValueError(f'{side} hand: {_listed(lost)} not tracked: the hand is left out')
    return TrackedHand(side, points, rotations, confidence)


def _listed(names: Iterable[str], most: int = 4) -> str:
    shown = list(names)
    more = f' and {len(shown) - most} more' if len(shown) > most else ''
    return (', '.join(shown[:most]) or 'none') + more
