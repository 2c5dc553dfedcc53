"""Which chains of known hands and grippers are which fingers, by the names of their links."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Finger = str


class KnownHand(NamedTuple):
    """A hand whose chains are named: a pattern of their links' names by finger."""

    name: str
    fingers: Mapping[Finger, str]


def _numbered(first: int) -> str:
    numbers = '|'.join(str(first + n) for n in range(4))
    return rf'(^|_)link_({numbers})\.0'


# The manufacturers' URDFs, those of dex-urdf, and of Robotiq's and Franka's grippers. A gripper's
# two fingers are thumb and index.
KNOWN: tuple[KnownHand, ...] = (
    KnownHand(  # before Shadow's: in dex-urdf its tips are named as Shadow's are
        'schunk svh',
        {
            'thumb': r'hand_(z|a|b|c)$',
            'index': r'hand_(virtual_l|l|p|t)$',
            'middle': r'hand_(virtual_k|k|o|s)$',
            'ring': r'hand_(virtual_j|j|n|r)$',
            'pinky': r'hand_(virtual_i|i|m|q)$',
        },
    ),
    KnownHand(
        'shadow',
        {
            'thumb': r'th(base|proximal|hub|middle|distal|tip)$',
            **{
                finger: rf'{short}(metacarpal|knuckle|proximal|middle|distal|tip)$'
                for finger, short in zip(
                    ('index', 'middle', 'ring', 'pinky'), ('ff', 'mf', 'rf', 'lf'), strict=True
                )
            },
        },
    ),
    KnownHand(
        'allegro',
        {
            'thumb': _numbered(12),
            'index': _numbered(0),
            'middle': _numbered(4),
            'ring': _numbered(8),
        },
    ),
    KnownHand(
        'leap',
        {
            'thumb': r'thumb_(temp_base|pip|dip|fingertip)$',
            'index': r'(mcp_joint|pip|dip|(?<!thumb_)fingertip)$',
            'middle': r'(mcp_joint|pip|dip|fingertip)_2$',
            'ring': r'(mcp_joint|pip|dip|fingertip)_3$',
        },
    ),
    KnownHand(  # fingers 1 and 2 spread, opposite to finger 3
        'barrett',
        {'index': r'finger_1_', 'middle': r'finger_2_', 'thumb': r'finger_3_'},
    ),
    KnownHand(
        'dclaw', {'thumb': r'link_f1_\d$', 'index': r'link_f2_\d$', 'middle': r'link_f3_\d$'}
    ),
    KnownHand(
        'robotiq',
        {
            'thumb': r'left_((outer|inner)_)?(knuckle|finger)(_|$)|left_.*pad',
            'index': r'right_((outer|inner)_)?(knuckle|finger)(_|$)|right_.*pad',
        },
    ),
    KnownHand('panda', {'thumb': r'leftfinger$', 'index': r'rightfinger$'}),
    # Inspire, Ability and others whose links are named as fingers are.
    KnownHand(
        'named',
        {
            'thumb': r'(^|[_/])thumb',
            'index': r'(^|[_/])index',
            'middle': r'(^|[_/])middle',
            'ring': r'(^|[_/])ring',
            'pinky': r'(^|[_/])(pinky|little)',
        },
    ),
)
LEFT_ALLEGRO = {'index': 'ring', 'ring': 'index'}
"""The links of a left Allegro hand are numbered from its ring finger."""


def known_hand(
    chains: Sequence[Sequence[str]], left: bool
) -> tuple[str, list[Finger | None]] | None:
    """Name of the known hand with these chains of links, and the finger of each; None for others.

    All fingers of the table must be found, but for those of hands that are named by their fingers,
    of which the thumb and one other are enough.
    """
    for known in KNOWN:
        found = [_finger(chain, known.fingers) for chain in chains]
        present = {finger for finger in found if finger is not None}
        if known.name == 'named':
            enough = 'thumb' in present and len(present) > 1
        else:
            enough = present == known.fingers.keys()
        if not enough:
            continue
        if known.name == 'allegro' and left:
            found = [LEFT_ALLEGRO.get(f, f) if f is not None else None for f in found]
        return known.name, found
    return None


def _finger(chain: Sequence[str], fingers: Mapping[Finger, str]) -> Finger | None:
    """The finger whose pattern most links of a chain match; None if none does."""
    counts = {
        finger: sum(re.search(pattern, link) is not None for link in chain)
        for finger, pattern in fingers.items()
    }
    best = max(counts, key=lambda finger: counts[finger])
    return best if counts[best] else None
