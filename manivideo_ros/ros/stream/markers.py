"""Hands, objects and latency as markers for RViz and Foxglove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from manivideo_ros.drawing.skeleton import HAND_LIMBS
from manivideo_ros.geometry import rigid
from manivideo_ros.ros.message_types import RCLPY

JOINT_M, BONE_M, TEXT_M = 0.012, 0.008, 0.03
COLOURS = {'left': (0.25, 0.55, 1.0), 'right': (1.0, 0.55, 0.25)}
GREY = (0.7, 0.7, 0.7)
# Markers that are not updated disappear.
LIFETIME = Duration(nanosec=500_000_000)


class Box(NamedTuple):
    """An object's pose [4, 4] and the corners [3] of its box in its own frame, metres."""

    pose: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]


def scene_markers(
    header: Header,
    joints: Mapping[str, NDArray[np.floating]],  # [21, 3] by side, metres
    boxes: Mapping[str, Box],
    presence: Mapping[str, float],
    text: str,
) -> MarkerArray:
    """Bones and joints of each hand, box and name of each object, and a text above them all.

    presence: 0 to 1 by side and object id, shown as opacity. All in the header's frame, metres.
    """
    markers, places = [], []
    for side, points in joints.items():
        colour, there = COLOURS[side], presence.get(side, 1.0)
        ends = [points[i] for bone in HAND_LIMBS for i in bone]
        for kind, name, wide, among in (
            (Marker.LINE_LIST, 'bones', BONE_M, ends),
            (Marker.SPHERE_LIST, 'joints', JOINT_M, points),
        ):
            marker = _marker(header, f'{side} {name}', kind, colour, there)
            marker.scale = Vector3(x=wide, y=wide, z=wide)
            marker.points = [_point(point) for point in among]
            markers.append(marker)
        places.append(points.mean(0))
    for name, box in boxes.items():
        centre = box.pose @ rigid(np.eye(3), (box.low + box.high) / 2)
        marker = _marker(header, name, Marker.CUBE, GREY, 0.5 * presence.get(name, 1.0))
        marker.pose = RCLPY.pose(centre)
        marker.scale = Vector3(**dict(zip('xyz', map(float, box.high - box.low), strict=True)))
        above = centre[:3, 3].copy()
        above[2] += np.linalg.norm(box.high - box.low) / 2 + TEXT_M
        markers += [marker, _text(header, f'{name} name', above, name)]
        places.append(centre[:3, 3])
    if places:
        above = np.mean(places, 0) + np.array([0, 0, 0.25])
        markers.append(_text(header, 'latency', above, text))
    return MarkerArray(markers=markers)


def _marker(
    header: Header, name: str, kind: int, colour: tuple[float, float, float], alpha: float
) -> Marker:
    red, green, blue = colour
    return Marker(
        header=header,
        ns=name,
        type=kind,
        action=Marker.ADD,
        pose=Pose(orientation=Quaternion(w=1.0)),
        color=ColorRGBA(r=red, g=green, b=blue, a=float(alpha)),
        lifetime=LIFETIME,
    )


def _text(header: Header, name: str, place: NDArray[np.floating], text: str) -> Marker:
    marker = _marker(header, name, Marker.TEXT_VIEW_FACING, (1.0, 1.0, 1.0), 1.0)
    marker.pose.position, marker.scale.z, marker.text = _point(place), TEXT_M, text
    return marker


def _point(place: NDArray[np.floating]) -> Point:
    return Point(x=float(place[0]), y=float(place[1]), z=float(place[2]))
