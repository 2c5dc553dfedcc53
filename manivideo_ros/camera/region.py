"""The region of interest: the part of the image on which the network works, steady over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.viewing import reach_points, robot_points
from manivideo_ros.geometry import Array, Camera, transform_points
from manivideo_ros.hand.state import HandState
from manivideo_ros.robot.state import RobotState

MARGIN = 1.5
"""Side of a new crop, in sides of the action's box: hands may move before it has to move too."""
TIGHT = 1.08
"""Side of the action's box with its least margin, in sides of the box."""
LOOSE = 2.2
"""Side of a crop, in sides of the action's box, from which a closer one is worth the jump."""
BREADTH = 0.06
"""Metres around a hand's axis that belong to it."""
SLACK = 0.5  # pixels
FINEST = 3.0
"""Most cells of the network's grid per pixel: finer ones would show nothing more."""


class ActionRegion:
    """Crops the network's grid to hands and objects, and moves the crop only when it must.

    columns, rows: of the grid.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._crop: Crop | None = None
        self._size = (0, 0)

    def crop(
        self,
        camera: Camera,
        hands: Mapping[str, HandState],
        boxes: Mapping[str, tuple[Array, NDArray[np.floating]]],
        robots: Iterable[RobotState] = (),
    ) -> Crop:
        """The crop of a frame; boxes: world_from_object [4, 4] and corners [8, 3] by id."""
        size = camera.width, camera.height
        whole = Crop(0, 0, *size)
        if size != self._size:
            self._crop, self._size = None, size
        box = action_box(camera, hands, boxes, robots)
        if box is None:
            return self._crop or whole
        if self._crop is None or not self._fits(self._crop, box, whole):
            self._crop = self._around(box, whole)
        return self._crop

    def _fits(self, crop: Crop, box: NDArray[np.floating], whole: Crop) -> bool:
        """Whether a crop contains the action, and not much else."""
        spare = 0.5 * (TIGHT - 1) * np.array([box[2] - box[0], box[3] - box[1]])
        low = np.maximum(box[:2] - spare, 0)
        high = np.minimum(box[2:] + spare, [whole.width, whole.height])
        inside = (
            crop.left <= low[0] + SLACK
            and crop.top <= low[1] + SLACK
            and crop.left + crop.width >= high[0] - SLACK
            and crop.top + crop.height >= high[1] - SLACK
        )
        return inside and crop.width <= max(self._around(box, whole, LOOSE).width, 1.0)

    def _around(self, box: NDArray[np.floating], whole: Crop, margin: float = MARGIN) -> Crop:
        """The crop of the image's aspect around a box (left, top, right, bottom)."""
        scale = margin * max((box[2] - box[0]) / whole.width, (box[3] - box[1]) / whole.height)
        finest = max(self.columns / whole.width, self.rows / whole.height) / FINEST
        scale = min(max(scale, finest), 1.0)
        if scale > 0.8:
            return whole
        width, height = scale * whole.width, scale * whole.height
        left = np.clip(0.5 * (box[0] + box[2] - width), 0, whole.width - width)
        top = np.clip(0.5 * (box[1] + box[3] - height), 0, whole.height - height)
        return Crop(float(left), float(top), float(width), float(height))


def action_box(
    camera: Camera,
    hands: Mapping[str, HandState],
    boxes: Mapping[str, tuple[Array, NDArray[np.floating]]],
    robots: Iterable[RobotState] = (),
) -> NDArray[np.floating] | None:
    """The box (left, top, right, bottom) of hands, objects and the fingers of robots in the image;
    None for none.
    """
    found = []
    clouds = [reach_points(side, hand) for side, hand in hands.items()]
    for points in [*clouds, *map(robot_points, robots)]:
        pixels, depth = camera.project(points)
        spread = BREADTH * camera.intrinsics[0, 0] / np.maximum(depth, 0.05)
        seen = depth > 0.05
        found += [(pixels - spread[:, None])[seen], (pixels + spread[:, None])[seen]]
    for pose, corners in boxes.values():
        pixels, depth = camera.project(transform_points(pose, corners))
        found.append(pixels[depth > 0.05])
    points = np.concatenate([np.zeros((0, 2)), *found])
    size = np.array([camera.width, camera.height])
    low, high = points.min(0, initial=np.inf), points.max(0, initial=-np.inf)
    if len(points) == 0 or np.any(high <= 0) or np.any(low >= size):
        return None
    box: Array = np.concatenate([np.clip(low, 0, size), np.clip(high, 0, size)])
    return box
