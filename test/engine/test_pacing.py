"""The pace: a rate that is asked for, and a latency that is held under a load that changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.engine.pacing import CALM, LOWEST_RATE, WINDOW, Pace

POSES_HZ = 60.0


def stream(pace: Pace, seconds: float, work_s, start: float = 0.0) -> tuple[float, list[float]]:
    """A worker behind poses at 60 Hz, newest pose first: when it ends, and each frame's latency.

    work_s: of a frame in the pace's steps at a time.
    """
    now, free, latencies = start, start, []
    waiting = None
    for index in range(round(seconds * POSES_HZ)):
        now = start + index / POSES_HZ
        if waiting is not None and free <= now:
            begun = max(free, waiting)
            free = begun + work_s(pace.steps)
            latencies.append(free - waiting)
            pace.add(latencies[-1])
            waiting = None
        if pace.due(now):
            waiting = now
    return now, latencies


@pytest.mark.parametrize('rate', [10.0, 24.0, 30.0])
def test_the_rate_that_is_asked_for_is_kept_on_average(rate):
    pace = Pace(rate, 0.0, [1])
    answered = sum(pace.due(index / POSES_HZ) for index in range(600))
    assert answered == pytest.approx(rate * 10, rel=0.03)


def test_without_wishes_every_pose_is_answered_in_the_most_steps():
    pace = Pace(0.0, 0.0, [4, 1])
    assert all(pace.due(index / POSES_HZ) for index in range(100))
    for _ in range(300):
        pace.add(10.0)
    assert (pace.steps, pace.rate) == (4, 0.0)


def test_a_latency_is_held_by_fewer_steps_first():
    pace = Pace(0.0, 0.1, [4, 1])
    _, latencies = stream(pace, 20, lambda steps: 0.03 * steps)
    assert pace.steps == 1 and pace.rate == 0
    assert np.percentile(latencies[-100:], 95) <= 0.1


def test_then_by_a_lower_rate():
    pace = Pace(0.0, 0.09, [1])
    _, latencies = stream(pace, 60, lambda steps: 0.08)
    assert 0 < pace.rate < 12.5  # what it could make, with each pose waiting for the frame before
    assert np.percentile(latencies[-50:], 95) <= 0.09


def test_what_was_given_up_is_given_back_when_there_is_room():
    pace = Pace(0.0, 0.1, [4, 1])
    end, _ = stream(pace, 20, lambda steps: 0.08 * steps)
    assert pace.steps == 1
    stream(pace, 120, lambda steps: 0.01 * steps, end)
    assert (pace.steps, pace.rate) == (4, 0.0)


def test_giving_back_too_early_is_tried_ever_more_seldom():
    pace = Pace(0.0, 0.1, [2, 1])
    changes = []
    for frame in range(100 * WINDOW):
        before = pace.steps
        # Two steps are too slow, though one step looks as if there were room.
        pace.add(0.04 if before == 1 else 0.11)
        if pace.steps != before:
            changes.append(frame)
    given_back = changes[1::2]
    gaps = np.diff(given_back) / WINDOW
    assert len(given_back) < 100 / CALM / 2 and list(gaps) == sorted(gaps)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 10), max_size=400), st.floats(0.001, 1), st.floats(0, 240))
def test_it_stays_within_its_bounds_whatever_comes(latencies, hold, rate):
    pace, now = Pace(rate, hold, [4, 2, 1]), 0.0
    for latency in latencies:
        now += latency
        pace.due(now)
        pace.add(latency)
        assert pace.steps in (4, 2, 1)
        assert pace.rate == 0 or pace.rate >= LOWEST_RATE * 0.999 or rate < LOWEST_RATE


def test_a_clock_that_jumps_back_does_not_stop_the_frames():
    pace = Pace(30.0, 0.0, [1])
    assert pace.due(100.0) and pace.due(1.0) and pace.due(2.0)
