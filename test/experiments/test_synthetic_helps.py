"""Synthetic data helps: disjoint sets, paired runs, labels that fit the images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.synthetic_helps import run as synthetic_helps
from experiments.synthetic_helps import runs
from experiments.synthetic_helps.clips import (
    PARTS,
    labelled_frames,
    motion_of_clip,
    sample_clip,
    shapes_of,
    split_of,
)
from experiments.synthetic_helps.comparing import Plan
from experiments.synthetic_helps.crops import CROP, Hands, crop_around, cut, hands_of, in_crop
from experiments.synthetic_helps.data import Data, frames_of
from experiments.synthetic_helps.estimator import (
    INPUT,
    JOINTS,
    HandNet,
    Variety,
    errors,
    expected,
    loss_of,
    shown,
    varied,
)
from experiments.synthetic_helps.gains import error, found, gain
from experiments.synthetic_helps.runs import Clips, Run, measured, training_hands
from experiments.synthetic_helps.training import Recipe, train
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.hand.load import load_hand
from manivideo_ros.objects.household.shapes import HELD_OUT_SHAPES

SHORT = Recipe(steps=2, batch=8)


def some_hands(count, seed=0):
    """Hands whose joints are bright dots."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.3, 0.7, (count, JOINTS, 2)).astype(np.float32)
    images = np.zeros((count, CROP, CROP, 3), np.uint8)
    for image, own in zip(images, points, strict=True):
        for x, y in own:
            image[int(y * CROP), int(x * CROP)] = 255
    return Hands(
        images,
        points,
        np.ones((count, JOINTS), bool),
        np.full(count, 0.5, np.float32),
        np.full(count, 200, np.float32),
        np.arange(count, dtype=np.int32),
    )


def some_clips(count=4, variations=2):
    real = [some_hands(3, n) for n in range(count)]
    made = [[some_hands(2, 100 + 10 * n + v) for v in range(variations)] for n in range(count)]
    kept = [[True] + [False] * (variations - 1)] * count
    held = {part: [some_hands(2, 500 + k) for k in range(3)] for part in ('validation', 'test')}
    return Clips(real, made, kept, held)


def test_the_three_sets_share_no_shape_and_the_test_set_has_the_held_out_ones():
    shapes = {part: set(shapes_of(part)) for part in PARTS}
    assert shapes['test'] == set(HELD_OUT_SHAPES)
    for part in PARTS:
        for other in PARTS:
            assert part == other or not shapes[part] & shapes[other]
    assert all(len(names) >= 4 for names in shapes.values())
    assert [split_of(part) for part in PARTS] == ['train', 'train', 'test']


def test_clips_are_deterministic_and_specific_to_their_set():
    scenes = {part: sample_clip(part, 3, frames=2) for part in PARTS}
    for part, scene in scenes.items():
        assert scene.object_name in shapes_of(part)
        assert scene.hands and len(scene.frames) == 2
    eyes = [scene.camera.camera_from_world for scene in scenes.values()]
    assert not np.allclose(eyes[0], eyes[1]) and not np.allclose(eyes[0], eyes[2])
    again = sample_clip('train', 3, frames=2)
    assert again.object_name == scenes['train'].object_name
    np.testing.assert_array_equal(again.camera.camera_from_world, eyes[0])
    assert len({scene.seed for scene in scenes.values()}) == 3


@pytest.fixture(scope='module')
def rendered():
    scene = sample_clip('train', 1, frames=2)
    return scene, list(labelled_frames(scene))


def test_labels_are_the_projected_poses_and_lie_on_the_hand(rendered):
    scene, frames = rendered
    (side,) = scene.hands
    empty = next(iter(labelled_frames(replace(scene, frames=[replace(scene.frames[0], hands={})]))))
    for action, frame in zip(scene.frames, frames, strict=True):
        own = np.stack([frame.keypoints['u'], frame.keypoints['v']], 1)
        projected = projected_keypoints(load_hand(side), action.hands[side], scene.camera)
        np.testing.assert_allclose(own, projected, atol=1e-3)
    seen = frames[0].keypoints[frames[0].keypoints['visible'] == 1]
    changed = np.abs(frames[0].image.astype(int) - empty.image).max(-1)
    at = changed[seen['v'].astype(int), seen['u'].astype(int)]
    assert len(seen) >= 8 and (at > 12).mean() > 0.8


def test_the_recording_of_a_clip_has_its_poses_and_camera(rendered):
    scene, _ = rendered
    motion = motion_of_clip(scene)
    (side,) = scene.hands
    np.testing.assert_allclose(
        motion.frame(1).hands[side].theta, scene.frames[1].hands[side].theta, atol=1e-6
    )
    assert motion.camera is scene.camera
    assert np.diff(motion.stamps_ns) == pytest.approx([1e8], rel=1e-6)


def test_a_crop_has_fingers_upwards_and_joints_at_their_labels(rendered):
    _, frames = rendered
    points = np.stack([frames[0].keypoints['u'], frames[0].keypoints['v']], 1).astype(float)
    dots = np.zeros((256, 256, 3), np.uint8)
    x, y = points[9].astype(int)
    dots[y - 2 : y + 3, x - 2 : x + 3] = 255
    crop = crop_around(points)
    placed = in_crop(points, crop)
    assert placed[9, 1] < placed[0, 1] and (placed > 0.2).all() and (placed < 0.8).all()
    rows, columns = np.nonzero(cut(dots, crop)[..., 0] > 100)
    middle = (np.array([columns.mean(), rows.mean()]) + 0.5) / CROP
    np.testing.assert_allclose(middle, placed[9], atol=1.5 / CROP)


def test_a_left_hand_is_mirrored_to_a_right_one(rendered):
    _, frames = rendered
    frame = frames[0]
    mirrored = frame.keypoints.copy()
    mirrored['u'] = 256 - mirrored['u']
    mirrored['side'] = 1 - mirrored['side']
    both = [frame, frame._replace(image=frame.image[:, ::-1], keypoints=mirrored)]
    hands = hands_of(both)
    assert len(hands) == 2
    np.testing.assert_allclose(hands.points[0], hands.points[1], atol=1e-5)
    assert np.abs(hands.images[0].astype(int) - hands.images[1]).mean() < 2


def test_augmented_images_agree_with_their_joints():
    hands = some_hands(6)
    random = torch.Generator().manual_seed(0)
    variety = Variety(colour=0.0)
    seen, points, weight = varied(hands, np.arange(6), variety, random)
    cells = (points * INPUT).long().clamp(0, INPUT - 1)
    for image, own, known in zip(seen, cells, weight, strict=True):
        bright = torch.nn.functional.max_pool2d(image.mean(0)[None], 3, 1, 1)[0]
        inside = own[known]
        assert len(inside) > 15
        assert (bright[inside[:, 1], inside[:, 0]] > 0.15).float().mean() > 0.9


def test_the_error_is_relative_to_the_hand_for_any_crop():
    hands = some_hands(5)
    _, points, _ = shown(hands)

    class Off(torch.nn.Module):
        def forward(self, images):
            centres = (torch.arange(16) + 0.5) / 16
            away = (points + torch.tensor([0.02, 0.0])).unsqueeze(-1) - centres
            heat = -0.5 * (away * 16) ** 2
            return heat[..., 1, :, None] + heat[..., 0, None, :]

    off = errors(Off(), hands)
    # 0.02 of the image, which is 0.7 times the zoom of the stored crop; the hand is 0.5 of that.
    assert np.median(off) == pytest.approx(0.02 * 0.7 / 0.5, rel=0.15)
    hidden = replace(hands, visible=np.zeros((5, JOINTS), bool))
    assert np.isnan(errors(Off(), hidden)).all()


def test_the_loss_decreases_towards_ground_truth_and_ignores_joints_without_weight():
    points = torch.full((1, JOINTS, 2), 0.4)
    centres = (torch.arange(16) + 0.5) / 16

    def heat(at):
        bell = -0.5 * ((at - centres) * 16) ** 2
        return (bell[:, None] + bell[None, :]).expand(1, JOINTS, 16, 16)

    all_joints = torch.ones(1, JOINTS)
    assert expected(heat(0.4)).numpy() == pytest.approx(0.4, abs=0.01)
    losses = [float(loss_of(heat(at), points, all_joints)) for at in (0.4, 0.5, 0.7)]
    assert losses[0] < losses[1] < losses[2]
    assert float(loss_of(heat(0.7), points, torch.zeros(1, JOINTS))) == 0


def test_figures_ignore_hidden_joints():
    joints = np.array([[0.05, 0.2, np.nan], [0.05, np.nan, np.nan]])
    assert error(joints) == pytest.approx(10.0)
    assert found(joints) == pytest.approx(200 / 3)
    assert np.isnan(error(np.full((2, 3), np.nan)))


def test_the_interval_contains_the_gain_and_widens_with_the_variance_of_seeds():
    rng = np.random.default_rng(0)
    hard = rng.normal(20, 8, 40)  # clips differ more than arms do: pairing removes that
    first = hard + rng.normal(0, 0.3, (5, 40))
    steady = gain(first, first - 2 + rng.normal(0, 0.3, (5, 40)))
    assert steady.low < -2 < steady.high and steady.high - steady.low < 0.5
    assert steady.per_seed == pytest.approx([-2] * 5, abs=0.3)
    moods = np.array([-4, 4, 0, -3, 3])[:, None]
    unsure = gain(first, first - 2 + moods)
    assert unsure.high - unsure.low > 3
    assert gain(first, first) == (0, 0, 0, (0,) * 5)
    with pytest.raises(ValueError, match='paired'):
        gain(first, first[:, :3])


def test_the_interval_has_about_its_nominal_coverage():
    hits = 0
    for draw in range(60):
        rng = np.random.default_rng(draw)
        effect = 1 + rng.normal(0, 0.6, (5, 1)) + rng.normal(0, 1.5, (1, 40))
        found = gain(np.zeros((5, 40)), effect + rng.normal(0, 1, (5, 40)), seed=draw)
        hits += found.low < 1 < found.high
    assert 46 <= hits <= 60  # somewhat narrow with five seeds


def test_arms_of_a_seed_share_clips_and_seeds_do_not():
    a, b = Run('real', 4, 0, SHORT), Run('both', 4, 0, SHORT)
    assert a.clips() == b.clips() == [0, 1, 2, 3]
    assert not {*Run('real', 16, 0, SHORT).clips()} & {*Run('real', 16, 1, SHORT).clips()}
    new = Run('new', 4, 1, SHORT).new_clips(5)
    assert len({*new}) == 16 and not {*new} & {*range(16, 32)}
    assert len(Run('new', 16, 1, SHORT).new_clips(5)) == 64
    with pytest.raises(ValueError, match='other seeds have 16'):
        Run('new', 16, 0, SHORT).new_clips(2)


def test_each_arm_is_trained_on_its_data():
    clips = some_clips()
    options = {'k': 2, 'seed': 1, 'recipe': SHORT, 'fold': 2, 'variations': 2}
    real, none = training_hands(Run('real', **options), clips)
    assert len(real) == 6 and none is None
    np.testing.assert_array_equal(real.points[:3], clips.train[2].points)
    again, made = training_hands(Run('both', **options), clips)
    np.testing.assert_array_equal(again.points, real.points)
    assert len(made) == 8
    assert len(training_hands(Run('both', gated=True, **options), clips)[1]) == 4
    nothing, alone = training_hands(Run('synthetic', **options), clips)
    assert nothing is None and len(alone) == 8
    options['variations'] = 1
    assert len(training_hands(Run('both', **options), clips)[1]) == 4
    assert len(training_hands(Run('new', **options), clips)[0]) == 6 + 6


def test_all_arms_have_the_same_initial_weights_and_batch_size(monkeypatch):
    seen = []

    class Spy(HandNet):
        def forward(self, images):
            seen.append((len(images), float(self.stem[0].weight.detach().sum())))
            return super().forward(images)

    monkeypatch.setattr('experiments.synthetic_helps.training.HandNet', Spy)
    real, made = some_hands(5), some_hands(9, 3)
    for hands in ((real, None), (real, made), (None, made)):
        train(*hands, SHORT, 7)
    assert seen[0] == seen[2] == seen[4] and [n for n, _ in seen] == [8] * 6


def test_a_run_is_measured_once_and_then_read_from_its_files(tmp_path, monkeypatch):
    clips = some_clips()
    run = Run('both', 2, 0, SHORT, fold=2, variations=2)
    first = measured(run, clips, 'validation', tmp_path)
    assert first[0].shape == (3,)
    trainings = []
    monkeypatch.setattr(runs, 'train', lambda *args: trainings.append(args))
    np.testing.assert_array_equal(measured(run, clips, 'validation', tmp_path), first)
    measured(run, clips, 'test', tmp_path)  # with the stored estimator
    assert trainings == []
    for other in (replace(run, gated=True), replace(run, recipe=Recipe(steps=3)),
                  replace(run, variations=1), replace(run, seed=1)):  # fmt: skip
        assert other.name != run.name


@pytest.mark.long
def test_the_whole_experiment_at_its_smallest(shipped, tmp_path, monkeypatch):
    """A run interrupted after the data does not generate them again."""
    plan = Plan(
        seeds=2, fold=1, ks=(1,), variations=1, validation=1, test=2, choose_by=1, chosen_at=1,
        longer=2, recipes=(SHORT,),
    )  # fmt: skip
    monkeypatch.setattr('experiments.synthetic_helps.data.Data.passing', passes)
    work = tmp_path / 'work'
    synthetic_helps.experiment(plan, Data(work, shipped), tmp_path, 'data')
    made = {file: file.stat().st_mtime_ns for file in work.rglob('*.npz')}
    assert len(made) == 1 + 2 + 2 + 2
    bag = work / 'augmented' / 'clip_0000_seed0'
    hands = hands_of(frames_of(bag))
    np.testing.assert_array_equal(
        hands.points, Hands.read(work / 'synthetic' / f'{bag.name}.npz').points
    )
    synthetic_helps.experiment(plan, Data(work, shipped), tmp_path)
    assert made == {file: file.stat().st_mtime_ns for file in made}
    report = json.loads((tmp_path / 'synthetic_helps.json').read_text())
    row, longer = report['test']
    assert {*row['arms']} == {*runs.ARMS}
    for arm in ('both', 'synthetic', 'new'):
        figures = row['gain_over_real'][arm]['error_percent_of_hand']
        assert figures['low'] <= figures['mean'] <= figures['high']
        assert len(figures['per_seed']) == 2
    assert longer['steps'] == 2 * SHORT.steps and {*longer['arms']} == {*plan.longer_arms}
    assert len(report['tried_on_validation']) == 1 + 5
    assert (tmp_path / 'synthetic_helps.jpg').stat().st_size > 1000


def passes(self, numbers, seeds):
    return [[True for _ in seeds] for _ in numbers]
