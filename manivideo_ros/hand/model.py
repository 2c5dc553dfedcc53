"""The arrays of a hand model with MANO's interface.

Conventions are MANO's: in the flat right hand, the fingers point along -x, the back of the hand
faces +y, and the thumb is on the side of +z, so that rotations about +z flex the fingers. The left
hand is mirrored in x. Joints: 0 wrist, 1-3 index, 4-6 middle, 7-9 pinky, 10-12 ring, 13-15 thumb.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import Side

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


class HandFileError(ValueError):
    """Raised for a hand model file that cannot be used; names the file, the field and a fix."""


@dataclass(frozen=True, eq=False)
class HandModel:
    """Arrays of one hand, with or without its arm, in the flat rest pose; metres, float32."""

    name: str  # 'default' or 'mano'
    side: Side
    v_template: NDArray[np.float32]  # [V, 3]
    faces: NDArray[np.int32]  # [F, 3]
    weights: NDArray[np.float32]  # [V, 16] skinning weights
    J_regressor: NDArray[np.float32]  # [16, V]
    parents: tuple[int, ...]  # [16], the wrist's is -1
    shapedirs: NDArray[np.float32]  # [V, 3, 10]
    posedirs: NDArray[np.float32]  # [V, 3, 135]
    hands_mean: NDArray[np.float32]  # [45] the source's mean pose, relative to the flat hand
    face_layer: NDArray[np.int32]  # [F] 1 palm and forearm, 2 thumb, 3 index .. 6 pinky
    vertex_part: NDArray[np.uint8]  # [V] 0 skin, 1 nail, 2 sleeve
    corner_uv: NDArray[np.float32]  # [F, 3, 2] in the skin texture, v down
    tip_vertices: NDArray[np.int32]  # [5] thumb, index, middle, ring, pinky
    # [V, 2] shares of the wrist's weight that forearm and upper arm take; None: without an arm
    arm_weights: NDArray[np.float32] | None = None
