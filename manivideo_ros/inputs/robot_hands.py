"""Robot hands: the places on their links that are the solver's 21 points.

A place is the name of a link, or `name@x,y,z` for a point in that link's frame, metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from manivideo_ros.hand.state import Side
from manivideo_ros.inputs import tables
from manivideo_ros.inputs.tables import NO_FRAME, TrackedHand

_NO_FINGER = (NO_FRAME,) * 4
_PREFIXES = {'shadow': {'left': 'lh_', 'right': 'rh_'}}


def _shadow(finger: str) -> tuple[str, ...]:
    return tuple(f'{finger}{part}' for part in ('proximal', 'middle', 'distal', 'tip'))


def _allegro(first: int) -> tuple[str, ...]:
    return (*(f'link_{first + k}.0' for k in (1, 2, 3)), f'link_{first + 3}.0_tip')


def _allegro_hand(*fingers: int) -> tuple[str, ...]:
    """The wrist is on the axis of the middle finger's first joint, 96 mm below it."""
    return (
        'link_4.0@0,0,-0.0957',
        *('link_13.0', 'link_14.0', 'link_15.0', 'link_15.0_tip'),
        *(place for first in fingers for place in _allegro(first)),
        *_NO_FINGER,
    )


def _leap(number: str) -> tuple[str, ...]:
    """The links' origins are beside the finger, 15 mm from its centre; the tip has no link."""
    mcp, dip, tip = (f'{name}{number}' for name in ('mcp_joint', 'dip', 'fingertip'))
    return (f'{mcp}@0,0,0.015', f'{dip}@0,0,0.015', f'{tip}@0,0,0.015', f'{tip}@0,-0.048,0.015')


def _leap_hand(wrist: str) -> tuple[str, ...]:
    thumb = ('thumb_dip', 'thumb_fingertip')
    return (
        wrist,
        'thumb_pip',
        *(f'{name}@0,0,-0.015' for name in thumb),
        'thumb_fingertip@0,-0.06,-0.015',
        *(place for number in ('', '_2', '_3') for place in _leap(number)),
        *_NO_FINGER,
    )


_SHADOW = (
    'palm',
    *('thproximal', 'thmiddle', 'thdistal', 'thtip'),
    *(place for finger in ('ff', 'mf', 'rf', 'lf') for place in _shadow(finger)),
)
# Links of the manufacturers' URDFs: sr_description, allegro_hand_description, LEAP_Hand.
ROBOTS: dict[str, dict[str, tuple[str, ...]]] = {
    'shadow': {'left': _SHADOW, 'right': _SHADOW},
    'allegro': {'left': _allegro_hand(8, 4, 0), 'right': _allegro_hand(0, 4, 8)},
    'leap': {
        'left': _leap_hand('palm_lower_left@-0.17,-0.055,0.015'),
        'right': _leap_hand('palm_lower@-0.098,-0.038,0'),
    },
}


class Place(NamedTuple):
    """A point fixed to a frame."""

    frame: str
    offset: tuple[float, ...]  # x y z in the frame's axes, metres


def places(side: Side, names: Sequence[str]) -> list[Place]:
    """The 21 places of a hand; frame NO_FRAME for a point that it lacks.

    names: 21 places, or the name of a robot hand (one of ROBOTS), with the prefix of its links
    after a colon if it is not the manufacturer's. Raises ValueError for others.
    """
    named = list(names)
    if len(named) == 1:
        robot, given, prefix = named[0].partition(':')
        if robot not in ROBOTS:
            raise ValueError(f'{robot!r} is neither 21 frames nor one of {", ".join(ROBOTS)}')
        prefix = prefix if given else _PREFIXES.get(robot, {}).get(side, '')
        named = [n if n == NO_FRAME else prefix + n for n in ROBOTS[robot][side]]
    found = [_place(name) for name in named]
    nowhere = {place.frame: np.eye(4) for place in found}
    points(side, found, nowhere)
    return found


def points(side: Side, found: Sequence[Place], poses: Mapping[str, ArrayLike]) -> TrackedHand:
    """The hand of frames with these poses [4, 4]. Raises ValueError as `tables.frames`."""
    here = [
        np.asarray(poses[p.frame])[:3] @ [*p.offset, 1.0]
        if p.frame != NO_FRAME and p.frame in poses
        else np.full(3, np.nan)
        for p in found
    ]
    return tables.frames(side, np.reshape(here, (-1, 3)))


def _place(name: str) -> Place:
    frame, at, text = name.partition('@')
    if not at:
        return Place(frame, (0.0, 0.0, 0.0))
    try:
        offset = tuple(float(value) for value in text.split(','))
    except ValueError:
        offset = ()
    if len(offset) != 3 or not np.isfinite(offset).all():
        raise ValueError(f'{name!r}: must be x,y,z in metres after @')
    return Place(frame, offset)
