"""The light of a scene, as far as it is known: a distant lamp and an even surrounding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array


@dataclass(frozen=True, eq=False)
class Light:
    """A distant lamp and an even surrounding, in one frame of coordinates.

    towards [3]: unit vector to the lamp. lamp, ambient [3]: irradiance of a surface that faces the
    lamp, and of any surface; linear RGB, in one arbitrary unit. size: angular radius of the lamp,
    radians, by which its shadows are soft.
    """

    towards: NDArray[np.float64]
    lamp: NDArray[np.float64]
    ambient: NDArray[np.float64]
    size: float = 0.1

    def turned(self, rotation: Array) -> Light:
        """The same light in another frame; rotation [3, 3]: from this frame to that one."""
        return replace(self, towards=np.asarray(rotation, np.float64) @ self.towards)
