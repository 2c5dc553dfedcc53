"""Tracks and camera out of a recording's messages; every error names the topic and the field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, quaternion_to_matrix, rigid
from manivideo_ros.motion.motion import SIDES, HandTrack, ObjectTrack, blend_rigid

# An object's pose serves hand frames up to this far from it.
HOLD_NS = 50_000_000


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def read_hands(topic: str, messages: list[Any]) -> dict[str, HandTrack]:
    """Tracks by side of a topic's HandPoses; a hand of confidence 0 is absent."""
    hands = {}
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
            poses[i] = blend_rigid(track[near][1], track[b][1], part)
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
