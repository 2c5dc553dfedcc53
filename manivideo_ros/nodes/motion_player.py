"""Plays a motion file on pose topics, stamped with the time of publication."""

from __future__ import annotations

import sys

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.motion.motion import Motion, scene_json
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.msg import HandPoses, ObjectPoses
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.logs import heartbeat
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import PlayerParameters
from manivideo_ros.ros.qos import LATCHED, POSES_OUT
from manivideo_ros.ros.spin import run

CAMERA_FRAME = 'camera_optical_frame'
# Between the last subscriber and the first pose: time for the other topics to match.
SETTLE_S = 0.5


class MotionPlayer(Node):
    """Publishes the hands, objects and camera of a motion at a constant rate."""

    def __init__(self) -> None:
        super().__init__('motion_player')
        self.finished = False
        self.parameters = declare(self, PlayerParameters)
        motion = motion_named(self.parameters.motion, self.parameters.camera)
        self._messages = messages(motion, self.parameters.rate_hz)
        self._moves = motion.camera_track is not None
        self._cameras = cameras(motion, self.parameters.rate_hz) if self._moves else []
        self._camera = None if motion.camera is None else RCLPY.camera(Header(), motion.camera)
        self._robot = [] if not self.parameters.robot else self._following(motion)
        if self._robot:
            self._joints = self.create_publisher(JointState, 'joint_states', POSES_OUT)
            self._roots = self.create_publisher(TFMessage, '/tf', POSES_OUT)
        self._hands = self.create_publisher(HandPoses, 'hand_poses', POSES_OUT)
        self._objects = self.create_publisher(ObjectPoses, 'object_poses', POSES_OUT)
        self._infos = self.create_publisher(CameraInfo, 'camera/camera_info', POSES_OUT)
        tf = ('/tf', POSES_OUT) if self._moves else ('/tf_static', LATCHED)
        self._transforms = self.create_publisher(TFMessage, *tf)
        self._scene = self.create_publisher(String, 'scene', LATCHED)
        self._announce(motion)
        self._next = 0
        self._last = int(self.parameters.seconds * self.parameters.rate_hz) or None
        if self._last is None and not self.parameters.loop:
            self._last = len(self._messages)
        self._ready_since: int | None = None
        self.create_timer(1.0 / self.parameters.rate_hz, self._tick)
        self.get_logger().info(f'{motion.name}: {len(self._messages)} frames')

    def close(self) -> None:
        """Wait until reliable subscribers have received the last poses."""
        self._hands.wait_for_all_acked(Duration(seconds=1))

    def _following(self, motion: Motion) -> list[tuple[JointState, TransformStamped | None]]:
        """Joint states of a robot that follows the hands, with the pose of its root if it moves."""
        from manivideo_ros.motion.robots.following import follow_hands
        from manivideo_ros.robot.demo_robot import demo_robot
        from manivideo_ros.robot.model import load_robot_file
        from manivideo_ros.robot.retarget import floats
        from manivideo_ros.robot.solvers.dex import by

        p = self.parameters
        own = p.robot == 'demo'
        model = demo_robot() if own else load_robot_file(expanded(p.robot), p.robot_packages)[0]
        at = times(motion, p.rate_hz)[: int(p.seconds * p.rate_hz) or None]
        with heartbeat(self, f'moving {model.name} by the hands, by {by()}'):
            states = follow_hands(motion, model, at)
        names = list(model.kinematics.joints)
        out, last = [], [0.0] * len(names)
        for state in states:
            last = last if state is None else state.positions.tolist()
            root = None
            if state is not None and floats(model):
                header = Header(frame_id=motion.frame_id)
                root = RCLPY.transform(header, model.root, state.world_from_root)
            out.append((JointState(name=names, position=last), root))
        return out

    def _announce(self, motion: Motion) -> None:
        stamped = RCLPY.header(self.get_clock().now().nanoseconds, motion.frame_id)
        self._world = motion.frame_id
        if motion.camera is not None and not self._moves:
            self._place(motion.camera, stamped)
        self._scene.publish(String(data=scene_json(motion.meshes)))

    def _place(self, camera: Camera, stamped: Header) -> None:
        placed = invert_rigid(camera.camera_from_world)
        transform = RCLPY.transform(stamped, CAMERA_FRAME, placed)
        self._transforms.publish(TFMessage(transforms=[transform]))

    def _tick(self) -> None:
        now = self.get_clock().now().nanoseconds
        if self._ready_since is None:
            if self._hands.get_subscription_count() < self.parameters.wait_for:
                return
            self._ready_since = now if self.parameters.wait_for else 0
        if now - self._ready_since < SETTLE_S * 1e9:
            return
        if self._last is not None and self._next >= self._last:
            self.finished = True
            return
        place = self._next % len(self._messages)
        hands, objects = self._messages[place]
        self._next += 1
        stamp = RCLPY.header(now, '').stamp
        objects.header.stamp = hands.header.stamp = stamp
        # Hands last: they trigger the frame, which then includes the others.
        if self._cameras:
            self._place(self._cameras[place], Header(stamp=stamp, frame_id=self._world))
        if self._camera is not None:
            self._camera.header = Header(stamp=stamp, frame_id=CAMERA_FRAME)
            self._infos.publish(self._camera)
        self._objects.publish(objects)
        if self._robot:
            joints, root = self._robot[place % len(self._robot)]
            joints.header.stamp = stamp
            if root is not None:
                root.header.stamp = stamp
                self._roots.publish(TFMessage(transforms=[root]))
            self._joints.publish(joints)
        self._hands.publish(hands)


def messages(motion: Motion, rate_hz: float) -> list[tuple[HandPoses, ObjectPoses]]:
    """The poses of a motion at a constant rate, without stamps."""
    out = []
    for time in times(motion, rate_hz):
        sample = motion.interpolate_at(time)
        out.append(
            (
                RCLPY.hands(Header(frame_id=motion.frame_id), sample.hands, motion.hand_model),
                RCLPY.objects(Header(frame_id=motion.frame_id), sample.objects),
            )
        )
    return out


def cameras(motion: Motion, rate_hz: float) -> list[Camera]:
    """The cameras of the same times as `messages`; none without a camera."""
    found = (motion.camera_at(time) for time in times(motion, rate_hz))
    return [camera for camera in found if camera is not None]


def times(motion: Motion, rate_hz: float) -> list[int]:
    """Stamps (ns) of a motion at a constant rate."""
    count = max(1, round(motion.duration_s * rate_hz))
    steps = np.round(np.arange(count) / rate_hz * 1e9).astype(np.int64)
    return (int(motion.stamps_ns[0]) + steps).tolist()


def main(args: list[str] | None = None) -> int:
    """Run the node until the motion ends or a signal."""
    return run(MotionPlayer, args)


if __name__ == '__main__':
    sys.exit(main())
