"""The light of a scene, as far as it is known: a distant lamp and an even surrounding."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array

GREY_SHOWN = 0.735357
"""sRGB of the grey ball's albedo, 0.5: its colour in light that leaves materials as they are."""


@dataclass(frozen=True, eq=False)
class Light:
    """A distant lamp and an even surrounding, in one frame of coordinates.

    towards [3]: unit vector to the lamp. lamp, ambient [3]: irradiance of a surface that faces the
    lamp, and of any surface; linear RGB, in one arbitrary unit. size: angular radius of the lamp,
    radians, by which its shadows are soft. ball [16, 3]: coefficients of the sRGB colour of a grey
    ball (model/patch/light.py), always in the frame of the camera; middle grey where unknown.
    """

    towards: Array
    lamp: Array
    ambient: Array
    size: float = 0.1
    ball: NDArray[np.floating] = field(default_factory=lambda: middle_grey())

    def turned(self, rotation: Array) -> Light:
        """The same light in another frame; rotation [3, 3]: from this frame to that one."""
        return replace(self, towards=np.asarray(rotation, np.float64) @ self.towards)


def middle_grey() -> NDArray[np.float32]:
    """Coefficients [16, 3] of a grey ball that is the same from all sides."""
    ball = np.zeros((16, 3), np.float32)
    ball[0] = GREY_SHOWN
    return ball
