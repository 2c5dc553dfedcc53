"""The rasterizer: layers, determinism, near plane, and errors."""

import subprocess
import sys
import warnings
from dataclasses import replace

import mlo_reference as reference
import mlo_scenes as scenes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.geometry import Camera, look_at, pinhole, rigid
from manivideo_ros.mlo.bands import cuts_by_cost, run_bands
from manivideo_ros.mlo.layers import LAYERS, hand_layers, layer_names
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface


def snapshot(buffers):
    return {name: tensor.numpy().copy() for name, tensor in vars(buffers).items()}


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def single(vertices, faces=((0, 1, 2),)):
    faces = np.array(faces, np.int32)
    uv = np.zeros((len(faces), 3, 2), np.float32)
    layer = np.zeros(len(faces), np.int32)
    return Surface(np.array(vertices, np.float32), faces, layer, uv)


def straight_camera(size=64, fov=1.0):
    """A camera at the world's origin whose frame is the world's."""
    return Camera(pinhole(size, size, fov), np.eye(4), size, size)


def test_layers_have_the_papers_order_and_thirteen_separate_the_hands():
    assert LAYERS == ('object', 'palm', 'thumb', 'index', 'middle', 'ring', 'pinky')
    assert layer_names(13)[1:3] == ('left palm', 'left thumb')
    assert layer_names(13)[7] == 'right palm'
    parts = np.arange(1, 7, dtype=np.int32)
    assert hand_layers(parts, 'right', 13).tolist() == [7, 8, 9, 10, 11, 12]
    assert hand_layers(parts, 'left', 13).tolist() == hand_layers(parts, 'right', 7).tolist()
    with pytest.raises(ValueError, match='num_layers'):
        layer_names(8)


@pytest.mark.parametrize('merge', [False, True])
def test_images_are_bit_identical_for_any_threads_and_earlier_frames(merge):
    surfaces, camera = scenes.surfaces(), scenes.camera(200)
    first, second = (
        Rasterizer(surfaces, 200, 200, threads=threads, merge=merge) for threads in (1, 2)
    )
    for seed in (1, 2, 1):
        one = snapshot(first.render(camera, scenes.poses(seed)))
        two = snapshot(second.render(camera, scenes.poses(seed)))
        assert same(one, two)
    fresh = Rasterizer(surfaces, 200, 200, threads=3, merge=merge)
    assert same(one, snapshot(fresh.render(camera, scenes.poses(1))))


def test_the_merged_layer_is_the_nearest_of_the_layers():
    surfaces, camera, poses = scenes.surfaces(), scenes.camera(256), scenes.poses(4)
    layers = Rasterizer(surfaces, 256, 256).render(camera, poses)
    merged = Rasterizer(surfaces, 256, 256, merge=True).render(camera, poses)
    depth = layers.depth.numpy()
    nearest = np.where(depth > 0, depth, np.inf).min(0)
    assert np.array_equal(merged.depth[0].numpy(), np.where(np.isfinite(nearest), nearest, 0))
    assert np.array_equal(merged.normal_map[0].numpy(), layers.visible_normal.numpy())


def test_an_absent_surface_empties_its_layers_and_does_not_change_others():
    surfaces, camera, poses = scenes.surfaces(), scenes.camera(128), scenes.poses(5)
    rasterizer = Rasterizer(surfaces, 128, 128)
    whole = snapshot(rasterizer.render(camera, poses))
    without = snapshot(rasterizer.render(camera, [*poses[:2], None]))
    assert not without['normal_map'][0].any()
    assert not without['occlusion_confidence'][0].any()
    assert (without['face_index'][0] == -1).all()
    assert np.array_equal(without['normal_map'][1:], whole['normal_map'][1:])
    nothing = snapshot(rasterizer.render(camera, [None, None, None]))
    assert (nothing['nearest_layer'] == -1).all()
    assert not nothing['depth'].any()
    assert not nothing['visible_normal'].any()


def test_swapping_two_depths_swaps_their_confidence():
    square = [[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.1, 0.1, 0], [-0.1, 0.1, 0]]
    faces = [[0, 1, 2], [0, 2, 3]]
    first, second = single(square, faces), single(square, faces)
    second = replace(second, face_layer=np.full(2, 3, np.int32))
    rasterizer = Rasterizer([first, second], 64, 64)
    near, far = rigid(np.eye(3), (0, 0, 0.5)), rigid(np.eye(3), (0, 0, 0.52))
    for poses, front, behind in (([near, far], 0, 3), ([far, near], 3, 0)):
        confidence = rasterizer.render(straight_camera(), poses).occlusion_confidence[:, 32, 32]
        assert confidence[front] == 1
        assert confidence[behind] == pytest.approx(np.exp(-1), abs=1e-5)


@pytest.mark.parametrize('order', [(0, 1, 2), (0, 2, 1)])
def test_both_sides_of_a_face_are_drawn_with_normals_facing_the_camera(order):
    triangle = single([[-0.2, -0.2, 0.5], [0.2, -0.2, 0.5], [0, 0.2, 0.6]], [order])
    buffers = Rasterizer([triangle], 64, 64).render(straight_camera(), [np.eye(4)])
    assert buffers.face_index[0, 32, 32] == 0
    assert buffers.normal_map[0, 2, 32, 32] < -0.9


def test_at_equal_depths_the_face_with_the_lower_index_is_visible():
    corners = [[-0.2, -0.2, 0.5], [0.2, -0.2, 0.5], [0, 0.2, 0.5]]
    for faces in ([[0, 1, 2], [0, 1, 2]], [[0, 2, 1], [0, 1, 2]]):
        buffers = Rasterizer([single(corners, faces)], 64, 64).render(
            straight_camera(), [np.eye(4)]
        )
        assert set(np.unique(buffers.face_index[0].numpy())) == {-1, 0}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-0.5, 0.8)),
        min_size=3,
        max_size=3,
    )
)
def test_a_triangle_across_the_near_plane_is_clipped(corners):
    camera = straight_camera(48)
    buffers = Rasterizer([single(corners)], 48, 48, threads=1).render(camera, [np.eye(4)])
    vertices = np.array(corners, np.float32).astype(np.float64)
    one, chosen = np.array([[0, 1, 2]]), np.array([True])
    depth, _, _ = reference.render_layer(camera, vertices, one, chosen)
    present, drawn = np.isfinite(depth), buffers.depth[0].numpy() > 0
    # Pixels whose centres are on an edge may be covered or not.
    edge = np.zeros_like(present)
    for row, shift in ((0, 1e-3), (0, -1e-3), (1, 1e-3), (1, -1e-3)):
        intrinsics = camera.intrinsics.copy()
        intrinsics[row, 2] += shift
        moved = replace(camera, intrinsics=intrinsics)
        edge |= np.isfinite(reference.render_layer(moved, vertices, one, chosen)[0]) != present
    assert ((present != drawn) & ~edge).sum() <= 2
    both = present & drawn
    error = np.abs(buffers.depth[0].numpy() - depth)[both] / depth[both]
    # The depth of a triangle seen on edge is undefined.
    a, b, c = vertices
    across = np.cross(b - a, c - a)
    if abs(across @ a) > 1e-3 * np.linalg.norm(across):
        assert error.max(initial=0) < 1e-3


def test_the_camera_may_be_inside_a_hand_or_face_away():
    surfaces, poses = scenes.surfaces(), scenes.poses(0)
    rasterizer = Rasterizer(surfaces, 96, 96)
    inside = replace(
        scenes.camera(96), camera_from_world=look_at(poses[0].wrist_position, (0, 0, 0.02))
    )
    buffers = rasterizer.render(inside, poses)
    assert (buffers.nearest_layer >= 0).float().mean() > 0.5
    assert buffers.depth[buffers.depth > 0].min() >= 0.0099
    assert bool(buffers.normal_map.isfinite().all())
    behind = replace(scenes.camera(96), camera_from_world=look_at((0, -1, 0), (0, -2, 0)))
    assert not rasterizer.render(behind, poses).depth.any()


def test_a_camera_of_any_size_is_resampled_to_the_rasterizers_size():
    rasterizer = Rasterizer(scenes.surfaces(), 96, 64)
    camera = replace(scenes.camera(480), height=320)
    again = snapshot(rasterizer.render(camera, scenes.poses(0)))
    assert again['depth'].shape == (7, 64, 96)
    assert same(again, snapshot(rasterizer.render(camera.resized(96, 64), scenes.poses(0))))


def test_invalid_poses_are_named_and_have_no_effect():
    rasterizer, camera, poses = (
        Rasterizer(scenes.surfaces(), 64, 64),
        scenes.camera(64),
        scenes.poses(0),
    )
    good = snapshot(rasterizer.render(camera, poses))
    nan = replace(poses[0], theta=np.full(45, np.nan))
    short = replace(poses[1], betas=np.zeros(9))
    for bad, words in (
        ([nan, *poses[1:]], 'right hand.*theta must be finite'),
        ([poses[0], short, poses[2]], r'left hand.*betas must have shape \(10,\)'),
        ([*poses[:2], np.eye(3)], r'object.*shape \(4, 4\)'),
        ([poses[2], *poses[1:]], 'must be a HandState'),
        (poses[:2], '2 poses for 3 surfaces'),
    ):
        with pytest.raises(ValueError, match=words):
            rasterizer.render(camera, bad)
    assert same(good, snapshot(rasterizer.render(camera, poses)))


def test_invalid_sizes_layers_and_meshes_are_rejected():
    with pytest.raises(ValueError, match='size must be positive'):
        Rasterizer(scenes.surfaces(), 0, 64)
    with pytest.raises(ValueError, match='layer 12 of 7'):
        Rasterizer(scenes.surfaces(13), 64, 64)
    with pytest.raises(ValueError, match='finite'):
        single([[0, 0, np.nan], [0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match='outside'):
        single([[0, 0, 0], [0, 1, 0]])


def test_a_non_contiguous_out_tensor_is_rejected():
    out = {'normal_map': torch.zeros(7, 3, 64, 128)[..., ::2]}
    with pytest.raises(ValueError, match='normal_map: must be contiguous'):
        Rasterizer(scenes.surfaces(), 64, 64, out=out)


def test_empty_and_degenerate_meshes_draw_nothing():
    empty = single(np.zeros((0, 3)), np.zeros((0, 3)))
    needle = single([[0, 0, 0.5], [0, 0, 0.5], [0.1, 0, 0.5]])
    for surfaces in ([], [empty], [needle], [empty, needle]):
        buffers = Rasterizer(surfaces, 32, 32).render(
            straight_camera(32), [np.eye(4)] * len(surfaces)
        )
        assert not buffers.depth.any()
        assert (buffers.nearest_layer == -1).all()


def test_a_mesh_of_two_million_triangles_is_drawn():
    side = 1001
    grid = np.stack(np.meshgrid(*[np.linspace(-0.2, 0.2, side)] * 2), -1).reshape(-1, 2)
    vertices = np.concatenate([grid, np.full((len(grid), 1), 0.5)], 1)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1, 1)
    lower, upper = np.array([0, 1, side]), np.array([1, side + 1, side])
    faces = np.concatenate([corner + lower, corner + upper])
    buffers = Rasterizer([single(vertices, faces)], 64, 64).render(straight_camera(), [np.eye(4)])
    assert np.abs(buffers.depth[0, 16:48, 16:48].numpy() - 0.5).max() < 1e-5


def test_every_band_runs_once_and_errors_are_raised():
    for threads in (1, 2, 4):
        ran = []
        run_bands(ran.append, 9, threads)
        assert sorted(ran) == list(range(9))

    def fail(band):
        raise RuntimeError(f'band {band}')

    with pytest.raises(RuntimeError, match='band'):
        run_bands(fail, 4, 2)


@given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 5))
def test_bands_cover_each_row_once_and_begin_at_even_rows(rows, count, seed):
    cost = np.random.default_rng(seed).integers(0, 100, rows, dtype=np.int32)
    shares = cuts_by_cost(cost, count)
    covered = [row for a, b in shares for row in range(a, b + 1)]
    assert covered == list(range(rows))
    assert all(a % 2 == 0 for a, b in shares[1:] if b >= a)


def test_an_unwritable_cache_folder_gives_one_warning(tmp_path):
    (tmp_path / 'file').write_text('not a folder')
    program = (
        'import warnings\n'
        'from manivideo_ros.mlo.warp_runtime import prepare_warp\n'
        'import warp as wp\n'
        'with warnings.catch_warnings(record=True) as caught:\n'
        "    warnings.simplefilter('always')\n"
        '    prepare_warp(); prepare_warp()\n'
        "print(sum('cannot be written' in str(w.message) for w in caught))\n"
        'print(wp.config.kernel_cache_dir)\n'
    )
    run = subprocess.run(
        [sys.executable, '-c', program],
        env={'WARP_CACHE_PATH': str(tmp_path / 'file' / 'cache'), 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    count, folder = run.stdout.split('\n')[:2]
    assert count == '1'
    assert 'manivideo_warp_' in folder
    assert 'CUDA' not in run.stderr


def test_rendering_gives_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        rasterizer = Rasterizer(scenes.surfaces(), 32, 32)
        rasterizer.render(scenes.camera(32), scenes.poses(0))
