"""The network: what it starts as, what it reacts to, windows against streams, checkpoints."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from manivideo_ros.model.config import ModelConfig, PatchTrunk
from manivideo_ros.model.mlo_embedder import visible_normals
from manivideo_ros.model.network import (
    FrameConditions,
    ManiVideoNet,
    SceneFeatures,
)
from manivideo_ros.model.schedule import add_noise, ddim_step, sampling_times, signal_and_noise

SMALL = ModelConfig(
    preset='small',
    image_size=64,
    num_points=32,
    trunk=PatchTrunk(
        channels=(32, 64, 64),
        skip_channels=(16, 32),
        guider_channels=(8, 16, 32),
        embed_dim=32,
        time_dim=64,
    ),
)


def awake(config: ModelConfig = SMALL) -> ManiVideoNet:
    """A network whose zero-initialised parts have been given weights, as training would."""
    torch.manual_seed(0)
    network = ManiVideoNet(config).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return network


def conditions_of(config: ModelConfig, frames: int, seed: int = 1) -> FrameConditions:
    generator = torch.Generator().manual_seed(seed)
    size, layers = config.image_size, config.layers
    normals = torch.randn(frames, layers, 3, size, size, generator=generator)
    confidence = torch.rand(frames, layers, size, size, generator=generator)
    return FrameConditions(
        torch.nn.functional.normalize(normals, dim=2),
        confidence * (confidence > 0.5),
        torch.rand(frames, 3, size, size, generator=generator),
    )


def references(config: ModelConfig) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    r = config.reference_size

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    return (
        draw(1, 6, 3, r, r),
        draw(1, 3, r, r),
        draw(1, 3, r, r),
        draw(1, config.num_points, 3) * 0.1,
    )


def latents_of(config: ModelConfig, frames: int = 1) -> torch.Tensor:
    side = config.trunk_size
    noise = torch.randn(
        1, config.latent_channels, side, side, generator=torch.Generator().manual_seed(3)
    )
    return noise.repeat(frames, 1, 1, 1)


def skeleton_of(config: ModelConfig) -> torch.Tensor:
    size = config.image_size
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(4))


def picture_of(
    network: ManiVideoNet, conditions: FrameConditions, given: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    scene = network.encode_scene(*given)
    return network.denoise(latents_of(network.config), torch.ones(1), conditions, scene)[0]


def test_an_untrained_network_shows_its_base_picture():
    network = ManiVideoNet(SMALL).eval()
    conditions = conditions_of(SMALL, 1)
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        picture, _ = network.denoise(latents_of(SMALL), torch.ones(1), conditions, scene)
    torch.testing.assert_close(picture, conditions.base)


def test_an_untrained_network_without_base_shows_nothing():
    network = ManiVideoNet(replace(SMALL, base='none')).eval()
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        picture, _ = network.denoise(
            latents_of(SMALL), torch.ones(1), conditions_of(SMALL, 1), scene
        )
    assert not picture.any()


@torch.no_grad()
def test_a_window_and_a_stream_give_the_same_pictures():
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
        picture, caches = network.denoise(
            latents[:1], time[:1], one, scene, caches=caches, valid=valid
        )
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        torch.testing.assert_close(picture[0], window[frame], atol=1e-5, rtol=0)


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
@pytest.mark.parametrize('index', range(4), ids=['views', 'background', 'hand_view', 'points'])
def test_every_reference_reaches_the_picture(index):
    network, conditions = awake(), conditions_of(SMALL, 1)
    given = list(references(SMALL))
    pictures = []
    for _ in range(2):
        scene = network.encode_scene(*given)
        pictures.append(network.denoise(latents_of(SMALL), torch.ones(1), conditions, scene)[0])
        given[index] = given[index].flip(-1)
    assert (pictures[0] - pictures[1]).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize('part', ['guider', 'mlo_embedder', 'geometry'])
def test_the_mlo_reaches_the_picture_by_each_of_its_ways(part):
    network, conditions = awake(), conditions_of(SMALL, 1)
    scene = network.encode_scene(*references(SMALL))

    def picture() -> torch.Tensor:
        return network.denoise(latents_of(SMALL), torch.ones(1), conditions, scene)[0]

    before = picture()
    for parameter in getattr(network, part).parameters():
        parameter.zero_()
    assert (picture() - before).abs().max() > 1e-4


@torch.no_grad()
def test_a_rendered_visible_normal_takes_the_place_of_the_resolved_one():
    network, conditions, given = awake(), conditions_of(SMALL, 1), references(SMALL)
    resolved = visible_normals(conditions.normal_map, conditions.occlusion_confidence)[0]
    before = picture_of(network, conditions, given)
    same = picture_of(network, replace(conditions, visible_normal=resolved), given)
    torch.testing.assert_close(same, before)
    other = picture_of(network, replace(conditions, visible_normal=-resolved), given)
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
def test_horizons_stand_beside_the_base_picture_and_are_otherwise_not_known(config, reaches):
    network, conditions, given = awake(config), conditions_of(config, 1), references(config)
    side = config.image_size // 2
    horizon = torch.rand(
        1, HORIZON_DIRECTIONS, side, side, generator=torch.Generator().manual_seed(5)
    )
    before = picture_of(network, conditions, given)
    change = picture_of(network, replace(conditions, horizon=horizon), given) - before
    assert (change.abs().max() > 1e-4) == reaches


# What the ablations leave out.


@torch.no_grad()
def test_without_the_object_its_views_and_points_do_not_reach_the_picture():
    network, conditions = awake(replace(SMALL, object='none')), conditions_of(SMALL, 1)
    views, background, hand_view, points = references(SMALL)
    before = picture_of(network, conditions, (views, background, hand_view, points))
    changed = picture_of(network, conditions, (1 - views, background, hand_view, -points))
    torch.testing.assert_close(changed, before, atol=0, rtol=0)
    others = picture_of(network, conditions, (views, 1 - background, hand_view, points))
    assert (others - before).abs().max() > 1e-4


@torch.no_grad()
def test_noise_only_knows_the_normals_but_not_the_occlusion_confidence():
    network, given = awake(replace(SMALL, mlo='noise_only')), references(SMALL)
    conditions = conditions_of(SMALL, 1)
    before = picture_of(network, conditions, given)
    other = replace(conditions, occlusion_confidence=conditions.occlusion_confidence.flip(1))
    torch.testing.assert_close(picture_of(network, other, given), before, atol=0, rtol=0)
    turned = replace(conditions, normal_map=-conditions.normal_map)
    assert (picture_of(network, turned, given) - before).abs().max() > 1e-4


@torch.no_grad()
def test_depth_only_knows_the_nearest_depth_and_nothing_of_what_lies_behind_it():
    network, given = awake(replace(SMALL, mlo='depth_only')), references(SMALL)
    conditions = conditions_of(SMALL, 1)
    before = picture_of(network, conditions, given)
    swapped = [3, 1, 2, 0, *range(4, SMALL.layers)]
    other = FrameConditions(
        -conditions.normal_map[:, swapped],
        conditions.occlusion_confidence[:, swapped],
        conditions.base,
    )
    torch.testing.assert_close(picture_of(network, other, given), before, atol=0, rtol=0)
    nearer = replace(conditions, occlusion_confidence=conditions.occlusion_confidence / 2)
    assert (picture_of(network, nearer, given) - before).abs().max() > 1e-4


@torch.no_grad()
def test_the_full_mlo_tells_two_swapped_layers_apart():
    network, conditions, given = awake(), conditions_of(SMALL, 1), references(SMALL)
    swapped = [3, 1, 2, 0, *range(4, SMALL.layers)]
    other = replace(conditions, occlusion_confidence=conditions.occlusion_confidence[:, swapped])
    change = picture_of(network, other, given) - picture_of(network, conditions, given)
    assert change.abs().max() > 1e-4


# The skeleton.


@torch.no_grad()
def test_the_skeleton_guider_starts_at_zero_and_reaches_the_picture_once_trained():
    human, given = replace(SMALL, human=True), references(SMALL)
    skeleton = skeleton_of(SMALL)
    assert not ManiVideoNet(human).guide_skeleton(skeleton).any()
    network, conditions = awake(human), conditions_of(SMALL, 1)
    with_skeleton = picture_of(network, replace(conditions, skeleton=skeleton), given)
    assert (with_skeleton - picture_of(network, conditions, given)).abs().max() > 1e-4


@torch.no_grad()
def test_a_black_skeleton_map_is_no_skeleton_and_a_fading_one_nears_it():
    network, conditions = awake(replace(SMALL, human=True)), conditions_of(SMALL, 1)
    skeleton, given = skeleton_of(SMALL), references(SMALL)
    none = picture_of(network, conditions, given)
    black = picture_of(network, replace(conditions, skeleton=0 * skeleton), given)
    torch.testing.assert_close(black, none, atol=0, rtol=0)
    faint = picture_of(network, replace(conditions, skeleton=1e-4 * skeleton), given)
    whole = picture_of(network, replace(conditions, skeleton=skeleton), given)
    assert (faint - none).abs().max() < 0.01 * (whole - none).abs().max()


@torch.no_grad()
def test_a_guide_at_hand_is_as_good_as_its_skeleton():
    network, conditions = awake(replace(SMALL, human=True)), conditions_of(SMALL, 1)
    skeleton, scene = skeleton_of(SMALL), network.encode_scene(*references(SMALL))
    given = (latents_of(SMALL), torch.ones(1))
    drawn, _ = network.denoise(*given, replace(conditions, skeleton=skeleton), scene)
    guide = network.guide_skeleton(skeleton)
    guided, _ = network.denoise(*given, conditions, scene, skeleton_guide=guide)
    torch.testing.assert_close(guided, drawn, atol=0, rtol=0)


def test_human_adds_the_skeleton_guider_and_nothing_else():
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


def test_pure_noise_holds_nothing_of_the_picture():
    clean, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(add_noise(clean, noise, torch.ones(2)), noise, atol=1e-6, rtol=0)
    alpha, sigma = signal_and_noise(torch.linspace(0, 1, 9))
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(9))


def test_ddim_with_the_true_picture_arrives_at_it():
    clean, noise = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    latents, times = noise, [*sampling_times(4), 0.0]
    for now, after in pairwise(times):
        expected = add_noise(clean, noise, torch.full((1,), now))
        torch.testing.assert_close(latents, expected, atol=1e-5, rtol=0)
        latents = ddim_step(latents, clean, now, after)
    torch.testing.assert_close(latents, clean, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_checkpoint_comes_back_within_half_precision(tmp_path):
    network = awake()
    save_checkpoint(network.state_dict(), SMALL, tmp_path / 'm.safetensors')
    again = load_checkpoint(tmp_path / 'm.safetensors')
    assert again.config == SMALL
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_a_missing_truncated_or_foreign_checkpoint_is_named(tmp_path):
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


def test_scene_features_repeat_for_the_frames_of_clips():
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
