"""The support plane of a recorded clip is where its objects lie still."""

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.camera.support import plane_moved, read_plane, write_plane
from manivideo_ros.data.recorded.support import resting_plane
from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.objects.named import load_mesh

LOWEST = float(load_mesh('mug', 1.0).vertices[:, 2].min())


def at_heights(motion, heights):
    """The motion with the mug's bottom at these heights."""
    track = motion.objects['mug']
    poses = track.poses.copy()
    poses[:, 2, 3] = np.asarray(heights) - LOWEST
    return replace(motion, objects={'mug': replace(track, poses=poses)})


def test_the_plane_is_under_an_object_that_lies_before_it_is_lifted(motion):
    lifted = np.concatenate([np.full(20, 0.03), np.linspace(0.03, 0.3, len(motion) - 20)])
    np.testing.assert_allclose(
        resting_plane(at_heights(motion, lifted)), [0, 0, 1, -0.03], atol=2e-3
    )


@pytest.mark.parametrize(
    'heights',
    [np.linspace(0.0, 0.3, 60), np.concatenate([np.full(30, 0.2), np.linspace(0.2, 0, 30)])],
)
def test_there_is_none_under_one_that_never_lies_or_is_seen_lower(motion, heights):
    assert resting_plane(at_heights(motion, heights)) is None


def test_there_is_none_without_objects(motion):
    assert resting_plane(replace(motion, objects={})) is None


def test_a_plane_moves_with_its_frame_and_its_file_gives_it_back(tmp_path):
    plane = np.array([0.0, 0.6, 0.8, -0.25])
    moved = rigid(axis_angle_to_matrix(np.array([0.3, -0.8, 0.5])), np.array([0.4, 0.1, -2.0]))
    point = np.array([0.7, 0.25 / 0.6 - 0.8 / 0.6 * 0.1, 0.1, 1.0])
    assert plane @ point == pytest.approx(0)
    seen = plane_moved(plane, moved)
    assert seen @ (moved @ point) == pytest.approx(0) and np.linalg.norm(seen[:3]) == pytest.approx(
        1
    )
    write_plane(tmp_path / 'support_plane.json', seen)
    np.testing.assert_allclose(read_plane(tmp_path / 'support_plane.json'), seen, atol=1e-5)
    (tmp_path / 'support_plane.json').write_text('{"plane": [0, 0, 0, 1]}')
    with pytest.raises(
        ValueError, match=r'support_plane\.json: must be 4 finite numbers, a normal'
    ):
        read_plane(tmp_path / 'support_plane.json')
