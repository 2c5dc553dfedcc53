"""Loading published weights into the latent model: all layouts key by key, and all errors."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel
from latent_networks import SMALL, TRUNK, on_meta
from safetensors.torch import save_file
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent import load
from manivideo_ros.model.latent.autoencoder import autoencoder, decode, encode
from manivideo_ros.model.latent.network import LatentManiVideoNet
from manivideo_ros.model.latent.unet import sd15_sizes

# Copied from the published configurations (unet/config.json, config.json of sd-vae-ft-mse).
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


def shapes(state: load.State) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items()}


def target_shapes(targets: load.Targets) -> dict[str, torch.Size]:
    for key, tensors in targets.items():
        assert len({tensor.shape for tensor in tensors}) == 1, key
    return {key: tensors[0].shape for key, tensors in targets.items()}


def as_animatediff(state: load.State) -> dict[str, Tensor]:
    """A MotionAdapter's weights in AnimateDiff's own layout, 28 keys per module."""
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


# The published layouts at full size.


@pytest.fixture(scope='module')
def full() -> LatentManiVideoNet:
    return on_meta(ModelConfig.of('paper'))


def test_sd15_loads_into_the_image_layers_and_the_appearance_net(full: LatentManiVideoNet) -> None:
    with torch.device('meta'):
        published = UNet2DConditionModel(**SD15_UNET).state_dict()
    targets = load.sd15_targets(full)
    assert len(published) == 686
    assert target_shapes(targets) == shapes(published)
    assert all(len(tensors) == 2 for tensors in targets.values())  # of the denoiser and R
    load.load_sd15(full, published)


def test_both_layouts_of_animatediff_match_the_motion_modules(full: LatentManiVideoNet) -> None:
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


def test_sd_vae_loads_with_old_and_new_names() -> None:
    with torch.device('meta'):
        published = AutoencoderKL(**SD_VAE).state_dict()
        vae = autoencoder(ModelConfig.of('paper'))
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
    assert millions(on_meta(ModelConfig.of('base'))) == pytest.approx(212.9, abs=0.1)


# Loading.


def small_unet_state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    unet = UNet2DConditionModel(**sd15_sizes(SMALL), attention_head_dim=TRUNK.attention_head_dim)
    return unet.state_dict()


def small_motion_state(**sizes: object) -> dict[str, Tensor]:
    torch.manual_seed(2)
    known = {
        'block_out_channels': TRUNK.block_out_channels,
        'motion_layers_per_block': TRUNK.layers_per_block,
        'motion_num_attention_heads': TRUNK.motion_heads,
        'motion_norm_num_groups': TRUNK.norm_groups,
        'motion_max_seq_length': TRUNK.motion_positions,
    }
    return MotionAdapter(**(known | sizes)).state_dict()


@pytest.mark.parametrize('layout', ['diffusers', 'animatediff', 'half precision'])
def test_loaded_motion_modules_have_the_weights_of_the_file(layout: str) -> None:
    network, state = LatentManiVideoNet(SMALL), small_motion_state()
    file = as_animatediff(state) if layout == 'animatediff' else state
    if layout == 'half precision':
        file = {key: value.half() for key, value in state.items()}
    load.load_motion(network, file)
    own = network.unet.state_dict()
    assert all(torch.allclose(own[key], value, atol=2e-3) for key, value in state.items())


def test_a_loaded_autoencoder_has_the_weights_of_the_file() -> None:
    torch.manual_seed(3)
    published, vae = autoencoder(SMALL), autoencoder(SMALL)
    load.load_vae(vae, as_old_vae(published.state_dict()))
    image = torch.rand(1, 3, 64, 64)
    latents = encode(published, image)
    assert latents.shape == (1, 4, 8, 8)
    assert torch.equal(encode(vae, image), latents)
    assert torch.equal(decode(vae, latents), decode(published, latents))


def test_missing_and_unexpected_keys_are_named_and_nothing_is_written() -> None:
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
    message = 'up_blocks.1.motion_modules.0.proj_out.weight missing'
    with pytest.raises(load.WeightsError, match=message):
        load.load_motion(network, {key: v for key, v in motion.items() if key != lost})
    with pytest.raises(load.WeightsError, match=r'temporal_transformer\.extra unexpected'):
        load.load_motion(network, motion | {'temporal_transformer.extra': torch.zeros(1)})
    vae = autoencoder(SMALL)
    twice = as_old_vae(vae.state_dict()) | vae.state_dict()
    with pytest.raises(load.WeightsError, match='are the same weight'):
        load.load_vae(vae, twice)
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_motion_modules_of_another_version_are_rejected_with_a_fix() -> None:
    network = LatentManiVideoNet(SMALL)
    first_version = small_motion_state(use_motion_mid_block=False)
    with pytest.raises(load.WeightsError, match=r'mid_block.*missing.*set motion_mid_block: false'):
        load.load_motion(network, first_version)
    without = replace(SMALL, trunk=replace(TRUNK, motion_mid_block=False))
    load.load_motion(LatentManiVideoNet(without), first_version)
    with pytest.raises(load.WeightsError, match=r'pos_embed\.pe.*set motion_positions: 6'):
        load.load_motion(network, small_motion_state(motion_max_seq_length=6))
    state = as_animatediff(small_motion_state())
    key = next(key for key in state if 'pos_encoder' in key)
    with pytest.raises(load.WeightsError, match=r'pos_encoder\.pe is not'):
        load.load_motion(network, state | {key: state[key] + 0.1})


def test_weight_files(tmp_path: Path) -> None:
    state = {'a.weight': torch.ones(2)}
    save_file(state, tmp_path / 'a.safetensors')
    torch.save({'epoch': 3, 'state_dict': {'module.a.weight': torch.ones(2)}}, tmp_path / 'a.ckpt')
    for name in ('a.safetensors', 'a.ckpt'):
        read = load.read_weights(tmp_path / name)
        assert read.keys() == state.keys()
        assert torch.equal(read['a.weight'], state['a.weight'])
    torch.save({'code': Tricky()}, tmp_path / 'tricky.bin')
    with pytest.raises(load.WeightsError, match=r'tricky\.bin contain more than tensors'):
        load.read_weights(tmp_path / 'tricky.bin')
    (tmp_path / 'cut.safetensors').write_bytes(b'12345678abc')
    with pytest.raises(load.WeightsError, match=r'cut\.safetensors cannot be read'):
        load.read_weights(tmp_path / 'cut.safetensors')
    with pytest.raises(load.WeightsError, match=r'none\.bin do not exist'):
        load.read_weights(tmp_path / 'none.bin')


class Tricky:
    """An object, which only a pickle that runs code can contain."""
