"""Retargeting by the package dex-retargeting (Qin et al., AnyTeleop, RSS 2023), if installed.

Its PositionOptimizer moves the origins of links. So a URDF is written for it that has a link at
each point, and joints that move the root where that floats.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from manivideo_ros.files.errors import reason_of
from manivideo_ros.geometry import Array, axis_angle_to_matrix, rigid
from manivideo_ros.robot.description import Joint, RobotDescription
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.solvers.points import Points

PACKAGE = 'dex-retargeting'
FREE = 'manivideo_free_'
WIDE = 1e3
"""Rad and m: range of joints without limits."""
STIFF, GAIN = 4e-4, 1e-6
"""Pull to the last positions, and the gain below which the optimizer stops: a tenth of its
defaults, which are for fewer points and leave the tips several millimetres off."""
ROUNDS = 3
"""Solutions of a frame, each from the one before."""


@cache
def available() -> tuple[str, str]:
    """The version of dex-retargeting, '' where it cannot be used, and why it cannot."""
    try:
        import dex_retargeting.optimizer

        return metadata.version(dex_retargeting.__name__), ''
    except metadata.PackageNotFoundError:
        return 'of unknown version', ''
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if missing == 'dex_retargeting':
            return '', f'{PACKAGE} is not installed'
        return '', f'{PACKAGE} lacks {missing}'
    except (ImportError, OSError, AttributeError) as error:  # of its compiled parts
        return '', f'{PACKAGE} cannot be used: {reason_of(error)}'


def by() -> str:
    """What retargets: the package with its version, or this one and why."""
    version, why = available()
    return f'{PACKAGE} {version}' if version else f'own solver ({why})'


class Dex:
    """Moves joints, and the root where it floats, to where points belong.

    Not thread-safe. Raises ValueError for a robot that dex-retargeting cannot read.
    """

    def __init__(self, kinematics: Kinematics, floating: bool) -> None:
        self._kinematics, self._floating = kinematics, floating
        self._made: tuple[bytes, _Optimizer] | None = None

    def follow(self, points: Points, positions: Array, place: Array) -> tuple[Array, Array]:
        """Positions [J] and world_from_root [4, 4] of the frame after the one that has these."""
        key = points.links.tobytes() + points.local.tobytes()
        if self._made is None or self._made[0] != key:
            self._made = key, _Optimizer(self._kinematics, points, self._floating)
        optimizer = self._made[1]
        for _ in range(ROUNDS):
            turn, origin = place[:3, :3], place[:3, 3]
            # The root's joints start at 0 in its last frame, far from where angles are ambiguous.
            moved, by = optimizer.solved((points.target - origin) @ turn, positions)
            done = np.abs(moved - positions).max(initial=0) < 1e-3 and np.abs(by).max() < 1e-3
            positions = moved
            place = rigid(turn @ _turned(by[3:]), origin + turn @ by[:3])
            if done:
                break
        return positions, place


class _Optimizer:
    """dex-retargeting's optimizer for some points of a robot."""

    def __init__(self, kinematics: Kinematics, points: Points, floating: bool) -> None:
        from dex_retargeting.kinematics_adaptor import MimicJointKinematicAdaptor
        from dex_retargeting.optimizer import PositionOptimizer
        from dex_retargeting.robot_wrapper import RobotWrapper

        links = [kinematics.links[n] for n in points.links]
        joints = _needed(kinematics.robot, links)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'points.urdf'
            path.write_bytes(_urdf(kinematics.robot, joints, links, points.local, floating))
            try:
                robot = RobotWrapper(str(path))
            except (ValueError, RuntimeError, NotImplementedError) as error:
                raise ValueError(f'{PACKAGE}: {reason_of(error)}') from None
        follows = kinematics.robot.follows
        own = [j.name for j in joints if j.moves and follows[j.name].joint == j.name]
        mimics = [j.name for j in joints if j.moves and follows[j.name].joint not in ('', j.name)]
        free = [f'{FREE}{n}' for n in range(6 if floating else 0)]
        self._repeated = _repeated(points.weight)
        bodies = [f'manivideo_point_{n}' for n in self._repeated]
        self._optimizer: Any = PositionOptimizer(
            robot, [*free, *own], bodies, np.arange(len(bodies)), norm_delta=STIFF
        )
        self._optimizer.opt.set_ftol_abs(GAIN)
        if mimics:
            of = [follows[name] for name in mimics]
            self._optimizer.set_kinematic_adaptor(
                MimicJointKinematicAdaptor(
                    robot, [*free, *own], [f.joint for f in of], mimics,
                    [f.multiplier for f in of], [f.offset for f in of],
                )
            )  # fmt: skip
        self._rows = np.array([kinematics.joints.index(name) for name in own], np.int64)
        limits = np.clip(kinematics.limits, -WIDE, WIDE)
        self._low, self._high = limits[self._rows].T
        free_limits = np.array([[-1.0, 1.0]] * 3 + [[-1.2, 1.2]] * 3)[: len(free)]
        self._optimizer.set_joint_limit(
            np.concatenate([free_limits, limits[self._rows]]), epsilon=0.0
        )
        self._free = len(free)

    def solved(self, target: Array, positions: Array) -> tuple[Array, Array]:
        """Positions [J] that move the points to target [K, 3], in the root's frame, and by how much
        the root moves [6]: its shift, and angles about x, y, z in turns.
        """
        start = np.clip(positions[self._rows], self._low, self._high)
        found = np.asarray(
            self._optimizer.retarget(
                target[self._repeated].astype(np.float32),
                np.zeros(0),
                np.concatenate([np.zeros(self._free), start]),
            ),
            np.float64,
        )
        out = positions.copy()
        # In single precision the optimizer's results may be past the limits.
        out[self._rows] = np.clip(found[self._free :], self._low, self._high)
        return out, found[: self._free] if self._free else np.zeros(6)


def _repeated(weight: Array) -> NDArray[np.int64]:
    """The points, those with more weight several times: the optimizer has no weights."""
    squared = (np.asarray(weight) / np.min(weight)) ** 2
    return np.repeat(np.arange(len(weight)), np.clip(np.rint(squared), 1, 8).astype(int))


def _needed(robot: RobotDescription, links: Sequence[str]) -> list[Joint]:
    """The joints between the links and the root, and those that they mimic with theirs."""
    below = {joint.name: joint.child for joint in robot.joints}
    needed: set[str] = set()
    waiting = list(links)
    while waiting:
        link = waiting.pop()
        if link not in robot.above or link in needed:
            continue
        needed.add(link)
        joint = robot.above[link]
        waiting.append(joint.parent)
        if joint.moves and (source := robot.follows[joint.name].joint):
            waiting.append(below[source])
    return [joint for joint in robot.joints if joint.child in needed]


def _urdf(
    robot: RobotDescription,
    joints: Sequence[Joint],
    links: Sequence[str],
    local: Array,
    floating: bool,
) -> bytes:
    """A URDF of these joints, with a link at each point, and six joints above a floating root."""
    root = ElementTree.Element('robot', name='robot')

    def add(name: str, kind: str, parent: str, child: str, origin: Array, axis: Array) -> None:
        ElementTree.SubElement(root, 'link', name=child)
        joint = ElementTree.SubElement(root, 'joint', name=name, type=kind)
        ElementTree.SubElement(joint, 'parent', link=parent)
        ElementTree.SubElement(joint, 'child', link=child)
        rpy = Rotation.from_matrix(origin[:3, :3]).as_euler('xyz')
        ElementTree.SubElement(joint, 'origin', xyz=_text(origin[:3, 3]), rpy=_text(rpy))
        if kind != 'fixed':
            ElementTree.SubElement(joint, 'axis', xyz=_text(axis))
            ElementTree.SubElement(
                joint, 'limit', lower=f'{-WIDE}', upper=f'{WIDE}', effort='1', velocity='1'
            )

    base = f'{FREE}base' if floating else robot.root
    ElementTree.SubElement(root, 'link', name=base)
    if floating:
        for n in range(6):
            child = robot.root if n == 5 else f'{FREE}link_{n}'
            kind = 'prismatic' if n < 3 else 'revolute'
            add(f'{FREE}{n}', kind, base, child, np.eye(4), np.eye(3)[n % 3])
            base = child
    for joint in joints:
        origin, kind = joint.parent_from_joint, 'fixed'
        if joint.moves:
            follows = robot.follows[joint.name]
            if follows.joint:
                kind = 'prismatic' if joint.kind == 'prismatic' else 'revolute'
            elif joint.kind == 'prismatic':  # it never moves
                origin = origin @ rigid(np.eye(3), follows.offset * joint.axis)
            else:
                origin = origin @ rigid(
                    axis_angle_to_matrix(follows.offset * joint.axis), (0, 0, 0)
                )
        add(joint.name, kind, joint.parent, joint.child, origin, joint.axis)
    for n, (link, point) in enumerate(zip(links, local, strict=True)):
        name = f'manivideo_point_{n}'
        add(f'{name}_joint', 'fixed', link, name, rigid(np.eye(3), point), np.zeros(3))
    return bytes(ElementTree.tostring(root, 'utf-8'))


def _turned(angles: Array) -> Array:
    """The rotation [3, 3] of turns about x, then the new y, then the new z."""
    return np.asarray(Rotation.from_euler('XYZ', angles).as_matrix())


def _text(values: Array) -> str:
    return ' '.join(f'{float(value):.12g}' for value in values)
