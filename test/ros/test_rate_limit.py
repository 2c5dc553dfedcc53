"""Rate limit of warnings."""

from manivideo_ros.ros.rate_limit import RateLimit


def test_a_text_passes_once_per_period():
    limit = RateLimit(period=5.0)
    assert limit.due(['a', 'b'], 0.0) == ['a', 'b']
    assert limit.due(['a', 'c'], 4.9) == ['c']
    assert limit.due(['a'], 5.0) == ['a']
    for i in range(1000):
        limit.due([str(i)], 10.0 + i)
    assert len(limit._last) < 250
