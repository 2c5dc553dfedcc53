"""Conversion of recorded joints to motions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tracks import PLACE, made_points, tracked

from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.inputs.checks import length_of
from manivideo_ros.motion.convert import attach_object, convert, main
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.recordings import Recording, RecordingError, read_recording

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'motion'
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


def test_generated_keypoints_are_recovered():
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
def test_invalid_recordings_are_one_line(tmp_path, capsys, arrays, words):
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


def converted(folder: Path, *options: str, **arrays: object) -> Motion:
    """The motion of arrays at 30 frames/s."""
    np.savez(folder / 'taken.npz', fps=30.0, **arrays)
    assert main([str(folder / 'taken.npz'), str(folder / 'out'), *options]) == 0
    return load_motion(folder / 'out')


def refusal(folder: Path, capsys, *options: str, **arrays: object) -> str:
    """The one line that refuses arrays."""
    np.savez(folder / 'taken.npz', fps=30.0, **arrays)
    assert main([str(folder / 'taken.npz'), str(folder / 'out'), *options]) == 2
    line = capsys.readouterr().err
    assert line.count('\n') == 1 and 'taken' in line and not (folder / 'out').exists()
    return line


@pytest.mark.parametrize('lost', [0.0, np.nan])
def test_zeros_are_frames_in_which_the_hand_was_not_tracked(tmp_path, capsys, lost):
    joints = tracked()
    joints[10:15] = lost
    joints[20, 12] = lost  # in part
    present = converted(tmp_path, right=joints).hands['right'].present
    assert np.flatnonzero(~present).tolist() == [10, 11, 12, 13, 14, 20]
    output = capsys.readouterr().out
    assert 'right: frames without a hand: 5 not tracked (NaN or zeros), 1 tracked in part' in output


def test_zeros_of_video_keypoints_are_lost_frames_too(tmp_path):
    points = np.tile(made_points(2)[1:], (20, 1, 1)).astype(np.float64) + PLACE
    points[:4] = 0
    present = converted(tmp_path, keypoints=points).hands['right'].present
    assert present.tolist() == [False] * 4 + [True] * 16


@pytest.mark.parametrize(
    ('factor', 'unit', 'option'),
    [(1000, 'millimetres', '0.001'), (100, 'centimetres', '0.01')],
)
def test_another_unit_is_named_with_the_option_that_reads_it(
    tmp_path, capsys, factor, unit, option
):
    joints = factor * tracked()
    line = refusal(tmp_path, capsys, right=joints)
    assert f'the points are in {unit}, give --unit {option}' in line
    motion = converted(tmp_path, '--unit', option, right=joints)
    assert np.linalg.norm(motion.hands['right'].wrist_position, axis=1).max() < 2
    assert '--unit must be above 0' in refusal_of_option(tmp_path, capsys, '--unit', '0')


def refusal_of_option(folder: Path, capsys, *options: str) -> str:
    """The line that refuses options."""
    assert main([str(folder / 'taken.npz'), str(folder / 'other'), *options]) == 2
    return capsys.readouterr().err


def test_a_collapsed_frame_is_dropped_alone(tmp_path, capsys):
    joints = tracked()
    joints[7] = joints[7, :1] + 0.01 * (joints[7] - joints[7, :1])
    motion = converted(tmp_path, right=joints)
    assert np.flatnonzero(~motion.hands['right'].present).tolist() == [7]
    assert '1 not as large as a hand' in capsys.readouterr().out


def test_swapped_sides_are_refused_as_live_ones_are(tmp_path, capsys):
    line = refusal(tmp_path, capsys, left=tracked())
    assert "array 'left'" in line and 'the points of the left hand are those of a right one' in line
    points = np.tile(made_points(2)[1:], (30, 1, 1)).astype(np.float64)
    assert 'those of a right one' in refusal(tmp_path, capsys, '--side', 'left', keypoints=points)


def test_left_handed_axes_are_named_with_the_option_that_reads_them(tmp_path, capsys):
    joints = tracked() * [1, 1, -1]  # Unity: z away from the viewer
    line = refusal(tmp_path, capsys, right=joints)
    assert 'the frame is left-handed (give --axes unity)' in line
    motion = converted(tmp_path, '--axes', 'unity', right=joints)
    plain = tmp_path / 'plain'
    plain.mkdir()
    np.testing.assert_allclose(
        motion.hands['right'].wrist_position,
        converted(plain, right=tracked()).hands['right'].wrist_position,
        atol=1e-6,
    )


def test_joints_in_another_order_are_refused_or_warned_about(tmp_path, capsys, monkeypatch):
    points = np.tile(made_points(2)[:1], (5, 1, 1)).astype(np.float64)
    mixed = points[:, np.random.default_rng(2).permutation(21)]
    mixed *= 0.15 / length_of(mixed[0])
    assert converted(tmp_path, keypoints=mixed)
    assert 'right: fits poorly' in capsys.readouterr().err
    (tmp_path / 'worse').mkdir()
    monkeypatch.setattr('manivideo_ros.motion.convert.TRUST', (0.005, 0.01))
    line = refusal(tmp_path / 'worse', capsys, keypoints=mixed)
    assert 'save its joints in the order of WebXR (25), OpenXR (26)' in line
