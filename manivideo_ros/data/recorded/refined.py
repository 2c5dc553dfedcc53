"""A recorded clip whose hands are fitted to their outlines in its images."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.bag import ARM, DrawnLabels
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.estimation.refined_poses import RefinedPoses, refine_poses
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.motion.motion import HandTrack


def refined_clip(
    clip: RecordedClip, hands: Mapping[Side, HandModel]
) -> tuple[RecordedClip, RefinedPoses]:
    """The clip with its hands, of fitted shape, where the images show them; labels are drawn again.

    The clip has labels drawn from its poses (data/recorded/bag.py). Raises RecordedError.
    """
    to_camera = np.asarray(clip.camera.camera_from_world)
    poses: dict[int, dict[Side, HandState]] = {}
    for index in range(len(clip)):
        states = clip.motion.frame(index).hands
        poses[index] = {s: states[s].moved(to_camera) for s in SIDES if s in states}

    def images(wanted: Collection[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        return ((index, clip.image(index)) for index in sorted(wanted))

    def hidden(index: int, side: Side) -> NDArray[np.uint8] | None:
        labels = clip.segmentation(index)
        assert labels is not None  # a recording's are drawn
        own = [value for value, of in clip.hand_labels.items() if of == side]
        before = ~np.isin(labels, [0, ARM, *own])
        return before.astype(np.uint8) if before.any() else None

    moved = {side: hands[side] for side in SIDES if side in clip.motion.hands}
    made = refine_poses(images, poses, moved, clip.camera.intrinsics, hidden)
    to_world = invert_rigid(to_camera)
    tracks = dict(clip.motion.hands)
    for side in moved:
        fitted = [made.hands[index].get(side) for index in range(len(clip))]
        placed = [None if state is None else state.moved(to_world) for state in fitted]
        tracks[side] = _replaced(tracks[side], placed, made.betas.get(side, tracks[side].betas))
    motion = replace(clip.motion, hands=tracks)
    return replace(clip, motion=motion, read_labels=DrawnLabels(motion, hands)), made


def _replaced(track: HandTrack, states: list[HandState | None], betas: NDArray) -> HandTrack:
    """The track with other poses in the frames that have one."""
    theta, turn = track.theta.copy(), track.wrist_rotation.copy()
    place = track.wrist_position.copy()
    for index, state in enumerate(states):
        if state is not None:
            theta[index] = state.theta
            turn[index], place[index] = state.wrist_rotation, state.wrist_position
    return replace(
        track,
        theta=theta,
        wrist_rotation=turn,
        wrist_position=place,
        betas=np.asarray(betas, np.float32),
    )
