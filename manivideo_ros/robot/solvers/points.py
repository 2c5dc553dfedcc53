"""Points of a robot's links, and where they belong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array


class Points(NamedTuple):
    """Points of links [K]: local [K, 3] in the frames of these links, and where they belong in the
    world: target [K, 3], metres, with weight [K]. links: indices into kinematics.links.
    """

    links: NDArray[np.int64]
    local: Array
    target: Array
    weight: Array
