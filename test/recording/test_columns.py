"""States and actions that are published slowly, on change, latched, or by several nodes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state_bags import FRAMES, every, joints, numbers, record, states

from manivideo_ros.bags.part import is_latched
from manivideo_ros.recording.columns import ColumnsError, series_of, table
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.episode import EpisodeError


@pytest.mark.parametrize('rate', [5, 2])
def test_the_last_value_of_a_slow_topic_holds_for_three_of_its_periods(tmp_path, rate):
    sent = [(t, joints(0, jaw=t)) for t in every(1 / rate)]
    episode, state = states(record(tmp_path / 'bag', {'/gripper': sent}), '/gripper')
    assert state.names == ('position.jaw',)
    received = np.array([t for t, _ in sent])
    for frame, value in enumerate(state.values[:, 0]):
        # The last before the frame, or one received within half a frame of it.
        assert value == received[received <= frame / 30 + 0.0167].max()
    held = episode.held['/gripper']
    assert held.rate_hz == pytest.approx(rate) and held.early == 0
    assert 1 / rate - 0.04 < held.longest_s < 1 / rate


def test_fast_topics_use_the_nearest_message(tmp_path):
    sent = [(t, joints(0, arm=t)) for t in every(1 / 50, 0.0)]
    episode, state = states(record(tmp_path / 'bag', {'/arm': sent}), '/arm')
    np.testing.assert_allclose(state.values[:, 0], np.arange(FRAMES) / 30, atol=0.0101)
    assert episode.held == {}


def test_a_value_published_on_change_is_held_for_hold_s(tmp_path):
    sent = [(t, joints(0, jaw=t)) for t in (0.0, 0.1, 0.2, 1.9)]
    folder = record(tmp_path / 'bag', {'/gripper': sent})
    with pytest.raises(EpisodeError) as caught:
        _ = states(folder, '/gripper')[1]
    line = str(caught.value)
    assert 'topic /gripper, at 0.5' in line and '10.0 Hz' in line and 'give --hold TOPIC' in line
    assert states(folder, '/gripper', 2.0)[1].values[50, 0] == 0.2
    with pytest.raises(EpisodeError, match='no message within 1000 ms'):
        _ = states(folder, '/gripper', 1.0)[1]


def test_one_message_before_the_frames_is_held_if_latched_or_by_hold_s(tmp_path):
    sent = {'/mode': [(-30.0, numbers(3.0))]}
    episode, state = states(record(tmp_path / 'latched', sent, latched=['/mode']), '/mode')
    assert np.all(state.values == [3.0]) and episode.held['/mode'].rate_hz is None
    folder = record(tmp_path / 'plain', sent)
    with pytest.raises(EpisodeError, match='of which there is one message'):
        _ = states(folder, '/mode')[1]
    assert np.all(states(folder, '/mode', float('inf'))[1].values[:, -1] == 3.0)


def test_the_first_value_is_used_for_one_period_before_it(tmp_path):
    late = {'/gripper': [(t, joints(0, jaw=t)) for t in every(0.2, 0.15)]}
    episode, state = states(record(tmp_path / 'late', late), '/gripper')
    assert state.values[0, 0] == 0.15 and episode.held['/gripper'].early == 3
    assert 'the first value was used for the 3 frames before it' in episode.held['/gripper'].text
    too_late = {'/gripper': [(t, joints(0, jaw=t)) for t in every(0.2, 0.9)]}
    with pytest.raises(EpisodeError, match=r'the first comes 0\.90 s after it'):
        _ = states(record(tmp_path / 'too_late', too_late), '/gripper')[1]


def test_publishers_of_one_topic_are_merged_by_the_names_of_their_joints(tmp_path):
    arm = [(t, joints(0, [1, 2], a=t, b=-t)) for t in every(0.02, 0.0)]
    gripper = [(t, joints(0, jaw=t)) for t in every(0.2, 0.001)]
    # A third publishes a joint of the arm in another order.
    other = [(t, joints(0, b=7.0, c=8.0)) for t in (0.003,)]
    folder = record(tmp_path / 'bag', {'/joint_states': arm + gripper + other})
    episode, state = states(folder, '/joint_states', 5.0)
    assert state.names == ('position.a', 'position.b', 'velocity.a', 'velocity.b', 'position.jaw',
                           'position.c')  # fmt: skip
    row = dict(zip(state.names, state.values[30], strict=True))
    assert row['position.a'] == pytest.approx(1.0, abs=0.011)
    assert row['position.b'] == -row['position.a'] and row['velocity.b'] == 2
    assert row['position.jaw'] == pytest.approx(0.801 + 0.2, abs=0.001) and row['position.c'] == 8
    assert episode.held['/joint_states'].longest_s > 1.9


def test_joints_in_another_order_stay_in_their_columns(tmp_path):
    mixed = [(t, joints(0, a=1, b=2) if n % 2 else joints(0, b=2, a=1))
             for n, t in enumerate(every(0.02, 0.0))]  # fmt: skip
    _, state = states(record(tmp_path / 'bag', {'/arm': mixed}), '/arm')
    assert state.names == ('position.b', 'position.a')
    assert np.all(state.values == [2, 1])


def test_messages_without_names_of_different_sizes_are_refused():
    with pytest.raises(
        ColumnsError, match=r'at 0\.000 s: has 3 numbers where it had 2: .* of their own'
    ):
        series_of([(numbers(1, 2), 0), (numbers(1, 2, 3), 1)])
    message = joints(0, a=1, b=2)
    message.name = ['a', 'a']
    with pytest.raises(ColumnsError, match='names a twice'):
        series_of([(message, 0)])
    with pytest.raises(ColumnsError, match='is empty'):
        table([], np.zeros(1, np.int64), None, False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=20, unique=True),
    st.lists(st.integers(0, 3000), min_size=1, max_size=20, unique=True),
)
def test_no_frame_uses_a_value_from_long_after_it(received, frames):
    times = [1_000_000 * t for t in sorted(received)]
    shown = np.array(sorted(frames), np.int64) * 1_000_000
    messages = [(numbers(t), t) for t in times]
    try:
        values, _, held = table(series_of(messages), shown, 5.0, False)
    except ColumnsError:
        assert times[0] > shown[0] + 50_000_000  # the first frame has no value
        return
    for frame, value in zip(shown.tolist(), values[:, -1].tolist(), strict=True):
        before = [t for t in times if t <= frame]
        if before:
            assert value in (before[-1], *(t for t in times if 0 < t - frame <= 50_000_000))
        else:
            assert value == times[0]
    longest = max((shown[:, None] - values[:, -1]).max(), 0) * 1e-9 if len(times) == 1 else None
    assert longest is None or held is None or held.longest_s == pytest.approx(longest)


@pytest.mark.parametrize(
    ('qos', 'latched'),
    [('- durability: 1', True), ('- durability: transient_local\n  depth: 1', True),
     ('- durability: 2', False), ('- durability: 1\n- durability: 2', False), ('', False),
     ('[', False), ('text', False)],
)  # fmt: skip
def test_latched_topics_are_recognized_by_their_qos(qos, latched):
    assert is_latched(qos) == latched


def test_the_dataset_reports_held_values(tmp_path, capsys):
    topics = {
        '/gripper': [(t, joints(0, jaw=t)) for t in every(0.2)],
        '/arm': [(t, joints(0, arm=t)) for t in every(0.02)],
    }
    folder = record(tmp_path / 'bag', topics)
    options = ['--state', '/arm', '/gripper', '--action', '/arm']
    arguments = ['robomimic', str(folder), '--out', str(tmp_path / 'set'), *options]
    assert dataset(arguments) == 0
    output = capsys.readouterr().out
    assert 'bag: topic /gripper (5.0 Hz: the last value held for up to 0.16 s)' in output
    entry = json.loads((tmp_path / 'set' / 'meta' / 'provenance.json').read_text())['episodes'][0]
    assert entry['held'].keys() == {'/gripper'}
    assert entry['held']['/gripper']['rate_hz'] == pytest.approx(5)
    assert dataset([*arguments, '--hold', '-1']) == 2
    assert '--hold must be above 0' in capsys.readouterr().err


def test_columns_have_the_order_of_the_first_episode_and_other_joints_are_refused(tmp_path, capsys):
    for name, order in (('one', {'a': 1, 'b': 2}), ('two', {'b': 2, 'a': 1})):
        sent = [(t, joints(0, **order)) for t in every(0.02)]
        record(tmp_path / 'bags' / name, {'/arm': sent})
    arm = ['--state', '/arm', '--action', '/arm']

    def export(kind):
        return dataset([kind, str(tmp_path / 'bags'), '--out', str(tmp_path / kind), *arm])

    assert export('robomimic') == 0
    with pytest.importorskip('h5py').File(tmp_path / 'robomimic' / 'demos.hdf5') as file:
        for demo in file['data'].values():
            assert np.all(demo['obs/state'][:] == [1, 2]) and np.all(demo['actions'][:] == [1, 2])
    record(tmp_path / 'bags' / 'zero', {'/arm': [(t, joints(0, a=1, c=2)) for t in every(0.02)]})
    assert export('lerobot') == 2
    assert 'the first' in capsys.readouterr().err
