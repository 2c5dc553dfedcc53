"""Forward kinematics of a robot from its URDF and the positions of its joints."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.urdf import read_urdf

Array = NDArray[np.floating]


class Robot:
    """Forward kinematics of a URDF, by the names of its links and joints.

    urdf: its text, or its bytes in the encoding that they declare. Raises ValueError for an
    unreadable URDF, or if yourdfpy is not installed.
    """

    def __init__(self, urdf: str | bytes) -> None:
        self._robot = read_urdf(urdf)
        self.links = set(self._robot.links)
        self.root: str = self._robot.root
        self._kinematics = Kinematics(self._robot)
        self._row = {link: n for n, link in enumerate(self._kinematics.links)}

    def joints(self, links: Collection[str]) -> set[str]:
        """The joints that move these links; for mimic joints, those that they mimic.

        Raises ValueError naming links that the robot does not have, and similar ones.
        """
        missing = sorted(set(links) - self.links)
        if missing:
            raise ValueError(_missing(missing, self.links, self._robot.name))
        return set().union(*(self._robot.movers(link) for link in links))

    def poses(self, positions: Mapping[str, float], links: Collection[str]) -> dict[str, Array]:
        """root_from_link [4, 4] by link; positions by joint in rad and m, missing ones are 0."""
        poses = self._kinematics.poses(self._kinematics.positions(positions))
        return {link: poses[self._row[link]] for link in links}


def unknown_robot(refused: str) -> str:
    """The problem of a missing robot; refused: why its description was refused, '' without one."""
    if refused:
        return f'robot_description was refused: {refused}'
    return 'the robot is not known yet: robot_description must be published'


def _missing(missing: list[str], links: Collection[str], robot: str) -> str:
    """A description of links that a robot does not have, with similar ones that it has."""
    named = ', '.join(repr(link) for link in missing[:3])
    more = f' and {len(missing) - 3} more' if len(missing) > 3 else ''
    if len(missing) == 1:
        text = f'{named} is no link of the robot {robot!r}'
    else:
        text = f'{named}{more} are no links of the robot {robot!r}'
    prefixes = _prefixes(missing, links)
    if prefixes is not None:
        wrong, right = prefixes
        instead = f' in place of {wrong!r}' if wrong else ''
        return (
            f'{text}: its links have the prefix {right!r}{instead} (that of a known hand goes '
            f'after a colon, as in shadow:{right})'
        )
    near = difflib.get_close_matches(missing[0], sorted(links), n=4, cutoff=0.5)
    if near:
        return f'{text}: similar ones are {", ".join(near)}'
    return f'{text}: it has {", ".join(sorted(links)[:6])}{" ..." if len(links) > 6 else ""}'


def _prefixes(missing: list[str], links: Collection[str]) -> tuple[str, str] | None:
    """The prefix of the missing links, and the one by which the robot has all of them."""
    first = missing[0]
    for link in sorted(links):
        same = 0
        while same < min(len(link), len(first)) and link[-1 - same] == first[-1 - same]:
            same += 1
        if same < 3:
            continue
        wrong, right = first[: len(first) - same], link[: len(link) - same]
        if all(n.startswith(wrong) and right + n[len(wrong) :] in links for n in missing):
            return wrong, right
    return None
