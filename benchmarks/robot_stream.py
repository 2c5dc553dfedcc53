"""A robot's stream over DDS beside a person's: frame rate and latency at 640x480 and 30 poses/s.

`python -m benchmarks.robot_stream` starts a synthesizer for each, publishes joint states or hand
poses with the same objects to one after the other, several times, and receives its images. It
prints the table and writes benchmarks/results/robot_stream.json. The robot is the package's own: an
arm of seven joints with a hand of four fingers. Ratios are less sensitive to other load than
rates; run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from manivideo_ros.msg import HandPoses, ObjectPoses
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_msgs.msg import TFMessage

from benchmarks.report import RESULTS, check, machine, write_results
from benchmarks.robot import LEAST_HZ, SIZE, robot_at
from manivideo_ros.camera.viewing import default_camera
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.process.node_processes import NodeProcess, environment, free_domain
from manivideo_ros.robot.demo_robot import write_demo_robot
from manivideo_ros.robot.model import RobotModel, load_robot_file
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

POSES_HZ, WARM_UP_S, START_S = 30.0, 2.0, 300.0
EYE = 'bench_optical_frame'


class Lab(Node):
    """Publishes poses to one of the two synthesizers, and receives its images."""

    def __init__(self, context: rclpy.Context, motion: Motion, model: RobotModel) -> None:
        super().__init__('lab', context=context)
        self.motion, self.model, self.index = motion, model, 0
        first = motion.frame(len(motion) // 2)
        self.camera = default_camera(first.hands, first.objects.values(), *SIZE)
        self.static = self.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
        self.moving = self.create_publisher(TFMessage, '/tf', qos.POSES_OUT)
        self.poses = {
            'person': self.create_publisher(HandPoses, '/person/hand_poses', qos.POSES_OUT),
            'robot': self.create_publisher(JointState, '/robot/joint_states', qos.POSES_OUT),
        }
        self.objects, self.infos = (
            {name: self.create_publisher(kind, f'/{name}/{topic}', qos.POSES_OUT)
             for name in self.poses}
            for kind, topic in ((ObjectPoses, 'object_poses'), (CameraInfo, 'camera/camera_info'))
        )  # fmt: skip
        place = invert_rigid(self.camera.camera_from_world)
        header = RCLPY.header(0, motion.frame_id)
        self.static.publish(TFMessage(transforms=[RCLPY.transform(header, EYE, place)]))

    def send(self, name: str) -> None:
        """Publish the next frame of the motion, stamped now."""
        sample, now = self.motion.frame(self.index % len(self.motion)), time.time_ns()
        hands = {'right': sample.hands['right']}
        self.index += 1
        header = RCLPY.header(now, self.motion.frame_id)
        self.infos[name].publish(RCLPY.camera(RCLPY.header(now, EYE), self.camera))
        self.objects[name].publish(RCLPY.objects(header, sample.objects))
        if name == 'person':
            self.poses[name].publish(RCLPY.hands(header, hands, 'default'))
            return
        place = np.asarray(hands['right'].wrist_position, np.float64)
        state = robot_at(self.model, place, 0.3 + 0.2 * np.sin(0.2 * self.index))
        root = RCLPY.transform(header, self.model.root, state.world_from_root)
        self.moving.publish(TFMessage(transforms=[root]))
        names, values = list(self.model.kinematics.joints), state.positions.tolist()
        self.poses[name].publish(JointState(header=header, name=names, position=values))

    def run(self, name: str, seconds: float, executor: SingleThreadedExecutor) -> np.ndarray:
        """Times [N, 2] of images after the warm-up: received, and of their poses, s."""
        got: list[tuple[float, float]] = []
        subscription = self.create_subscription(
            Image,
            f'/{name}/image_raw',
            lambda m: got.append((time.time(), 1e-9 * stamp_ns(m.header))),
            qos.IMAGES,
        )
        begun = due = time.monotonic()
        while time.monotonic() < begun + WARM_UP_S + seconds:
            if time.monotonic() >= due:
                self.send(name)
                due += 1 / POSES_HZ
            executor.spin_once(timeout_sec=max(0.0, min(due - time.monotonic(), 0.01)))
        self.destroy_subscription(subscription)
        times = np.array(got).reshape(-1, 2)
        return times[times[:, 0] > times[:1, 0].sum() + WARM_UP_S]


def measure(seconds: float, rounds: int) -> tuple[dict[str, dict], dict]:
    """Rates (frames/s) and latencies (ms) of person and robot, and what the robot is."""
    motion = motion_named('lift_can')
    env = environment(free_domain())
    with tempfile.TemporaryDirectory() as folder:
        urdf = write_demo_robot(folder, ['right'], fingers=4, arm=True)
        model, _ = load_robot_file(urdf, outer=outer_faces)
        given = {
            'object_ids': [*motion.objects],
            'object_meshes': [track.mesh for track in motion.objects.values()],
            'object_scales': [track.scale for track in motion.objects.values()],
            'support_plane': [0.0, 0.0, 1.0, 0.0],
        }
        own = {'person': {}, 'robot': {'embodiment': 'robot', 'robot': str(urdf)}}
        nodes = [
            NodeProcess('synthesizer_node', {**given, **more}, env, {'__ns': f'/{name}'})
            for name, more in own.items()
        ]
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=int(env['ROS_DOMAIN_ID']))
        lab = Lab(context, motion, model)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(lab)
        rates: dict[str, list[float]] = {name: [] for name in own}
        delays: dict[str, list[float]] = {name: [] for name in own}
        try:
            for node in nodes:
                node.wait_for('active', START_S)
            for _ in range(rounds):
                for name in own:
                    times = lab.run(name, seconds, executor)
                    if len(times) < 2:
                        raise RuntimeError(f'{name}: {len(times)} images in {seconds:g} s')
                    rates[name].append((len(times) - 1) / float(np.ptp(times[:, 0])))
                    delays[name] += (1e3 * (times[:, 0] - times[:, 1])).tolist()
        finally:
            executor.shutdown()
            lab.destroy_node()
            rclpy.shutdown(context=context)
            for node in nodes:
                node.stop()
    found = {
        name: {
            'hz': round(float(np.median(rates[name])), 1),
            'hz_of_rounds': [round(rate, 1) for rate in rates[name]],
            'p50_ms': round(float(np.percentile(delays[name], 50)), 1),
            'p95_ms': round(float(np.percentile(delays[name], 95)), 1),
        }
        for name in own
    }
    about = {'links': len(model.kinematics.links), 'triangles': len(model.faces)}
    return found, about


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=10.0, help='of each round')
    parser.add_argument('--rounds', type=int, default=3, help='of both, one after the other')
    parser.add_argument('--out', type=Path, default=RESULTS / 'robot_stream.json')
    args = parser.parse_args(arguments)
    found, about = measure(args.seconds, args.rounds)
    ratio = round(found['robot']['hz'] / found['person']['hz'], 3)
    for name, row in found.items():
        print(f'{name}: {row["hz"]} frames/s ({row["hz_of_rounds"]}), p50 {row["p50_ms"]} ms, '
              f'p95 {row["p95_ms"]} ms')  # fmt: skip
    print(f'robot / person: {ratio}')
    hz = found['robot']['hz']
    passed = check('robot over DDS', f'{hz} frames/s, at least {LEAST_HZ:g}', hz >= LEAST_HZ)
    content = {'machine': machine(), 'size': SIZE, 'poses_hz': POSES_HZ, 'robot': about,
               'measured': found, 'ratio': ratio}  # fmt: skip
    write_results(args.out, content)
    return int(not passed)


if __name__ == '__main__':
    sys.exit(main())
