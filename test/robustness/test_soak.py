"""Short versions of the soak run and the faults: samples, verdicts, recovery."""

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from manivideo_ros.commands.demo import Demo
from robustness.soak import signals, stream_faults
from robustness.soak.chain import Chain
from robustness.soak.faults import on_a_stream
from robustness.soak.run import run
from robustness.soak.verdict import constant, trend, without

AT = np.arange(0, 3600, 10.0)
NOISE = np.random.default_rng(0).normal(size=len(AT))


def test_constant_memory_is_flat_despite_spikes():
    values = 700 + NOISE
    values[::50] += 80
    assert trend(AT, values).within(0.02)


@pytest.mark.parametrize('leak', [0.03, -0.03])
def test_a_change_of_memory_by_three_percent_is_not_flat(leak):
    assert not trend(AT, 700 * (1 + leak * AT / AT[-1]) + NOISE).within(0.02)


def test_a_leak_that_is_freed_at_the_end_is_found_by_its_slope():
    values = 700 * (1 + 0.1 * AT / AT[-1])
    values[-40:] = 700
    assert trend(AT, values).ratio == pytest.approx(1, abs=0.01)
    assert not trend(AT, values).within(0.02)


def test_latency_may_fall_but_not_rise():
    assert trend(AT, 80 - 20 * AT / AT[-1] + NOISE).not_above(0.1)
    assert not trend(AT, 80 + 20 * AT / AT[-1] + NOISE).not_above(0.1)


def test_latency_explained_by_waiting_is_no_drift():
    waiting = np.where(AT > 1800, 1.5, 0.1) + 0.01 * NOISE
    values = 60 + 100 * waiting
    assert not trend(AT, values).not_above(0.1)
    assert trend(AT, without(values, waiting)).not_above(0.1)
    assert not trend(AT, without(values + 30 * AT / AT[-1], waiting)).not_above(0.1)


def test_samples_without_values_are_skipped():
    values = [None if i % 3 == 0 else 50.0 for i in range(len(AT))]
    assert trend(AT, values).ratio == 1
    assert trend(AT, without(values, NOISE)).ratio == pytest.approx(1)


def test_counts_are_compared_between_both_ends():
    assert constant('handles', [26] * 50 + [27] + [26] * 50).holds
    assert not constant('handles', [26] * 50 + [27] * 50).holds


@pytest.mark.long
def test_a_short_run_has_samples_verdicts_and_a_plot(tmp_path):
    results = tmp_path / 'soak.json'
    run(0.1, 0.5, Demo(tmp_path / 'chain'), results, 1.0)
    record = json.loads(results.read_text())
    samples = record['samples']
    assert len(samples['t_s']) >= 4 and min(samples['rss_mb']) > 100
    assert min(samples['reference_ms']) > 0.1
    assert sum(samples['rate_hz']) > 0 and max(v or 0 for v in samples['p95_ms']) > 0
    verdicts = {v['name']: v['holds'] for v in record['verdicts']}
    # Handles and threads settle only after a while.
    assert 'file handles constant' in verdicts
    for name in ('memory flat within 2%, rss', 'no frame failed', 'bag complete'):
        assert verdicts[name], record['verdicts']
    assert verdicts['every node exits with 0']
    assert Image.open(results.with_suffix('.png')).size[0] == 900


@pytest.mark.long
def test_a_stream_recovers_from_faults_and_its_recording_is_complete(tmp_path):
    short = {
        'publishers': partial(stream_faults.publishers_killed, times=1),
        'corrupted': partial(
            stream_faults.corrupted, seconds=3.0, one_in=3, kinds=['noise', 'stamp of 1970']
        ),
        'floods': partial(stream_faults.flooded, seconds=2.0),
    }
    *done, recording = on_a_stream(short, Demo(tmp_path / 'chain'))
    assert [outcome.figures['worst recovery s'] is not None for outcome in done] == [True] * 3
    assert done[1].figures['kinds of single corruptions'] >= 10
    assert done[1].figures['frames failed'] == '0'
    assert recording.holds, recording


def test_a_terminated_recorder_leaves_a_complete_bag(tmp_path):
    with Chain(Demo(tmp_path / 'chain')) as chain:
        chain.player()
        outcome = signals.recorder_terminated(chain, 4)
    assert outcome.holds, outcome
    assert outcome.figures['segments left'] == 0


def test_a_killed_engine_build_is_reported_and_the_stream_continues():
    outcome = signals.build_killed()
    assert outcome.holds, outcome
