"""Modules of release 0.1 are found under their old names, with a warning."""

import sys
from importlib import import_module

import pytest

from manivideo_ros.process.moved import MOVED, PACKAGE


@pytest.mark.parametrize('old', MOVED)
def test_an_old_name_leads_to_modules_that_exist(old):
    assert all(import_module(f'{PACKAGE}.{new}') for new in MOVED[old])
    sys.modules.pop(f'{PACKAGE}.{old}', None)
    with pytest.warns(DeprecationWarning, match=f'{PACKAGE}.{old} is now called'):
        import_module(f'{PACKAGE}.{old}')


def test_names_are_found_in_each_of_the_new_modules():
    sys.modules.pop(f'{PACKAGE}.references', None)
    with pytest.warns(DeprecationWarning, match='hand.reference'):
        from manivideo_ros.references import load_background, load_hand_reference
    from manivideo_ros.camera import background
    from manivideo_ros.hand import reference

    assert load_background is background.load_background
    assert load_hand_reference is reference.load_hand_reference
    with pytest.raises(ImportError, match='cannot import name'):
        from manivideo_ros.references import nothing  # noqa: F401


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        import_module(f'{PACKAGE}.never')
