"""Virtual cameras: fixed, orbiting a point, or mounted on a wrist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.geometry import (
    Camera,
    axis_angle_to_matrix,
    invert_rigid,
    look_at,
    pinhole,
    rigid,
)
from manivideo_ros.hand.state import HandState

Array = NDArray[np.floating]
WRIST_UP = (0.0, 1.0, 0.0)  # out of the back of the hand


@dataclass(frozen=True, eq=False)
class VirtualCamera:
    """A pinhole camera at `eye` that looks at `target`, both [3] in metres.

    width and height in pixels, fov_y in radians. Raises ValueError for invalid values.
    """

    eye: ArrayLike
    target: ArrayLike
    width: int
    height: int
    fov_y: float

    def __post_init__(self) -> None:
        for name in ('eye', 'target'):
            point = np.asarray(getattr(self, name), np.float64)
            if point.shape != (3,) or not np.isfinite(point).all():
                raise ValueError(f'{name}: must be 3 finite numbers, x y z in metres')
        if not 0 < self.fov_y < np.pi:
            raise ValueError(f'fov_y: {self.fov_y} is not between 0 and pi radians')
        self.camera()

    def still(self) -> Array:
        """world_from_camera [4, 4] (optical frame; world z up) of the fixed camera."""
        return self._seen(np.asarray(self.eye, np.float64))

    def orbit(self, seconds: float, period: float) -> Array:
        """world_from_camera [4, 4] on a circle about the vertical axis through the target.

        It starts at the eye at 0 s, and turns counter-clockwise, seen from above, once every
        `period` seconds.
        """
        turn = axis_angle_to_matrix([0.0, 0.0, 2 * np.pi * (seconds / period % 1.0)])
        target = np.asarray(self.target, np.float64)
        return self._seen(target + turn @ (np.asarray(self.eye, np.float64) - target))

    def on_wrist(self, side: str, hand: HandState) -> Array:
        """world_from_camera [4, 4] mounted on a wrist; eye and target are in the wrist's frame.

        They are given for the right wrist, and mirrored in x for the left.
        """
        mirror = np.array([-1.0 if side == 'left' else 1.0, 1.0, 1.0])
        eye, target = (mirror * np.asarray(p, np.float64) for p in (self.eye, self.target))
        wrist = rigid(hand.wrist_rotation, hand.wrist_position)
        return wrist @ invert_rigid(look_at(eye, target, WRIST_UP))

    def camera(self) -> Camera:
        """The pinhole camera at the origin of its own frame."""
        intrinsics = pinhole(self.width, self.height, self.fov_y)
        return Camera(intrinsics, np.eye(4), self.width, self.height)

    def _seen(self, eye: Array) -> Array:
        return invert_rigid(look_at(eye, self.target))
