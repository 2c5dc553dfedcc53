"""Mimic joints of a URDF, resolved to the joints that move them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

MOVING = ('revolute', 'continuous', 'prismatic')


class Follows(NamedTuple):
    """A joint's position: multiplier * that of `joint` + offset; joint '' never moves."""

    joint: str
    multiplier: float = 1.0
    offset: float = 0.0

    def at(self, positions: Mapping[str, float]) -> float:
        """The position, rad or m; joints without a position are at 0."""
        q = float(positions.get(self.joint, 0.0)) if self.joint else 0.0
        return self.multiplier * q + self.offset


def mimics(root: ElementTree.Element) -> dict[str, Follows]:
    """The joint that moves each moving joint of a URDF (itself if it mimics none), through mimics
    of any depth.

    Raises ValueError for mimics in a ring, of no joint, or with fields that are no numbers.
    """
    joints = root.findall('joint')  # transmissions and controllers have nested elements `joint`
    kinds = {str(joint.get('name')): str(joint.get('type')) for joint in joints}
    direct: dict[str, Follows] = {}
    for joint in joints:
        element, name = joint.find('mimic'), str(joint.get('name'))
        if element is None or kinds[name] not in MOVING:
            continue
        source = str(element.get('joint'))
        if source not in kinds:
            raise ValueError(f'joint {name!r} mimics {source!r}, which is no joint')
        direct[name] = Follows(source, *(_number(element, name, *of) for of in _FIELDS))
    return {name: _resolved(name, direct, kinds) for name, kind in kinds.items() if kind in MOVING}


_FIELDS = (('multiplier', 1.0), ('offset', 0.0))


def _resolved(name: str, direct: Mapping[str, Follows], kinds: Mapping[str, str]) -> Follows:
    """Compose q = m2 * (m1 * q1 + o1) + o2 along the chain of mimics."""
    passed, at, multiplier, offset = [name], name, 1.0, 0.0
    while at in direct:
        step = direct[at]
        offset += multiplier * step.offset
        multiplier *= step.multiplier
        at = step.joint
        if at in passed:
            ring = ', '.join([*passed[passed.index(at) :], at])
            raise ValueError(f'joints mimic each other in a ring: {ring}')
        passed.append(at)
    return Follows(at if kinds[at] in MOVING else '', multiplier, offset)


def _number(element: ElementTree.Element, joint: str, field: str, default: float) -> float:
    text = element.get(field)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f'joint {joint!r}: its mimic has {field} {text!r}, which is no number')
    return value
