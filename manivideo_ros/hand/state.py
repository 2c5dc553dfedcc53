"""The state of a posed hand, and its side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, transform_points

Side = Literal['left', 'right']
SIDES: tuple[Side, Side] = ('left', 'right')


@dataclass(frozen=True, eq=False)
class HandState:
    """Pose and shape of one hand; world frame, metres, radians.

    theta [45]: axis-angle joint rotations relative to the flat hand, in MANO's joint order. betas
    [10]. wrist_rotation [3, 3], wrist_position [3]: world from wrist; joint 0 is at wrist_position.
    elbow [3], shoulder [3]: where forearm and upper arm end; None where the source does not know:
    `hand/arm/bones.py` chooses them for a view.
    """

    theta: NDArray[np.floating]
    betas: NDArray[np.floating]
    wrist_rotation: NDArray[np.floating]
    wrist_position: NDArray[np.floating]
    elbow: NDArray[np.floating] | None = None
    shoulder: NDArray[np.floating] | None = None

    def moved(self, by: Array) -> HandState:
        """The hand moved by a rigid transform [4, 4]."""
        arm = (
            None if point is None else transform_points(by, point[None])[0]
            for point in (self.elbow, self.shoulder)
        )
        place = transform_points(by, np.asarray(self.wrist_position)[None])[0]
        return HandState(
            self.theta,
            self.betas,
            (by[:3, :3] @ self.wrist_rotation).astype(np.float32),
            place.astype(np.float32),
            *arm,
        )
