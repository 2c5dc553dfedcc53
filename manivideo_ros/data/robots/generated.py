"""Random robot hands and grippers: their kinematics, the shapes of their links, their materials.

In the palm's frame x points along the fingers, y to the thumb of a right hand, z out of its back.
A hand has two to five fingers of one to four joints; a gripper two that slide or turn towards each
other.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from manivideo_ros.data.robots.materials import random_materials
from manivideo_ros.data.robots.parts import Element, UrdfParts
from manivideo_ros.data.scenes.library import Split, generator
from manivideo_ros.data.scenes.robots import RobotAsset, prepare_robot
from manivideo_ros.hand.state import Side
from manivideo_ros.robot.layers import FINGERS
from manivideo_ros.robot.model import load_robot_file

ROBOTS = 400
"""Number of generated robots of a split and a side."""
STREAM = 14  # number of the random stream
GRIPPER_SHARE = 0.2
LINK_STYLES = ('capsule', 'box', 'plate', 'cylinder', 'frame', 'bulky')
PALM_STYLES = ('plate', 'box', 'disc', 'frame')
ARM_STYLES = ('none', 'tube', 'box', 'chain')
# First joint of each finger in the palm [3] and its direction, rad, of a hand of a person's size.
PLACES = {
    'index': ((0.092, 0.025, 0.0), 0.03),
    'middle': ((0.094, 0.001, 0.0), 0.0),
    'ring': ((0.089, -0.019, 0.0), -0.08),
    'pinky': ((0.080, -0.036, 0.0), -0.16),
}
THUMB = (0.028, 0.024, -0.008)
SHARES = ((1.0,), (0.55, 0.45), (0.42, 0.3, 0.28), (0.16, 0.36, 0.25, 0.23))
"""Lengths of a finger's links, by the number of its joints."""


@lru_cache(maxsize=64)
def generated_robot(split: Split, index: int, side: Side) -> RobotAsset:
    """One of the ROBOTS robots of a split and a side; those of the splits are disjoint."""
    rng = generator(split, STREAM, index)
    with tempfile.TemporaryDirectory() as folder:
        urdf = write_random_robot(rng, Path(folder), side)
        return prepare_robot(f'generated_{split}_{side}_{index}', load_robot_file(urdf)[0])


def write_random_robot(rng: np.random.Generator, folder: Path, side: Side) -> Path:
    """Write the URDF and the meshes of a random robot hand, and return the URDF."""
    materials, colours = random_materials(rng)
    hand = _Hand(rng, UrdfParts(folder, side, colours), materials)
    if rng.random() < GRIPPER_SHARE:
        hand.gripper()
    else:
        hand.hand()
    return hand.parts.write()


@dataclass(frozen=True, eq=False)
class _Hand:
    """Adds the parts of one robot; metres."""

    rng: np.random.Generator
    parts: UrdfParts
    of: dict[str, str]  # names of materials by role

    def hand(self) -> None:
        rng = self.rng
        scale = float(rng.uniform(0.9, 1.35))
        breadth = float(rng.uniform(0.9, 1.4))
        thick = scale * float(rng.uniform(0.0075, 0.0125))
        count = int(rng.choice((1, 2, 3, 4), p=(0.12, 0.2, 0.33, 0.35)))
        names = [*FINGERS[1:]][:count]
        if count == 2 and rng.random() < 0.5:
            names = ['index', 'ring']
        style = str(rng.choice(LINK_STYLES))
        self.palm(scale, breadth, thick)
        joints = int(rng.choice((1, 2, 3, 4), p=(0.1, 0.25, 0.4, 0.25)))
        coupled = rng.random() < 0.4
        for name in names:
            (x, y, z), yaw = PLACES[name]
            place = np.array([x, y * breadth, z]) * scale + rng.normal(0, 0.002, 3)
            if count == 1:
                place[1] = 0.0
            length = scale * rng.uniform(0.9, 1.1) * (0.07 if name == 'pinky' else 0.083)
            self.finger(name, place, (0, 0, yaw), length, thick, joints, style, coupled)
        place = np.array(THUMB) * (scale, scale * breadth, scale) + rng.normal(0, 0.003, 3)
        turned = (rng.uniform(-1.4, -0.7), 0.0, rng.uniform(0.5, 0.9))
        length = scale * rng.uniform(0.085, 0.1)
        number = max(2, min(4, joints + int(rng.integers(0, 2))))
        self.finger('thumb', place, turned, length, 1.1 * thick, number, style, coupled)

    def gripper(self) -> None:
        """Two fingers that slide along y, or turn about z, towards each other."""
        rng = self.rng
        width, deep = rng.uniform(0.05, 0.11), rng.uniform(0.02, 0.035)
        base = self.parts.link('palm')
        front = float(rng.uniform(0.05, 0.08))
        self.arm(0.7 * deep)
        self.solid(base, 'shell', (0.5 * front, 0, 0), (front, width, 2 * deep), rng.random() < 0.6)
        if rng.random() < 0.6:
            self.parts.box(base, self.of['second'], (front, 0, 0), (0.012, 1.15 * width, deep))
        self.screws(base, front, 0.4 * width, deep)
        slides = rng.random() < 0.55
        length, thick = rng.uniform(0.045, 0.085), rng.uniform(0.006, 0.012)
        for name, sign in (('thumb', 1.0), ('index', -1.0)):
            link = self.parts.link(f'{name}_1')
            if slides:
                open_ = 0.45 * width
                self.parts.joint(
                    'palm', f'{name}_1', (front, sign * 0.004, 0), axis=(0, sign, 0),
                    limits=(0.0, open_), kind='prismatic',
                )  # fmt: skip
                self.link_shape(link, length, thick, 'box', last=True)
            else:
                self.parts.joint(
                    'palm', f'{name}_1', (front, sign * 0.3 * width, 0), axis=(0, 0, sign),
                    limits=(-0.9, 0.9),
                )  # fmt: skip
                self.link_shape(link, 0.6 * length, thick, 'plate', last=False)
                tip = self.parts.link(f'{name}_2')
                self.parts.joint(
                    f'{name}_1', f'{name}_2', (0.6 * length, 0, 0), axis=(0, 0, -sign),
                    limits=(-0.9, 0.9), mimic=(f'{name}_1', 1.0),
                )  # fmt: skip
                self.link_shape(tip, 0.6 * length, 0.9 * thick, 'box', last=True)

    def palm(self, scale: float, breadth: float, thick: float) -> None:
        rng, parts = self.rng, self.parts
        palm = parts.link('palm')
        self.arm(rng.uniform(0.018, 0.03) * scale)
        style = str(rng.choice(PALM_STYLES))
        x, w = 0.09 * scale, 0.036 * scale * breadth
        t = thick * rng.uniform(0.8, 1.4)
        if style == 'plate':
            corners = [(a, b * r, c) for a, r in ((0.01, 0.6), (x - 0.01, 1.0))
                       for b in (-w, 0.8 * w) for c in (-0.6 * t, 0.6 * t)]  # fmt: skip
            parts.hull(palm, self.of['shell'], corners, rng.uniform(0.3, 0.8) * t)
        elif style == 'box':
            parts.box(palm, self.of['shell'], (0.5 * x, -0.1 * w, 0), (x, 1.9 * w, 2.1 * t))
        elif style == 'disc':
            parts.cylinder(palm, self.of['shell'], (0.55 * x, 0, 0), 2, 0.5 * x, 2.4 * t)
            parts.box(palm, self.of['frame'], (0.7 * x, -0.1 * w, 0), (0.5 * x, 2 * w, 1.4 * t))
        else:
            for z in (-1.1 * t, 1.1 * t):
                parts.box(palm, self.of['frame'], (0.5 * x, -0.1 * w, z), (x, 1.9 * w, 0.4 * t))
            for y in (-0.7 * w, 0.0, 0.6 * w):
                parts.cylinder(palm, self.of['joint'], (0.45 * x, y, 0), 0, 0.7 * t, 0.7 * x)
        if rng.random() < 0.6:  # a cover on the back
            size = np.array([rng.uniform(0.3, 0.6) * x, rng.uniform(0.6, 1.3) * w, t])
            self.solid(palm, 'second', (0.5 * x, -0.05 * w, 1.3 * t), size, rng.random() < 0.6)
        if rng.random() < 0.5:  # a pad inside
            centre = (0.6 * x, -0.1 * w, -1.4 * t)
            self.solid(palm, 'tip', centre, (0.5 * x, 1.3 * w, 0.8 * t), True)
        if style != 'disc':
            self.screws(palm, x, 0.55 * w, {'box': 1.1, 'frame': 1.3}.get(style, 1.0) * t)
        if rng.random() < 0.5:
            for _ in range(int(rng.integers(1, 4))):
                y = rng.uniform(-0.8, 0.8) * w
                line = [(-0.05, 0.5 * y, 1.2 * t), (0.0, 0.9 * y, 2.2 * t),
                        (0.5 * x, y, rng.uniform(1.8, 3) * t), (0.95 * x, 1.1 * y, t)]  # fmt: skip
                parts.cable(palm, self.of['cable'], line, rng.uniform(0.0012, 0.003))

    def arm(self, radius: float) -> None:
        """A forearm behind the palm: the root, or a chain of fixed links at random angles."""
        rng, parts = self.rng, self.parts
        style = str(rng.choice(ARM_STYLES, p=(0.2, 0.25, 0.2, 0.35)))
        if style == 'none':
            return
        count = int(rng.integers(2, 4)) if style == 'chain' else 1
        below, length = 'palm', 0.0
        links = []
        for n in range(count):
            name = f'arm_{n + 1}'
            links.append(
                (name, parts.link(name), rng.uniform(0.08, 0.14) * (1.6 if count == 1 else 1))
            )
        for n, (name, link, length) in enumerate(links):
            # The arm's links point backwards, and the palm hangs from the nearest one.
            bend = rng.normal(0, 0.12 if n == 0 else 0.5, 2)
            self._hang(below, name, -0.004 if n == 0 else -links[n - 1][2], bend)
            size = radius * (1 + 0.25 * n)
            middle = (-0.5 * length, 0, 0)
            if style == 'box':
                self.solid(link, 'shell', middle, (length, 2 * size, 1.8 * size), True)
            else:
                ends = [(-0.02, 0, 0), (-length + 0.015, 0, 0)]
                parts.hull(link, self.of['shell'], ends, (0.85 * size, 1.1 * size))
            if rng.random() < 0.7:
                along = 0 if style != 'chain' else int(rng.integers(0, 2))
                parts.cylinder(
                    link, self.of['second'], (-0.006, 0, 0), along, 1.05 * size,
                    (0.02 if along == 0 else 2.1 * size),
                )  # fmt: skip
            if rng.random() < 0.4:
                line = [(-length, 0.4 * size, size), (-0.6 * length, 0.6 * size, 1.5 * size),
                        (0.0, 0.2 * size, 1.1 * size)]  # fmt: skip
                parts.cable(link, self.of['cable'], line, rng.uniform(0.0015, 0.004))
            below = name

    def _hang(self, palm: str, name: str, back: float, bend: np.ndarray) -> None:
        """Fix an arm's link behind the palm or the link before it.

        The palm stays the root: that the arm hangs from it is no difference to the image.
        """
        self.parts.joint(palm, name, (back, 0, 0), (0, float(bend[0]), float(bend[1])))

    def finger(
        self,
        name: str,
        place: np.ndarray,
        rpy: tuple[float, float, float],
        length: float,
        thick: float,
        joints: int,
        style: str,
        coupled: bool,
    ) -> None:
        """A chain of links; of four joints the first one spreads, others bend."""
        rng = self.rng
        parent, at, turned = 'palm', place, rpy
        for n, share in enumerate(SHARES[joints - 1]):
            child = f'{name}_{n + 1}'
            link = self.parts.link(child)
            spreads = joints == 4 and n == 0
            limits = (-0.5, 0.5) if spreads else (-0.3, 1.7)
            mimic = None
            if coupled and joints >= 3 and n == joints - 1:
                mimic = (f'{name}_{n}', float(rng.uniform(0.6, 1.0)))
            axis = (0, 0, 1) if spreads else (0, 1, 0)
            self.parts.joint(parent, child, at, turned, axis, limits, mimic=mimic)
            own = share * length
            radius = thick * (1 - 0.06 * n)
            self.link_shape(link, own, radius, style, last=n == joints - 1)
            parent, at, turned = child, np.array([own, 0, 0]), (0.0, 0.0, 0.0)

    def link_shape(
        self, link: Element, length: float, radius: float, style: str, last: bool
    ) -> None:
        """A link along x from its joint to the next one, or to its tip."""
        rng, parts, of = self.rng, self.parts, self.of
        r, body = radius, of['shell' if rng.random() < 0.75 else 'second']
        parts.cylinder(link, of['joint'], (0, 0, 0), 1, 0.85 * r, 2.05 * r)
        parts.cylinder(link, of['screw'], (0, 0, 0), 1, 0.4 * r, 2.25 * r)
        middle, end = (0.5 * length, 0, 0), length - (r if last else 0.3 * r)
        if style == 'capsule':
            parts.hull(link, body, [(0.4 * r, 0, 0), (end, 0, 0)], (0.95 * r, 0.8 * r))
        elif style == 'box':
            parts.box(link, body, middle, (length, 1.7 * r, 1.6 * r))
        elif style == 'plate':
            self.solid(link, 'shell', middle, (length, 1.8 * r, 1.7 * r), True)
        elif style == 'cylinder':
            parts.cylinder(link, body, middle, 0, 0.85 * r, length)
        elif style == 'frame':
            for y in (-0.75 * r, 0.75 * r):
                parts.box(link, of['frame'], (0.5 * length, y, 0), (length + r, 0.35 * r, 1.5 * r))
            parts.cylinder(link, body, middle, 0, 0.45 * r, 0.9 * length)
        else:
            self.solid(link, 'shell', middle, (0.8 * length, 2.2 * r, 2.0 * r), False)
            parts.cylinder(link, of['second'], middle, 0, 0.8 * r, length)
        if last:
            tip = [(0.6 * length, 0, -0.15 * r), (max(length - 0.9 * r, 0.62 * length), 0, 0)]
            parts.hull(link, of['tip'], tip, (0.8 * r, 0.98 * r))
        elif rng.random() < 0.35:
            centre = (0.5 * length, 0, 0.85 * r)
            self.solid(link, 'second', centre, (0.6 * length, r, 0.5 * r), True)
        if rng.random() < 0.2:
            line = [(0, 0, 1.1 * r), (0.5 * length, 0.3 * r, 1.6 * r), (length, 0, 1.1 * r)]
            parts.cable(link, of['cable'], line, 0.0012)

    def solid(self, link: Element, role: str, centre: object, size: object, rounded: bool) -> None:
        """A box, or a plate with round edges of the same size."""
        at, sides = np.asarray(centre, float), np.asarray(size, float)
        if not rounded:
            self.parts.box(link, self.of[role], at, sides)
            return
        radius = 0.3 * float(sides.min())
        half = 0.5 * sides - radius
        signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        self.parts.hull(link, self.of[role], at + signs * half, radius)

    def screws(self, link: Element, length: float, half: float, height: float) -> None:
        """Screw heads near the corners of a palm's back."""
        if self.rng.random() < 0.6:
            radius = float(self.rng.uniform(0.0018, 0.0035))
            for x in (0.12, 0.85):
                for y in (-half, half):
                    at = (x * length, y, height)
                    self.parts.cylinder(link, self.of['screw'], at, 2, radius, 0.004)
