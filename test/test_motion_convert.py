"""Recordings of joints become motions: fitted, framed, honest about what is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.model import load_hand
from manivideo_ros.hand.poses import finger_pose
from manivideo_ros.motion.convert import attach_object, convert, main
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.recordings import Recording, RecordingError, read_recording

DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data' / 'motion'
HEADSET, VIDEO = DATA / 'quest_bimanual_webxr.npz', DATA / 'video_right_keypoints21.npz'
needs_data = pytest.mark.skipif(
    not HEADSET.is_file(),
    reason='shared/data/motion with recordings of real hands is not beside the checkout',
)


def hand_points(motion: Motion, side: str) -> np.ndarray:
    """Keypoints [F,21,3] of a motion's hand by the hand model itself."""
    track = motion.hands[side]
    frames = len(track.present)
    betas = np.tile(track.betas, (frames, 1))
    values = (track.theta, betas, track.wrist_rotation, track.wrist_position)
    hand = load_hand(side)
    vertices, joints = lbs(hand, *(torch.as_tensor(v) for v in values))
    return keypoints21(hand, vertices, joints).numpy()


def made_points(frames: int = 12) -> np.ndarray:
    """Keypoints of a right hand that closes and turns, exactly reachable."""
    hand = load_hand('right')
    part = np.linspace(0, 1, frames)[:, None]
    theta = finger_pose('relaxed', 'right') * (1 - part) + finger_pose('power', 'right') * part
    rotation = axis_angle_to_matrix(part * [0.3, 0.8, -0.4])
    position = part * [0.1, 0.0, 0.2]
    values = (theta, np.zeros((frames, 10)), rotation, position)
    vertices, joints = lbs(hand, *(torch.as_tensor(np.asarray(v, np.float32)) for v in values))
    return keypoints21(hand, vertices, joints).numpy()


def test_made_keypoints_come_back():
    points = made_points()
    stamps = (np.arange(len(points)) * 33_333_333).astype(np.int64)
    motion, _ = convert(Recording(stamps, {'right': points.astype(np.float64)}))
    error = np.linalg.norm(hand_points(motion, 'right') - points, axis=-1)
    assert error.mean() < 0.003


def test_frames_without_a_whole_hand_are_absent_and_nothing_is_smoothed_across():
    points = made_points().astype(np.float64)
    points[4:6] = np.nan
    points[9, 3] = np.nan  # one joint is enough
    stamps = np.arange(len(points), dtype=np.int64) * 10**7
    motion, fits = convert(Recording(stamps, {'right': points}))
    want = [True] * 4 + [False] * 2 + [True] * 3 + [False] + [True] * 2
    assert motion.hands['right'].present.tolist() == want
    assert len(fits['right'].theta) == 9


def test_the_camera_sees_the_hands():
    points = made_points().astype(np.float64)
    stamps = np.arange(len(points), dtype=np.int64) * 10**7
    motion, _ = convert(Recording(stamps, {'right': points}))
    pixels, depth = motion.camera.project(points.reshape(-1, 3))
    inside = ((pixels > 0) & (pixels < 256)).all(1) & (depth > 0)
    assert inside.mean() > 0.98
    assert np.ptp(pixels, axis=0).max() > 80  # and not from afar


def test_an_attached_object_follows_its_hand_rigidly():
    points = made_points().astype(np.float64)
    stamps = np.arange(len(points), dtype=np.int64) * 10**7
    motion, _ = convert(Recording(stamps, {'right': points}))
    frame = rigid(axis_angle_to_matrix([0.1, 0.2, 0.3]), [-0.1, -0.05, 0.0])
    held = attach_object(motion, 'right', 'mug', frame)
    hand, mug = held.hands['right'], held.objects['mug']
    wrist = rigid(hand.wrist_rotation, hand.wrist_position)
    np.testing.assert_allclose(
        np.linalg.inv(wrist) @ mug.poses, np.tile(frame, (12, 1, 1)), atol=1e-6
    )
    with pytest.raises(ValueError, match='no left hand'):
        attach_object(motion, 'left', 'mug', frame)


@needs_data
def test_the_headset_recording_is_fitted_within_12_mm(tmp_path):
    assert main([str(HEADSET), str(tmp_path / 'quest')]) == 0
    motion = load_motion(tmp_path / 'quest')
    recording = read_recording(HEADSET)
    assert len(motion) == 757
    for side, points in recording.keypoints.items():
        present = np.isfinite(points).all((1, 2))
        np.testing.assert_array_equal(motion.hands[side].present, present)
        error = np.linalg.norm(hand_points(motion, side)[present] - points[present], axis=-1)
        assert error.mean() < 0.012
    assert len(set(recording.keypoints)) == 2


@needs_data
def test_the_headset_recording_keeps_its_gestures():
    recording = read_recording(HEADSET)
    motion, _ = convert(recording)
    for side, points in recording.keypoints.items():
        present = np.isfinite(points).all((1, 2))

        def openness(p: np.ndarray) -> np.ndarray:
            """Fingertips' distances from the wrist [F,5]: how far each finger is open."""
            return np.linalg.norm(p[:, [4, 8, 12, 16, 20]] - p[:, :1], axis=-1)

        seen, made = openness(points[present]), openness(hand_points(motion, side)[present])
        for finger in range(5):
            if np.std(seen[:, finger]) > 0.004:  # it moved
                assert np.corrcoef(seen[:, finger], made[:, finger])[0, 1] > 0.9


@needs_data
def test_the_video_recording_becomes_a_motion_with_an_object(tmp_path):
    arguments = [str(VIDEO), str(tmp_path / 'video'), '--object', 'can', '--rate', '15']
    assert main(arguments) == 0
    motion = load_motion(tmp_path / 'video')
    assert set(motion.hands) == {'right'}
    assert set(motion.objects) == {'can'}
    assert abs(motion.duration_s - 620 / 30) < 0.1
    assert np.allclose(np.diff(motion.stamps_ns), 1e9 / 15, atol=1)


def bad(folder: Path, **arrays: object) -> Path:
    np.savez(folder / 'bad.npz', **arrays)
    return folder / 'bad.npz'


@pytest.mark.parametrize(
    ('arrays', 'words'),
    [
        ({}, 'save joints as left and right'),
        ({'keypoints': np.zeros((3, 20, 3)), 'fps': 30}, r'\[F,21,3\]'),
        ({'keypoints': np.zeros((3, 21, 3))}, 'time_s'),
        ({'keypoints': np.zeros((3, 21, 3)), 'fps': 0}, 'time_s'),
        ({'keypoints': np.zeros((3, 21, 3)), 'time_s': np.array([0, 2, 1])}, 'must increase'),
        ({'keypoints': np.zeros((3, 21, 3)), 'time_s': np.array([0, np.nan, 1])}, 'must increase'),
        ({'left': np.zeros((3, 7, 3)), 'fps': 30}, 'left'),
        ({'left': np.zeros((3, 25, 3)), 'right': np.zeros((2, 25, 3)), 'fps': 30}, 'same frames'),
        ({'keypoints': np.zeros((0, 21, 3)), 'fps': 30}, 'at least one'),
    ],
)
def test_bad_recordings_are_one_line(tmp_path, capsys, arrays, words):
    file = bad(tmp_path, **arrays)
    with pytest.raises(RecordingError, match=words):
        read_recording(file)
    assert main([str(file), str(tmp_path / 'out')]) == 2
    captured = capsys.readouterr()
    assert captured.err.count('\n') == 1
    assert str(file) in captured.err
    assert not (tmp_path / 'out').exists()


def test_unreadable_files_and_empty_hands_are_one_line(tmp_path, capsys):
    (tmp_path / 'text.npz').write_text('hello')
    empty = bad(tmp_path, right=np.full((3, 25, 3), np.nan), fps=30)
    for file in (tmp_path / 'text.npz', tmp_path / 'absent.npz', empty):
        assert main([str(file), str(tmp_path / 'out')]) == 2
        assert capsys.readouterr().err.count('\n') == 1
