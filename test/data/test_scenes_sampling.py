"""Random scenes: deterministic, disjoint splits, plausible poses."""

import numpy as np
import pytest

from manivideo_ros.data.scenes.grasps import probes
from manivideo_ros.data.scenes.library import (
    SKINS,
    VARIANTS,
    generator,
    hand_discs,
    object_asset,
    object_seed,
    shape_names,
    skin,
)
from manivideo_ros.data.scenes.motion_actions import mirrored, motions
from manivideo_ros.data.scenes.placement import hand_points
from manivideo_ros.data.scenes.scene import FRAMES, framed_points, sample_scene
from manivideo_ros.data.scenes.table_tops import MAKERS, srgb_to_linear
from manivideo_ros.geometry import invert_rigid, transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import Side
from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES, SHAPES


def test_a_seed_gives_the_same_scene() -> None:
    first, second = sample_scene(11), sample_scene(11)
    np.testing.assert_array_equal(first.camera.camera_from_world, second.camera.camera_from_world)
    np.testing.assert_array_equal(first.room.table.albedo, second.room.table.albedo)
    for a, b in zip(first.frames, second.frames, strict=True):
        assert a.hands.keys() == b.hands.keys()
        for side in a.hands:
            np.testing.assert_array_equal(a.hands[side].theta, b.hands[side].theta)


def test_splits_share_no_shapes_skins_or_random_streams() -> None:
    train, test = set(shape_names('train')), set(shape_names('test'))
    assert train | test == set(SHAPES) and not train & test and test == set(HELD_OUT_SHAPES)
    variants = range(1, VARIANTS)
    assert not {object_seed('train', v) for v in variants} & {
        object_seed('test', v) for v in variants
    }
    a, b = skin('train', 3), skin('test', 3)
    assert a.seed != b.seed and np.any(a.texture != b.texture)
    assert generator('train', 1, 5).random() != generator('test', 1, 5).random()
    train_scene, test_scene = sample_scene(5, 'train'), sample_scene(5, 'test')
    assert train_scene.room.exposure.tolist() != test_scene.room.exposure.tolist()


def test_skins_cover_the_range_of_tones() -> None:
    tones = [skin('train', i).tone for i in (0, SKINS // 2, SKINS - 1)]
    assert tones[0] < 0.05 and 0.4 < tones[1] < 0.6 and tones[2] > 0.95


@pytest.mark.parametrize('seed', range(5))
def test_nothing_intersects_the_table_and_the_camera_frames_the_action(seed: int) -> None:
    scene = sample_scene(seed)
    assert len(scene.frames) == FRAMES
    for action in scene.frames:
        assert set(action.hands) <= set(scene.hands)
        for side, state in action.hands.items():
            assert hand_points(scene.hands[side], state)[:, 2].min() > -0.001
        if scene.asset is not None:
            points = transform_points(action.world_from_object, scene.asset.mesh.vertices)
            assert points[:, 2].min() > -0.002
    pixels, depth = scene.camera.project(framed_points(scene.frames, scene.hands, scene.asset))
    inside = np.all((pixels > 0) & (pixels < 256), axis=1) & (depth > 0.05)
    assert inside.mean() > 0.8


def test_hands_touch_objects_without_deep_penetration() -> None:
    deepest, touching, grasps = [], 0, 0
    for seed in range(10):
        scene = sample_scene(seed, motion_share=0.0, frames=2)
        if scene.asset is None or not scene.hands:
            continue
        for side, action in [(s, a) for a in scene.frames for s in a.hands]:
            state = action.hands[side]
            object_from_world = invert_rigid(action.world_from_object)
            keep = ~probes(scene.hands[side]).forearm
            points = hand_points(scene.hands[side], state)[keep]
            gaps = scene.asset.solid.distance(transform_points(object_from_world, points))
            deepest.append(gaps.min())
            touching += gaps.min() < 0.01
            grasps += 1
    assert np.median(deepest) > -0.006 and np.quantile(deepest, 0.15) > -0.02
    assert touching > 0.45 * grasps


@pytest.mark.parametrize('motion_share', [0.0, 1.0])
def test_consecutive_frames_move_smoothly(motion_share: float) -> None:
    scene = sample_scene(10, motion_share=motion_share)
    assert scene.consecutive and scene.hands
    for side in scene.hands:
        places = np.array([a.hands[side].wrist_position for a in scene.frames])
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        assert steps.max() < 0.05 and np.abs(np.diff(steps)).max() < 0.01


@pytest.mark.parametrize('kind', MAKERS)
def test_table_tops_are_tileable_and_vary_with_the_seed(kind: str) -> None:
    make = MAKERS[kind][0]
    first, second = (np.asarray(make(np.random.default_rng(s), 128)) for s in (1, 2))
    assert first.shape == (128, 128, 3) and np.all(np.isfinite(first))
    assert np.abs(first - second).mean() > 0.005
    if kind not in ('paper', 'tiles', 'wood', 'cloth'):  # these have edges inside too
        inner = np.abs(np.diff(first, axis=1)).mean()
        assert np.abs(first[:, 0] - first[:, -1]).mean() < 3 * inner + 0.02


def test_discs_have_the_area_of_their_surface() -> None:
    asset = object_asset('box', 0)
    mesh = asset.mesh
    corners = mesh.vertices[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(cross, axis=1).sum()
    assert asset.discs.area.sum() == pytest.approx(area, rel=1e-3)
    white = hand_discs(np.full((8, 8, 3), 255, np.uint8))
    np.testing.assert_allclose(white['left'].albedo, 1.0, atol=1e-5)
    assert float(srgb_to_linear(np.array(0.5))) == pytest.approx(0.2140, abs=1e-3)


def test_scenes_use_motions_of_their_split() -> None:
    held_out = {m.name for m in motions('test')}
    assert motions('train') and not held_out & {m.name for m in motions('train')}
    scene = sample_scene(1, motion_share=1.0)
    assert scene.asset is not None and scene.object_name not in HELD_OUT_SHAPES
    again = sample_scene(1, motion_share=1.0)
    for a, b in zip(scene.frames, again.frames, strict=True):
        np.testing.assert_array_equal(a.world_from_object, b.world_from_object)
        assert len(a.others) == len(scene.others)


def test_a_mirrored_sample_has_the_mirrored_joints() -> None:
    sample = motions('train')[0].frame(100)
    reflected = mirrored(sample)
    for side, state in sample.hands.items():
        other: Side = 'left' if side == 'right' else 'right'
        points = hand_points(load_hand(side), state)
        image = hand_points(load_hand(other), reflected.hands[other]) * (-1, 1, 1)
        assert np.abs(np.sort(points, 0) - np.sort(image, 0)).max() < 0.003
    for pose in reflected.objects.values():
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0, abs=1e-4)
