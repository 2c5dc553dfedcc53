"""Writes the links, joints and visuals of a generated robot's URDF, with the meshes beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike

from manivideo_ros.geometry import Array
from manivideo_ros.hand.state import Side

Element = ElementTree.Element
FINE = 0.02  # metres: radius from which the spheres of a hull are finer


class UrdfParts:
    """A URDF under construction, of one hand. Lengths in metres, angles in radians.

    Everything is given for a right hand, and mirrored in y for a left one.

    folder: for the URDF and its meshes; side: prefix of all names; colours: sRGB in 0..1 by the
    names of materials.
    """

    def __init__(
        self, folder: Path, side: Side, colours: Mapping[str, tuple[float, float, float]]
    ) -> None:
        self.folder, self.side = folder, side
        self._mirror = np.array([1.0, 1.0 if side == 'right' else -1.0, 1.0])
        self._root = ElementTree.Element('robot', name=f'{side}_robot')
        for name, colour in colours.items():
            material = ElementTree.SubElement(self._root, 'material', name=name)
            ElementTree.SubElement(material, 'color', rgba=_text((*colour, 1.0)))
        self._meshes = 0

    def write(self) -> Path:
        """Write the URDF, and return it."""
        path = self.folder / f'{self.side}_robot.urdf'
        path.write_text(ElementTree.tostring(self._root, 'unicode'))
        return path

    def link(self, name: str) -> Element:
        """Add a link."""
        return ElementTree.SubElement(self._root, 'link', name=f'{self.side}_{name}')

    def joint(
        self,
        parent: str,
        child: str,
        place: ArrayLike,
        rpy: ArrayLike = (0, 0, 0),
        axis: ArrayLike = (0, 1, 0),
        limits: tuple[float, float] | None = None,
        kind: str = 'revolute',
        mimic: tuple[str, float] | None = None,
    ) -> None:
        """Add the joint above a link, fixed without limits. mimic: the child of the joint that it
        follows, and its multiplier."""
        sign = self._mirror[1]
        joint = ElementTree.SubElement(
            self._root,
            'joint',
            name=f'{self.side}_{child}_joint',
            type='fixed' if limits is None else kind,
        )
        ElementTree.SubElement(joint, 'parent', link=f'{self.side}_{parent}')
        ElementTree.SubElement(joint, 'child', link=f'{self.side}_{child}')
        turned = np.asarray(rpy, float) * (sign, 1, sign)
        ElementTree.SubElement(
            joint, 'origin', xyz=_text(np.asarray(place) * self._mirror), rpy=_text(turned)
        )
        if limits is None:
            return
        # The axis of a turn is a pseudovector.
        mirror = self._mirror if kind == 'prismatic' else np.array([sign, 1, sign])
        ElementTree.SubElement(joint, 'axis', xyz=_text(np.asarray(axis, float) * mirror))
        ElementTree.SubElement(
            joint, 'limit', lower=f'{limits[0]:g}', upper=f'{limits[1]:g}', effort='1', velocity='6'
        )
        if mimic is not None:
            followed = f'{self.side}_{mimic[0]}_joint'
            ElementTree.SubElement(joint, 'mimic', joint=followed, multiplier=f'{mimic[1]:g}')

    def box(self, link: Element, material: str, centre: ArrayLike, size: ArrayLike) -> None:
        """Add a box with its centre and its sides [3]."""
        geometry = self._visual(link, material, centre, (0, 0, 0))
        ElementTree.SubElement(geometry, 'box', size=_text(size))

    def ball(self, link: Element, material: str, centre: ArrayLike, radius: float) -> None:
        """Add a sphere."""
        geometry = self._visual(link, material, centre, (0, 0, 0))
        ElementTree.SubElement(geometry, 'sphere', radius=f'{radius:g}')

    def cylinder(
        self,
        link: Element,
        material: str,
        centre: ArrayLike,
        along: int,
        radius: float,
        length: float,
    ) -> None:
        """Add a cylinder along an axis of its link: 0 x, 1 y, 2 z."""
        rpy = ((0, np.pi / 2, 0), (np.pi / 2, 0, 0), (0, 0, 0))[along]
        geometry = self._visual(link, material, centre, rpy)
        ElementTree.SubElement(geometry, 'cylinder', radius=f'{radius:g}', length=f'{length:g}')

    def hull(
        self, link: Element, material: str, centres: ArrayLike, radius: float | Sequence[float]
    ) -> None:
        """Add the convex hull of spheres around centres [N, 3], of one radius or of N."""
        import trimesh

        at = np.asarray(centres, float) * self._mirror
        spheres = []
        for centre, size in zip(at, np.broadcast_to(radius, len(at)), strict=True):
            ball = trimesh.creation.icosphere(2 if size > FINE else 1, float(size))
            spheres.append(ball.vertices + centre)
        self._mesh(link, material, trimesh.convex.convex_hull(np.concatenate(spheres)))

    def cable(self, link: Element, material: str, points: ArrayLike, radius: float) -> None:
        """Add a round cable through points [N, 3], curved between them."""
        import trimesh
        from scipy.interpolate import CubicSpline

        at = np.asarray(points, float) * self._mirror
        path = CubicSpline(np.linspace(0, 1, len(at)), at)(np.linspace(0, 1, 4 * len(at)))
        pieces = [
            trimesh.creation.cylinder(radius, segment=[a, b], sections=8)
            for a, b in pairwise(path)
            if np.linalg.norm(b - a) > 1e-5
        ]
        self._mesh(link, material, trimesh.util.concatenate(pieces))

    def _mesh(self, link: Element, material: str, mesh: object) -> None:
        self._meshes += 1
        name = f'{self.side}_{self._meshes}.stl'
        mesh.export(self.folder / name)  # type: ignore[attr-defined]
        geometry = ElementTree.SubElement(self._shown(link, material), 'geometry')
        ElementTree.SubElement(geometry, 'mesh', filename=name)

    def _visual(self, link: Element, material: str, centre: ArrayLike, rpy: ArrayLike) -> Element:
        visual = self._shown(link, material)
        place: Array = np.asarray(centre, float) * self._mirror
        ElementTree.SubElement(visual, 'origin', xyz=_text(place), rpy=_text(rpy))
        return ElementTree.SubElement(visual, 'geometry')

    def _shown(self, link: Element, material: str) -> Element:
        visual = ElementTree.SubElement(link, 'visual')
        ElementTree.SubElement(visual, 'material', name=material)
        return visual


def _text(values: ArrayLike) -> str:
    return ' '.join(f'{value:.6g}' for value in np.asarray(values, float).reshape(-1))
