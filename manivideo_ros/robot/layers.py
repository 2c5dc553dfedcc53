"""The layers of a robot's links: fingers found from the tree, named by a table or by their places.

A finger is the chain of moving joints from a tip up to where it branches from other chains. All
other links, the arm among them, are in the palm's layer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from manivideo_ros.hand.state import Side
from manivideo_ros.robot.description import Array, RobotDescription
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.known_hands import known_hand

PARTS = ('palm', 'thumb', 'index', 'middle', 'ring', 'pinky')
FINGERS = PARTS[1:]
HIDDEN = 'hidden'
"""Of links that are not drawn."""


@dataclass(frozen=True, eq=False)
class Finger:
    """A finger: its side, its name (of FINGERS), and its links from its first joint to the tip."""

    side: Side
    name: str
    links: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RobotLayers:
    """Part (of PARTS, or HIDDEN) and side of each link; fingers in the order in which they were
    found; hand: the known hand's name, '' if the tree alone decided; palm: by side the link that
    the fingers hang from.
    """

    part: Mapping[str, str]
    side: Mapping[str, Side]
    fingers: tuple[Finger, ...]
    palm: Mapping[Side, str]
    hand: str = ''
    problems: tuple[str, ...] = ()


def find_layers(
    robot: RobotDescription,
    seen: Collection[str],
    given: Mapping[str, str] | None = None,
    side: Side | None = None,
    hint: str = '',
) -> RobotLayers:
    """The layers of a robot's links.

    seen: the links that are visible; chains without any are no fingers. given: parts by the names
    of links, or patterns such as 'thumb_*', which replace what was found. side: of the robot's only
    hand; None to find it from names; hint: another name that may say it. Raises ValueError for a
    part or a link that there is none of.
    """
    bodies = _Bodies(robot, set(seen))
    poses = Kinematics(robot)
    places = dict(zip(poses.links, poses.poses(np.zeros(len(poses.joints)))[:, :3, 3], strict=True))
    part = dict.fromkeys(robot.links, PARTS[0])
    sides: dict[str, Side] = {}
    palms: dict[Side, str] = {}
    fingers, hand, problems = [], '', []
    for palm, chains in bodies.hands():
        links = [[link for body in chain for link in bodies.links[body]] for chain in chains]
        of: Side = side or _side(
            f'{robot.name} {hint}', [palm, *bodies.links[palm], *(n for c in links for n in c)]
        )
        known = known_hand(links, of == 'left')
        if known is not None:
            hand, names = known
        else:
            names = _by_place([[places[link] for link in chain] for chain in links])
        palms[of] = palm
        sides |= dict.fromkeys(bodies.links[palm], of)
        for name, chain in zip(names, links, strict=True):
            sides |= dict.fromkeys(chain, of)
            if name is None:
                problems.append(f'link {chain[0]!r} begins a chain that is no finger: palm')
                continue
            part |= dict.fromkeys(chain, name)
            fingers.append(Finger(of, name, tuple(chain)))
    default: Side = side if side is not None else next(iter(palms), 'right')
    _correct(part, given or {}, robot.name)
    everywhere: dict[str, Side] = {link: sides.get(link, default) for link in robot.links}
    if not palms:
        palms[default] = robot.joints[-1].child if robot.joints else robot.root
    return RobotLayers(part, everywhere, tuple(fingers), palms, hand, tuple(problems))


class _Bodies:
    """Links that no joint moves against each other, each named by its topmost link.

    Bodies without a visible link below them are left out.
    """

    def __init__(self, robot: RobotDescription, seen: set[str]) -> None:
        self.links: dict[str, list[str]] = {robot.root: [robot.root]}
        of = {robot.root: robot.root}
        self.parent: dict[str, str] = {}
        for joint in robot.joints:
            moving = joint.moves and robot.follows[joint.name].joint != ''
            body = of[joint.child] = joint.child if moving else of[joint.parent]
            self.links.setdefault(body, []).append(joint.child)
            if moving:
                self.parent[body] = of[joint.parent]
        shown = set()
        for body, links in self.links.items():
            while seen & set(links) and body not in shown:
                shown.add(body)
                if body not in self.parent:
                    break
                body = self.parent[body]
        self.children: dict[str, list[str]] = {}
        for body, parent in self.parent.items():
            if body in shown:
                self.children.setdefault(parent, []).append(body)

    def hands(self) -> Iterator[tuple[str, list[list[str]]]]:
        """Each hand: the body that its chains hang from, and the chains' bodies outwards.

        Bodies that branch belong to one hand if one of their children branches again and another
        one is a chain: a palm of several parts.
        """
        top: dict[str, list[list[str]]] = {}
        for tip in [body for body in self.links if self._is_tip(body)]:
            chain = [tip]
            while (up := self.parent.get(chain[0])) is not None and len(self.children[up]) == 1:
                chain.insert(0, up)
            if up is None:
                continue  # nothing branches: an arm without a hand
            while self._in_palm(up):
                up = self.parent[up]
            top.setdefault(up, []).append(chain)
        yield from ((palm, chains) for palm, chains in top.items() if len(chains) > 1)

    def _is_tip(self, body: str) -> bool:
        return (
            body in self.parent
            and not self.children.get(body)
            and (body in self.children.get(self.parent[body], ()))
        )

    def _in_palm(self, body: str) -> bool:
        """Whether a branching body is a part of the palm of its parent, which has other chains."""
        parent = self.parent.get(body)
        if parent is None:
            return False
        others = [child for child in self.children[parent] if child != body]
        return any(self._is_chain(child) for child in others)

    def _is_chain(self, body: str) -> bool:
        while len(self.children.get(body, ())) == 1:
            body = self.children[body][0]
        return not self.children.get(body)


def _side(robot: str, links: Collection[str]) -> Side:
    """The side that the names say, right where they say none."""
    left = [re.search(r'(^|[_/\-])(left|lh)([_/\-]|$)', n.lower()) is not None for n in links]
    right = [re.search(r'(^|[_/\-])(right|rh)([_/\-]|$)', n.lower()) is not None for n in links]
    if any(left) != any(right):
        return 'left' if any(left) else 'right'
    return 'left' if 'left' in robot.lower() else 'right'


def _by_place(chains: list[list[Array]]) -> list[str | None]:
    """Names of chains by the places of their links at rest.

    The thumb is the chain whose first link is farthest from the others'; the others are in order of
    their distance from it. Two chains are thumb and index, as are a gripper's fingers.
    """
    if len(chains) > len(FINGERS):
        # The longest chains are the fingers.
        lengths = [float(np.linalg.norm(chain[-1] - chain[0])) for chain in chains]
        kept = np.sort(np.argsort(lengths)[::-1][: len(FINGERS)])
        names = _by_place([chains[n] for n in kept])
        out: list[str | None] = [None] * len(chains)
        for n, name in zip(kept, names, strict=True):
            out[n] = name
        return out
    first = np.array([chain[0] for chain in chains])
    apart = np.linalg.norm(first[:, None] - first[None], axis=-1)
    thumb = int(apart.sum(1).argmax())
    order = np.argsort(np.where(np.arange(len(chains)) == thumb, -1, apart[thumb]), kind='stable')
    found: list[str | None] = [None] * len(chains)
    for name, n in zip(FINGERS, order, strict=False):
        found[n] = name
    return found


def _correct(part: dict[str, str], given: Mapping[str, str], robot: str) -> None:
    for pattern, name in given.items():
        if name not in (*PARTS, HIDDEN):
            raise ValueError(f'{pattern}: {name!r} is none of {", ".join((*PARTS, HIDDEN))}')
        matched = [link for link in part if fnmatchcase(link, pattern)]
        if not matched:
            raise ValueError(f'{pattern}: no such link of the robot {robot!r}')
        part |= dict.fromkeys(matched, name)
