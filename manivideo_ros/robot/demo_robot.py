"""The project's own robot: writes its URDF and simple meshes.

Two hands, each carried by six joints of the world: a palm on a forearm and four or five fingers in
the proportions of the default hand. In the palm's frame x points along the fingers, y to the thumb
of a right hand, z out of its back. Each finger spreads, bends at its first joint and at its second,
which the third one follows as a mimic.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike

from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.robot.model import RobotModel, load_robot_file

FOREARM = 0.24  # metres
ROUND = 0.02  # metres: radius from which a hull has finer spheres
ARM = (0.16, 0.18, 0.16, 0.18, 0.14, 0.1, 0.06)  # metres: lengths of an arm's links
CARRIER = ('x', 'y', 'z', 'yaw', 'pitch', 'roll')
PLATE, STEEL, RUBBER = 'white plastic', 'aluminium', 'rubber'
ACCENT, DARK = 'orange plastic', 'dark plastic'
COLOURS = {
    PLATE: (0.86, 0.87, 0.88),
    STEEL: (0.62, 0.65, 0.69),
    RUBBER: (0.13, 0.13, 0.14),
    ACCENT: (0.93, 0.45, 0.12),
    DARK: (0.22, 0.23, 0.26),
}
# First joint of each finger [3], its direction in the palm's plane, rad, and its links' lengths, of
# a right hand: those of the default hand.
FINGERS = {
    'index': ((0.092, 0.0245, 0.0), 0.03, (0.027, 0.025, 0.026)),
    'middle': ((0.094, 0.0005, 0.0), 0.0, (0.032, 0.027, 0.026)),
    'ring': ((0.089, -0.0190, 0.0), -0.08, (0.029, 0.024, 0.026)),
    'pinky': ((0.080, -0.0360, 0.0), -0.16, (0.023, 0.018, 0.022)),
}
THUMB = ((0.026, 0.022, -0.008), 0.78, (0.029, 0.034, 0.031))
RADIUS = {'thumb': 0.0105, 'index': 0.0092, 'middle': 0.0095, 'ring': 0.0092, 'pinky': 0.0082}


def write_demo_robot(
    folder: str | Path, sides: Sequence[Side] = SIDES, fingers: int = 5, arm: bool = False
) -> Path:
    """Write the URDF and the meshes of a robot with these hands, and return the URDF.

    fingers: 5, or 4 for hands without a little finger. arm: whether an arm of seven joints carries
    each hand, in place of joints that move it anywhere. Raises ValueError for another number of
    fingers.
    """
    if fingers not in (4, 5):
        raise ValueError(f'fingers: {fingers} is neither 4 nor 5')
    folder = Path(folder)
    (folder / 'meshes').mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element('robot', name='manivideo_robot')
    for name, colour in COLOURS.items():
        material = ElementTree.SubElement(root, 'material', name=name)
        ElementTree.SubElement(material, 'color', rgba=_text((*colour, 1.0)))
    ElementTree.SubElement(root, 'link', name='world')
    for side in sides:
        _Hand(folder, side, fingers, root).add(arm)
    ElementTree.indent(root)
    path = folder / 'manivideo_robot.urdf'
    path.write_text(ElementTree.tostring(root, 'unicode') + '\n')
    return path


def demo_robot(sides: Sequence[Side] = SIDES) -> RobotModel:
    """The robot of write_demo_robot."""
    with tempfile.TemporaryDirectory() as folder:
        return load_robot_file(write_demo_robot(folder, sides))[0]


class _Hand:
    def __init__(self, folder: Path, side: Side, fingers: int, root: ElementTree.Element) -> None:
        self._folder, self._side, self._root = folder, side, root
        self._mirror = 1.0 if side == 'right' else -1.0
        self._names = [*FINGERS][: fingers - 1]
        self._count = 0

    def add(self, arm: bool) -> None:
        """Add links and joints to the root, and write the meshes."""
        if arm:
            self._arm()
        else:
            self._carrier()
        self._forearm()
        self._palm()
        self._thumb()
        for name in self._names:
            self._finger(name)

    def _carrier(self) -> None:
        """Six joints that carry the forearm anywhere: a place, then turns about z, y and x."""
        parent = None
        for n, (name, axis) in enumerate(zip(CARRIER, np.eye(3)[[0, 1, 2, 2, 1, 0]], strict=True)):
            child = 'forearm' if n == len(CARRIER) - 1 else f'carrier_{n}'
            if child != 'forearm':
                self._link(child)
            joint = ElementTree.SubElement(
                self._root, 'joint', name=f'{self._side}_{name}',
                type='prismatic' if n < 3 else 'continuous',
            )  # fmt: skip
            ElementTree.SubElement(
                joint, 'parent', link='world' if parent is None else f'{self._side}_{parent}'
            )
            ElementTree.SubElement(joint, 'child', link=f'{self._side}_{child}')
            ElementTree.SubElement(joint, 'axis', xyz=_text(axis))
            limits = {'lower': '-10', 'upper': '10'} if n < 3 else {}
            ElementTree.SubElement(joint, 'limit', limits, effort='1', velocity='6')
            parent = child

    def _arm(self) -> None:
        """Seven joints, turning and bending in turns, whose last link carries the forearm."""
        parent, at = '', 0.0
        for n, length in enumerate(ARM):
            link = self._link(f'arm_{n + 1}')
            axis = (0, 0, 1) if n % 2 == 0 else (0, 1, 0)
            self._joint(f'arm_{n + 1}', parent, f'arm_{n + 1}', (0, 0, at), axis, (-2.8, 2.8))
            radius = 0.055 - 0.003 * n
            self._hull(link, PLATE, [(0, 0, 0), (0, 0, length)], radius)
            turned = (0, 1, 0) if n % 2 else (0, 0, 1)
            self._cylinder(link, ACCENT if n % 2 else DARK, (0, 0, 0), turned, 1.04 * radius,
                           1.6 * radius)  # fmt: skip
            parent, at = f'arm_{n + 1}', length
        flange = ElementTree.SubElement(
            self._root, 'joint', name=f'{self._side}_flange', type='fixed'
        )
        ElementTree.SubElement(flange, 'parent', link=f'{self._side}_{parent}')
        ElementTree.SubElement(flange, 'child', link=f'{self._side}_forearm')
        place = _text((0, 0, at + FOREARM))
        ElementTree.SubElement(flange, 'origin', xyz=place, rpy=_text((0, -np.pi / 2, 0)))

    def _forearm(self) -> None:
        link = self._link('forearm')
        self._hull(link, PLATE, [(-FOREARM, 0, 0), (-0.035, 0, 0)], (0.037, 0.025))
        self._ring(link, ACCENT, -0.055, 0.0295, 0.014)
        self._ring(link, DARK, -0.03, 0.024, 0.02)
        for y in (-0.019, 0.019):  # cables
            self._tube(link, RUBBER, (-0.16, y, 0.028), (-0.005, 0.6 * y, 0.018), 0.0035)

    def _palm(self) -> None:
        link = self._link('palm')
        self._joint('wrist', 'forearm', 'palm', (0, 0, 0), (0, 1, 0), (-0.6, 0.6))
        self._ball(link, DARK, (0, 0, 0), 0.0185)
        corners = [
            (x, y, z)
            for x, low, high in ((0.008, -0.018, 0.019), (0.078, -0.036, 0.028))
            for y in (low, high)
            for z in (-0.006, 0.006)
        ]
        self._hull(link, PLATE, corners, 0.007)
        plate = [(x, y, 0.0105) for x, w in ((0.02, 0.010), (0.066, 0.019)) for y in (-w, w)]
        self._hull(link, DARK, plate, 0.004)
        pad = [(x, y, -0.0115) for x, w in ((0.025, 0.014), (0.07, 0.026)) for y in (-w, 0.8 * w)]
        self._hull(link, RUBBER, pad, 0.0035)
        for x, y in ((0.016, -0.012), (0.016, 0.012), (0.072, -0.030), (0.072, 0.024)):  # screws
            self._cylinder(link, STEEL, (x, y, 0.0135), (0, 0, 1), 0.0032, 0.002)

    def _finger(self, name: str) -> None:
        place, angle, lengths = FINGERS[name]
        radius = RADIUS[name]
        self._link(f'{name}_knuckle')
        self._joint(f'{name}_spread', 'palm', f'{name}_knuckle', place, (0, 0, 1), (-0.35, 0.35),
                    yaw=angle)  # fmt: skip
        parent, at = f'{name}_knuckle', 0.0
        for n, (part, length) in enumerate(
            zip(('proximal', 'middle', 'distal'), lengths, strict=True)
        ):
            link = self._link(f'{name}_{part}')
            mimic = (f'{name}_bend_2', 0.75) if n == 2 else None
            limits = (-0.3, 1.65) if n == 0 else (0.0, 1.8)
            self._joint(f'{name}_bend_{n + 1}', parent, f'{name}_{part}', (at, 0, 0), (0, 1, 0),
                        limits, mimic)  # fmt: skip
            self._phalanx(link, length, radius * (1 - 0.07 * n), last=n == 2)
            parent, at = f'{name}_{part}', length

    def _thumb(self) -> None:
        place, angle, lengths = THUMB
        self._link('thumb_base')
        self._joint('thumb_turn', 'palm', 'thumb_base', place, (1, 0, 0), (-1.2, 1.6))
        parent, at = 'thumb_base', 0.0
        swing = self._link('thumb_hub')
        self._joint('thumb_swing', parent, 'thumb_hub', (0, 0, 0), (0, 0, 1), (-1.0, 0.7),
                    yaw=angle)  # fmt: skip
        self._ball(swing, DARK, (0, 0, 0), 0.0125)
        parent = 'thumb_hub'
        for n, (part, length) in enumerate(
            zip(('proximal', 'middle', 'distal'), lengths, strict=True)
        ):
            link = self._link(f'thumb_{part}')
            limits = (-0.6, 1.2) if n == 0 else (-0.2, 1.4)
            self._joint(f'thumb_bend_{n + 1}', parent, f'thumb_{part}', (at, 0, 0), (0, 1, 0),
                        limits)  # fmt: skip
            self._phalanx(link, length, RADIUS['thumb'] * (1.05 - 0.07 * n), last=n == 2)
            parent, at = f'thumb_{part}', length

    def _phalanx(self, link: ElementTree.Element, length: float, radius: float, last: bool) -> None:
        self._cylinder(link, DARK, (0, 0, 0), (0, 1, 0), 0.82 * radius, 2.1 * radius)
        self._cylinder(link, STEEL, (0, 0, 0), (0, 1, 0), 0.45 * radius, 2.3 * radius)
        end = 0.5 * length if last else length - 0.5 * radius
        self._hull(link, STEEL, [(0.45 * radius, 0, 0), (end, 0, 0)], (0.9 * radius, 0.82 * radius))
        if last:
            tip = [(0.62 * length, 0, 0), (length - 0.95 * radius, 0, 0)]
            self._hull(link, RUBBER, tip, 0.95 * radius)
        else:
            top = [(x * length, y, 0.55 * radius) for x in (0.3, 0.7) for y in (-2e-3, 2e-3)]
            self._hull(link, ACCENT if link.get('name', '').endswith('proximal') else PLATE, top,
                       0.5 * radius)  # fmt: skip

    def _link(self, name: str) -> ElementTree.Element:
        return ElementTree.SubElement(self._root, 'link', name=f'{self._side}_{name}')

    def _joint(
        self,
        name: str,
        parent: str,
        child: str,
        place: ArrayLike,
        axis: ArrayLike,
        limits: tuple[float, float],
        mimic: tuple[str, float] | None = None,
        yaw: float = 0.0,
    ) -> None:
        """A revolute joint of a right hand, mirrored in y for a left one."""
        mirror = self._mirror
        x, y, z = np.asarray(place, float)
        turned = np.asarray(axis, float) * (mirror, 1, mirror)  # an axis is a pseudovector
        name, child = f'{self._side}_{name}', f'{self._side}_{child}'
        parent = f'{self._side}_{parent}' if parent else 'world'
        joint = ElementTree.SubElement(self._root, 'joint', name=name, type='revolute')
        ElementTree.SubElement(joint, 'parent', link=parent)
        ElementTree.SubElement(joint, 'child', link=child)
        ElementTree.SubElement(
            joint, 'origin', xyz=_text((x, mirror * y, z)), rpy=_text((0, 0, mirror * yaw))
        )
        ElementTree.SubElement(joint, 'axis', xyz=_text(turned))
        lower, upper = limits
        ElementTree.SubElement(
            joint, 'limit', lower=f'{lower:g}', upper=f'{upper:g}', effort='1', velocity='6'
        )
        if mimic is not None:
            joint_name = f'{self._side}_{mimic[0]}'
            ElementTree.SubElement(joint, 'mimic', joint=joint_name, multiplier=f'{mimic[1]:g}')

    def _visual(
        self, link: ElementTree.Element, material: str, place: ArrayLike, rpy: ArrayLike
    ) -> ElementTree.Element:
        visual = ElementTree.SubElement(link, 'visual')
        ElementTree.SubElement(visual, 'origin', xyz=_text(place), rpy=_text(rpy))
        geometry = ElementTree.SubElement(visual, 'geometry')
        ElementTree.SubElement(visual, 'material', name=material)
        return geometry

    def _hull(
        self,
        link: ElementTree.Element,
        material: str,
        centres: Sequence[tuple[float, float, float]],
        radius: float | tuple[float, float],
    ) -> None:
        """The convex hull of spheres; two radii are those of the first and of the other ones."""
        import trimesh

        radii = np.broadcast_to(radius, 2)
        spheres = []
        for n, centre in enumerate(centres):
            size = float(radii[min(n, 1)])
            ball = trimesh.creation.icosphere(2 if size > ROUND else 1, size)
            spheres.append(ball.vertices + np.asarray(centre) * (1, self._mirror, 1))
        mesh = trimesh.convex.convex_hull(np.concatenate(spheres))
        self._count += 1
        name = f'meshes/{link.get("name")}_{self._count}.stl'
        mesh.export(self._folder / name)
        geometry = self._visual(link, material, (0, 0, 0), (0, 0, 0))
        ElementTree.SubElement(geometry, 'mesh', filename=name)

    def _tube(
        self,
        link: ElementTree.Element,
        material: str,
        start: tuple[float, float, float],
        end: tuple[float, float, float],
        radius: float,
    ) -> None:
        self._hull(link, material, [start, end], radius)

    def _ring(
        self, link: ElementTree.Element, material: str, x: float, radius: float, length: float
    ) -> None:
        self._cylinder(link, material, (x, 0, 0), (1, 0, 0), radius, length)

    def _cylinder(
        self,
        link: ElementTree.Element,
        material: str,
        place: tuple[float, float, float],
        axis: tuple[int, int, int],
        radius: float,
        length: float,
    ) -> None:
        rpy = {(1, 0, 0): (0, np.pi / 2, 0), (0, 1, 0): (np.pi / 2, 0, 0)}.get(axis, (0, 0, 0))
        at = np.asarray(place) * (1, self._mirror, 1)
        geometry = self._visual(link, material, at, rpy)
        ElementTree.SubElement(geometry, 'cylinder', radius=f'{radius:g}', length=f'{length:g}')

    def _ball(
        self,
        link: ElementTree.Element,
        material: str,
        place: tuple[float, float, float],
        radius: float,
    ) -> None:
        geometry = self._visual(link, material, np.asarray(place) * (1, self._mirror, 1), (0, 0, 0))
        ElementTree.SubElement(geometry, 'sphere', radius=f'{radius:g}')


def _text(values: ArrayLike) -> str:
    return ' '.join(f'{value:.6g}' for value in np.asarray(values, float).reshape(-1))
