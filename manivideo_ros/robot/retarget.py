"""Positions of a robot's joints for the points of a person's hands.

The fingertips come first, so that what the person holds is held; the joints before them and the
palm follow as far as lengths and limits allow (compare Qin et al., AnyTeleop, RSS 2023).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array
from manivideo_ros.robot.layers import FINGERS
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.solvers.dex import Dex, available, by
from manivideo_ros.robot.solvers.gauss_newton import GaussNewton
from manivideo_ros.robot.solvers.points import Points
from manivideo_ros.robot.state import RobotState

LOGGER = logging.getLogger(__name__)
TIP, JOINT, PALM = 1.0, 0.35, 0.5
"""Weights of the points of a finger, and of its first joint."""
NARROW = 0.02
"""Metres: a palm whose origin is nearer to its fingers has no direction."""
ANYWHERE = 6
"""Joints that move a body anywhere."""


class Retargeting:
    """Moves a robot by a person's hands, frame by frame from its last state. Not thread-safe.

    Hands that fewer joints carry than move a body anywhere are floating: their root follows the
    person. Other robots' roots stay at world_from_root [4, 4], and their arms move the hands.

    dex-retargeting solves where it is installed, unless `own` asks for the package's own solver,
    which begins in both cases; the log says which. Raises ValueError for a robot without fingers.
    """

    def __init__(
        self, model: RobotModel, world_from_root: Array | None = None, own: bool = False
    ) -> None:
        if not model.fingers:
            raise ValueError(f'the robot {model.name!r} has no fingers to move')
        self.model, self.floating = model, floats(model)
        self._place = np.eye(4) if world_from_root is None else np.asarray(world_from_root)
        self._positions = np.clip(0.0, *model.kinematics.limits.T)
        self._begun = False
        self._own = GaussNewton(model.kinematics, self.floating)
        self._solver: GaussNewton | Dex = self._own
        if available()[0] and not own:
            self._solver = Dex(model.kinematics, self.floating)
        LOGGER.info('retargeting: %s', 'own solver' if own else by())

    def reset(self) -> None:
        """Forget the last state."""
        self._begun = False

    def follow(self, hands: Mapping[str, NDArray[np.floating]]) -> RobotState | None:
        """The robot's state for points [21, 3] of hands by side, in the world, metres.

        Points are in MediaPipe's order: wrist, then four of each finger. None if the robot has no
        finger of these hands.
        """
        chosen = [n for n, f in enumerate(self.model.fingers) if f.side in hands]
        if not chosen:
            return None
        targets, weights = [], []
        state = RobotState(self.model, self._positions, self._place)
        chains = state.finger_points()
        for n in chosen:
            finger = self.model.fingers[n]
            first = 1 + 4 * FINGERS.index(finger.name)
            line = np.asarray(hands[finger.side], np.float64)[first : first + 4]
            targets.append(_along(line, chains[n]))
            weight = np.full(len(chains[n]), JOINT)
            weight[0], weight[-1] = PALM, TIP
            weights.append(weight)
        links = [self.model.fingers[n].link for n in chosen]
        local = [self.model.fingers[n].point for n in chosen]
        for palm, wrist in self._wrists(state, hands):
            targets.append(wrist[None])
            weights.append(np.array([PALM]))
            links.append(np.array([palm]))
            local.append(np.zeros((1, 3)))
        points = Points(
            np.concatenate(links),
            np.concatenate(local),
            np.concatenate(targets),
            np.concatenate(weights),
        )
        if not self._begun:
            carriers = set().union(*self.model.carriers.values())
            self._positions, self._place = self._own.begin(points, self._place, carriers)
            self._begun = True
        self._positions, self._place = self._solver.follow(points, self._positions, self._place)
        return RobotState(self.model, self._positions, self._place)

    def _wrists(
        self, state: RobotState, hands: Mapping[str, NDArray[np.floating]]
    ) -> Iterator[tuple[int, Array]]:
        """Row of each palm's link, and where its origin belongs: behind the fingers' first joints
        as the person's wrist is, at the robot's own distance.

        Without it a palm turns freely about the line of these joints.
        """
        first = {(f.side, f.name): chain[0] for f, chain in
                 zip(self.model.fingers, state.finger_points(), strict=True)}  # fmt: skip
        rows = {name: n for n, name in enumerate(self.model.kinematics.links)}
        for side, palm in self.model.layers.palm.items():
            names = [n for n in FINGERS[1:] if (side, n) in first]
            if side not in hands or palm not in rows or not names:
                continue
            own = np.mean([first[side, n] for n in names], 0)
            away = float(np.linalg.norm(state.link_poses[rows[palm], :3, 3] - own))
            points = np.asarray(hands[side], np.float64)
            theirs = points[[1 + 4 * FINGERS.index(n) for n in names]].mean(0)
            back = points[0] - theirs
            length = float(np.linalg.norm(back))
            if away > NARROW and length > NARROW:
                yield rows[palm], theirs + back * (away / length)


def floats(model: RobotModel) -> bool:
    """Whether too few joints carry a hand to move it anywhere, so that its root must move."""
    return min(map(len, model.carriers.values())) < ANYWHERE


def _along(line: Array, chain: Array) -> Array:
    """Points [K, 3] on a person's finger [4, 3], where the robot's [K, 3] are along theirs."""
    own = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(chain, axis=0), axis=1))])
    theirs = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    part = own / max(float(own[-1]), 1e-9) * theirs[-1]
    return np.stack([np.interp(part, theirs, line[:, k]) for k in range(3)], -1)
