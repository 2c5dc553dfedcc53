"""Joints and tips of a robot's fingers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import Side
from manivideo_ros.robot.description import Array
from manivideo_ros.robot.layers import RobotLayers

APART = 2e-3  # metres: joints that are nearer to each other are one point


@dataclass(frozen=True, eq=False)
class FingerPoints:
    """Points of a finger, from its first joint to its tip: by index into the model's links, and
    [K, 3] in the frames of these links, metres.
    """

    side: Side
    name: str
    link: NDArray[np.int64]
    point: Array


def finger_points(
    layers: RobotLayers,
    moved: Collection[str],  # links directly below a moving joint
    links: Sequence[str],
    vertices: Array,  # [V, 3], each in the frame of its link
    vertex_link: NDArray[np.int32],  # [V]
    rest: Array,  # root_from_link [L, 4, 4]
) -> tuple[FingerPoints, ...]:
    """Joints of each finger and its tip: the point of its last body that is farthest outwards.

    Without triangles there, the tip is the origin of its last link. Of several chains of one
    finger, as in the linkage of a gripper, it is the longest.
    """
    row = {name: n for n, name in enumerate(links)}
    longest: dict[tuple[Side, str], tuple[float, FingerPoints]] = {}
    for finger in layers.fingers:
        rows = [row[name] for name in finger.links]
        begins = [k for k, name in enumerate(finger.links) if name in moved]
        joints = [rows[0]]
        for k in begins:
            if np.linalg.norm(rest[rows[k], :3, 3] - rest[joints[-1], :3, 3]) > APART:
                joints.append(rows[k])
        body = rows[begins[-1] :] if begins else rows
        last = rest[body[0]]
        shown = np.isin(vertex_link, body)
        if shown.any():
            frames = rest[vertex_link[shown]]
            world = np.einsum('vij,vj->vi', frames[:, :3, :3], vertices[shown]) + frames[:, :3, 3]
            outward = world.mean(0) - last[:3, 3]
            along = (world - last[:3, 3]) @ (outward / max(float(np.linalg.norm(outward)), 1e-9))
            tip = world[along > along.max() - APART].mean(0)
        else:
            tip = rest[body[-1], :3, 3]
        local = (tip - last[:3, 3]) @ last[:3, :3]
        found = FingerPoints(
            finger.side,
            finger.name,
            np.array([*joints, body[0]]),
            np.array([*[np.zeros(3)] * len(joints), local]),
        )
        line = np.array([*rest[joints, :3, 3], tip])
        length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
        key = finger.side, finger.name
        if key not in longest or length > longest[key][0] + APART:
            longest[key] = length, found
    return tuple(found for _, found in longest.values())
