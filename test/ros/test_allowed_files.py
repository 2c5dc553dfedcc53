"""Files that a running node may be changed to lie in the allowed folders."""

from dataclasses import replace

import pytest

from manivideo_ros.ros.allowed_files import FILES, check_change_of_files
from manivideo_ros.ros.parameters import NodeParameters, entries


@pytest.mark.parametrize('name', sorted(FILES))
def test_a_parameter_that_names_files_takes_none_outside(name, tmp_path):
    allowed = tmp_path / 'allowed'
    now = replace(NodeParameters(), scene_folders=(str(allowed),))
    several = isinstance(getattr(now, name), tuple)
    outside, inside = (f'{folder}/x.yaml' for folder in (tmp_path / 'other', allowed))
    with pytest.raises(ValueError, match=r'not under an allowed folder: add .* scene_folders'):
        check_change_of_files({name: [outside] if several else outside}, now)
    check_change_of_files({name: [inside] if several else inside}, now)


def test_every_parameter_that_names_a_file_is_among_them():
    words = ('folder', 'file', 'image of', 'background image', 'weights')
    naming = {
        name
        for name, entry in entries(NodeParameters).items()
        if isinstance(entry.default, str) and entry.metadata['about'].lower().startswith(words)
    }
    assert naming <= FILES
