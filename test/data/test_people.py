"""Generated people: a body whose arms are the hands' and whose joints the skeleton shows."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from manivideo_ros.data import generator
from manivideo_ros.data.packing import unpack_hand
from manivideo_ros.data.people.scenes import look_of, recorded_person, with_person
from manivideo_ros.data.scenes.scene import Scene, sample_scene
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.data.validation import validate_shards
from manivideo_ros.drawing.people.arms import ARM
from manivideo_ros.drawing.people.painting import PersonColours, paint_person
from manivideo_ros.drawing.skeleton import seen
from manivideo_ros.hand.state import SIDES

SEEDS = range(200, 206)


@pytest.fixture(scope='module')
def scenes() -> list[Scene]:
    return [with_person(sample_scene(seed)) for seed in SEEDS]


def test_a_person_has_both_arms_of_their_length(scenes: list[Scene]) -> None:
    for scene in scenes:
        scale = look_of(scene).scale
        for action in scene.frames:
            assert list(action.hands) == list(SIDES)
            for state in action.hands.values():
                fore = np.linalg.norm(state.elbow - state.wrist_position)
                upper = np.linalg.norm(state.shoulder - state.elbow)
                # Bones keep their proportion where an arm has to stretch.
                assert fore > 0.249 * scale and abs(upper / fore - 1.14) < 0.01


def test_elbows_move_smoothly_over_consecutive_frames() -> None:
    scenes = [
        with_person(sample_scene(seed, frames=12, motion_share=share, consecutive_share=1.0))
        for seed, share in ((301, 0.0), (302, 0.0), (303, 1.0))
    ]
    for scene in scenes:
        for side in SIDES:
            elbows = np.array([a.hands[side].elbow for a in scene.frames])
            wrists = np.array([a.hands[side].wrist_position for a in scene.frames])
            step = np.linalg.norm(np.diff(elbows, axis=0), axis=1)
            moved = np.linalg.norm(np.diff(wrists, axis=0), axis=1)
            assert step.max() < 0.01 + 5 * moved.max()


def test_the_skeleton_shows_the_arms_where_the_camera_sees_them(scenes: list[Scene]) -> None:
    shown = 0
    for scene in scenes:
        assert scene.skeletons is not None
        for action, skeleton in zip(scene.frames, scene.skeletons, strict=True):
            for side, state in action.hands.items():
                joints = np.stack([state.shoulder, state.elbow, state.wrist_position])
                pixels, _ = scene.camera.project(joints)
                points = skeleton[list(ARM[side])]
                there = seen(points)
                np.testing.assert_allclose(points[there, :2], pixels[there], atol=0.01)
                shown += int(there.sum())
    assert shown > 0.6 * len(scenes) * 4 * 6


def test_labels_have_no_body_and_no_hand_in_a_third_of_the_scenes(scenes: list[Scene]) -> None:
    withheld = 0
    for scene in scenes:
        assert scene.labels is not None
        assert all(action.body is None for action in scene.labels)
        withheld += not any(action.hands for action in scene.labels)
    assert 1 <= withheld <= 4


def test_a_scene_is_the_same_for_its_seed_and_another_in_the_other_split() -> None:
    again = [with_person(sample_scene(SEEDS[0])).skeletons for _ in range(2)]
    assert again[0] is not None and again[1] is not None
    np.testing.assert_array_equal(again[0], again[1])
    test = with_person(sample_scene(SEEDS[0], 'test'))
    assert test.skeletons is not None and not np.array_equal(test.skeletons, again[0])


def test_a_bare_arm_says_nothing_of_the_clothes(scenes: list[Scene]) -> None:
    sleeved = scenes[0]
    rng = np.random.default_rng(1)
    bare = recorded_person(rng, replace(sleeved, bare=True))
    assert sleeved.body is not None and bare.body is not None
    assert not np.array_equal(sleeved.body.mesh.texture, bare.body.mesh.texture)


def test_a_detector_misses_some_joints(scenes: list[Scene]) -> None:
    found = [recorded_person(np.random.default_rng(i), scene) for i, scene in enumerate(scenes)]
    before = np.stack([np.stack(s.skeletons or []) for s in scenes])
    after = np.stack([np.stack(s.skeletons or []) for s in found])
    lost = seen(before) & ~seen(after)
    assert 0.02 < lost.sum() / seen(before).sum() < 0.3
    assert not (seen(after) & ~seen(before)).any()
    both = seen(before) & seen(after)
    moved = np.linalg.norm((after - before)[both][:, :2], axis=1)
    assert 0.1 < moved.mean() < 4


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> ShardDataset:
    folder = tmp_path_factory.mktemp('people')
    recipe = generator.Recipe('person', frames=2, size=(128, 128), recorded=True)
    generator.make_shards(folder, 3, SEEDS[0], 'train', 1, recipe)
    return ShardDataset(folder, view_size=64, background_size=128)


def test_a_person_has_layers_and_a_skeleton(data: ShardDataset) -> None:
    assert data.sided.all() and {data.kind(i) for i in range(len(data))} == {'person'}
    for scene in range(len(data)):
        frame = data.frame(scene, 1)
        assert frame['normal_map'].any() and frame['skeleton'].amax() > 0.5
        # The loss mask covers the person, of whom the maps know hands and object alone.
        layers = frame['visible_normal'].abs().sum(0) > 0
        assert frame['mask'][0].sum() > 1.2 * layers.sum()


def test_the_base_is_what_is_painted_from_stored_hands_and_skeleton(data: ShardDataset) -> None:
    """As a stream paints it; hands and object are before it."""
    for scene in range(len(data)):
        frame, behind = data.frame(scene, 0), data._behind(scene, 0)
        layers = frame['visible_normal'].abs().sum(0) > 0
        grown = torch.nn.functional.max_pool2d(layers[None].float(), 5, 1, 2)[0] > 0
        painted = torch.from_numpy(behind).permute(2, 0, 1) / 255
        away = (frame['base'] - painted).abs().amax(0)
        assert away[~grown].max() < 0.004
        background = np.asarray(data.array(scene, 'background'))
        assert (np.abs(behind.astype(int) - background).max(-1) > 8).mean() > 0.05


def test_withheld_hands_are_painted_with_fingers(data: ShardDataset) -> None:
    for scene in range(len(data)):
        given = [unpack_hand(row) is not None for row in data.array(scene, 'hands')[0]]
        points = np.asarray(data.array(scene, 'skeletons')[0])
        for side, wanted in zip(SIDES, given, strict=True):
            grey = np.full((128, 128, 3), 128, np.uint8)
            colours = PersonColours.of(data.hand_reference(scene))
            hands = [s for s, g in zip(SIDES, given, strict=True) if g]
            with_it, _ = paint_person(grey, points, colours, hands)
            without, _ = paint_person(grey, points, colours, [*hands, side])
            assert (
                wanted == np.array_equal(with_it, without)
                or not seen(points[list(ARM[side])]).any()
            )


def test_shards_of_people_are_valid(data: ShardDataset) -> None:
    findings = validate_shards(data.folder)
    assert not findings.problems and any('3 of person' in fact for fact in findings.facts)


def test_a_shard_without_its_skeletons_is_a_finding(tmp_path: Path, data: ShardDataset) -> None:
    copy = tmp_path / 'copy'
    shutil.copytree(data.folder, copy)
    (next(copy.glob('shard_*')) / 'skeletons.npy').unlink()
    assert any('skeletons.npy' in problem for problem in validate_shards(copy).problems)
