"""The surfaces that the rasterizer draws, and their poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.layers import HAND_LAYERS, hand_layers, layer_names
from manivideo_ros.robot.state import RobotState

if TYPE_CHECKING:
    from manivideo_ros.hand.model import HandModel
    from manivideo_ros.objects.mesh import ObjectMesh
    from manivideo_ros.robot.model import RobotModel

SurfacePose = HandState | RobotState | NDArray[np.floating] | None
"""The state of a hand or a robot, an object's world_from_object [4, 4], or None if absent in this
frame."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh in its rest pose, with the layer of each face.

    vertices float32 [V, 3], metres; faces int32 [F, 3], counterclockwise from outside; face_layer
    int32 [F]; corner_uv float32 [F, 3, 2], texture coordinates with v down; hand: whose
    skin it is; robot: whose links it is, each vertex in the frame of its link; neither for a rigid
    object.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    face_layer: NDArray[np.int32]
    corner_uv: NDArray[np.float32]
    hand: HandModel | None = None
    robot: RobotModel | None = None

    def __post_init__(self) -> None:
        if len(self.faces) and (self.faces.min() < 0 or self.faces.max() >= len(self.vertices)):
            raise ValueError(f'surface faces name vertices outside 0..{len(self.vertices) - 1}')
        if not np.all(np.isfinite(self.vertices)):
            raise ValueError('surface vertices must be finite')
        if len(self.face_layer) != len(self.faces):
            raise ValueError(f'{len(self.face_layer)} face layers for {len(self.faces)} faces')


def hand_surface(hand: HandModel, num_layers: int = 7) -> Surface:
    """The surface of a hand, with faces in the layers of palm and fingers."""
    layer = hand_layers(hand.face_layer, hand.side, num_layers)
    return Surface(hand.v_template, hand.faces, layer, hand.corner_uv, hand)


def object_surface(mesh: ObjectMesh) -> Surface:
    """The surface of a rigid object, in the object layer."""
    layer = np.zeros(len(mesh.faces), np.int32)
    return Surface(mesh.vertices, mesh.faces, layer, mesh.corner_uv)


def robot_surface(robot: RobotModel, num_layers: int = 7) -> Surface:
    """The surface of a robot, with its links in the layers of palm and fingers."""
    layer_names(num_layers)
    layer = robot.face_part.astype(np.int32)
    if num_layers == 13:
        layer = layer + np.where(robot.face_left, 0, len(HAND_LAYERS)).astype(np.int32)
    return Surface(robot.vertices, robot.faces, layer, robot.corner_uv, robot=robot)
