"""Measures contact and interpenetration of hands and objects in a motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import invert_rigid, rigid, transform_points
from manivideo_ros.hand.arm.mesh import beside_hand
from manivideo_ros.hand.load import load_hand
from manivideo_ros.motion.authoring.contact import SignedDistance
from manivideo_ros.motion.authoring.fingers import FINGERS, finger_vertices, posed
from manivideo_ros.motion.motion import Motion

Solid = tuple[NDArray[np.floating], NDArray[np.integer]]


@dataclass(frozen=True)
class FrameContact:
    """Contact in one frame, metres.

    depth: the deepest interpenetration of hand and object, either's surface in the other; hands:
    that of the two hands; table: depth of the lowest point below z = 0; gaps: distance of each
    finger to the nearest object's surface, by side and finger.
    """

    depth: float
    hands: float
    table: float
    gaps: dict[str, dict[str, float]]


class ContactMeter:
    """Measures frames of a motion; meshes: vertices [V,3] and faces [F,3] by object id."""

    def __init__(self, motion: Motion, meshes: Mapping[str, Solid]) -> None:
        self.motion, self.meshes = motion, meshes
        self._distances = {name: SignedDistance(*meshes[name]) for name in motion.objects}
        self._fingers = {side: finger_vertices(load_hand(side)) for side in ('left', 'right')}

    def frame(self, index: int) -> FrameContact:
        """The contacts of one frame."""
        sample = self.motion.frame(index)
        depth, table, gaps = 0.0, 0.0, {}
        skins = {}
        for side, state in sample.hands.items():
            pose = rigid(state.wrist_rotation, state.wrist_position)
            vertices, _ = posed(side, state.theta, pose, state.betas)
            skins[side] = vertices
            # The arm's own direction depends on the view: it is no part of the motion.
            near = vertices[beside_hand(load_hand(side))]  # type: ignore[arg-type]
            table = max(table, -float(near[:, 2].min()))
            nearest = np.full(len(vertices), 1.0)
            solid = SignedDistance(vertices, load_hand(side).faces)  # type: ignore[arg-type]
            for name, world_from_object in sample.objects.items():
                local = transform_points(invert_rigid(world_from_object), vertices)
                nearest = np.minimum(nearest, self._distances[name](local)[0])
                surface = transform_points(world_from_object, self.meshes[name][0])
                depth = max(depth, -float(solid(surface, 0.1)[0].min()))
            depth = max(depth, -float(nearest.min()))
            gaps[side] = {f: float(nearest[self._fingers[side][f]].min()) for f in FINGERS}
        both = 0.0
        if len(skins) == 2:
            left = SignedDistance(skins['left'], load_hand('left').faces)
            right = SignedDistance(skins['right'], load_hand('right').faces)
            both = max(
                -float(left(skins['right'], 0.1)[0].min()),
                -float(right(skins['left'], 0.1)[0].min()),
                0.0,
            )
        for name, world_from_object in sample.objects.items():
            surface = transform_points(world_from_object, self.meshes[name][0])
            table = max(table, -float(surface[:, 2].min()))
        return FrameContact(depth, both, table, gaps)
