"""Forward kinematics of a robot from its URDF and the positions of its joints."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.xml_text import decode_xml, undeclared
from manivideo_ros.inputs.mimics import MOVING, mimics

Array = NDArray[np.floating]


class Robot:
    """Forward kinematics of a URDF by yourdfpy, without its meshes.

    urdf: its text, or its bytes in the encoding that they declare. Raises ValueError for an
    unreadable URDF, or if yourdfpy is not installed.
    """

    def __init__(self, urdf: str | bytes) -> None:
        try:
            import yourdfpy
        except ImportError:
            raise ValueError(
                'joint positions need yourdfpy: pip install "manivideo_ros[urdf]"'
            ) from None
        # Parsed here first: yourdfpy recovers from broken XML, and its parser resolves entities.
        try:
            text = decode_xml(urdf) if isinstance(urdf, bytes) else undeclared(urdf)
            if '<!' in text.replace('<!--', '').replace('<![CDATA[', ''):
                raise ValueError('declarations of types and entities are not read')
            root = ElementTree.fromstring(text)
            if root.tag != 'robot':
                raise ValueError(f'its root is {root.tag!r}, not robot')
            if any('xacro' in str(element.tag) for element in root.iter()):
                raise ValueError('it is xacro: expand it with `xacro FILE > robot.urdf`')
            self._moved_by = mimics(root)
            # yourdfpy does not resolve chains of mimics, so that mimics are resolved here.
            for joint in root.findall('joint'):
                for mimic in joint.findall('mimic'):
                    joint.remove(mimic)
            self._robot = yourdfpy.URDF.load(
                BytesIO(ElementTree.tostring(root, 'utf-8')),
                build_scene_graph=True,
                load_meshes=False,
                build_collision_scene_graph=False,
                load_collision_meshes=False,
            )
            self.links = {link.name for link in self._robot.robot.links}
            stray = [n for n, pose in self.poses({}, self.links).items() if np.isnan(pose).any()]
            if stray:
                raise ValueError(f'the pose of link {stray[0]} is not finite')
        except Exception as error:  # yourdfpy raises many types
            reason = reason_of(error)
            raise ValueError(f'no URDF that can be read: {reason}') from None
        self.root: str = self._robot.base_link
        self._above = {joint.child: joint for joint in self._robot.robot.joints}

    def joints(self, links: Collection[str]) -> set[str]:
        """The joints that move these links; for mimic joints, those that they mimic.

        Raises ValueError naming links that the robot does not have, and similar ones.
        """
        missing = sorted(set(links) - self.links)
        if missing:
            raise ValueError(_missing(missing, self.links, str(self._robot.robot.name)))
        out: set[str] = set()
        for link in links:
            at, passed = link, set()
            while at in self._above:
                if at in passed:
                    raise ValueError(f'link {link!r} is its own ancestor')
                passed.add(at)
                joint = self._above[at]
                if joint.type in MOVING:
                    out.add(self._moved_by[joint.name].joint)
                at = joint.parent
        return out - {''}

    def poses(self, positions: Mapping[str, float], links: Collection[str]) -> dict[str, Array]:
        """root_from_link [4, 4] by link; positions by joint in rad and m, missing ones are 0."""
        self._robot.update_cfg(
            {
                name: self._moved_by[name].at(positions) if name in self._moved_by else 0.0
                for name in self._robot.actuated_joint_names
            }
        )
        return {link: np.asarray(self._robot.get_transform(link)) for link in links}


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
