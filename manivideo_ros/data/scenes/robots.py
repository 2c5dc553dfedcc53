"""Robots and bodies of scenes: meshes with what the ground-truth renderer needs of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.surfels import DiscSet, face_colours, sample_discs
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.robot.model import RobotModel

DISCS = 120


@dataclass(frozen=True, eq=False)
class RobotAsset:
    """A robot hand. name: of its file in shards; discs: at vertices, of the robot at rest."""

    name: str
    model: RobotModel
    discs: DiscSet


@dataclass(frozen=True, eq=False)
class BodyAsset:
    """A person's body without arms: a rigid mesh.

    part [F]: what each face is of (data/people/body.py); edge [3]: of the table (Room.table_edge)
    before the body.
    """

    mesh: ObjectMesh
    part: NDArray[np.int32]
    discs: DiscSet
    edge: NDArray[np.float32]


def prepare_robot(name: str, model: RobotModel) -> RobotAsset:
    """A robot with its discs; its name is completed by what it looks like.

    Robots of two folders, or of two releases of the generator, then have two files.
    """
    seen = model.vertices, model.faces, model.texture, model.gloss, model.metal
    looks = hashlib.sha256(b''.join(a.tobytes() for a in seen)).hexdigest()[:8]
    rest = model.kinematics.poses(np.zeros(len(model.kinematics.joints)))[model.vertex_link]
    placed = np.einsum('vij,vj->vi', rest[:, :3, :3], model.vertices) + rest[:, :3, 3]
    colours = face_colours(model.corner_uv, model.texture)
    return RobotAsset(
        f'{name}_{looks}',
        model,
        sample_discs(placed, model.faces, colours, DISCS, at_vertices=True),
    )
