"""Storage format of robots in shards: a file for each, and the poses of their links by frame.

A stored robot has no joints: its links are where they were posed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.robot.description import Array, Joint, Link, RobotDescription
from manivideo_ros.robot.finger_points import FingerPoints
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.layers import RobotLayers
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.state import RobotState

MOST_LINKS = 64
ARRAYS = (
    'vertices', 'vertex_link', 'faces', 'casters', 'face_part', 'face_left', 'corner_uv', 'texture',
)  # fmt: skip
FINISH = 'gloss', 'metal'
"""Values of the faces, or one of all; 0 where a file has none."""


@dataclass(frozen=True, eq=False)
class PosedRobot(RobotState):
    """A stored robot in a frame; links [L, 4, 4]: world_from_link."""

    links: Array

    @cached_property
    def link_poses(self) -> Array:
        """world_from_link [L, 4, 4], in the order of model.kinematics.links."""
        return self.links


def robot_file(folder: Path, name: str) -> Path:
    """The file of a robot in a folder of shards."""
    return folder / 'robots' / f'{name}.npz'


def write_robot(folder: Path, name: str, model: RobotModel) -> None:
    """Store a robot in a folder of shards unless its file exists.

    Raises ValueError for one of more than MOST_LINKS visible links and links of fingers.
    """
    file = robot_file(folder, name)
    count = len(model.kinematics.links)
    if count > MOST_LINKS:
        raise ValueError(f'the robot {name!r} has {count} links, at most {MOST_LINKS} are stored')
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f'{name}.{os.getpid()}.tmp.npz')
    fingers = model.fingers
    np.savez_compressed(
        partial,
        links=np.int64(count),
        finger=np.repeat(np.arange(len(fingers)), [len(f.link) for f in fingers]),
        finger_link=np.concatenate([f.link for f in fingers]),
        finger_point=np.concatenate([f.point for f in fingers]),
        **{key: getattr(model, key) for key in (*ARRAYS, *FINISH)},
    )
    partial.rename(file)


def read_robot(folder: Path, name: str, side: Side) -> RobotModel:
    """The robot of a file. Raises OSError, ValueError or KeyError."""
    with np.load(robot_file(folder, name)) as data:
        links = {f'link_{n}': Link(f'link_{n}') for n in range(int(data['links']))}
        joints = tuple(
            Joint(link, 'fixed', 'root', link, np.eye(4), np.array([1.0, 0, 0])) for link in links
        )
        tree = RobotDescription(name, 'root', {'root': Link('root'), **links}, joints, {})
        of, count = data['finger'], len(data['faces'])
        fingers = tuple(
            FingerPoints(side, '', data['finger_link'][of == n], data['finger_point'][of == n])
            for n in np.unique(of)
        )
        return RobotModel(
            name=name,
            kinematics=Kinematics(tree, tuple(links)),
            layers=RobotLayers({}, {}, (), {}),
            root='root',
            seen=np.zeros(count, bool),
            fingers=fingers,
            moving=frozenset(),
            all_joints=frozenset(),
            carriers={},
            **{key: data[key] for key in ARRAYS},
            **{
                key: np.broadcast_to(data[key] if key in data else np.float32(0), count)
                for key in FINISH
            },
        )


def pack_robots(states: Mapping[Side, RobotState]) -> Array:
    """Links' poses [2, MOST_LINKS, 3, 4] of a frame's robots by side; NaN where there is none."""
    out = np.full((2, MOST_LINKS, 3, 4), np.nan)
    for side, state in states.items():
        poses = state.link_poses
        out[SIDES.index(side), : len(poses)] = poses[:, :3]
    return out


def unpack_robot(model: RobotModel, row: Array) -> PosedRobot | None:
    """The state of a stored robot in a row [MOST_LINKS, 3, 4] of `pack_robots`; None if absent."""
    count = len(model.kinematics.links)
    if not np.isfinite(row[:count]).all():
        return None
    links = np.tile(np.eye(4), (count, 1, 1))
    links[:, :3] = row[:count]
    return PosedRobot(model, np.zeros(0), np.eye(4), links)
