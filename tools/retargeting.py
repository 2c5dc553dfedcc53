"""How near retargeting brings fingertips, and how long it takes: ours and dex-retargeting.

`python -m tools.retargeting` prints, for the package's robots and a shipped motion, the mean
distance of the tips and the median time of a frame: of a robot that follows the person's hands, and
of a person's hand that follows the robot's. dex-retargeting is left out where it is not installed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from manivideo_ros.drawing.labels import robot_keypoints, world_keypoints
from manivideo_ros.geometry import Array, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.inputs.live import HandSolver
from manivideo_ros.inputs.tables import TrackedHand
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.robots.following import follow
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.robot.demo_robot import demo_robot, write_demo_robot
from manivideo_ros.robot.model import RobotModel, load_robot_file
from manivideo_ros.robot.retarget import Retargeting
from manivideo_ros.robot.solvers.dex import available

FRAMES, STEP_NS = 90, 33_000_000
BESIDE = np.array([0.0, 0.4, 0.2])  # metres: of the arm's root from the person's wrist


def robot_follows(
    motion: Motion, model: RobotModel, place: Array | None, own: bool
) -> tuple[list[float], list[float]]:
    """Mean distances of the tips, metres, and seconds of each frame."""
    retargeting = Retargeting(model, place, own)
    apart, seconds = [], []
    for index in range(FRAMES):
        hands = motion.frame(index).hands
        begun = time.perf_counter()
        state = follow(retargeting, hands)
        seconds.append(time.perf_counter() - begun)
        assert state is not None
        for side, found in robot_keypoints(state).items():
            wanted = world_keypoints(load_hand(side), hands[side])
            off = np.linalg.norm(found[4::4] - wanted[4::4], axis=1)
            apart.append(float(np.nanmean(off)))
    return apart, seconds


def person_follows(motion: Motion, own: bool) -> tuple[list[float], list[float]]:
    """The same of a person's right hand that follows the package's robot."""
    retargeting, solver = (
        Retargeting(demo_robot(), own=True),
        HandSolver('right', smooth=False, robot=not own),
    )
    apart, seconds = [], []
    for index in range(FRAMES):
        state = follow(retargeting, motion.frame(index).hands)
        assert state is not None
        points = robot_keypoints(state)['right']
        begun = time.perf_counter()
        live = solver.add(1 + index * STEP_NS, TrackedHand('right', points))
        seconds.append(time.perf_counter() - begun)
        assert live is not None
        found = world_keypoints(load_hand('right'), live.state)
        apart.append(float(np.linalg.norm(found[4::4] - points[4::4], axis=1).mean()))
    return apart, seconds


def measured(motion: Motion) -> Iterator[tuple[str, list[float], list[float]]]:
    """Name, distances and times of each measurement."""
    with tempfile.TemporaryDirectory() as folder:
        arm = load_robot_file(write_demo_robot(folder, ['right'], fingers=4, arm=True))[0]
    wrist = np.asarray(motion.frame(0).hands['right'].wrist_position, np.float64)
    version, why = available()
    for own in (True, False):
        if not own and not version:
            print(why)
            return
        by = 'own solver' if own else f'dex-retargeting {version}'
        yield f'two hands, {by}', *robot_follows(motion, demo_robot(), None, own)
        yield f'arm, {by}', *robot_follows(motion, arm, rigid(np.eye(3), wrist - BESIDE), own)
        yield f"person's hand, {by}", *person_follows(motion, own)


def main() -> int:
    """Print one line for each measurement."""
    for name, apart, seconds in measured(motion_named('turn_mug')):
        print(f'{name}: {1e3 * np.mean(apart):.1f} mm, {1e3 * np.median(seconds):.0f} ms')
    return 0


if __name__ == '__main__':
    sys.exit(main())
