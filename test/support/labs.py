"""What tests share: labs."""

import time
from contextlib import contextmanager

import rclpy
from manivideo_ros.msg import (
    HandPoses,
    ObjectPoses,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import invert_rigid
from manivideo_ros.process.node_processes import NodeProcess
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

READY_S = 90


@contextmanager
def running(module, parameters, env, remapped=None):
    process = NodeProcess(module, parameters, env, remapped)
    try:
        yield process
    finally:
        process.stop()


class Lab(Node):
    """A node of a lab: publishes poses of a motion, keeps what the synthesizer answers."""

    camera_frame = 'cam'

    def __init__(self, context, motion, namespace=''):
        super().__init__('lab', context=context, namespace=namespace)
        self.motion, self.index, self.sent = motion, 0, []
        self.lens = 'plumb_bob', [0.0] * 5
        self.executor_ = SingleThreadedExecutor(context=context)
        self.executor_.add_node(self)
        self.hands = self.create_publisher(HandPoses, 'hand_poses', qos.POSES_OUT)
        self.objects = self.create_publisher(ObjectPoses, 'object_poses', qos.POSES_OUT)
        self.info = self.create_publisher(CameraInfo, 'camera/camera_info', qos.POSES_OUT)
        self.tf = self.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
        placed = invert_rigid(motion.camera.camera_from_world)
        self.tf.publish(
            TFMessage(transforms=[RCLPY.transform(RCLPY.header(0, 'world'), 'cam', placed)])
        )
        self.got = {}

    def listen(self, kind, topic, profile=qos.IMAGES):
        self.got[topic] = []
        return self.create_subscription(kind, topic, self.got[topic].append, profile)

    def call(self, kind, name, request, timeout=30):
        client = self.create_client(kind, name)
        assert client.wait_for_service(timeout)
        future = client.call_async(request)
        self.spin(timeout, future.done)
        self.destroy_client(client)
        return future.result()

    def send(self, spoil=lambda hands, objects: None):
        sample = self.motion.frame(self.index % len(self.motion))
        self.index += 1
        now = self.get_clock().now().nanoseconds
        hands = RCLPY.hands(RCLPY.header(now, 'world'), sample.hands, 'default')
        objects = RCLPY.objects(RCLPY.header(now, 'world'), sample.objects)
        spoil(hands, objects)
        stamped = RCLPY.header(now, self.camera_frame)
        self.info.publish(RCLPY.camera(stamped, self.motion.camera, *self.lens))
        self.objects.publish(objects)
        self.hands.publish(hands)
        self.sent.append(now)

    def spin(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.executor_.spin_once(timeout_sec=0.02)

    def play(self, seconds, until=lambda: False, spoil=lambda hands, objects: None):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.send(spoil)
            self.spin(0.033)


@contextmanager
def lab_in(domain, motion, namespace=''):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = Lab(context, motion, namespace)
    yield node
    node.executor_.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
