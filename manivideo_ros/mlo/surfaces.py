"""What the rasteriser draws: surfaces at rest, the state that poses a hand, the hand reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.mlo.layers import hand_layers

if TYPE_CHECKING:
    from manivideo_ros.hand.model import HandModel
    from manivideo_ros.objects.mesh import ObjectMesh

PARTS = ('skin', 'nail', 'sleeve')


@dataclass(frozen=True, eq=False)
class HandState:
    """Pose and shape of one hand; world frame, metres, radians.

    theta [45] axis-angle joint rotations relative to the flat hand (MANO joint order); betas [10];
    wrist_rotation [3, 3] and wrist_position [3]: world from wrist, joint 0 lies at wrist_position.
    """

    theta: NDArray[np.floating]
    betas: NDArray[np.floating]
    wrist_rotation: NDArray[np.floating]
    wrist_position: NDArray[np.floating]


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


@dataclass(frozen=True, eq=False)
class HandReference:
    """The picture that shows what the hands look like: another pose, another camera.

    image uint8 [128, 128, 3] sRGB; parts uint8 [128, 128]: 0 none, 1 skin, 2 nail, 3 sleeve.
    """

    image: NDArray[np.uint8]
    parts: NDArray[np.uint8]

    def mean_colours(self) -> NDArray[np.float32]:
        """Mean sRGB [3, 3] in 0..1 of skin, nail and sleeve.

        A part that is not in the picture takes the skin's mean, or mid grey without any skin.
        """
        colours = np.full((len(PARTS), 3), 0.5, np.float32)
        for part in range(len(PARTS)):
            seen = self.parts == part + 1
            colours[part] = self.image[seen].mean(0) / 255 if seen.any() else colours[0]
        return colours
