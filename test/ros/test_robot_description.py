"""A URDF from the latched topic robot_description."""

import pytest
import rclpy
from rclpy.node import Node
from std_msgs.msg import String
from urdfs import hand

from manivideo_ros.process.node_processes import free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.sources import robot_description
from manivideo_ros.ros.stream.robot import robot_of

GRIPPER = hand({'thumb': 1, 'index': 1}, name='gripper')


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain(40))
    node = Node('synthesizer', context=context, namespace='lab')
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_the_description_of_the_namespace_is_waited_for(node):
    publisher = node.create_publisher(String, 'robot_description', qos.LATCHED)
    publisher.publish(String(data=GRIPPER))
    assert robot_description.received(node) == GRIPPER


def test_a_missing_description_is_one_line(node, monkeypatch):
    monkeypatch.setattr(robot_description, 'WAIT_S', 0.2)
    with pytest.raises(ValueError, match='nothing is published on /lab/robot_description: start'):
        robot_description.received(node)


def test_a_description_names_what_is_wrong_with_it():
    asked = NodeParameters(embodiment='robot', robot='robot_description')
    assert robot_of(asked, GRIPPER).name == 'gripper'
    with pytest.raises(ValueError, match='robot_description: no URDF that can be read'):
        robot_of(asked, '<robot')
