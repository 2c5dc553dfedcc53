"""Objaverse: reading and filtering the published layout, smooth trajectories in view."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objaverse_copies import BALL, BOX, BROKEN, MUG, PART, entry, make_copy, write_json

from manivideo_ros.data.mixture import held_out
from manivideo_ros.data.objaverse.catalogue import ObjaverseError, read_catalogue
from manivideo_ros.data.objaverse.hand_held import LONGEST_SIDE, SIZES, load_hand_held
from manivideo_ros.data.objaverse.scenes import sample_objaverse_scene
from manivideo_ros.data.objaverse.trajectory import (
    MAX_SPEED,
    MAX_TURN,
    RATE,
    TrajectoryError,
    random_trajectory,
)
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.rows import scene_row, write_objects, write_shard
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.geometry import (
    Camera,
    look_at,
    matrix_to_axis_angle,
    pinhole,
    quaternion_to_matrix,
    transform_points,
)


@pytest.fixture(scope='module')
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_copy(tmp_path_factory.mktemp('objaverse'))


def test_the_catalogue_lists_free_objects_on_disk_with_their_credit(copy: Path) -> None:
    items = read_catalogue(copy)
    assert [(i.uid, i.licence, i.category) for i in items] == [
        (BOX, 'by', 'box'),
        (BALL, 'cc0', ''),
        (BROKEN, 'by', ''),
    ]
    assert items[0].credit == (
        f'"Thing 1" by A Maker, CC BY, https://sketchfab.com/3d-models/{BOX}'
    )
    assert [i.uid for i in read_catalogue(copy, licences=('by-nc-sa',))] == [MUG]


def test_train_and_test_objects_are_disjoint(copy: Path) -> None:
    train, test = (read_catalogue(copy, split=split) for split in ('train', 'test'))
    assert [i.uid for i in train] == [u for u in (BOX, BALL, BROKEN) if not held_out(u)]
    assert {i.uid for i in train + test} == {BOX, BALL, BROKEN}
    assert not {i.uid for i in train} & {i.uid for i in test}


@pytest.mark.parametrize(
    'stated',
    ['../secret.glb', 'glbs/../../secret.glb', '/etc/secret.glb', 'glbs/000-000/../x.glb', None],
)
def test_a_path_outside_the_folder_is_rejected(tmp_path: Path, stated: str | None) -> None:
    write_json(tmp_path / 'hf-objaverse-v1' / 'object-paths.json.gz', {BOX: stated})
    with pytest.raises(ObjaverseError, match=rf'object-paths.json.gz: path of object .{BOX}'):
        read_catalogue(tmp_path)


def test_a_link_out_of_the_folder_is_rejected(tmp_path: Path) -> None:
    make_copy(tmp_path)
    glb = tmp_path / 'hf-objaverse-v1' / 'glbs' / PART[BOX] / f'{BOX}.glb'
    glb.rename(tmp_path / 'outside.glb')
    glb.symlink_to(tmp_path / 'outside.glb')
    with pytest.raises(ObjaverseError, match=f'{BOX} is a link out of'):
        read_catalogue(tmp_path)


def test_errors_name_missing_and_broken_files_and_suggest_a_fix(tmp_path: Path) -> None:
    with pytest.raises(ObjaverseError, match=r'object-paths.json.gz: not found; fetch it'):
        read_catalogue(tmp_path)
    make_copy(tmp_path)
    root = tmp_path / 'hf-objaverse-v1'
    write_json(root / 'metadata' / '000-000.json.gz', {})
    with pytest.raises(ObjaverseError, match=rf'000-000.json.gz: no license for object {BOX}'):
        read_catalogue(tmp_path)
    (root / 'metadata' / '000-000.json.gz').unlink()
    with pytest.raises(ObjaverseError, match=r'000-000.json.gz: not found'):
        read_catalogue(tmp_path)
    (root / 'object-paths.json.gz').write_bytes(b'no gzip')
    with pytest.raises(ObjaverseError, match=r'object-paths.json.gz: cannot be read'):
        read_catalogue(tmp_path)


def test_age_restricted_objects_are_skipped(tmp_path: Path) -> None:
    make_copy(tmp_path)
    row = entry(BOX, 'by') | {'isAgeRestricted': True}
    write_json(tmp_path / 'hf-objaverse-v1' / 'metadata' / '000-000.json.gz', {BOX: row})
    assert BOX not in [i.uid for i in read_catalogue(tmp_path)]


def test_an_object_has_a_hand_held_size_and_stands_upright(copy: Path) -> None:
    items = {i.uid: i for i in read_catalogue(copy)}
    sizes = set()
    for variant in range(SIZES):
        for uid in (BOX, BALL):
            mesh = load_hand_held(items[uid], variant)
            longest = float(mesh.extents.max())
            assert LONGEST_SIDE[0] <= longest <= LONGEST_SIDE[1]
            np.testing.assert_allclose(mesh.vertices.min(0), -mesh.vertices.max(0), atol=1e-4)
            sizes.add(round(longest, 4))
    assert len(sizes) == 2 * SIZES
    box = load_hand_held(items[BOX], 0)
    np.testing.assert_allclose(box.extents / box.extents[2], (1 / 3, 1 / 6, 1), atol=1e-4)
    np.testing.assert_array_equal(box.vertices, load_hand_held(items[BOX], 0).vertices)
    normals = np.cross(*np.moveaxis(np.diff(box.vertices[box.faces], axis=1), 1, 0))
    assert (normals * box.vertices[box.faces].mean(1)).sum(-1).min() > 0  # still not inside out


views = st.tuples(
    st.integers(0, 2**32 - 1),
    st.floats(0.03, 0.17),  # radius of the object
    st.floats(0.2, 1.2),  # fov
    st.floats(0.25, 1.2),  # elevation
    st.integers(1, 70),  # frames
)


@settings(max_examples=40, deadline=None)
@given(views)
def test_a_trajectory_is_smooth_bounded_and_stays_in_view(
    view: tuple[int, float, float, float, int],
) -> None:
    seed, radius, fov, elevation, frames = view
    # Distance at which the sphere fits; off-centre, with different focal lengths.
    away = 1.8 * radius / np.sin(fov / 2)
    eye = away * np.array([np.cos(elevation), 0, np.sin(elevation)]) + (0, 0, radius + 0.1)
    intrinsics = pinhole(256, 192, fov) + np.array([[30, 0, 12], [0, 0, -7], [0, 0, 0]])
    camera = Camera(intrinsics, look_at(eye, (0, 0, radius + 0.1)), 256, 192)
    motion = random_trajectory(np.random.default_rng(seed), camera, radius, frames)
    Q, L = motion.rotations, motion.translations
    assert Q.shape == (frames, 4) and L.shape == (frames, 3)
    np.testing.assert_allclose(np.linalg.norm(Q, axis=1), 1, atol=1e-12)
    assert np.all(np.sum(Q[1:] * Q[:-1], axis=1) > 0.99)
    velocity = np.diff(L, axis=0) * RATE
    assert np.all(np.linalg.norm(velocity, axis=1) <= MAX_SPEED + 1e-9)
    rotations = quaternion_to_matrix(Q)
    spin = matrix_to_axis_angle(rotations[1:] @ np.swapaxes(rotations[:-1], 1, 2)) * RATE
    assert np.all(np.linalg.norm(spin, axis=1) <= MAX_TURN + 1e-6)
    # Bounded acceleration: control points are half a second apart.
    assert np.all(np.linalg.norm(np.diff(velocity, axis=0), axis=1) <= 2 * MAX_SPEED / 15 + 1e-9)
    assert np.all(np.linalg.norm(np.diff(spin, axis=0), axis=1) <= 2 * MAX_TURN / 15 + 1e-3)
    # The whole sphere around the object is in the image and above the table.
    ball = np.random.default_rng(0).standard_normal((200, 3))
    ball *= radius / np.linalg.norm(ball, axis=1, keepdims=True)
    pixels, depth = camera.project((L[:, None] + ball).reshape(-1, 3))
    assert depth.min() > 0
    assert np.all((pixels >= 0) & (pixels <= (256, 192)))
    assert L[:, 2].min() >= radius - 1e-9
    np.testing.assert_array_equal(motion.poses()[:, :3, 3], L)


def test_a_trajectory_depends_on_its_seed_and_moves() -> None:
    camera = Camera(pinhole(256, 256, 0.8), look_at((0.8, 0, 0.6), (0, 0, 0.2)), 256, 256)
    first, again, other = (
        random_trajectory(np.random.default_rng(s), camera, 0.08, 48) for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.poses(), again.poses())
    assert np.abs(first.translations - other.translations).max() > 0.01
    assert np.linalg.norm(np.ptp(first.translations, axis=0)) > 0.02
    assert np.min(np.abs(first.rotations @ first.rotations[0])) < np.cos(0.1)  # turns by 0.2 rad


def test_a_view_without_room_is_an_error() -> None:
    down = Camera(pinhole(256, 256, 0.4), look_at((0.1, 0, 0.3), (0, 0, 0)), 256, 256)
    with pytest.raises(TrajectoryError, match='no room above the floor'):
        random_trajectory(np.random.default_rng(0), down, 0.12, 10)


def test_every_seed_gives_a_scene_in_view_despite_broken_files(
    copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = read_catalogue(copy)
    for seed in range(4):
        scene = sample_objaverse_scene(seed, items, frames=24)
        assert scene.consecutive and len(scene.frames) == 24 and not scene.hands
        assert scene.asset is not None and scene.object_name.startswith('objaverse_')
        for action in scene.frames:
            assert action.world_from_object is not None
            points = transform_points(action.world_from_object, scene.asset.mesh.vertices)
            pixels, depth = scene.camera.project(points)
            assert np.all((pixels >= 0) & (pixels <= 256)) and depth.min() > 0.05
            assert points[:, 2].min() >= -1e-6
    assert any(f'{BROKEN}.glb' in r.getMessage() for r in caplog.records)
    with pytest.raises(ObjaverseError, match=f'{BROKEN}.glb'):
        sample_objaverse_scene(0, [i for i in items if i.uid == BROKEN])
    with pytest.raises(ObjaverseError, match='no Objaverse object'):
        sample_objaverse_scene(0, [])


def test_shards_of_objaverse_scenes_have_empty_hand_layers(copy: Path, tmp_path: Path) -> None:
    scene = sample_objaverse_scene(5, [i for i in read_catalogue(copy) if i.uid == BOX])
    row = scene_row(GroundTruthRenderer(), scene, 'objaverse')
    write_objects(tmp_path, scene, row)
    write_shard(tmp_path / 'shard_000005', [row])
    data = ShardDataset(tmp_path)
    assert data.consecutive.all() and data.frames_of(0) == len(scene.frames)
    for index in (0, len(scene.frames) - 1):
        frame = data.frame(0, index)
        assert not frame['normal_map'][1:].any() and not frame['occlusion_confidence'][1:].any()
        there = frame['occlusion_confidence'][0] > 0
        assert 0.01 < there.float().mean() < 0.9
        assert (frame['mask'][0][there] > 0).float().mean() > 0.98
        red, green, _ = frame['rgb'][:, frame['mask'][0] == 1].mean(1).tolist()
        assert red > 1.5 * green  # the red box is in the mask
        red, green, _ = frame['base'][:, frame['mask'][0] == 1].mean(1).tolist()
        assert red > 1.5 * green
    assert data.references(0)['views'].std() > 0.01
    assert np.ptp(data.array(0, 'object_pose')[:, :3], axis=0).max() > 1e-4
