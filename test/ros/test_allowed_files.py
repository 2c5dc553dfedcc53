"""Files that a running node may be changed to lie in the allowed folders."""

from dataclasses import replace

import pytest

from manivideo_ros.ros.allowed_files import FILES, check_change_of_files, resolve
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


def test_a_folder_that_may_be_read_has_no_links_out_of_the_allowed_ones(tmp_path):
    scene, allowed = tmp_path / 'allowed' / 'scene', [str(tmp_path / 'allowed')]
    scene.mkdir(parents=True)
    (scene / 'background.png').write_bytes(b'')
    with pytest.raises(ValueError, match='no such file'):
        resolve(str(scene), (), allowed)
    assert resolve(str(scene), (), allowed, folder=True) == scene.resolve()
    (tmp_path / 'secret.png').write_bytes(b'')
    (scene / 'hand_reference.png').symlink_to(tmp_path / 'secret.png')
    with pytest.raises(ValueError, match=r'hand_reference\.png: not under an allowed folder'):
        resolve(str(scene), (), allowed, folder=True)
