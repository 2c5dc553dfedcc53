"""Hands, objects and latency as markers: places, colours, and the published definition."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from visualization_msgs.msg import Marker

from manivideo_ros.drawing.skeleton import HAND_LIMBS
from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.stream.markers import Box, scene_markers


def xyz(point):
    return [point.x, point.y, point.z]


def test_bones_join_the_wrist_to_every_tip():
    assert len(HAND_LIMBS) == 20
    assert {child for _, child in HAND_LIMBS} == set(range(1, 21))
    assert [child for parent, child in HAND_LIMBS if parent == 0] == [1, 5, 9, 13, 17]


def test_hands_are_where_their_joints_are():
    joints = np.random.default_rng(0).normal(size=(21, 3))
    stamped = RCLPY.header(5_000_000_000, 'world')
    found = scene_markers(stamped, {'left': joints}, {}, {'left': 0.25}, '31 ms').markers
    bones, spheres, text = found
    assert (bones.type, spheres.type) == (Marker.LINE_LIST, Marker.SPHERE_LIST)
    np.testing.assert_allclose([xyz(p) for p in spheres.points], joints)
    np.testing.assert_allclose(
        [xyz(p) for p in bones.points], joints[np.array(HAND_LIMBS).reshape(-1)]
    )
    assert bones.header == spheres.header == stamped and bones.color.a == 0.25
    assert (text.type, text.text) == (Marker.TEXT_VIEW_FACING, '31 ms')
    assert len({m.ns for m in found}) == 3


def test_objects_are_bounding_boxes_of_their_meshes():
    pose = rigid(axis_angle_to_matrix([0, 0, np.pi / 2]), [1.0, 0, 0])
    box = Box(pose, np.array([0.0, 0, 0]), np.array([0.2, 0.1, 0.1]))
    cube, name, _ = scene_markers(RCLPY.header(1, 'world'), {}, {'mug': box}, {}, '').markers
    np.testing.assert_allclose(xyz(cube.pose.position), [0.95, 0.1, 0.05], atol=1e-9)
    np.testing.assert_allclose(xyz(cube.scale), [0.2, 0.1, 0.1])
    assert cube.type == Marker.CUBE and name.text == 'mug'
    assert name.pose.position.z > 0.1


def test_without_poses_there_are_no_markers():
    assert scene_markers(RCLPY.header(1, 'world'), {}, {}, {}, '').markers == []


def test_the_markers_that_are_built_here_are_those_of_ros():
    from rosbags.typesys import Stores, get_typestore

    built = Path(sys.prefix) / 'share' / 'visualization_msgs' / 'msg' / 'MarkerArray.json'
    if not built.is_file():
        pytest.skip('a distribution has its own')
    hashes = {
        t['type_name']: t['hash_string'] for t in json.loads(built.read_text())['type_hashes']
    }
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind in ('Marker', 'MarkerArray', 'MeshFile', 'UVCoordinate'):
        name = f'visualization_msgs/msg/{kind}'
        assert hashes[name] == store.hash_rihs01(name)
