"""The latent model: equality with diffusers, effect of each input, windows and streams."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from latent_networks import SMALL, TRUNK, awake, noise, on_meta
from torch import Tensor, nn

from manivideo_ros.model.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent import load, temporal
from manivideo_ros.model.latent.network import (
    LatentConditions,
    LatentManiVideoNet,
    LatentSceneFeatures,
)
from manivideo_ros.model.latent.schedule import ddim_scheduler
from manivideo_ros.model.latent.unet import modules_in_order, sd15_sizes

FRAMES = 5


def conditions_of(config: ModelConfig, frames: int) -> LatentConditions:
    size, layers = config.image_size, config.layers
    return LatentConditions(
        nn.functional.normalize(noise(frames, layers, 3, size, size, seed=2), dim=2),
        noise(frames, layers, size, size, seed=3).clamp(0, 1),
        noise(frames, 3, size, size, seed=4).sigmoid(),
    )


def references(config: ModelConfig) -> tuple[Tensor, ...]:
    view, cells = config.reference_size // 8, config.latent_size[0]
    return (
        noise(1, 6, 4, view, view, seed=5),
        noise(1, 4, view, view, seed=6),
        noise(1, 4, cells, cells, seed=7),
        noise(1, config.num_points, 3, seed=8) * 0.1,
    )


def frame(conditions: LatentConditions, index: int) -> LatentConditions:
    one = slice(index, index + 1)
    assert conditions.skeleton is not None
    return LatentConditions(
        conditions.normal_map[one],
        conditions.occlusion_confidence[one],
        conditions.skeleton[one],
    )


def latents_of(config: ModelConfig, frames: int) -> tuple[Tensor, Tensor]:
    return noise(frames, 4, *config.latent_size), torch.full((frames,), 500)


# Equality with diffusers.


def test_without_references_it_equals_diffusers_image_unet() -> None:
    torch.manual_seed(4)
    unet = UNet2DConditionModel(**sd15_sizes(SMALL), attention_head_dim=TRUNK.attention_head_dim)
    network = LatentManiVideoNet(SMALL)
    load.load_sd15(network, unet.state_dict())
    latents, time = latents_of(SMALL, 2)
    tokens = noise(2, 8, TRUNK.cross_attention_dim)
    scene = LatentSceneFeatures(None, tokens, noise(2, 8, TRUNK.cross_attention_dim))
    with torch.no_grad():
        ours = network.denoise(latents, time, conditions_of(SMALL, 2), scene, motion='none')
        theirs = unet(latents, time, tokens).sample
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert theirs.std() > 0.1


def test_over_a_window_it_equals_diffusers_motion_unet() -> None:
    torch.manual_seed(5)
    unet = UNetMotionModel(
        **sd15_sizes(SMALL),
        num_attention_heads=TRUNK.attention_head_dim,
        motion_num_attention_heads=TRUNK.motion_heads,
        motion_max_seq_length=TRUNK.motion_positions,
    )
    network = LatentManiVideoNet(SMALL)
    image = {key: v for key, v in unet.state_dict().items() if 'motion_modules' not in key}
    load.load_sd15(network, image)
    load.load_motion(network, {k: v for k, v in unet.state_dict().items() if 'motion_modules' in k})
    latents, time = latents_of(SMALL, FRAMES)
    tokens = noise(1, 8, TRUNK.cross_attention_dim)
    scene = LatentSceneFeatures(None, tokens, noise(1, 8, TRUNK.cross_attention_dim))
    with torch.no_grad():
        ours = network.denoise(latents, time, conditions_of(SMALL, FRAMES), scene, FRAMES)
        clip = latents.transpose(0, 1).unsqueeze(0)
        theirs = unet(clip, time[:1], tokens.repeat(FRAMES, 1, 1)).sample[0].transpose(0, 1)
        still = network.denoise(
            latents, time, conditions_of(SMALL, FRAMES), scene, FRAMES, motion='none'
        )
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, still, atol=1e-2)


def test_the_appearance_net_records_the_input_of_each_self_attention() -> None:
    network = awake()
    net = network.appearance
    views, hand_reference, background, _ = references(SMALL)
    seen: list[Tensor] = []
    hooks = [
        transformer.transformer_blocks[0].norm1.register_forward_hook(
            lambda module, inputs, output: seen.append(output)
        )
        for transformer in modules_in_order(net.unet, 'attentions')
    ]
    with torch.no_grad():
        net.unet(background, torch.zeros(1), net.role[7:])
        for hook in hooks:
            hook.remove()
        tokens, appearance = net(views, hand_reference, background)
    cells = background.shape[-1] ** 2
    assert len(tokens) == len(seen) > 0
    for ours, theirs in zip(tokens, seen, strict=True):
        assert torch.allclose(ours[:, -theirs.shape[1] :], theirs, atol=1e-5)
    assert tokens[0].shape[1] == 8 * cells
    assert appearance.shape == (1, 8, TRUNK.cross_attention_dim)


def test_a_block_attends_to_its_own_and_the_reference_tokens() -> None:
    network = awake()
    block = next(modules_in_order(network.unet, 'attentions')).transformer_blocks[0].block
    own = noise(2, 16, block.dim)
    pair = torch.stack([block.attn1.to_k(own), block.attn1.to_v(own)])
    plain = block.attn1(own)
    # With each token twice, the output is the same.
    assert torch.allclose(block.attn1(own, reference=pair), plain, atol=1e-6)
    assert not torch.allclose(block.attn1(own, reference=pair.flip(0)), plain, atol=1e-3)


# Effect of each input.


def test_added_parts_start_at_zero_and_have_an_effect_once_trained() -> None:
    conditions, (latents, time) = conditions_of(SMALL, 1), latents_of(SMALL, 1)
    other = LatentConditions(
        -conditions.normal_map, conditions.occlusion_confidence, conditions.skeleton
    )
    depth = replace(conditions, occlusion_confidence=1 - conditions.occlusion_confidence)
    bones = replace(conditions, skeleton=None)
    fresh, trained = LatentManiVideoNet(SMALL).eval(), awake()
    with torch.no_grad():
        for network, moved in ((fresh, False), (trained, True)):
            scene = network.encode_scene(*references(SMALL))
            base = network.denoise(latents, time, conditions, scene)
            points = replace(scene, point_tokens=scene.point_tokens.flip(-1))
            for changed, features in ((other, scene), (depth, scene), (bones, scene)):
                out = network.denoise(latents, time, changed, features)
                assert torch.allclose(out, base, atol=1e-6) != moved
            assert torch.allclose(network.denoise(latents, time, conditions, points), base) != moved
            for name in ('reference', 'appearance'):  # these use the base model's attentions
                value = getattr(scene, name)
                value = None if name == 'reference' else value.flip(-1)
                features = replace(scene, **{name: value})
                out = network.denoise(latents, time, conditions, features)
                assert not torch.allclose(out, base, atol=1e-4)


def test_a_black_skeleton_map_has_no_effect() -> None:
    network, (latents, time) = awake(), latents_of(SMALL, 1)
    conditions = conditions_of(SMALL, 1)
    assert conditions.skeleton is not None
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        none, black = (
            network.denoise(latents, time, replace(conditions, skeleton=s), scene)
            for s in (None, torch.zeros_like(conditions.skeleton))
        )
    assert torch.equal(black, none)


@pytest.mark.parametrize(
    ('ablation', 'ignored'),
    [
        ({'mlo': 'noise_only'}, 'occlusion_confidence'),
        ({'mlo': 'depth_only'}, 'normal_map'),
        ({'object': 'none'}, 'views'),
    ],
)
def test_an_ablation_ignores_its_input(ablation: dict, ignored: str) -> None:
    network = awake(replace(SMALL, **ablation))
    conditions, (latents, time) = conditions_of(SMALL, 1), latents_of(SMALL, 1)
    views, *others, points = references(SMALL)
    with torch.no_grad():
        scene = network.encode_scene(views, *others, points)
        base = network.denoise(latents, time, conditions, scene)
        if ignored == 'views':
            changed = network.encode_scene(-views, *others, -points)
            assert torch.equal(network.denoise(latents, time, conditions, changed), base)
        else:
            changed = replace(conditions, **{ignored: -getattr(conditions, ignored)})
            assert torch.equal(network.denoise(latents, time, changed, scene), base)


def test_depth_only_depends_on_the_nearest_depth_and_not_on_layers_behind_it() -> None:
    network = awake(replace(SMALL, mlo='depth_only'))
    conditions, (latents, time) = conditions_of(SMALL, 1), latents_of(SMALL, 1)
    depth = conditions.occlusion_confidence
    swapped = replace(conditions, occlusion_confidence=depth[:, [3, 1, 2, 0, 4, 5, 6]])
    nearer = replace(conditions, occlusion_confidence=depth / 2)
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        base, same, other = (
            network.denoise(latents, time, c, scene) for c in (conditions, swapped, nearer)
        )
    assert torch.equal(same, base)
    assert not torch.allclose(other, base, atol=1e-4)


@pytest.mark.parametrize('motion', ['window', 'causal'])
def test_every_trained_part_gets_finite_gradients_with_and_without_checkpointing(
    motion: str,
) -> None:
    network, (latents, time) = awake().train(), latents_of(SMALL, 3)
    results = []
    for checkpointing in (False, True):
        network.gradient_checkpointing = checkpointing
        network.zero_grad()
        scene = network.encode_scene(*references(SMALL))
        out = network.denoise(latents, time, conditions_of(SMALL, 3), scene, 3, motion)  # type: ignore[arg-type]
        out.square().mean().backward()
        gradients = {k: p.grad for k, p in network.named_parameters() if p.requires_grad}
        results.append((out.detach(), gradients))
    (plain, expected), (recomputed, gradients) = results
    assert torch.allclose(plain, recomputed, atol=1e-6)
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.any(), name
        assert torch.allclose(gradient, expected[name], atol=1e-5), name
    frozen = {k for k, p in network.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(
        k.startswith(('appearance.unet.up_blocks.3', 'appearance.unet.conv_')) for k in frozen
    )


# Time.


def test_a_stream_equals_a_causal_window() -> None:
    network = awake()
    conditions, (latents, time) = conditions_of(SMALL, 6), latents_of(SMALL, 6)  # twice the context
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        clip = network.denoise(latents, time, conditions, scene, 6, 'causal')
        caches, valid = network.empty_caches()
        outputs = []
        for i in range(6):
            one, condition = slice(i, i + 1), frame(conditions, i)
            out, caches = network.stream(latents[one], time[one], condition, scene, caches, valid)
            valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
            outputs.append(out)
        still = network.denoise(latents, time, conditions, scene, 6, 'none')
    assert torch.allclose(torch.cat(outputs), clip, atol=1e-5)
    assert not torch.allclose(clip, still, atol=1e-2)


def test_a_stream_in_place_equals_the_stream_and_moves_no_keys() -> None:
    network, context = awake(), SMALL.temporal_context
    count = 2 * context + 4  # more than two rounds of the ring
    conditions, (latents, time) = conditions_of(SMALL, count), latents_of(SMALL, count)
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        (caches, valid), (rings, held) = network.empty_caches(), network.empty_rings()
        for i in range(count):
            one, inputs = slice(i, i + 1), frame(conditions, i)
            expected, caches = network.stream(latents[one], time[one], inputs, scene, caches, valid)
            valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
            place = torch.tensor([i % (context + 1)])
            held[:, place] = 1
            before = [ring.clone() for ring in rings]
            made = network.stream_in_place(
                latents[one], time[one], inputs, scene, rings, held, place
            )
            assert torch.allclose(made, expected, atol=1e-5)
            others = [k for k in range(context + 1) if k != int(place)]
            for ring, old in zip(rings, before, strict=True):
                assert torch.equal(ring[..., others, :], old[..., others, :])


def test_a_window_sees_future_frames_and_causal_attention_does_not() -> None:
    network, (latents, time) = awake(), latents_of(SMALL, FRAMES)
    conditions = conditions_of(SMALL, FRAMES)
    changed = latents.clone()
    changed[-1] += 1
    with torch.no_grad():
        scene = network.encode_scene(*references(SMALL))
        for motion, sees in (('causal', False), ('window', True)):
            first, second = (
                network.denoise(z, time, conditions, scene, FRAMES, motion)[:-1]  # type: ignore[arg-type]
                for z in (latents, changed)
            )
            assert torch.allclose(first, second, atol=1e-6) != sees


def test_causal_attention_of_the_present_frame_equals_animatediffs_last_frame() -> None:
    """Compares the first attention of a module, with its other layers set to zero."""
    module = next(modules_in_order(awake().unet, 'motion_modules'))
    block, frames = module.transformer_blocks[0], SMALL.temporal_context + 1
    for silent in (block.attn2.to_out[0], block.ff.net[2]):
        nn.init.zeros_(silent.weight)
        nn.init.zeros_(silent.bias)
    hidden = noise(frames, module.in_channels, 4, 4)
    with torch.no_grad():
        ours, _ = temporal.causal(module, hidden, frames, SMALL.temporal_context)
        tokens = module.proj_in(module.norm(hidden).flatten(2).permute(2, 0, 1))  # [S, F, C]
        tokens = tokens + block.attn1(block.pos_embed(block.norm1(tokens)))
        theirs = module.proj_out(tokens)[:, -1].T.unflatten(1, (4, 4)) + hidden[-1]
    assert torch.allclose(ours[-1], theirs, atol=1e-5)


def test_a_window_longer_than_the_positions_is_rejected() -> None:
    network, frames = LatentManiVideoNet(SMALL), TRUNK.motion_positions + 1
    width = TRUNK.cross_attention_dim
    scene = LatentSceneFeatures(None, noise(1, 8, width), noise(1, 8, width))
    latents, time = latents_of(SMALL, frames)
    with pytest.raises(ValueError, match='9 frames is too long; the maximum is 8'):
        network.denoise(latents, time, conditions_of(SMALL, 1), scene, frames)


# The schedule and the layers.


def test_the_last_timestep_is_pure_noise_and_sampling_starts_there() -> None:
    scheduler = ddim_scheduler()
    alpha_bar = scheduler.alphas_cumprod
    assert alpha_bar[-1] == 0
    assert all(later < earlier for earlier, later in pairwise(alpha_bar.tolist()))
    scheduler.set_timesteps(30)
    assert scheduler.timesteps[0] == 999
    assert len(scheduler.timesteps) == 30
    clean, drawn = noise(1, 4, 8, 8), noise(1, 4, 8, 8, seed=2)
    last = torch.tensor([999])
    assert torch.allclose(scheduler.add_noise(clean, drawn, last), drawn)
    assert torch.allclose(scheduler.get_velocity(clean, drawn, last), -clean, atol=1e-6)


def test_ddim_with_the_true_velocity_returns_the_clean_latents() -> None:
    scheduler = ddim_scheduler()
    scheduler.set_timesteps(4)
    clean, drawn = noise(1, 4, 8, 8), noise(1, 4, 8, 8, seed=2)
    latents = drawn
    for time in scheduler.timesteps:
        velocity = scheduler.get_velocity(clean, drawn, time.reshape(1))
        latents = scheduler.step(velocity, time, latents).prev_sample
    assert torch.allclose(latents, clean, atol=1e-4)


def test_thirteen_layers_only_widen_the_input_convolutions() -> None:
    seven, thirteen = (on_meta(replace(SMALL, layers=n)).state_dict() for n in (7, 13))
    changed = {key for key in seven if seven[key].shape != thirteen[key].shape}
    assert changed == {'guider.convs.0.weight', 'mlo_embedder.convs.0.weight'}


# Checkpoints.


def test_a_checkpoint_is_restored_and_not_mistaken_for_a_patch_model(tmp_path: Path) -> None:
    network, path = awake(), tmp_path / 'm.safetensors'
    save_checkpoint(network.state_dict(), SMALL, path)
    again = load_network(path)
    assert again.config == SMALL
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    with pytest.raises(CheckpointError, match='preset small is a latent model'):
        load_checkpoint(path)
