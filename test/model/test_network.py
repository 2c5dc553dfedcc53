"""The patch model: initial output, effect of each input, windows and streams, checkpoints."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from networks import SMALL, awake, conditions_of, latents_of, references, skeleton_of

from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from manivideo_ros.model.patch.mlo_embedder import visible_normals
from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet, SceneFeatures
from manivideo_ros.model.patch.schedule import (
    add_noise,
    ddim_step,
    sampling_times,
    signal_and_noise,
)


def image_of(
    network: ManiVideoNet, conditions: FrameConditions, images: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    scene = network.encode_scene(*images)
    return network.denoise(latents_of(network.config), torch.ones(1), conditions, scene)[0]


def test_an_untrained_network_returns_its_base_image():
    network = ManiVideoNet(SMALL).eval()
    conditions = conditions_of(SMALL, 1)
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        image, _ = network.denoise(latents_of(SMALL), torch.ones(1), conditions, scene)
    torch.testing.assert_close(image, conditions.base)


def test_an_untrained_network_without_base_returns_zeros():
    network = ManiVideoNet(replace(SMALL, base='none')).eval()
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        image, _ = network.denoise(latents_of(SMALL), torch.ones(1), conditions_of(SMALL, 1), scene)
    assert not image.any()


@torch.no_grad()
def test_a_window_and_a_stream_give_the_same_images():
    network, frames = awake(), 2 * SMALL.temporal_context
    conditions = conditions_of(SMALL, frames)
    scene = network.encode_scene(*references(SMALL))
    latents, time = latents_of(SMALL, frames), torch.ones(frames)
    window, _ = network.denoise(latents, time, conditions, scene.repeat(frames), frames=frames)
    caches, valid = network.empty_caches()
    for frame in range(frames):
        one = FrameConditions(
            *(
                x[frame : frame + 1]
                for x in (conditions.normal_map, conditions.occlusion_confidence, conditions.base)
            )
        )
        image, caches = network.denoise(
            latents[:1], time[:1], one, scene, caches=caches, valid=valid
        )
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        torch.testing.assert_close(image[0], window[frame], atol=1e-5, rtol=0)


@torch.no_grad()
def test_later_frames_do_not_change_earlier_ones():
    network, frames = awake(), 4
    scene = network.encode_scene(*references(SMALL)).repeat(frames)
    conditions = conditions_of(SMALL, frames)
    changed = conditions_of(SMALL, frames)
    changed.normal_map[-1] *= -1
    first, second = (
        network.denoise(latents_of(SMALL, frames), torch.ones(frames), c, scene, frames=frames)[0]
        for c in (conditions, changed)
    )
    torch.testing.assert_close(first[:-1], second[:-1])
    assert not torch.allclose(first[-1], second[-1])


@torch.no_grad()
@pytest.mark.parametrize('index', range(4), ids=['views', 'background', 'hand_reference', 'points'])
def test_every_reference_affects_the_image(index):
    network, conditions = awake(), conditions_of(SMALL, 1)
    given = list(references(SMALL))
    images = []
    for _ in range(2):
        scene = network.encode_scene(*given)
        images.append(network.denoise(latents_of(SMALL), torch.ones(1), conditions, scene)[0])
        given[index] = given[index].flip(-1)
    assert (images[0] - images[1]).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize('part', ['guider', 'mlo_embedder', 'geometry'])
def test_every_embedder_of_the_mlo_affects_the_image(part):
    network, conditions = awake(), conditions_of(SMALL, 1)
    scene = network.encode_scene(*references(SMALL))

    def image() -> torch.Tensor:
        return network.denoise(latents_of(SMALL), torch.ones(1), conditions, scene)[0]

    before = image()
    for parameter in getattr(network, part).parameters():
        parameter.zero_()
    assert (image() - before).abs().max() > 1e-4


@torch.no_grad()
def test_a_rendered_visible_normal_replaces_the_computed_one():
    network, conditions, given = awake(), conditions_of(SMALL, 1), references(SMALL)
    resolved = visible_normals(conditions.normal_map, conditions.occlusion_confidence)[0]
    before = image_of(network, conditions, given)
    same = image_of(network, replace(conditions, visible_normal=resolved), given)
    torch.testing.assert_close(same, before)
    other = image_of(network, replace(conditions, visible_normal=-resolved), given)
    assert (other - before).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize(
    ('config', 'reaches'),
    [
        (SMALL, True),
        (replace(SMALL, base='none'), False),
        (replace(SMALL, mlo='depth_only'), False),
    ],
    ids=['painted', 'no base', 'depth only'],
)
def test_horizons_affect_the_image_only_with_base_image_and_normals(config, reaches):
    network, conditions, given = awake(config), conditions_of(config, 1), references(config)
    side = config.image_size // 2
    horizon = torch.rand(
        1, HORIZON_DIRECTIONS, side, side, generator=torch.Generator().manual_seed(5)
    )
    before = image_of(network, conditions, given)
    change = image_of(network, replace(conditions, horizon=horizon), given) - before
    assert (change.abs().max() > 1e-4) == reaches


# Ablations.


@torch.no_grad()
def test_without_the_object_its_views_and_points_have_no_effect():
    network, conditions = awake(replace(SMALL, object='none')), conditions_of(SMALL, 1)
    views, background, hand_reference, points = references(SMALL)
    before = image_of(network, conditions, (views, background, hand_reference, points))
    changed = image_of(network, conditions, (1 - views, background, hand_reference, -points))
    torch.testing.assert_close(changed, before, atol=0, rtol=0)
    others = image_of(network, conditions, (views, 1 - background, hand_reference, points))
    assert (others - before).abs().max() > 1e-4


@torch.no_grad()
def test_noise_only_depends_on_normals_but_not_on_the_occlusion_confidence():
    network, given = awake(replace(SMALL, mlo='noise_only')), references(SMALL)
    conditions = conditions_of(SMALL, 1)
    before = image_of(network, conditions, given)
    other = replace(conditions, occlusion_confidence=conditions.occlusion_confidence.flip(1))
    torch.testing.assert_close(image_of(network, other, given), before, atol=0, rtol=0)
    turned = replace(conditions, normal_map=-conditions.normal_map)
    assert (image_of(network, turned, given) - before).abs().max() > 1e-4


@torch.no_grad()
def test_depth_only_depends_on_the_nearest_depth_and_not_on_layers_behind_it():
    network, given = awake(replace(SMALL, mlo='depth_only')), references(SMALL)
    conditions = conditions_of(SMALL, 1)
    before = image_of(network, conditions, given)
    swapped = [3, 1, 2, 0, *range(4, SMALL.layers)]
    other = FrameConditions(
        -conditions.normal_map[:, swapped],
        conditions.occlusion_confidence[:, swapped],
        conditions.base,
    )
    torch.testing.assert_close(image_of(network, other, given), before, atol=0, rtol=0)
    nearer = replace(conditions, occlusion_confidence=conditions.occlusion_confidence / 2)
    assert (image_of(network, nearer, given) - before).abs().max() > 1e-4


@torch.no_grad()
def test_the_full_mlo_distinguishes_two_swapped_layers():
    network, conditions, given = awake(), conditions_of(SMALL, 1), references(SMALL)
    swapped = [3, 1, 2, 0, *range(4, SMALL.layers)]
    other = replace(conditions, occlusion_confidence=conditions.occlusion_confidence[:, swapped])
    change = image_of(network, other, given) - image_of(network, conditions, given)
    assert change.abs().max() > 1e-4


# The skeleton.


@torch.no_grad()
def test_the_skeleton_guider_starts_at_zero_and_has_an_effect_once_trained():
    human, given = replace(SMALL, human=True), references(SMALL)
    skeleton = skeleton_of(SMALL)
    assert not ManiVideoNet(human).guide_skeleton(skeleton).any()
    network, conditions = awake(human), conditions_of(SMALL, 1)
    with_skeleton = image_of(network, replace(conditions, skeleton=skeleton), given)
    assert (with_skeleton - image_of(network, conditions, given)).abs().max() > 1e-4


@torch.no_grad()
def test_a_black_skeleton_map_has_no_effect_and_a_faint_one_has_little():
    network, conditions = awake(replace(SMALL, human=True)), conditions_of(SMALL, 1)
    skeleton, given = skeleton_of(SMALL), references(SMALL)
    none = image_of(network, conditions, given)
    black = image_of(network, replace(conditions, skeleton=0 * skeleton), given)
    torch.testing.assert_close(black, none, atol=0, rtol=0)
    faint = image_of(network, replace(conditions, skeleton=1e-4 * skeleton), given)
    whole = image_of(network, replace(conditions, skeleton=skeleton), given)
    assert (faint - none).abs().max() < 0.01 * (whole - none).abs().max()


@torch.no_grad()
def test_a_precomputed_guide_equals_its_skeleton():
    network, conditions = awake(replace(SMALL, human=True)), conditions_of(SMALL, 1)
    skeleton, scene = skeleton_of(SMALL), network.encode_scene(*references(SMALL))
    noisy = (latents_of(SMALL), torch.ones(1))
    drawn, _ = network.denoise(*noisy, replace(conditions, skeleton=skeleton), scene)
    guide = network.guide_skeleton(skeleton)
    guided, _ = network.denoise(*noisy, conditions, scene, skeleton_guide=guide)
    torch.testing.assert_close(guided, drawn, atol=0, rtol=0)


def test_human_adds_only_the_skeleton_guider():
    plain, human = (ManiVideoNet(replace(SMALL, human=h)).state_dict() for h in (False, True))
    assert {name.split('.')[0] for name in human.keys() - plain.keys()} == {'skeleton_guider'}
    assert plain.keys() <= human.keys()


def test_the_visible_normal_is_that_of_the_most_confident_layer():
    conditions = conditions_of(SMALL, 2)
    visible, mask = visible_normals(conditions.normal_map, conditions.occlusion_confidence)
    best = conditions.occlusion_confidence.argmax(1)
    for frame, row, column in ((0, 5, 7), (1, 40, 3), (1, 63, 63)):
        seen = best[frame, row, column]
        if conditions.occlusion_confidence[frame, seen, row, column] > 0:
            expected = conditions.normal_map[frame, seen, :, row, column]
            torch.testing.assert_close(visible[frame, :, row, column], expected)
    torch.testing.assert_close(mask[:, 0] > 0, conditions.occlusion_confidence.amax(1) > 0)


def test_pure_noise_does_not_depend_on_the_image():
    clean, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(add_noise(clean, noise, torch.ones(2)), noise, atol=1e-6, rtol=0)
    alpha, sigma = signal_and_noise(torch.linspace(0, 1, 9))
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(9))


def test_ddim_with_the_true_image_converges_to_it():
    clean, noise = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    latents, times = noise, [*sampling_times(4), 0.0]
    for now, after in pairwise(times):
        expected = add_noise(clean, noise, torch.full((1,), now))
        torch.testing.assert_close(latents, expected, atol=1e-5, rtol=0)
        latents = ddim_step(latents, clean, now, after)
    torch.testing.assert_close(latents, clean, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_checkpoint_is_restored_within_half_precision(tmp_path):
    network = awake()
    save_checkpoint(network.state_dict(), SMALL, tmp_path / 'm.safetensors')
    again = load_checkpoint(tmp_path / 'm.safetensors')
    assert again.config == SMALL
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_a_missing_truncated_or_foreign_checkpoint_is_rejected(tmp_path):
    path = tmp_path / 'm.safetensors'
    with pytest.raises(CheckpointError, match='does not exist'):
        load_checkpoint(path)
    state = awake().state_dict()
    save_checkpoint(state, SMALL, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_checkpoint(path)
    state['stranger'] = state.pop('head.bias')
    save_checkpoint(state, SMALL, path)
    with pytest.raises(CheckpointError, match=r'head\.bias.*stranger'):
        load_checkpoint(path)


def test_scene_features_are_repeated_for_the_frames_of_clips():
    features = SceneFeatures(
        torch.arange(2.0).view(1, 1, 2, 1, 1),
        torch.arange(2.0)[:, None],
        torch.zeros(2, 16, 3),
        torch.zeros(2, 3, 1, 1),
        torch.zeros(2, 3, 8),
        torch.zeros(2, 8, 1),
    )
    assert features.repeat(3).appearance.flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert features.repeat(3).reference.flatten().tolist() == [0, 0, 0, 1, 1, 1]
