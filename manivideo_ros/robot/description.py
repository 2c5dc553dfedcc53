"""What a URDF describes: links with their visuals and collisions, and the joints between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.robot.mimics import MOVING, Follows

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shape:
    """A geometry in its link's frame.

    kind: mesh, box, cylinder, sphere or capsule. file: of a mesh, as the URDF names it. size: sides
    of a box, radius and length of a cylinder or capsule, radius of a sphere, metres; scale [3] of a
    mesh.
    link_from_shape [4, 4]. colour [3]: sRGB in 0..1 of the URDF's material, None for none; image:
    the file of its texture, '' for none; material: its name.
    """

    kind: str
    size: tuple[float, ...]
    link_from_shape: Array
    file: str = ''
    colour: tuple[float, float, float] | None = None
    image: str = ''
    material: str = ''


@dataclass(frozen=True, eq=False)
class Link:
    """A link and its geometries."""

    name: str
    visuals: tuple[Shape, ...] = ()
    collisions: tuple[Shape, ...] = ()


@dataclass(frozen=True, eq=False)
class Joint:
    """A joint: parent_from_joint [4, 4] at position 0; axis [3], unit, in the joint's frame.

    limits: least and greatest position, rad or m; None where it has none.
    """

    name: str
    kind: str
    parent: str
    child: str
    parent_from_joint: Array
    axis: Array
    limits: tuple[float, float] | None = None

    @property
    def moves(self) -> bool:
        """Whether it has one position: others are as if fixed."""
        return self.kind in MOVING


@dataclass(frozen=True, eq=False)
class RobotDescription:
    """A tree of links, root first; joints with parents before children.

    follows: for each moving joint the one that moves it, itself if it mimics none. problems: what
    the URDF has that is not used, one line each.
    """

    name: str
    root: str
    links: Mapping[str, Link]
    joints: tuple[Joint, ...]
    follows: Mapping[str, Follows]
    problems: tuple[str, ...] = ()

    @cached_property
    def above(self) -> dict[str, Joint]:
        """The joint above each link but the root."""
        return {joint.child: joint for joint in self.joints}

    def movers(self, link: str) -> set[str]:
        """The joints whose positions move a link, relative to the root; of mimics the source."""
        out, at = set(), link
        while at in self.above:
            joint = self.above[at]
            if joint.moves:
                out.add(self.follows[joint.name].joint)
            at = joint.parent
        return out - {''}
