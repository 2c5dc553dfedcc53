"""The shipped motions: contact, interpenetration, and visibility."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from manivideo_ros.geometry import invert_rigid, rigid
from manivideo_ros.motion.authoring.authored import HELD_OUT_MOTIONS, MOTIONS, authored_motion
from manivideo_ros.motion.authoring.check import ContactMeter, FrameContact
from manivideo_ros.motion.authoring.contact import SignedDistance
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.shipped import MOTIONS as SHIPPED
from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES, SHAPES, generate

EVERY = 20  # frames between two that are measured
LIMIT = 0.005


@cache
def meter(name: str) -> ContactMeter:
    motion = authored_motion(name)
    made = {i: generate(track.mesh) for i, track in motion.objects.items()}
    return ContactMeter(motion, {i: (m.vertices, m.faces) for i, m in made.items()})


@cache
def contact(name: str, index: int) -> FrameContact:
    return meter(name).frame(index)


def held(motion: Motion, index: int) -> dict[str, str]:
    """The object that each hand moves with at a frame: it is rigid in the hand, and in motion."""
    out = {}
    near = slice(index - 2, index + 3)
    for side, hand in motion.hands.items():
        wrist = rigid(
            hand.wrist_rotation[index - 2 : index + 3], hand.wrist_position[index - 2 : index + 3]
        )
        for name, track in motion.objects.items():
            poses = track.poses[near]
            if np.ptp(poses, axis=0).max() < 0.004:
                continue
            inside = invert_rigid(wrist) @ poses
            if np.abs(inside - inside[2]).max() < 1e-4:
                out[side] = name
    return out


def test_there_are_enough_and_the_held_out_one_is_with_a_held_out_object():
    assert len(MOTIONS) >= 5
    assert {'turn_mug', 'hand_over_box', 'pour', 'screw', 'stack'} <= set(MOTIONS)
    assert set(HELD_OUT_MOTIONS) <= set(MOTIONS)
    for name in MOTIONS:
        shapes = {track.mesh for track in authored_motion(name).objects.values()}
        assert shapes <= set(SHAPES)
        assert bool(shapes & set(HELD_OUT_SHAPES)) == (name in HELD_OUT_MOTIONS)
    hands = [len(authored_motion(name).hands) for name in MOTIONS]
    assert 1 in hands
    assert hands.count(2) >= 4


@pytest.mark.parametrize('name', MOTIONS)
def test_a_shipped_motion_is_8_to_12_s_at_30_hz_and_small(name):
    motion = authored_motion(name)
    assert 7.9 <= motion.duration_s <= 12
    assert np.allclose(np.diff(motion.stamps_ns), 1e9 / 30, atol=1)
    assert sum(file.stat().st_size for file in (SHIPPED / name).iterdir()) < 400_000


@pytest.mark.parametrize('name', MOTIONS)
def test_interpenetration_is_below_5_mm(name):
    for index in range(0, len(authored_motion(name)), EVERY):
        found = contact(name, index)
        assert found.depth <= LIMIT, f'frame {index}: hand and object'
        assert found.hands <= LIMIT, f'frame {index}: the two hands'
        assert found.table <= LIMIT, f'frame {index}: the table'


@pytest.mark.parametrize('name', MOTIONS)
def test_what_is_held_is_touched_by_three_fingers(name):
    motion = authored_motion(name)
    grips = 0
    for index in range(EVERY, len(motion) - 3, EVERY):
        for side in held(motion, index):
            touching = [gap < 0.006 for gap in contact(name, index).gaps[side].values()]
            assert sum(touching) >= 3, f'frame {index}: {side} hand'
            grips += 1
    assert grips >= 3


@pytest.mark.parametrize('name', MOTIONS)
def test_objects_move_only_when_held_and_hands_move_smoothly(name):
    motion = authored_motion(name)
    for index in range(2, len(motion) - 3):
        moving = {
            object_id
            for object_id, track in motion.objects.items()
            if np.abs(track.poses[index + 1, :3, 3] - track.poses[index, :3, 3]).max() > 2e-3
        }
        assert moving <= set(held(motion, index).values()), f'frame {index}'
    for hand in motion.hands.values():
        steps = np.linalg.norm(np.diff(hand.wrist_position, axis=0), axis=1) * 30
        assert steps.max() < 1.5  # m/s
        joints = np.abs(np.diff(hand.theta, axis=0)).max() * 30
        assert joints < 12  # rad/s


@pytest.mark.parametrize('name', MOTIONS)
def test_the_camera_sees_hands_and_object(name):
    motion = authored_motion(name)
    for index in range(0, len(motion), EVERY):
        for track in motion.objects.values():
            pixels, depth = motion.camera.project(track.poses[index, None, :3, 3])
            assert ((pixels > 0) & (pixels < 256)).all()
            assert 0.35 < depth[0] < 0.9


def test_signed_distance_to_overlapping_boxes_is_that_of_their_union():
    trimesh = pytest.importorskip('trimesh', reason='trimesh makes the boxes')
    first = trimesh.creation.box((0.1, 0.1, 0.1))
    second = trimesh.creation.box((0.1, 0.1, 0.1))
    second.apply_translation((0.06, 0, 0))
    both = trimesh.util.concatenate([first, second])
    distance, gradient = SignedDistance(both.vertices, both.faces)(
        [(0.03, 0, 0.06), (-0.06, 0, 0), (0.03, 0, 0.04), (0.02, 0, 0)]
    )
    np.testing.assert_allclose(distance[:3], [0.01, 0.01, -0.01], atol=1e-6)
    np.testing.assert_allclose(gradient[:2], [(0, 0, 1), (-1, 0, 0)], atol=1e-4)
    assert distance[3] < 0
