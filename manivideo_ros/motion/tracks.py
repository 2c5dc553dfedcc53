"""Recorded messages to the tracks of a motion. Every error names topic and field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, transform_points
from manivideo_ros.hand.interpolation import interpolate_rigid
from manivideo_ros.hand.state import SIDES
from manivideo_ros.messages import read
from manivideo_ros.messages.read import checked, stamp_ns
from manivideo_ros.messages.types import ROSBAGS
from manivideo_ros.motion.motion import HandTrack, ObjectTrack, hand_track, object_track
from manivideo_ros.motion.recorded_transforms import RecordedTransforms

HOLD_NS = 50_000_000
"""An object's pose is held for frames of the hands up to this far from it."""
# Hands in messages of their own belong to one frame if they are at most half a period apart, or
# TOLERANCE_NS. Where no message has both hands the upper bound is HOLD_NS, else NEAR_NS.
TOLERANCE_NS, NEAR_NS = 5_000_000, 17_000_000
BACK = 8  # latest frames in which a late hand may find the other


def in_world(
    topic: str,
    messages: list[Any],
    world: str,
    transforms: RecordedTransforms,
    moved: Callable[[Any, NDArray[np.floating]], Any],
) -> list[Any]:
    """A topic's messages with their poses in the frame `world`, by the transform at each stamp.

    moved: a message whose poses are moved by a transform [4, 4]. Raises ValueError for frames that
    no transform connects.
    """
    found = []
    for message in messages:
        if message.header.frame_id != world:
            stamp = stamp_ns(message.header)
            try:
                by = transforms.lookup(world, message.header.frame_id, stamp)
            except ValueError as error:
                raise ValueError(f'{topic}: header.frame_id: {error}') from None
            header = ROSBAGS.header(stamp, world)
            message = replace(moved(message, by), header=header)
        found.append(message)
    return found


def hands_moved(message: Any, by: NDArray[np.floating]) -> Any:
    """HandPoses with wrists and elbows moved by a transform [4, 4]."""
    hands = []
    for hand in message.hands:
        hand = replace(hand, wrist=_moved(hand.wrist, by))
        if getattr(hand, 'has_elbow', False):
            elbow = np.array([[hand.elbow.x, hand.elbow.y, hand.elbow.z]])
            hand = replace(hand, elbow=ROSBAGS.point(transform_points(by, elbow)[0]))
        hands.append(hand)
    return replace(message, hands=hands)


def objects_moved(message: Any, by: NDArray[np.floating]) -> Any:
    """ObjectPoses moved by a transform [4, 4]."""
    moved = [replace(item, pose=_moved(item.pose, by)) for item in message.objects]
    return replace(message, objects=moved)


def _moved(pose: Any, by: NDArray[np.floating]) -> Any:
    """A Pose moved by a transform; one that is invalid as it is: its reader reports the field."""
    try:
        return ROSBAGS.pose(by @ read.read_pose(pose, 'pose'))
    except ValueError:
        return pose


def merge_hands(
    messages: Sequence[tuple[str, Any]],  # topic and HandPoses, as received
) -> tuple[list[int], list[frozenset[int]]]:
    """The order in which messages of several topics are joined, and the sides of each.

    Messages of one topic stay in their order, those of several are ordered by stamp. A message
    without hands stands for the sides of its topic, if there are several. Topics without any hand
    are left out of the order. Raises ValueError for topics that have a side in common.
    """
    sides: dict[str, frozenset[int]] = {}
    for topic, message in messages:
        own = frozenset(hand.side for hand in message.hands)
        sides[topic] = sides.get(topic, frozenset()) | own
    for topic, other in combinations(sorted(sides), 2):
        for side in sides[topic] & sides[other]:
            raise ValueError(
                f'{topic} and {other}: both have the {SIDES[side]} hand: keep one of the topics'
            )
    each = [frozenset(hand.side for hand in m.hands) for _, m in messages]
    if len(sides) == 1:
        return list(range(len(messages))), each
    each = [own or sides[topic] for own, (topic, _) in zip(each, messages, strict=True)]
    some = any(sides.values())
    kept = [n for n, (topic, _) in enumerate(messages) if sides[topic] or not some]
    return sorted(kept, key=lambda n: stamp_ns(messages[n][1].header)), each


def merge_objects(by_topic: Mapping[str, list[Any]]) -> list[Any]:
    """ObjectPoses of several topics in the order of their stamps.

    Raises ValueError for topics that have an object in common.
    """
    ids = {
        topic: {o.object_id for m in found for o in m.objects} for topic, found in by_topic.items()
    }
    for topic, other in combinations(sorted(ids), 2):
        for name in sorted(ids[topic] & ids[other]):
            raise ValueError(f'{topic} and {other}: both have {name!r}: keep one of the topics')
    return sorted(
        (m for found in by_topic.values() for m in found), key=lambda m: stamp_ns(m.header)
    )


def pair_hands(
    messages: list[Any], sides: Sequence[frozenset[int]] | None = None
) -> tuple[list[Any], list[int | None]]:
    """Frames of HandPoses, single hands joined, and the index of each message's frame.

    Messages are joined that have no side in common, and whose stamps are equal or, for neighbours,
    less than half a period apart; the frame has the later stamp. None: a message whose stamp does
    not increase. sides: that each message stands for, of `merge_hands`.
    """
    sides = sides or [frozenset(hand.side for hand in m.hands) for m in messages]
    stamps = [stamp_ns(m.header) for m in messages]
    near = _nearness(sides, stamps)
    groups: list[list[int]] = []
    times: list[int] = []
    became: list[int | None] = []

    def fits(frame: int, index: int) -> bool:
        return not any(sides[i] & sides[index] for i in groups[frame])

    for index, stamp in enumerate(stamps):
        last = len(groups) - 1
        same = [k for k in range(max(0, last - BACK), last + 1) if times[k] == stamp]
        frame = next((k for k in same if fits(k, index)), None)
        single = groups and len(sides[index]) == 1 == len(sides[groups[-1][0]]) == len(groups[-1])
        if frame is None and single and abs(stamp - times[-1]) <= near and fits(last, index):
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


def _nearness(sides: Sequence[frozenset[int]], stamps: list[int]) -> int:
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
    """Tracks by side of a topic's HandPoses; betas are the last ones that a message has."""
    frames = [checked(topic, read.read_hands(message, None)) for message in messages]
    betas = {side: np.zeros(10, np.float32) for side in SIDES}
    for frame, message in zip(frames, messages, strict=True):
        shaped = {SIDES[hand.side] for hand in message.hands if len(hand.betas)}
        betas |= {side: state.betas for side, state in frame.items() if side in shaped}
    return {
        side: hand_track([frame.get(side) for frame in frames], betas[side])
        for side in SIDES
        if any(side in frame for frame in frames)
    }


def read_objects(
    topic: str,
    messages: list[Any],
    stamps: NDArray[np.int64],
    scene: dict[str, tuple[str, float]],
) -> dict[str, ObjectTrack]:
    """Tracks by object id of a topic's ObjectPoses, interpolated to stamps int64[F] (ns);
    scene: mesh and scale by id."""
    tracks: dict[str, list[tuple[int, Array]]] = {}
    for message in messages:
        received = read.read_objects(message, None)
        for name, pose in checked(topic, received).items():
            tracks.setdefault(name, []).append((received.stamp_ns, pose))
    objects = {}
    for name, track in tracks.items():
        times = np.array([stamp for stamp, _ in track])
        poses = [_pose_at(times, track, int(stamp)) for stamp in stamps]
        mesh, scale = scene.get(name, (name, 1.0))
        objects[name] = object_track(mesh, scale, poses)
    return objects


def _pose_at(times: NDArray[np.int64], track: list[tuple[int, Array]], stamp: int) -> Array | None:
    """The pose [4, 4] at a stamp: interpolated, held across a gap, or None far from all."""
    after = int(np.searchsorted(times, stamp, side='right'))
    a, b = max(after - 1, 0), min(after, len(times) - 1)
    if min(abs(stamp - times[a]), abs(times[b] - stamp)) > HOLD_NS:
        return None
    gap = times[b] - times[a]
    apart = gap == 0 or gap > 2 * HOLD_NS
    fraction = 0.0 if apart else float(stamp - times[a]) / float(gap)
    near = b if apart and abs(times[b] - stamp) < abs(stamp - times[a]) else a
    return interpolate_rigid(track[near][1], track[b][1], fraction)


def read_scene(messages: list[Any]) -> dict[str, tuple[str, float]]:
    """Mesh and scale by object id out of /scene messages, of each object the newest."""
    scene: dict[str, tuple[str, float]] = {}
    for message in messages:
        try:
            for item in json.loads(message.data)['objects']:
                scene[item['id']] = (str(item['mesh']), float(item.get('scale', 1.0)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                '/scene: must be {"objects": [{"id", "mesh", "scale"}]}: correct or remove it'
            ) from None
    return scene
