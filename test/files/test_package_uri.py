"""package:// URIs."""

from __future__ import annotations

import pytest
from packages import WEDGE

from manivideo_ros.files.package_uri import package_file
from manivideo_ros.objects.mesh import MeshError
from manivideo_ros.objects.named import load_mesh


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """The share folder of an installed package with a mesh."""
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'lab_tools').write_text('')
    share = tmp_path / 'share' / 'lab_tools'
    (share / 'meshes').mkdir(parents=True)
    (share / 'meshes' / 'wedge.obj').write_text(WEDGE)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    return share


def test_a_uri_is_a_file_of_an_installed_package(lab):
    assert package_file('package://lab_tools/meshes/wedge.obj') == lab / 'meshes' / 'wedge.obj'
    mesh = load_mesh('package://lab_tools/meshes/wedge.obj', 2.0)
    assert mesh.name == 'wedge' and mesh.extents.tolist() == pytest.approx([0.2] * 3)


@pytest.mark.parametrize(
    ('uri', 'named'),
    [
        ('package://none/a.obj', 'its package is not installed here'),
        ('package://', 'its package is not installed here'),
        ('package://../lab_tools/a.obj', 'its package is not installed here'),
        ('package://lab_tools/../../secret.obj', 'leads out of the package lab_tools'),
        ('package://lab_tools//etc/passwd', 'leads out of the package lab_tools'),
        ('package://lab_tools/none.obj', 'none.obj'),
    ],
)
def test_missing_packages_and_paths_outside_are_named(lab, uri, named):
    with pytest.raises(MeshError, match=named):
        load_mesh(uri, 1.0)


def test_without_a_ros_environment_no_package_is_installed(monkeypatch):
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    with pytest.raises(ValueError, match='not installed here'):
        package_file('package://lab_tools/meshes/wedge.obj')
