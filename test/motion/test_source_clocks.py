"""Detection of sources whose clocks disagree."""

import pytest

from manivideo_ros.motion.pose_buffer import HANDS, OBJECTS, PEOPLE
from manivideo_ros.motion.source_clocks import ClockWatch, span


def delays(hands=0.02, **others):
    return {HANDS: {'right': hands}, OBJECTS: others}


def problems_of(found, simulated=False):
    """The problems of delays by this machine's clock."""
    return ClockWatch().compare(found, 0.0, simulated)


def test_sources_that_agree_give_no_problem():
    assert problems_of({}) == []
    assert problems_of(delays(0.02, mug=0.1)) == []
    assert problems_of(delays(0.15, mug=0.02)) == []
    assert problems_of({PEOPLE: {'skeleton': 0.1}}) == []


@pytest.mark.parametrize(
    ('found', 'text'),
    [
        (
            delays(0.02, mug=0.88),
            'object_poses: mug: stamps are 0.9 s behind those of hand_poses: a slow detector, or',
        ),
        (
            delays(0.02, mug=-0.68),
            'object_poses: mug: stamps are 0.7 s ahead of those of hand_poses: the clock of its '
            "machine is ahead of this machine's clock: synchronise it",
        ),
        (
            delays(0.72, mug=0.02),
            "hand_poses: stamps are 0.7 s behind those of object_poses and this machine's clock: ",
        ),
        (
            delays(-0.68, mug=0.02),
            "hand_poses: stamps are 0.7 s ahead of this machine's clock: synchronise the clock",
        ),
        (
            delays(3 * 86400.0, mug=3 * 86400.0 + 0.1),
            "hand_poses: stamps are 3 days behind this machine's clock: to play a bag, use "
            '--clock and use_sim_time. Latencies count from receipt',
        ),
        (
            {HANDS: {'left': 0.01, 'right': 0.71}},
            'hand_poses: right: stamps are 0.7 s behind those of hand_poses: ',
        ),
    ],
)
def test_the_source_with_a_wrong_clock_is_named_with_its_offset(found, text):
    problems = problems_of(found)
    assert len(problems) == 1 and problems[0].startswith(text)


def test_wall_time_under_a_simulated_clock_is_named():
    (problem,) = problems_of(delays(-1.8e9), simulated=True)
    assert problem.startswith('hand_poses: stamps are 57 years ahead of /clock: ')
    assert 'use_sim_time there too' in problem
    # Poses may come a little before the /clock that they are of.
    assert problems_of(delays(-0.4), simulated=True) == []


def test_a_problem_is_reported_once_until_it_is_solved():
    watch = ClockWatch()
    assert len(watch.compare(delays(mug=0.86), 0.0, False)) == 1
    assert watch.compare(delays(mug=0.91), 0.0, False) == []
    assert 'mug' in watch.problem
    assert watch.compare(delays(mug=0.05), 0.0, False) == [] and watch.problem == ''
    assert len(watch.compare(delays(mug=0.86), 0.0, False)) == 1


def test_delays_are_measured_by_the_nodes_clock():
    assert ClockWatch().compare(delays(-1e9, mug=-1e9), 1e9, False) == []


def test_spans_in_words():
    lengths = {0.73: '0.7 s', -90: '90.0 s', 600: '10 minutes', 9000: '2 hours', 1e9: '32 years'}
    assert [span(length) for length in lengths] == list(lengths.values())
