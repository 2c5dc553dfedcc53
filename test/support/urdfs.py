"""What tests share: generated URDFs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

KINDS = ('revolute', 'continuous', 'prismatic', 'fixed')
number = st.floats(-2, 2).map(lambda value: round(value, 3))
vector = st.tuples(number, number, number)


def link(name: str, visual: str = '', collision: str = '', material: str = '') -> str:
    """A link with the XML of its geometries."""
    seen = f'<visual><geometry>{visual}</geometry>{material}</visual>' if visual else ''
    solid = f'<collision><geometry>{collision}</geometry></collision>' if collision else ''
    return f'<link name="{name}">{seen}{solid}</link>'


def joint(
    name: str,
    parent: str,
    child: str,
    xyz: Sequence[float] = (0, 0, 0),
    rpy: Sequence[float] = (0, 0, 0),
    axis: Sequence[float] = (0, 1, 0),
    kind: str = 'revolute',
    more: str = '',
) -> str:
    """A joint; more: XML inside it."""
    place = f'xyz="{" ".join(map(str, xyz))}" rpy="{" ".join(map(str, rpy))}"'
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin {place}/><axis xyz="{" ".join(map(str, axis))}"/>'
        f'<limit lower="-3" upper="3" effort="1" velocity="1"/>{more}</joint>'
    )


def robot(*parts: str, name: str = 'robot') -> str:
    """A URDF of links and joints."""
    return f'<robot name="{name}">{"".join(parts)}</robot>'


@st.composite
def trees(draw: st.DrawFn) -> tuple[str, dict[str, tuple[str, float, float]]]:
    """A URDF of a random tree, and its mimics: joint, multiplier and offset by joint.

    Mimics follow joints of any place in the tree, and other mimics, to any depth.
    """
    count = draw(st.integers(1, 9))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=count, max_size=count))
    moving = [n for n in range(count) if kinds[n] != 'fixed']
    order = draw(st.permutations(moving))
    mimics: dict[str, tuple[str, float, float]] = {}
    for place, n in enumerate(order[1:], 1):
        if draw(st.booleans()):
            of = order[draw(st.integers(0, place - 1))]
            mimics[f'j{n}'] = (f'j{of}', draw(number), draw(number))
    parts = [link('l0')]
    for n in range(count):
        parent = draw(st.integers(0, n))
        way = np.array(draw(vector.filter(lambda v: np.linalg.norm(v) > 0.1)))
        axis = (way / np.linalg.norm(way)).tolist()
        more = ''
        if f'j{n}' in mimics:
            of_, multiplier, offset = mimics[f'j{n}']
            more = f'<mimic joint="{of_}" multiplier="{multiplier}" offset="{offset}"/>'
        parts.append(link(f'l{n + 1}'))
        parts.append(
            joint(
                f'j{n}', f'l{parent}', f'l{n + 1}', draw(vector), draw(vector), axis, kinds[n], more
            )
        )
    return robot(*draw(st.permutations(parts))), mimics


def position(
    name: str, given: Mapping[str, float], mimics: Mapping[str, tuple[str, float, float]]
) -> float:
    """The position of a joint by the definition of mimics."""
    if name not in mimics:
        return given.get(name, 0.0)
    of, multiplier, offset = mimics[name]
    return multiplier * position(of, given, mimics) + offset


BOX = '<box size="0.02 0.02 0.02"/>'


def hand(
    fingers: Mapping[str, int],
    arm: int = 0,
    prefix: str = '',
    name: str = 'hand',
    places: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """A palm with fingers of so many joints each, in links such as index_1, on an arm."""
    parts, at = [link(f'{prefix}base', BOX)], 'base'
    for n in range(arm):
        parts.append(link(f'{prefix}arm_{n}', BOX))
        parts.append(joint(f'{prefix}a{n}', prefix + at, f'{prefix}arm_{n}', (0, 0, 0.2)))
        at = f'arm_{n}'
    for k, (finger, joints) in enumerate(fingers.items()):
        up = at
        for n in range(joints):
            place = (places or {}).get(finger, (0.08, 0.02 * k, 0)) if n == 0 else (0.03, 0, 0)
            parts.append(link(f'{prefix}{finger}_{n}', BOX))
            parts.append(joint(f'{prefix}{finger}_j{n}', prefix + up, f'{prefix}{finger}_{n}',
                               place))  # fmt: skip
            up = f'{finger}_{n}'
    return robot(*parts, name=name)


OPENS = 0.08  # metres that each finger of the gripper slides


def gripper() -> str:
    """Two fingers that slide along y, from shut to 16 cm apart, on a mast that slides up."""
    pad = '<box size="0.02 0.002 0.04"/>'
    moved = 'lower="-3" upper="3"', f'lower="0" upper="{OPENS}"'
    sides = [
        joint(f'{n}_j', 'palm', n, (0, 0, -0.06), axis=(0, y, 0), kind='prismatic').replace(*moved)
        for n, y in (('left_pad', 1), ('right_pad', -1))
    ]
    parts = link('world') + link('palm', '<box size="0.03 0.1 0.02"/>')
    parts += joint('mast', 'world', 'palm', (0, 0, 0.3), axis=(0, 0, 1), kind='prismatic')
    return robot(parts, *(link(n, pad) for n in ('left_pad', 'right_pad')), *sides, name='gripper')
