"""The latent network: what it equals, what it reacts to, streams, and published weights."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from safetensors.torch import save_file
from torch import Tensor, nn

from manivideo_ros.model.paper import load, temporal
from manivideo_ros.model.paper.autoencoder import autoencoder, decode, encode
from manivideo_ros.model.paper.config import PaperConfig
from manivideo_ros.model.paper.network import (
    LatentConditions,
    LatentManiVideoNet,
    LatentSceneFeatures,
)
from manivideo_ros.model.paper.schedule import ddim_scheduler
from manivideo_ros.model.paper.unet import modules_in_order, sd15_sizes

SMALL = PaperConfig.small()
FRAMES = 5

# The published configurations (unet/config.json, config.json of sd-vae-ft-mse), by hand.
SD15_UNET = {
    'sample_size': 64,
    'in_channels': 4,
    'out_channels': 4,
    'center_input_sample': False,
    'flip_sin_to_cos': True,
    'freq_shift': 0,
    'down_block_types': ('CrossAttnDownBlock2D',) * 3 + ('DownBlock2D',),
    'up_block_types': ('UpBlock2D',) + ('CrossAttnUpBlock2D',) * 3,
    'block_out_channels': (320, 640, 1280, 1280),
    'layers_per_block': 2,
    'downsample_padding': 1,
    'mid_block_scale_factor': 1,
    'act_fn': 'silu',
    'norm_num_groups': 32,
    'norm_eps': 1e-5,
    'cross_attention_dim': 768,
    'attention_head_dim': 8,
}
SD_VAE = {
    'in_channels': 3,
    'out_channels': 3,
    'down_block_types': ('DownEncoderBlock2D',) * 4,
    'up_block_types': ('UpDecoderBlock2D',) * 4,
    'block_out_channels': (128, 256, 512, 512),
    'layers_per_block': 2,
    'act_fn': 'silu',
    'latent_channels': 4,
    'norm_num_groups': 32,
    'sample_size': 256,
}


def awake(config: PaperConfig = SMALL) -> LatentManiVideoNet:
    """A network whose zero-initialised parts have been given weights, as training would."""
    torch.manual_seed(0)
    network = LatentManiVideoNet(config).eval()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return network


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditions_of(config: PaperConfig, frames: int) -> LatentConditions:
    size, layers = config.image_size, config.layers
    return LatentConditions(
        nn.functional.normalize(noise(frames, layers, 3, size, size, seed=2), dim=2),
        noise(frames, layers, size, size, seed=3).clamp(0, 1),
        noise(frames, 3, size, size, seed=4).sigmoid(),
    )


def references(config: PaperConfig) -> tuple[Tensor, ...]:
    view, cells = config.view_size // 8, config.latent_size
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


def latents_of(config: PaperConfig, frames: int) -> tuple[Tensor, Tensor]:
    return noise(frames, 4, config.latent_size, config.latent_size), torch.full((frames,), 500)


def on_meta(config: PaperConfig) -> LatentManiVideoNet:
    with torch.device('meta'):
        return LatentManiVideoNet(config)


def shapes(state: load.State) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items()}


def target_shapes(targets: load.Targets) -> dict[str, torch.Size]:
    for key, tensors in targets.items():
        assert len({tensor.shape for tensor in tensors}) == 1, key
    return {key: tensors[0].shape for key, tensors in targets.items()}


def as_animatediff(state: load.State) -> dict[str, Tensor]:
    """A MotionAdapter's weights in AnimateDiff's own layout, 28 keys a module."""
    original = {}
    for key, value in state.items():
        head, module, rest = key.partition('motion_modules.')
        number, _, rest = rest.partition('.')
        rest = rest.replace('norm1.', 'norms.0.').replace('norm2.', 'norms.1.')
        rest = rest.replace('norm3.', 'ff_norm.').replace('attn1.', 'attention_blocks.0.')
        rest = rest.replace('attn2.', 'attention_blocks.1.')
        for attention in (0, 1):
            pe = f'attention_blocks.{attention}.pos_encoder.pe'
            name = f'{head}{module}{number}.temporal_transformer.{rest}'
            original[name.replace('pos_embed.pe', pe)] = value
    return original


def as_old_vae(state: load.State) -> dict[str, Tensor]:
    names = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value', 'to_out.0': 'proj_attn'}
    old = {}
    for key, value in state.items():
        for new_name, old_name in names.items():
            key = key.replace(f'.{new_name}.', f'.{old_name}.')
        old[key] = value
    return old


# Published layouts, key by key, at full size.


@pytest.fixture(scope='module')
def full() -> LatentManiVideoNet:
    return on_meta(PaperConfig())


def test_sd15_fills_the_image_layers_and_the_appearance_net(full: LatentManiVideoNet) -> None:
    with torch.device('meta'):
        published = UNet2DConditionModel(**SD15_UNET).state_dict()
    targets = load.sd15_targets(full)
    assert len(published) == 686
    assert target_shapes(targets) == shapes(published)
    assert all(len(tensors) == 2 for tensors in targets.values())  # the denoiser and R
    load.load_sd15(full, published)


def test_animatediff_fills_the_motion_modules_in_both_layouts(full: LatentManiVideoNet) -> None:
    with torch.device('meta'):
        published = MotionAdapter().state_dict()
    weights = {key: v for key, v in published.items() if not key.endswith('pos_embed.pe')}
    assert target_shapes(load.motion_targets(full)) == shapes(weights)
    original = as_animatediff(published)
    assert len(original) == 21 * 28
    head = 'down_blocks.0.motion_modules.0.temporal_transformer'
    block = f'{head}.transformer_blocks.0'
    assert {
        f'{head}.norm.weight',
        f'{head}.proj_in.bias',
        f'{block}.attention_blocks.0.to_q.weight',
        f'{block}.attention_blocks.1.to_out.0.bias',
        f'{block}.attention_blocks.1.pos_encoder.pe',
        f'{block}.norms.1.weight',
        f'{block}.ff.net.0.proj.weight',
        f'{block}.ff.net.2.bias',
        f'{block}.ff_norm.weight',
        f'{head}.proj_out.weight',
        'mid_block.motion_modules.0.temporal_transformer.norm.bias',
    } <= original.keys()
    renamed = {load._from_animatediff(key) for key in original if 'pos_encoder' not in key}
    assert renamed == weights.keys()


def test_sd_vae_fills_the_autoencoder_under_old_and_new_names() -> None:
    with torch.device('meta'):
        published = AutoencoderKL(**SD_VAE).state_dict()
        vae = autoencoder(PaperConfig())
    assert len(published) == 248
    assert target_shapes(load.vae_targets(vae)) == shapes(published)
    old = as_old_vae(published)
    assert 'decoder.mid_block.attentions.0.proj_attn.weight' in old
    assert len(old.keys() - published.keys()) == 16
    load.load_vae(vae, published)
    load.load_vae(vae, old)


def test_parameters_of_the_presets(full: LatentManiVideoNet) -> None:
    def millions(module: nn.Module) -> float:
        return sum(parameter.numel() for parameter in module.parameters()) / 1e6

    assert millions(full.appearance.unet) == pytest.approx(859.52, abs=0.01)  # SD 1.5
    motion = sum(tensors[0].numel() for tensors in load.motion_targets(full).values()) / 1e6
    assert motion == pytest.approx(453.21, abs=0.01)  # mm_sd_v15_v2
    assert millions(full) == pytest.approx(2278.5, abs=0.1)
    assert millions(on_meta(PaperConfig.base())) == pytest.approx(212.9, abs=0.1)


# Loading.


def small_unet_state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    unet = UNet2DConditionModel(**sd15_sizes(SMALL), attention_head_dim=SMALL.attention_head_dim)
    return unet.state_dict()


def small_motion_state(**sizes: object) -> dict[str, Tensor]:
    torch.manual_seed(2)
    known = {
        'block_out_channels': SMALL.block_out_channels,
        'motion_layers_per_block': SMALL.layers_per_block,
        'motion_num_attention_heads': SMALL.motion_heads,
        'motion_norm_num_groups': SMALL.norm_groups,
        'motion_max_seq_length': SMALL.motion_positions,
    }
    return MotionAdapter(**(known | sizes)).state_dict()


@pytest.mark.parametrize('layout', ['diffusers', 'animatediff', 'half precision'])
def test_loaded_motion_modules_hold_the_files_weights(layout: str) -> None:
    network, state = LatentManiVideoNet(SMALL), small_motion_state()
    given = as_animatediff(state) if layout == 'animatediff' else state
    if layout == 'half precision':
        given = {key: value.half() for key, value in state.items()}
    load.load_motion(network, given)
    own = network.unet.state_dict()
    assert all(torch.allclose(own[key], value, atol=2e-3) for key, value in state.items())


def test_loaded_autoencoder_is_the_files_under_either_name() -> None:
    torch.manual_seed(3)
    published, vae = autoencoder(SMALL), autoencoder(SMALL)
    load.load_vae(vae, as_old_vae(published.state_dict()))
    image = noise(1, 3, 64, 64).sigmoid()
    latents = encode(published, image)
    assert latents.shape == (1, 4, 8, 8)
    assert torch.equal(encode(vae, image), latents)
    assert torch.equal(decode(vae, latents), decode(published, latents))


def test_a_key_that_is_missing_or_unexpected_is_named_and_nothing_is_written() -> None:
    network = LatentManiVideoNet(SMALL)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    missing = small_unet_state()
    del missing['mid_block.attentions.0.proj_in.weight']
    with pytest.raises(
        load.WeightsError, match=r'unet\.bin: mid_block.attentions.0.proj_in.weight m'
    ):
        load.load_sd15(network, missing, 'unet.bin')
    unexpected = small_unet_state() | {'class_embedding.weight': torch.zeros(1)}
    with pytest.raises(load.WeightsError, match=r'class_embedding\.weight unexpected'):
        load.load_sd15(network, unexpected)
    narrow = small_unet_state() | {'conv_in.bias': torch.zeros(3)}
    with pytest.raises(load.WeightsError, match=r'conv_in\.bias has the shape \(3,\)'):
        load.load_sd15(network, narrow)
    motion = as_animatediff(small_motion_state())
    lost = 'up_blocks.1.motion_modules.0.temporal_transformer.proj_out.weight'
    wanted = 'up_blocks.1.motion_modules.0.proj_out.weight missing'
    with pytest.raises(load.WeightsError, match=wanted):
        load.load_motion(network, {key: v for key, v in motion.items() if key != lost})
    with pytest.raises(load.WeightsError, match=r'temporal_transformer\.extra unexpected'):
        load.load_motion(network, motion | {'temporal_transformer.extra': torch.zeros(1)})
    vae = autoencoder(SMALL)
    twice = as_old_vae(vae.state_dict()) | vae.state_dict()
    with pytest.raises(load.WeightsError, match='are the same weight'):
        load.load_vae(vae, twice)
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_motion_modules_of_another_build_are_told_what_to_set() -> None:
    network = LatentManiVideoNet(SMALL)
    first_version = small_motion_state(use_motion_mid_block=False)
    with pytest.raises(load.WeightsError, match=r'mid_block.*missing.*set motion_mid_block: false'):
        load.load_motion(network, first_version)
    load.load_motion(LatentManiVideoNet(replace(SMALL, motion_mid_block=False)), first_version)
    with pytest.raises(load.WeightsError, match=r'pos_embed\.pe.*set motion_positions: 6'):
        load.load_motion(network, small_motion_state(motion_max_seq_length=6))
    state = as_animatediff(small_motion_state())
    key = next(key for key in state if 'pos_encoder' in key)
    with pytest.raises(load.WeightsError, match=r'pos_encoder\.pe is not'):
        load.load_motion(network, state | {key: state[key] + 0.1})


def test_weight_files(tmp_path) -> None:
    state = {'a.weight': torch.ones(2)}
    save_file(state, tmp_path / 'a.safetensors')
    torch.save({'epoch': 3, 'state_dict': {'module.a.weight': torch.ones(2)}}, tmp_path / 'a.ckpt')
    for name in ('a.safetensors', 'a.ckpt'):
        read = load.read_weights(tmp_path / name)
        assert read.keys() == state.keys()
        assert torch.equal(read['a.weight'], state['a.weight'])
    torch.save({'code': Tricky()}, tmp_path / 'tricky.bin')
    with pytest.raises(load.WeightsError, match=r'tricky\.bin hold more than tensors'):
        load.read_weights(tmp_path / 'tricky.bin')
    (tmp_path / 'cut.safetensors').write_bytes(b'12345678abc')
    with pytest.raises(load.WeightsError, match=r'cut\.safetensors cannot be read'):
        load.read_weights(tmp_path / 'cut.safetensors')
    with pytest.raises(load.WeightsError, match=r'none\.bin do not exist'):
        load.read_weights(tmp_path / 'none.bin')


class Tricky:
    """An object, which only a pickle that runs code can hold."""


# What the network equals.


def test_without_references_it_is_diffusers_image_unet() -> None:
    torch.manual_seed(4)
    unet = UNet2DConditionModel(**sd15_sizes(SMALL), attention_head_dim=SMALL.attention_head_dim)
    network = LatentManiVideoNet(SMALL)
    load.load_sd15(network, unet.state_dict())
    latents, time = latents_of(SMALL, 2)
    tokens = noise(2, 8, SMALL.cross_attention_dim)
    scene = LatentSceneFeatures(None, tokens, noise(2, 8, SMALL.cross_attention_dim))
    with torch.no_grad():
        ours = network.denoise(latents, time, conditions_of(SMALL, 2), scene, motion='none')
        theirs = unet(latents, time, tokens).sample
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert theirs.std() > 0.1


def test_over_a_window_it_is_diffusers_motion_unet() -> None:
    torch.manual_seed(5)
    unet = UNetMotionModel(
        **sd15_sizes(SMALL),
        num_attention_heads=SMALL.attention_head_dim,
        motion_num_attention_heads=SMALL.motion_heads,
        motion_max_seq_length=SMALL.motion_positions,
    )
    network = LatentManiVideoNet(SMALL)
    image = {key: v for key, v in unet.state_dict().items() if 'motion_modules' not in key}
    load.load_sd15(network, image)
    load.load_motion(network, {k: v for k, v in unet.state_dict().items() if 'motion_modules' in k})
    latents, time = latents_of(SMALL, FRAMES)
    tokens = noise(1, 8, SMALL.cross_attention_dim)
    scene = LatentSceneFeatures(None, tokens, noise(1, 8, SMALL.cross_attention_dim))
    with torch.no_grad():
        ours = network.denoise(latents, time, conditions_of(SMALL, FRAMES), scene, FRAMES)
        clip = latents.transpose(0, 1).unsqueeze(0)
        theirs = unet(clip, time[:1], tokens.repeat(FRAMES, 1, 1)).sample[0].transpose(0, 1)
        still = network.denoise(
            latents, time, conditions_of(SMALL, FRAMES), scene, FRAMES, motion='none'
        )
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, still, atol=1e-2)


def test_the_appearance_net_keeps_what_each_self_attention_of_sd15_is_given() -> None:
    network = awake()
    net = network.appearance
    views, hand_view, background, _ = references(SMALL)
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
        tokens, appearance = net(views, hand_view, background)
    cells = background.shape[-1] ** 2
    assert len(tokens) == len(seen) > 0
    for ours, theirs in zip(tokens, seen, strict=True):
        assert torch.allclose(ours[:, -theirs.shape[1] :], theirs, atol=1e-5)
    assert tokens[0].shape[1] == 8 * cells
    assert appearance.shape == (1, 8, SMALL.cross_attention_dim)


def test_reference_tokens_stand_beside_the_blocks_own() -> None:
    network = awake()
    block = next(modules_in_order(network.unet, 'attentions')).transformer_blocks[0].block
    own = noise(2, 16, block.dim)
    pair = torch.stack([block.attn1.to_k(own), block.attn1.to_v(own)])
    plain = block.attn1(own)
    assert torch.allclose(block.attn1(own, reference=pair), plain, atol=1e-6)  # each token twice
    assert not torch.allclose(block.attn1(own, reference=pair.flip(0)), plain, atol=1e-3)


# What it reacts to.


def test_added_parts_start_at_zero_and_matter_once_trained() -> None:
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
            for name in ('reference', 'appearance'):  # these are the base model's own attentions
                value = getattr(scene, name)
                value = None if name == 'reference' else value.flip(-1)
                features = replace(scene, **{name: value})
                out = network.denoise(latents, time, conditions, features)
                assert not torch.allclose(out, base, atol=1e-4)


@pytest.mark.parametrize(
    ('ablation', 'ignored'),
    [
        ({'mlo': 'noise_only'}, 'occlusion_confidence'),
        ({'mlo': 'depth_only'}, 'normal_map'),
        ({'object': 'none'}, 'views'),
    ],
)
def test_ablations_are_values_of_the_configuration(ablation: dict, ignored: str) -> None:
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


@pytest.mark.parametrize('motion', ['window', 'causal'])
def test_gradients_are_finite_and_reach_every_part_with_and_without_checkpointing(
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


def test_a_stream_gives_what_the_causal_window_gives() -> None:
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


def test_causal_attention_sees_no_future_and_a_window_does() -> None:
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


def test_the_present_frame_sees_what_animatediffs_last_frame_sees() -> None:
    """With the rest of a module silenced, its first attention is diffusers' own."""
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


def test_windows_longer_than_the_positions_are_refused() -> None:
    network, frames = LatentManiVideoNet(SMALL), SMALL.motion_positions + 1
    width = SMALL.cross_attention_dim
    scene = LatentSceneFeatures(None, noise(1, 8, width), noise(1, 8, width))
    latents, time = latents_of(SMALL, frames)
    with pytest.raises(ValueError, match='9 frames is too long; 8 have positions'):
        network.denoise(latents, time, conditions_of(SMALL, 1), scene, frames)


# The schedule and the sizes.


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


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('layers', 8, 'layers is 8'),
        ('image_size', 500, 'image_size is 500'),
        ('token_side', 3, 'choose token_side'),
        ('temporal_context', 32, 'below motion_positions'),
    ],
)
def test_sizes_that_do_not_fit_are_refused(field: str, value: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PaperConfig(**{field: value})


def test_thirteen_layers_only_widen_what_reads_them() -> None:
    seven, thirteen = (shapes(on_meta(replace(SMALL, layers=n)).state_dict()) for n in (7, 13))
    changed = {key for key in seven if seven[key] != thirteen[key]}
    assert changed == {'guider.convs.0.weight', 'mlo_embedder.convs.0.weight'}
