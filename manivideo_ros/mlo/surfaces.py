"""What the rasterizer draws: surfaces at rest, and the pose of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.layers import hand_layers

if TYPE_CHECKING:
    from manivideo_ros.hand.model import HandModel
    from manivideo_ros.objects.mesh import ObjectMesh

SurfacePose = HandState | NDArray[np.floating] | None
"""A hand's state, an object's world_from_object [4, 4], or None: absent in this frame."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh at rest and the layer of each face; `hand` is None for a rigid object.

    vertices [V, 3] float32, metres; faces [F, 3] int32, counterclockwise from outside;
    face_layer [F] int32; corner_uv [F, 3, 2] float32 into its texture, v down.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    face_layer: NDArray[np.int32]
    corner_uv: NDArray[np.float32]
    hand: HandModel | None = None

    def __post_init__(self) -> None:
        if len(self.faces) and (self.faces.min() < 0 or self.faces.max() >= len(self.vertices)):
            raise ValueError(f'surface faces name vertices outside 0..{len(self.vertices) - 1}')
        if not np.all(np.isfinite(self.vertices)):
            raise ValueError('surface vertices must be finite')
        if len(self.face_layer) != len(self.faces):
            raise ValueError(f'{len(self.face_layer)} face layers for {len(self.faces)} faces')


def hand_surface(hand: HandModel, num_layers: int = 7) -> Surface:
    """The surface of one hand with its faces in the palm's and the fingers' layers."""
    layer = hand_layers(hand.face_layer, hand.side, num_layers)
    return Surface(hand.v_template, hand.faces, layer, hand.corner_uv, hand)


def object_surface(mesh: ObjectMesh) -> Surface:
    """The surface of a rigid object, all of it in the object layer."""
    layer = np.zeros(len(mesh.faces), np.int32)
    return Surface(mesh.vertices, mesh.faces, layer, mesh.corner_uv)
