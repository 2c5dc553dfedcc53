"""Each source's joints to the solver's 21 points.

The 21 points are MediaPipe's: wrist, then thumb, index, middle, ring and little finger, four each
outwards. OpenXR, WebXR, Vision Pro and IsaacCapture share one order of 25 joints (OpenXR's 26 have
the palm before them); without the metacarpals of the four fingers these are the 21.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
# manus_ros2's names of the SDK's metacarpal, proximal, intermediate, distal and tip.
_MANUS_JOINTS = ('MCP', 'PIP', 'IP', 'DIP', 'TIP')
_MANUS_CHAINS = dict(zip(('Thumb', 'Index', 'Middle', 'Ring', 'Pinky'), FINGERS, strict=True))
# OpenXR's body joints at the elbow, XR_BD_body_tracking and XR_FB_body_tracking.
_ELBOWS = ('{}_elbow', '{}_arm_lower')
NO_FRAME = '-'
NEAREST = 0.6
"""Upper bound on a joint's distance to its nearest one, relative to the others' largest."""


@dataclass(frozen=True, eq=False)
class TrackedHand:
    """One hand at one instant, in the source's frame and unit.

    points [21, 3]; rotations [21, 3, 3] of the same joints if the source has them; confidence 0..1
    as published by the source; elbow [3] if it has one.
    """

    side: Side
    points: Array
    rotations: Array | None = None
    confidence: float = 1.0
    elbow: Array | None = None


def openxr(
    side: Side,
    positions: ArrayLike,  # [25 or 26, 3]
    rotations: ArrayLike | None = None,  # [25 or 26, 3, 3]
) -> TrackedHand | None:
    """The hand of joints in OpenXR's or WebXR's order; None if no joint is tracked.

    Raises ValueError if joints are missing or only some are tracked.
    """
    joints = np.asarray(positions, np.float64)
    if len(joints) not in (25, 26):
        raise ValueError(
            f'{len(joints)} joints, must be 25 (WebXR) or 26 (OpenXR): without the untracked ones '
            'those after them are shifted; configure the driver to publish every joint'
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
    """Hands of joints by name, as in IsaacCapture's NamedPoseArray (`left_INDEX_TIP`).

    Elbows are those of OpenXR's body joints (`left_ELBOW`, `left_ARM_LOWER`), where published.
    Returns the hands and a problem for each incomplete hand.
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
                raise ValueError(f'name: {side} hand: {_listed(absent)} missing')
            at = [places[name] for name in wanted]
            good = np.array([bool(valid[k]) for k in at])
            hand = _of_joints(side, points[at], None if turns is None else turns[at], good)
        except ValueError as error:
            problems.append(str(error))
            continue
        if hand is not None:
            elbow = _named_elbow(side, places, points, valid)
            hands.append(hand if elbow is None else replace(hand, elbow=elbow))
    if not hands and not problems and not any(name.startswith(sides) for name in places):
        problems.append(f'name: none like left_WRIST or right_INDEX_TIP ({_listed(places)})')
    return hands, problems


def _named_elbow(
    side: Side, places: Mapping[str, int], points: Array, valid: Sequence[bool]
) -> Array | None:
    """The first valid joint [3] of a side's elbow."""
    at = [places[name] for name in (e.format(side) for e in _ELBOWS) if name in places]
    known = [points[k] for k in at if valid[k] and np.isfinite(points[k]).all()]
    return known[0] if known else None


def manus(
    side: str, nodes: Iterable[tuple[str, str, Sequence[float]]]
) -> tuple[Side, Array] | tuple[None, None]:
    """Side and points [21, 3] of a glove's nodes (chain type, joint type, position).

    Nodes are found by chain and joint, because node ids differ between SDKs. The thumb has no
    intermediate (or no distal) joint. (None, None) without nodes, before the glove is calibrated.
    Raises ValueError naming an unknown side or the missing nodes.
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
            joints = ', '.join(has) or 'nothing'
            missing.append(f'{chain} (has {joints}, needs {", ".join(_MANUS_JOINTS[1:])})')
        else:
            points[_CHAINS[finger]] = [has[joint] for joint in outer]
    if missing:
        raise ValueError(f'raw_nodes: incomplete: {"; ".join(missing)}')
    return wearer, points


def manus_skeleton(
    positions: ArrayLike,  # [21, 3], each in its parent's frame
    rotations: ArrayLike | None = None,  # [21, 3, 3] likewise; None: identities
) -> Array:
    """Points [21, 3] in the hand node's frame, of a skeleton of the Manus SDK.

    Nodes as in SDKMinimalClient of manus_ros2: the hand, then thumb, index, middle, ring and little
    finger, four each outwards. Raises ValueError for another number of nodes.
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

    A bone is (its proximal joint, its distal joint). The thumb's metacarpal has no length: its four
    points are the proximal joints of bones 1 to 3 and the tip. wrist [3]: the end of the arm; None:
    the mean of the metacarpals' proximal joints. Raises ValueError naming a finger with missing
    bones.
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
    """The hand of MediaPipe's 21 world landmarks [21, 3], metres; None if none is tracked.

    Raises ValueError for another number of points, or if only some are tracked.
    """
    points = np.asarray(positions, np.float64)
    if points.shape != (21, 3):
        raise ValueError(f'{len(points)} points, must be 21 in the order of MediaPipe')
    return seen(side, points)


def seen(
    side: Side, points: Array, rotations: Array | None = None, confidence: float = 1.0
) -> TrackedHand | None:
    """The hand of 21 points; None if none is tracked. Raises ValueError if only some are."""
    return _whole(side, points, rotations, tracked(points), confidence)


def tracked(points: ArrayLike) -> NDArray[np.bool_]:
    """Which joints [J] of one hand's positions [J, 3] are tracked.

    Untracked joints are not finite, several at one place, or at zero and far from the others. A
    joint at zero near the others is tracked: a wrist may be the origin of the source's frame.
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
    """The hand of 21 frames' positions [21, 3], NaN for missing points.

    A missing little finger, as of robot hands with four fingers, is extrapolated from ring and
    middle finger. Raises ValueError for other missing points.
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
        raise ValueError(f'no frame for {_listed(absent)}: only the little finger may be missing')
    return TrackedHand(side, points)


def _of_joints(
    side: Side, joints: Array, rotations: Array | None, valid: NDArray[np.bool_]
) -> TrackedHand | None:
    """The hand of 25 joints; valid: by the source. None if none is tracked.

    Raises ValueError if only some are.
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
        raise ValueError(f'{side} hand: {_listed(lost)} not tracked: hand dropped')
    return TrackedHand(side, points, rotations, confidence)


def _listed(names: Iterable[str], most: int = 4) -> str:
    shown = list(names)
    more = f' and {len(shown) - most} more' if len(shown) > most else ''
    return (', '.join(shown[:most]) or 'none') + more
