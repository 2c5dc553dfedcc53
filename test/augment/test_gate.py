"""The quality gate: measures, thresholds and report."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from episode_samples import synthetic_episode, with_masks

from manivideo_ros.augment import gate, gate_report
from manivideo_ros.augment.gate import Thresholds, Verdict, hand_errors, silhouette
from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.drawing.labels import layer_mask
from manivideo_ros.evaluation.measures.visibility import Seen
from manivideo_ros.hand.keypoint import KEYPOINT
from manivideo_ros.recording.episode import Episode, EpisodeError

OBJECT, PALM = layer_mask(np.array([0, 1]), 7)


def a_hand(side=1, visible=21):
    """21 joints on a fan, 100 pixels across."""
    points = np.zeros(21, KEYPOINT)
    turn = np.linspace(-0.8, 0.8, 21)
    points['u'] = 128 + 60 * np.sin(turn) * np.linspace(0.2, 1, 21)
    points['v'] = 160 - 60 * np.cos(3 * turn)
    points['side'], points['joint'], points['z'] = side, np.arange(21), 0.5
    points['visible'][:visible] = 1
    return points


class Sees:
    """An estimator with a fixed result."""

    def __init__(self, keypoints, found=True):
        self.answer = SimpleNamespace(keypoints=keypoints, found=found)

    def on_crop(self, image, crop):
        return self.answer


def test_a_correct_hand_has_no_error_at_any_position_and_size():
    hand = a_hand()
    points = np.stack([hand['u'], hand['v']], 1)
    assert hand_errors(None, hand, Sees(1.3 * points + 7)) == pytest.approx([0], abs=1e-6)
    other = points + np.random.default_rng(0).normal(0, 20, points.shape)
    (error,) = hand_errors(None, hand, Sees(other))
    assert 0.1 < error < 0.5


def test_an_undetected_hand_is_a_miss_and_a_hidden_one_is_not_judged():
    hand = a_hand()
    points = np.stack([hand['u'], hand['v']], 1)
    assert np.isnan(hand_errors(None, hand, Sees(points, found=False))).all()
    assert hand_errors(None, a_hand(visible=5), Sees(points)) == []


def scene(shift=0, colour=200):
    """Background, image and mask of a square object with a hand over its right side."""
    background = np.full((96, 96, 3), 90, np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[30:60, 30:60], mask[30:60, 52:80] = OBJECT, PALM
    image = background.copy()
    image[30:60, 30 + shift : 60 + shift] = colour
    image[30:60, 52:80] = (220, 170, 140)
    return image, background, mask


def overlap_of(frame, hands=False):
    image, background, mask = frame
    wanted = mask == (PALM if hands else OBJECT)
    return silhouette(image, background, wanted, (mask > 0) & ~wanted)


def test_an_object_in_its_place_has_its_silhouette():
    assert overlap_of(scene()) > 0.95
    assert overlap_of(scene(), hands=True) > 0.95


def test_a_displaced_or_missing_object_has_a_low_overlap():
    assert overlap_of(scene(shift=-8)) < 0.75
    assert overlap_of(scene(colour=90)) == 0
    image, background, mask = scene()
    image[30:60, 64:80] = 90
    assert overlap_of((image, background, mask), hands=True) < 0.7


def test_a_small_visible_part_of_an_object_is_not_judged():
    image, background, mask = scene()
    mask[mask == OBJECT] = PALM
    assert overlap_of((image, background, mask)) is None


def test_a_reason_names_the_measure_and_the_threshold():
    figures = {'hand_error': 0.3, 'hand_misses': 0.1, 'silhouette': None}
    assert gate._reasons(figures, {}, Thresholds()) == ['hand_error 0.300 is above 0.15']
    figures = {'hand_error': None, 'hand_misses': None, 'silhouette': 0.2}
    assert gate._reasons(figures, {}, Thresholds()) == ['silhouette 0.200 is below 0.5']
    figures = {'hand_silhouette': 0.2, 'unseen': 0.5, 'inside': 0.1}
    assert gate._reasons(figures, {'left hand': 0.0, 'mug': 0.4}, Thresholds()) == [
        'hand_silhouette 0.200 is below 0.5',
        'unseen 0.500 is above 0.2',
        'inside 0.100 is above 0',
        'visible 0.000 of left hand is below 0.05',
    ]


def test_the_report_shows_what_was_dropped_and_why(tmp_path, monkeypatch):
    image = np.full((8, 8, 3), 7, np.uint8)
    verdicts = {
        'good': Verdict('good', 0.05, 0.0, 0.9, (), image),
        'bad': Verdict('bad', 0.4, 0.0, 0.9, ('hand_error 0.400 is above 0.15',), image),
    }
    monkeypatch.setattr(gate_report, 'HandEstimator', lambda: None)
    monkeypatch.setattr(gate_report, 'judge', lambda bag, *_: verdicts[bag.name])
    for name in verdicts:
        (tmp_path / 'set' / name).mkdir(parents=True)
        (tmp_path / 'set' / name / 'metadata.yaml').touch()
    assert gate_report.main([str(tmp_path / 'set'), '--out', str(tmp_path / 'gate')]) == 0
    report = json.loads((tmp_path / 'gate' / 'report.json').read_text())
    assert {v['episode']: v['kept'] for v in report['episodes']} == {'good': True, 'bad': False}
    assert report['thresholds']['hand_error'] == 0.15
    assert [f.name for f in (tmp_path / 'gate' / 'dropped').iterdir()] == ['bad.png']
    page = (tmp_path / 'gate' / 'report.html').read_text()
    assert '1 of 2 episodes pass' in page and 'hand_error 0.400 is above 0.15' in page
    assert page.count('<img') == 1 and 'dropped/bad.png' in page


def test_views_are_of_the_episodes_own_camera(tmp_path):
    episode = Episode(synthetic_episode(tmp_path / 'whole', 3))
    views = gate.views(episode, gate.motion_of(episode))
    assert [*views] == [0, 1, 2] and views[0].shares.keys() == {'thing', 'left hand', 'right hand'}
    assert min(views[0].shares.values()) > 0.3 and not gate._is_unseen(views[0])
    with BagWriter(tmp_path / 'blind') as bag:
        for topic, connection in episode.reader.connections.items():
            if topic != '/camera_info':
                bag.copy_topic(topic, connection)
        for message in episode.reader.messages():
            if message.topic != '/camera_info':
                bag.write(message.topic, message.data, message.stamp_ns)
    with pytest.raises(EpisodeError, match='holds no /camera_info: record it with the images'):
        gate.motion_of(Episode(tmp_path / 'blind'))


def test_frames_without_any_visible_commanded_hand_are_counted():
    def view(**shares):
        return Seen({name.replace('_', ' '): share for name, share in shares.items()}, (), {})

    assert gate._is_unseen(view(left_hand=0.01, right_hand=0.0, mug=1.0))
    assert not gate._is_unseen(view(left_hand=0.01, right_hand=0.4))
    assert not gate._is_unseen(view(mug=0.0))  # no hand is commanded


def test_a_dropped_frame_shows_commanded_and_estimated_hands():
    hand, (image, _, mask) = a_hand(), scene()
    frame = np.zeros((256, 256, 3), np.uint8)
    frame[:96, :96] = image
    grey = np.zeros((256, 256), np.uint8)
    grey[:96, :96] = mask
    points = np.stack([hand['u'], hand['v']], 1)
    both = gate.marked(frame, hand, grey, Sees(points + 6))
    assert np.array_equal(both[:, :256], frame)
    green, red, yellow = ((both[:, 256:] == colour).all(-1) for colour in
                          ((0, 220, 0), (255, 40, 40), (255, 220, 0)))  # fmt: skip
    assert green.sum() > 20 and red.sum() > 20
    assert yellow[30, 30:50].all() and not yellow[96:].any()
    unseen = gate.marked(frame, hand, grey, Sees(points, found=False))
    assert not (unseen[:, 256:] == (255, 40, 40)).all(-1).any()


def test_an_interrupted_gate_goes_on(tmp_path, monkeypatch):
    for name in ('a', 'b'):
        with_masks(tmp_path / 'set' / name, 3)
    command = [str(tmp_path / 'set'), '--out']
    assert gate_report.main([*command, str(tmp_path / 'whole')]) == 0
    judge, calls = gate_report.judge, []

    def interrupted(bag, *rest):
        calls.append(bag.name)
        if len(calls) == 2:
            raise ValueError('interrupted')
        return judge(bag, *rest)

    monkeypatch.setattr(gate_report, 'judge', interrupted)
    assert gate_report.main([*command, str(tmp_path / 'one')]) == 2
    assert gate_report.main([*command, str(tmp_path / 'one')]) == 0
    assert calls == ['a', 'b', 'b']  # the first episode is not judged again
    assert contents(tmp_path / 'one') == contents(tmp_path / 'whole')
    assert not (tmp_path / 'one' / '.work').exists()


@pytest.mark.long
def test_several_processes_judge_as_one(tmp_path):
    for name in ('a', 'b'):
        with_masks(tmp_path / 'set' / name, 3)
    for workers in '12':
        command = [str(tmp_path / 'set'), '--out', str(tmp_path / workers), '--workers', workers]
        assert gate_report.main(command) == 0
    assert contents(tmp_path / '1') == contents(tmp_path / '2')


def contents(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob('*') if f.is_file()}
