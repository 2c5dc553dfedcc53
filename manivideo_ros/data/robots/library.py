"""Robot hands of others: the URDFs of a folder, by split."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from manivideo_ros.data.scenes.library import Split
from manivideo_ros.data.scenes.robots import RobotAsset, prepare_robot
from manivideo_ros.hand.state import Side
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.robot.layers import RobotLayers, find_layers
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot_file
from manivideo_ros.robot.retarget import ANYWHERE
from manivideo_ros.robot.urdf import read_urdf

LOGGER = logging.getLogger(__name__)

HELD_OUT_HANDS = ('allegro', 'leap')
"""The hands of the test split, wherever a robot or its file has such a name."""


class Hand(NamedTuple):
    """A URDF of one hand, and the person's hand that it follows."""

    urdf: Path
    side: Side


@lru_cache(maxsize=8)
def robot_hands(folder: Path, split: Split) -> tuple[Hand, ...]:
    """The hands of a split among all URDFs below a folder, one for each robot and side.

    URDFs that cannot be read or lack meshes, of arms, of two hands, or of a hand on an arm are left
    out, with one line each in the log. Raises ValueError for a folder with no hand of the split.
    """
    found: dict[tuple[str, Side], Hand] = {}
    for urdf in sorted(folder.rglob('*.urdf')):
        try:
            layers, reason = _layers(urdf)
        except (OSError, ValueError) as error:
            LOGGER.warning('%s: left out: %s', urdf, error)
            continue
        if reason:
            LOGGER.info('%s: left out: %s', urdf, reason)
            continue
        if held_out(urdf.relative_to(folder), layers.hand) == (split == 'test'):
            side = next(iter(layers.palm))
            # With meshes of glTF it is the same hand, whose materials are known better.
            found[urdf.stem.removesuffix('_glb'), side] = Hand(urdf, side)
    if not found:
        raise ValueError(f'{folder}: none of its URDFs is a hand of the {split} split')
    return tuple(found.values())


def held_out(urdf: Path, hand: str) -> bool:
    """Whether a hand belongs to the test split, by the known hand's name and its URDF's path."""
    names = f'{hand} {urdf}'.lower()
    return any(name in names for name in HELD_OUT_HANDS)


@lru_cache(maxsize=32)
def robot_of(hand: Hand) -> RobotAsset:
    """The robot of a URDF. Raises ValueError."""
    model, problems = load_robot_file(hand.urdf, outer=outer_faces)
    for problem in problems:
        LOGGER.info('%s: %s', hand.urdf, problem)
    return prepare_robot(f'{hand.urdf.stem}_{hand.side}', model)


def _layers(urdf: Path) -> tuple[RobotLayers, str]:
    """The layers of a URDF, and why it is no single hand, '' if it is one. Raises ValueError."""
    robot, files = read_urdf(urdf.read_bytes()), MeshFiles.of(urdf)
    shown = [name for name, link in robot.links.items() if link.visuals]
    layers = find_layers(robot, shown, hint=urdf.stem)
    if len({finger.name for finger in layers.fingers}) < 2:
        return layers, 'it has no two fingers'
    if len(layers.palm) > 1:
        return layers, f'it has {len(layers.palm)} hands'
    carried = len(robot.movers(next(iter(layers.palm.values()))))
    if carried >= ANYWHERE:
        return layers, f'its hand is carried by {carried} joints'
    for link in robot.links.values():
        for shape in link.visuals:
            if shape.kind == 'mesh':
                files.find(shape.file)
    return layers, ''
