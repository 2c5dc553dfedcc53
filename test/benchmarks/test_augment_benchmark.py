"""The benchmark of augmentation."""

from benchmarks.augment import WRAPPED


def test_every_stage_that_is_timed_is_there():
    missing = [name for place, name, _ in WRAPPED if not callable(getattr(place, name, None))]
    assert not missing
