"""Where an arm goes whose elbow is not known: out of the view, within what a wrist can.

The forearm goes on from the hand and bends at the wrist towards the lower edge of the view, where
the arms of a person who looks at their own hands come from. The upper arm always leads out of the
view: an arm never ends in the image. Everything depends smoothly on the poses of wrist and camera.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera
from manivideo_ros.hand.arm.bones import FOREARM, UPPER_ARM, cross
from manivideo_ros.hand.state import HandState

Array = NDArray[np.floating]

# What a wrist can reach: flexion and extension, radial and ulnar deviation, radians. Ranges of
# motion of adults are 65 to 75 and 20 to 35 degrees (Ryu et al., J. Hand Surgery, 1991).
FLEXION, DEVIATION = math.radians(65.0), math.radians(25.0)
# Where an arm that bends goes, in the camera's frame: down in the image and towards the viewer.
_TOWARDS = np.array([0.0, 1.0, -0.35]) / np.hypot(1.0, 0.35)
# Share of an arm's direction along the optical axis from which on and up to which it bends less.
_OPPOSITE = (-0.2, 0.5)
# The upper arm leads away from the optical axis by this much more than the corners of the view, and
# by no less and no more than _AWAY, radians; the transition is as wide as _SOFT.
_BEYOND, _SOFT = math.radians(15.0), math.radians(8.0)
_AWAY = math.radians(50.0), math.radians(80.0)
# What is added to the direction across the optical axis, as shares of the forearm's length: down;
# up and aside instead where _RECEDING of it and more leads away from the camera.
_DOWN, _UP, _ASIDE, _RECEDING = 0.1, 0.35, 0.2, 0.6
_THICKNESS = 0.07  # metres beyond the view's edge at which nothing of an arm is visible
_FARTHEST_SHOULDER = 4.0


def with_arm(
    state: HandState,
    axis: Array,  # [3] of the hand: arm_axis
    camera: Camera,
) -> HandState:
    """The state with the elbow and shoulder that it lacks, chosen for this view."""
    if state.shoulder is not None and state.elbow is not None:
        return state
    elbow = state.elbow
    if elbow is None:
        elbow = default_elbow(state, axis, camera)
    return replace(state, elbow=elbow, shoulder=default_shoulder(state, elbow, axis, camera))


def default_elbow(
    state: HandState,
    axis: Array,  # [3] of the hand: arm_axis
    camera: Camera,
) -> NDArray[np.float64]:
    """The elbow [3] of a hand whose source gives none, world, metres.

    A wrist in line with the view's lower edge is straight. The farther the arm leads away from
    there, the more it bends, up to a right angle; an arm that leads away from the camera, as of a
    person opposite it, does not bend.
    """
    rotation = np.asarray(state.wrist_rotation, np.float64)
    turn = np.asarray(camera.camera_from_world, np.float64)[:3, :3]
    depth = float(turn[2] @ (rotation @ axis))
    share = min(max((_OPPOSITE[1] - depth) / (_OPPOSITE[1] - _OPPOSITE[0]), 0.0), 1.0)
    bend = wrist_bend(axis, rotation.T @ (turn.T @ _TOWARDS))
    bend *= share * share * (3 - 2 * share)
    angle = math.sqrt(bend @ bend)
    sine = math.sin(angle) / angle if angle > 1e-9 else 1.0
    along = rotation @ (math.cos(angle) * axis + sine * cross(bend, axis))
    return np.asarray(state.wrist_position, np.float64) + FOREARM * along


def wrist_bend(
    axis: Array,  # [3] unit, of a straight arm
    towards: Array,  # [3] unit
) -> NDArray[np.float64]:
    """Axis-angle [3], across the axis, by which an arm bends at the wrist towards a direction.

    The bend is the angle between both times the share of it that is opposite the far side, which is
    smooth everywhere; flexion and deviation then saturate together, at their limits.
    """
    half = 0.5 * math.acos(max(-1.0, min(1.0, float(axis @ towards))))
    wanted = cross(axis, towards) * (half / math.tan(half) if half > 1e-6 else 1.0)
    flexion = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
    flexion /= math.sqrt(flexion @ flexion)
    deviation = cross(axis, flexion)
    bent, turned = float(wanted @ flexion), float(wanted @ deviation)
    reach = math.hypot(bent / FLEXION, turned / DEVIATION)
    share = math.tanh(reach) / reach if reach > 1e-9 else 1.0
    return np.asarray(share * (bent * flexion + turned * deviation))


def default_shoulder(
    state: HandState,
    elbow: Array,  # [3] world
    axis: Array,  # [3] of the hand: arm_axis
    camera: Camera,
) -> NDArray[np.float64]:
    """The end [3] of the upper arm, world, metres, outside the view with all of the arm beyond.

    It goes on as the forearm does, but not along the optical axis, where it would never leave the
    view: there it turns up and aside, to the shoulder of a person opposite the camera.
    """
    pose = np.asarray(camera.camera_from_world, np.float64)
    start = pose[:3, :3] @ np.asarray(elbow, np.float64) + pose[:3, 3]
    x, y, z = (pose[:3, :3] @ (np.asarray(elbow) - np.asarray(state.wrist_position))).tolist()
    angle = math.atan2(math.hypot(x, y), z)
    away = min(max(corner_angle(camera) + _BEYOND, _AWAY[0]), _AWAY[1])
    angle = min(away + _SOFT * math.log1p(math.exp((angle - away) / _SOFT)), math.pi)
    length = math.sqrt(x * x + y * y + z * z)
    receding = min(max(z / (_RECEDING * max(length, 1e-9)), 0.0), 1.0)
    receding *= receding * (3 - 2 * receding)
    x -= math.copysign(_ASIDE * receding * length, axis[0])
    y += (_DOWN - _UP * receding) * length
    share = math.sin(angle) / max(math.hypot(x, y), 1e-9)
    along = np.array([share * x, share * y, math.cos(angle)])
    end = start + max(UPPER_ARM, way_out(camera, start, along)) * along
    return np.asarray(pose[:3, :3].T @ (end - pose[:3, 3]))


def corner_angle(camera: Camera) -> float:
    """The largest angle between a ray of the view and the optical axis, radians."""
    k = np.asarray(camera.intrinsics, np.float64)
    x = max(k[0, 2], camera.width - k[0, 2]) / k[0, 0]
    y = max(k[1, 2], camera.height - k[1, 2]) / k[1, 1]
    return math.atan(math.hypot(x, y))


def way_out(
    camera: Camera,
    start: Array,  # [3]
    along: Array,  # [3] unit
) -> float:
    """How far (m) a ray goes until an arm around it has left the view for good; camera's frame."""
    k = np.asarray(camera.intrinsics, np.float64)
    right, below = np.array([0, 0, camera.width]), np.array([0, 0, camera.height])
    planes = np.stack([k[0], right - k[0], k[1], below - k[1], [0.0, 0.0, 1.0]])
    margins = _THICKNESS * np.sqrt((planes * planes).sum(1))
    inside, rate = planes @ start + margins, planes @ along
    enters, leaves = 0.0, _FARTHEST_SHOULDER
    for here, change in zip(inside.tolist(), rate.tolist(), strict=True):
        if abs(change) < 1e-9:
            if here < 0:
                return 0.0
        elif change < 0:
            leaves = min(leaves, -here / change)
        else:
            enters = max(enters, -here / change)
    return float(leaves) if leaves > enters else 0.0
