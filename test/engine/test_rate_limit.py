"""The rate limit: a target rate, and a latency that is held under a changing load."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.engine.rate_limit import LOWEST_RATE, PATIENCE, WINDOW, FrameRateLimit

POSES_HZ = 60.0


def stream(
    limit: FrameRateLimit, seconds: float, work_s, start: float = 0.0
) -> tuple[float, list[float]]:
    """A worker fed with poses at 60 Hz, newest first: its end time, and each frame's latency.

    work_s: seconds of a frame for a number of steps.
    """
    now, free, latencies = start, start, []
    waiting = None
    for index in range(round(seconds * POSES_HZ)):
        now = start + index / POSES_HZ
        if waiting is not None and free <= now:
            begun = max(free, waiting)
            free = begun + work_s(limit.steps)
            latencies.append(free - waiting)
            limit.add(latencies[-1])
            waiting = None
        if limit.due(now):
            waiting = now
    return now, latencies


@pytest.mark.parametrize('rate', [10.0, 24.0, 30.0])
def test_the_target_rate_is_kept_on_average(rate):
    limit = FrameRateLimit(rate, 0.0, [1])
    answered = sum(limit.due(index / POSES_HZ) for index in range(600))
    assert answered == pytest.approx(rate * 10, rel=0.03)


def test_without_limits_every_pose_gets_a_frame_with_all_steps():
    limit = FrameRateLimit(0.0, 0.0, [4, 1])
    assert all(limit.due(index / POSES_HZ) for index in range(100))
    for _ in range(300):
        limit.add(10.0)
    assert (limit.steps, limit.rate) == (4, 0.0)


def test_a_latency_is_held_with_fewer_steps_first():
    limit = FrameRateLimit(0.0, 0.1, [4, 1])
    _, latencies = stream(limit, 20, lambda steps: 0.03 * steps)
    assert limit.steps == 1 and limit.rate == 0
    assert np.percentile(latencies[-100:], 95) <= 0.1


def test_a_latency_is_held_with_a_lower_rate_once_steps_are_at_their_minimum():
    limit = FrameRateLimit(0.0, 0.09, [1])
    _, latencies = stream(limit, 60, lambda steps: 0.08)
    assert 0 < limit.rate < 12.5  # the worker's own rate, at which every pose would have to wait
    assert np.percentile(latencies[-50:], 95) <= 0.09


def test_steps_and_rate_are_restored_when_there_is_headroom():
    limit = FrameRateLimit(0.0, 0.1, [4, 1])
    end, _ = stream(limit, 20, lambda steps: 0.08 * steps)
    assert limit.steps == 1
    stream(limit, 120, lambda steps: 0.01 * steps, end)
    assert (limit.steps, limit.rate) == (4, 0.0)


def test_failed_attempts_to_raise_the_steps_become_rarer():
    limit = FrameRateLimit(0.0, 0.1, [2, 1])
    changes = []
    for frame in range(100 * WINDOW):
        before = limit.steps
        # Two steps are too slow, although one step leaves headroom.
        limit.add(0.04 if before == 1 else 0.11)
        if limit.steps != before:
            changes.append(frame)
    raised = changes[1::2]
    gaps = np.diff(raised) / WINDOW
    assert len(raised) < 100 / PATIENCE / 2 and list(gaps) == sorted(gaps)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 10), max_size=400), st.floats(0.001, 1), st.floats(0, 240))
def test_steps_and_rate_stay_within_their_bounds_for_any_latencies(latencies, hold, rate):
    limit, now = FrameRateLimit(rate, hold, [4, 2, 1]), 0.0
    for latency in latencies:
        now += latency
        limit.due(now)
        limit.add(latency)
        assert limit.steps in (4, 2, 1)
        assert limit.rate == 0 or limit.rate >= LOWEST_RATE * 0.999 or rate < LOWEST_RATE


def test_a_clock_reset_does_not_stop_the_frames():
    limit = FrameRateLimit(30.0, 0.0, [1])
    assert limit.due(100.0) and limit.due(1.0) and limit.due(2.0)
