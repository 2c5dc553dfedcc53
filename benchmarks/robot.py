"""The time of a frame with a robot's hand on its arm, beside that with a person's hand.

`python -m benchmarks.robot` prints the table and writes benchmarks/results/robot.json. One process,
no ROS: a hand of four fingers on an arm of seven joints, or that of --robot, and the mug at 640x480
on the default engine; frames of the person's right hand, which does the same, alternate with the
robot's. Values are lower quartiles over frames, which are least sensitive to other load.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.report import RESULTS, check, machine, write_results
from manivideo_ros.camera.background import BACKGROUND, load_background
from manivideo_ros.camera.viewing import default_camera
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import find_spec
from manivideo_ros.geometry import Camera, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HAND_REFERENCE, load_hand_reference
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.robot.demo_robot import write_demo_robot
from manivideo_ros.robot.model import RobotModel, load_robot_file
from manivideo_ros.robot.state import RobotState
from manivideo_ros.synthesizer import Scene, Synthesizer, scene_for

SIZE, FRAMES, WARM_UP, THREADS = (640, 480), 80, 8, 2
LEAST_HZ = 24.0
PLANE = np.array([0.0, 0.0, 1.0, 0.0])


def robot_at(model: RobotModel, place: np.ndarray, share: float) -> RobotState:
    """The robot with its joints at a share of their range, the middle of its hand at a place."""
    low, high = np.nan_to_num(model.kinematics.limits, posinf=0.5, neginf=-0.5).T
    positions = np.clip(share * np.clip(high, -1.2, 1.2), low, high)
    state = RobotState(model, positions, np.eye(4))
    return RobotState(model, positions, rigid(np.eye(3), place - state.middle))


def synthesizer(scene: Scene, robot: RobotModel | None) -> Synthesizer:
    """That of the default engine, for a robot or a person's right hand."""
    spec = find_spec('tiny')
    spec = spec.seen_by(read_config(spec.weights), *SIZE)
    session = StreamingSession(Engine(spec, THREADS))
    hands = {'right': load_hand('right')} if robot is None else {}
    robots = {} if robot is None else {'robot': robot}
    return Synthesizer(session, hands, scene, THREADS, SIZE, robots)


def measure(motion: Motion, model: RobotModel) -> dict[str, dict]:
    """Milliseconds of each stage, and covered share of the image, of person and robot."""
    spec = find_spec('tiny')
    scene = scene_for(
        spec.weights,
        {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()},
        load_background(BACKGROUND),
        load_hand_reference(HAND_REFERENCE),
    )
    shown = {'person': synthesizer(scene, None), 'robot': synthesizer(scene, model)}
    first = motion.frame(len(motion) // 2)
    camera: Camera = default_camera(first.hands, first.objects.values(), *SIZE)
    times: dict[str, dict[str, list[float]]] = {name: {} for name in shown}
    covered: dict[str, list[float]] = {name: [] for name in shown}
    for index in range(FRAMES + WARM_UP):
        sample = motion.frame(2 * index % len(motion))
        hands = {'right': sample.hands['right']}
        place = np.asarray(hands['right'].wrist_position, np.float64)
        state = robot_at(model, place, 0.3 + 0.2 * np.sin(0.2 * index))
        snapshots = {
            'person': Snapshot.of(index, hands, sample.objects),
            'robot': Snapshot.of(index, {}, sample.objects, {'robot': state}),
        }
        for name, snapshot in snapshots.items():
            frame = shown[name].step(camera, snapshot, plane=PLANE)
            if index < WARM_UP:
                continue
            for stage, ms in {**frame.stages_ms, 'all': sum(frame.stages_ms.values())}.items():
                times[name].setdefault(stage, []).append(ms)
            covered[name].append(float((frame.mask > 0).float().mean()))
    return {
        name: {
            'covered': round(float(np.mean(covered[name])), 4),
            'ms': {s: round(float(np.percentile(ms, 25)), 2) for s, ms in of.items()},
            'hz': round(1e3 / float(np.percentile(of['all'], 25)), 1),
        }
        for name, of in times.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--robot', type=Path, help="URDF of a hand and its arm; the package's own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urdf = given.robot or write_demo_robot(folder, ['right'], fingers=4, arm=True)
        model, problems = load_robot_file(urdf, outer=outer_faces)
    for problem in problems:
        print(problem)
    triangles, links = len(model.faces), len(model.kinematics.links)
    found = measure(motion_named('lift_can'), model)
    print(
        f'{model.name}: {links} links, {triangles} triangles, {len(model.kinematics.joints)} joints'
    )
    for name, row in found.items():
        print(f'{name}: {row["hz"]} frames/s, {row["ms"]}, {100 * row["covered"]:.0f} % covered')
    hz = found['robot']['hz']
    passed = check('robot', f'{hz} frames/s, at least {LEAST_HZ:g}', hz >= LEAST_HZ)
    about = {'name': model.name, 'links': links, 'triangles': triangles}
    if given.robot is None:
        content = {'machine': machine(), 'size': SIZE, 'robot': about, 'measured': found}
        write_results(RESULTS / 'robot.json', content)
    return int(not passed)


if __name__ == '__main__':
    sys.exit(main())
