"""Tracks and camera out of a recording's messages; every error names the topic and the field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, quaternion_to_matrix, rigid
from manivideo_ros.hand.state import SIDES
from manivideo_ros.motion.interpolation import interpolate_rigid
from manivideo_ros.motion.motion import HandTrack, ObjectTrack

# An object's pose serves hand frames up to this far from it.
HOLD_NS = 50_000_000
# Two hands that come one by one are of one frame where they are half a period apart at most, or
# TOLERANCE_NS; where no message ever has both, HOLD_NS is the most, else NEAR_NS.
TOLERANCE_NS, NEAR_NS = 5_000_000, 17_000_000
BACK = 8  # frames among which a hand that comes late finds the other


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def pair_hands(messages: list[Any]) -> tuple[list[Any], list[int | None]]:
    """HandPoses with hands that came one by one joined, and which of them each message became.

    Joined are messages of one frame_id that share no side: of one stamp, or next to each other and
    less than half a period apart; the later stamp is theirs then. None: a message whose stamp does
    not increase.
    """
    sides = [frozenset(hand.side for hand in m.hands) for m in messages]
    stamps = [stamp_ns(m.header) for m in messages]
    near = _nearness(sides, stamps)
    groups: list[list[int]] = []
    times: list[int] = []
    became: list[int | None] = []

    def fits(frame: int, index: int) -> bool:
        group = groups[frame]
        names = {messages[i].header.frame_id for i in (*group, index)}
        return len(names) == 1 and not any(sides[i] & sides[index] for i in group)

    for index, stamp in enumerate(stamps):
        last = len(groups) - 1
        same = [k for k in range(max(0, last - BACK), last + 1) if times[k] == stamp]
        frame = next((k for k in same if fits(k, index)), None)
        lonely = groups and len(sides[index]) == 1 == len(sides[groups[-1][0]]) == len(groups[-1])
        if frame is None and lonely and abs(stamp - times[-1]) <= near and fits(last, index):
            frame = last
        if frame is None and (not groups or stamp > times[-1]):
            groups.append([])
            times.append(stamp)
            frame = len(groups) - 1
        became.append(frame)
        if frame is not None:
            groups[frame].append(index)
            times[frame] = max(times[frame], stamp)
    return [_joined([messages[i] for i in group]) for group in groups], became


def _nearness(sides: list[frozenset[int]], stamps: list[int]) -> int:
    """How far apart (ns) two hands of one frame may be."""
    if not any(len(each) == 1 for each in sides):
        return TOLERANCE_NS
    most = NEAR_NS if any(len(each) > 1 for each in sides) else HOLD_NS
    between = [
        np.diff([t for t, each in zip(stamps, sides, strict=True) if side in each])
        for side in range(len(SIDES))
    ]
    periods = [float(np.median(steps)) for steps in between if len(steps)]
    return min(most, max(TOLERANCE_NS, round(min(periods, default=0.0) / 2)))


def _joined(group: list[Any]) -> Any:
    if len(group) == 1:
        return group[0]
    latest = max(group, key=lambda m: stamp_ns(m.header))
    hands = sorted((hand for m in group for hand in m.hands), key=lambda hand: hand.side)
    return replace(latest, hands=hands)


def read_hands(topic: str, messages: list[Any]) -> dict[str, HandTrack]:
    """Tracks by side of a topic's HandPoses; a hand of confidence 0 is absent."""
    hands: dict[str, HandTrack] = {}
    for code, side in enumerate(SIDES):
        found = [[h for h in m.hands if h.side == code] for m in messages]
        present = np.array([bool(hs) and hs[0].confidence > 0 for hs in found], bool)
        if not present.any():
            continue
        frames = len(messages)
        theta = np.zeros((frames, 45), np.float32)
        rotation = np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1))
        position = np.zeros((frames, 3), np.float32)
        betas = np.zeros(10, np.float32)
        for i in np.flatnonzero(present):
            hand = found[i][0]
            if len(hand.betas) not in (0, 10):
                raise ValueError(f'{topic}: field betas has {len(hand.betas)} values: send 0 or 10')
            theta[i], pose = hand.theta, hand.wrist
            rotation[i], position[i] = _pose_parts(pose, f'{topic}: field wrist')
            betas = np.asarray(hand.betas, np.float32) if len(hand.betas) else betas
        try:
            hands[side] = HandTrack(present, theta, betas, rotation, position)
        except ValueError as error:
            raise ValueError(f'{topic}: {error}') from None
    return hands


def read_objects(
    topic: str,
    messages: list[Any],
    stamps: NDArray[np.int64],
    scene: dict[str, tuple[str, float]],
) -> dict[str, ObjectTrack]:
    """Tracks by object id of a topic's ObjectPoses, interpolated to stamps int64[F] (ns);
    scene: mesh and scale by id."""
    tracks: dict[str, list[tuple[int, NDArray]]] = {}
    for message in messages:
        for item in message.objects:
            if item.confidence > 0:
                pose = rigid(*_pose_parts(item.pose, f'{topic}: field pose of {item.object_id}'))
                tracks.setdefault(item.object_id, []).append((stamp_ns(message.header), pose))
    objects = {}
    for name, track in tracks.items():
        times = np.array([stamp for stamp, _ in track])
        poses = np.tile(np.eye(4, dtype=np.float32), (len(stamps), 1, 1))
        present = np.zeros(len(stamps), bool)
        for i, stamp in enumerate(stamps):
            after = int(np.searchsorted(times, stamp, side='right'))
            a, b = max(after - 1, 0), min(after, len(times) - 1)
            if min(abs(stamp - times[a]), abs(times[b] - stamp)) > HOLD_NS:
                continue
            present[i] = True
            gap = times[b] - times[a]
            apart = gap == 0 or gap > 2 * HOLD_NS
            part = 0.0 if apart else float(stamp - times[a]) / float(gap)
            near = b if apart and abs(times[b] - stamp) < abs(stamp - times[a]) else a
            poses[i] = interpolate_rigid(track[near][1], track[b][1], part)
        mesh, scale = scene.get(name, (name, 1.0))
        objects[name] = ObjectTrack(mesh, scale, present, poses)
    return objects


def read_scene(messages: list[Any]) -> dict[str, tuple[str, float]]:
    """Mesh and scale by object id out of /scene messages, of each object the newest."""
    scene: dict[str, tuple[str, float]] = {}
    for message in messages:
        try:
            for item in json.loads(message.data)['objects']:
                scene[item['id']] = (str(item['mesh']), float(item.get('scale', 1.0)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                '/scene: it must read {"objects": [{"id", "mesh", "scale"}]}: mend or remove it'
            ) from None
    return scene


def read_camera(info: Any, frame_id: str, transforms: Iterable[Any]) -> Camera:
    """The rectified pinhole of a CameraInfo, placed in frame_id by a transform if there is one."""
    projection = np.asarray(info.p, np.float64).reshape(3, 4)[:, :3]
    intrinsics = projection if projection[0, 0] > 0 else np.asarray(info.k).reshape(3, 3)
    camera_from_world: NDArray[np.floating] = np.eye(4)
    for t in transforms:
        if (t.header.frame_id, t.child_frame_id) == (frame_id, info.header.frame_id):
            q, p = t.transform.rotation, t.transform.translation
            rotation = quaternion_to_matrix([q.x, q.y, q.z, q.w]).T
            camera_from_world = rigid(rotation, -rotation @ np.array([p.x, p.y, p.z]))
    return Camera(intrinsics, camera_from_world, int(info.width), int(info.height))


def _pose_parts(pose: Any, name: str) -> tuple[NDArray, NDArray]:
    q, p = pose.orientation, pose.position
    position = np.array([p.x, p.y, p.z])
    if not np.all(np.isfinite(position)):
        raise ValueError(f'{name}: position holds NaN or infinite values')
    try:
        return quaternion_to_matrix([q.x, q.y, q.z, q.w]), position
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None
