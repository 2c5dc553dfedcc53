"""Contact of fingers and objects in 3D: how deep they are in each other, and who carries what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, invert_rigid, transform_points
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.motion.authoring.contact import SignedDistance
from manivideo_ros.motion.motion import Motion, MotionSample
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.robot.layers import PARTS
from manivideo_ros.robot.state import RobotState

TOUCH = 0.01
"""Metres between a finger and an object that it touches: poses are recorded with such errors."""
MOVES = 0.03
"""Metres a second above which an object is carried."""
DENSE = 4000  # points of a robot that are measured, at most
PALM = 1


@dataclass(frozen=True)
class Touch:
    """How deep fingers are in an object, metres, and how far they are from it; 0 for none."""

    depth: float
    gap: float

    @property
    def touching(self) -> bool:
        """Whether a finger touches the object."""
        return self.gap <= TOUCH


class Contacts:
    """Measures the hands and robots of a motion against its objects.

    Fingers and palms count, arms do not. Hands have the default shape. Raises ValueError for a mesh
    that cannot be read.
    """

    def __init__(self, motion: Motion) -> None:
        self._solids: dict[str, SignedDistance] = {}
        self._hands = {side: load_hand(side) for side in SIDES if side in motion.hands}
        for name, track in motion.objects.items():
            mesh = load_mesh(track.mesh, track.scale)
            self._solids[name] = SignedDistance(mesh.vertices, mesh.faces)

    def of(self, sample: MotionSample, robots: Mapping[str, RobotState]) -> dict[str, Touch]:
        """The contact of each object with what is nearest to it, by id."""
        clouds = [self._of_hand(side, state) for side, state in sample.hands.items()]
        clouds += [_of_robot(state) for state in robots.values()]
        points = np.concatenate([np.zeros((0, 3)), *clouds])
        out = {}
        for name, pose in sample.objects.items():
            if not len(points):
                continue
            local = transform_points(invert_rigid(pose), points)
            distance, _ = self._solids[name](local, 1.0)
            nearest = float(distance.min())
            out[name] = Touch(max(-nearest, 0.0), max(nearest, 0.0))
        return out

    def of_fingers(
        self, objects: Mapping[str, NDArray[np.floating]], state: RobotState
    ) -> dict[str, dict[tuple[Side, str], float]]:
        """How far each finger of a robot, by side and name, is from each object, metres; 0 for one
        in it. objects: world_from_object [4, 4] by id.
        """
        clouds = {
            (finger.side, finger.name): _of_robot(state, finger.side, finger.name)
            for finger in state.model.fingers
        }
        return {
            name: {
                finger: max(float(self._solids[name](local, 1.0)[0].min()), 0.0)
                for finger, points in clouds.items()
                if len(local := transform_points(invert_rigid(pose), points))
            }
            for name, pose in objects.items()
        }

    def _of_hand(self, side: str, state: HandState) -> Array:
        hand = self._hands['left' if side == 'left' else 'right']
        arrays = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
        posed = lbs(hand, *(torch.tensor(np.asarray(a, np.float32))[None] for a in arrays))
        vertices = np.asarray(posed[0][0], np.float64)
        arm = hand.arm_weights
        return vertices if arm is None else vertices[arm.sum(1) == 0]


def _of_robot(state: RobotState, side: Side | None = None, finger: str = '') -> Array:
    """World points [N, 3] of a robot's fingers; of all its links without fingers.

    side, finger: of one finger alone.
    """
    model = state.model
    faces = model.face_part > PALM
    if side is not None:
        faces = model.face_part == PARTS.index(finger) + 1
        faces &= model.face_left == (side == 'left')
    fingers = np.unique(model.faces[faces])
    chosen = fingers if len(fingers) or side else np.arange(len(model.vertices))
    chosen = chosen[:: max(1, len(chosen) // DENSE)]
    poses = state.link_poses[model.vertex_link[chosen]]
    points = np.einsum('nij,nj->ni', poses[:, :3, :3], model.vertices[chosen])
    return np.asarray(points + poses[:, :3, 3])


def carried(motion: Motion) -> dict[str, NDArray[np.bool_]]:
    """In which frames [F] each object moves, by id."""
    out = {}
    seconds = np.diff(motion.stamps_ns) * 1e-9
    for name, track in motion.objects.items():
        places = track.poses[:, :3, 3].astype(np.float64)
        speed = np.linalg.norm(np.diff(places, axis=0), axis=1) / seconds
        moves = (speed > MOVES) & track.present[1:] & track.present[:-1]
        out[name] = np.concatenate([moves[:1], moves]) if len(moves) else np.zeros(1, bool)
    return out
