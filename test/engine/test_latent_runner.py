"""The latent model as a stream: its frames, its temporal caches, its errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from latent_networks import SMALL, awake
from latent_streams import frame_of, scene_of
from safetensors.torch import save_file

from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.graph.export import example_inputs
from manivideo_ros.engine.pytorch import latent_runner
from manivideo_ros.engine.pytorch.latent_runner import LatentRunner, load_latent
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.runner import EngineError, input_shapes
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, SpecError, find_spec
from manivideo_ros.model.checkpoint import SHIPPED, load_checkpoint, read_config, save_checkpoint
from manivideo_ros.model.latent.autoencoder import autoencoder, decode, encode
from manivideo_ros.model.latent.load import WeightsError
from manivideo_ros.model.latent.network import LatentConditions
from manivideo_ros.model.latent.schedule import ddim_scheduler, sampling_levels

STEPS = 2
FRAMES = 8  # more than twice the context


@pytest.fixture(scope='module')
def network():
    return awake()


@pytest.fixture(scope='module')
def vae():
    torch.manual_seed(3)
    return autoencoder(SMALL)


@pytest.fixture(scope='module')
def files(network, vae, tmp_path_factory):
    """A checkpoint and an autoencoder, as a user has them."""
    folder = tmp_path_factory.mktemp('latent')
    save_checkpoint(network.state_dict(), SMALL, folder / 'small.safetensors')
    save_file(vae.state_dict(), folder / 'vae.safetensors')
    return folder


def spec_of(files, backend='torch', **given) -> EngineSpec:
    weights, vae = str(files / 'small.safetensors'), str(files / 'vae.safetensors')
    size, layers = SMALL.image_size, SMALL.layers
    spec = EngineSpec(SMALL.preset, weights, size, layers, STEPS, 'fp32', backend, vae)
    return replace(spec, **given)


def batch(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values)[None]


@torch.no_grad()
def reference_stream(network, vae, session, scene, frames, steps=STEPS) -> np.ndarray:
    """A reference stream: diffusers' DDIM around the network, frame by frame."""
    views, background, hand_reference, points = (batch(x) for x in scene)
    close = encode(vae, views[0])[None], encode(vae, hand_reference)
    features = network.encode_scene(*close, encode(vae, background), points)
    scheduler = ddim_scheduler()
    scheduler.set_timesteps(steps)
    caches = [network.empty_caches()[0] for _ in range(steps)]
    valid, made = network.empty_caches()[1], []
    for given in frames:
        skeleton = batch(given['skeleton']) if 'skeleton' in given else None
        conditions = LatentConditions(
            batch(given['normal_map']), batch(given['occlusion_confidence']), skeleton
        )
        latents = torch.from_numpy(session.latents)
        for i, timestep in enumerate(scheduler.timesteps):
            v, caches[i] = network.stream(
                latents, timestep.reshape(1), conditions, features, caches[i], valid
            )
            latents = scheduler.step(v, timestep, latents).prev_sample
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        made.append((decode(vae, latents)[0] * 255).permute(1, 2, 0).numpy())
    return np.stack(made)


def streamed(session, frames) -> np.ndarray:
    return np.stack([session.step(**given).copy() for given in frames])


def test_a_stream_matches_the_reference_frame_by_frame(network, vae):
    session = StreamingSession(LatentRunner(network, vae, STEPS), seed=4)
    scene, frames = scene_of(1), [frame_of(i) for i in range(FRAMES)]
    session.set_scene(*scene)
    made = streamed(session, frames).astype(float)
    expected = reference_stream(network, vae, session, scene, frames)
    assert np.abs(made - expected).max() <= 1
    assert np.ptp(expected, axis=0).max() > 5  # the frames differ enough for a comparison


def test_every_step_has_its_own_caches(network, vae):
    one, two = (LatentRunner(network, vae, steps) for steps in (1, 2))
    assert len(two._caches) - 1 == 2 * (len(one._caches) - 1)  # the last one is the position
    pointers = [cache.data_ptr() for cache in two._caches]
    assert len(set(pointers)) == len(pointers)


def test_the_references_are_encoded_once_per_scene(network, vae, monkeypatch):
    session = StreamingSession(LatentRunner(network, vae, STEPS))
    calls = []
    encode_scene = network.encode_scene
    monkeypatch.setattr(network, 'encode_scene', lambda *x: calls.append(1) or encode_scene(*x))
    for scene in (1, 50):
        session.set_scene(*scene_of(scene))
        streamed(session, [frame_of(i) for i in range(3)])
    assert len(calls) == 2


def test_no_past_frames_remain_after_a_new_scene_or_a_reset(network, vae):
    session = StreamingSession(LatentRunner(network, vae, STEPS))
    session.set_scene(*scene_of(1))
    fresh, second = streamed(session, [frame_of(0), frame_of(1)])
    session.set_scene(*scene_of(50))
    other = streamed(session, [frame_of(0)])[0]
    assert not np.array_equal(other, fresh)
    session.set_scene(*scene_of(1))
    np.testing.assert_array_equal(streamed(session, [frame_of(0)])[0], fresh)
    session.reset()
    np.testing.assert_array_equal(
        streamed(session, [frame_of(0), frame_of(1)]), np.stack([fresh, second])
    )
    session.reset()
    assert not np.array_equal(streamed(session, [frame_of(1)])[0], second)  # the past matters


def test_a_skeleton_has_no_effect_after_it_is_gone(network, vae):
    session = StreamingSession(LatentRunner(network, vae, STEPS))
    session.set_scene(*scene_of(1))
    given = frame_of(1)
    skeleton = given.pop('skeleton')
    bare = session.step(**given).copy()
    session.reset()
    assert not np.array_equal(session.step(**given, skeleton=skeleton), bare)
    session.reset()
    np.testing.assert_array_equal(session.step(**given), bare)


def test_unused_inputs_have_no_effect(network, vae):
    runner = LatentRunner(network, vae, STEPS)
    session = StreamingSession(runner)
    assert session.size == SMALL.size and session.background_size == SMALL.image_size
    session.set_scene(*scene_of(1))
    given = frame_of(0)
    first = session.step(**given).copy()
    session.reset()
    given |= {name: -given[name] for name in ('visible_normal', 'horizon', 'base')}
    np.testing.assert_array_equal(session.step(**given), first)


def psnr(made: np.ndarray, reference: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(((made - reference) ** 2).mean(), 1e-9)))


def test_half_precision_frames_match_fp32(files):
    made = {}
    for precision in ('fp32', 'fp16', 'bf16'):
        network = load_latent(files / 'small.safetensors', files / 'vae.safetensors')
        session = StreamingSession(LatentRunner(*network, STEPS, precision))
        session.set_scene(*scene_of(1))
        made[precision] = streamed(session, [frame_of(i) for i in range(FRAMES)]).astype(float)
    assert psnr(made['fp16'], made['fp32']) > 40
    assert psnr(made['bf16'], made['fp32']) > 35  # random weights amplify rounding


def test_the_noise_levels_are_diffusers_trailing_timesteps_from_pure_noise():
    scheduler = ddim_scheduler()
    for steps in (1, 2, 4, 8):
        scheduler.set_timesteps(steps)
        *noisy, clean = sampling_levels(steps)
        assert [level.timestep for level in noisy] == scheduler.timesteps.tolist()
        assert (noisy[0].alpha, noisy[0].sigma) == (0, 1)
        assert (clean.alpha, clean.sigma) == (1, 0)
        assert all(abs(x.alpha**2 + x.sigma**2 - 1) < 1e-6 for x in noisy)


def test_input_shapes_are_those_of_the_exported_patch_model():
    network = load_checkpoint(SHIPPED)
    expected = {name: tuple(value.shape) for name, value in example_inputs(network).items()}
    if not network.config.human:
        del expected['skeleton']
    assert {
        n: s for n, s in input_shapes(network.config).items() if n != 'has_skeleton'
    } == expected
    assert dict(TorchRunner(network).shapes) == input_shapes(network.config)


def test_latent_models_run_on_torch_only(files):
    for backend in ('tensorrt', 'tensorrt_rtx', 'onnxruntime', 'onnxruntime_cuda', 'openvino'):
        with pytest.raises(EngineError, match=r'latent model, which runs on torch only: set the'):
            open_backend(backend, spec_of(files, backend))


def test_a_missing_autoencoder_is_reported_with_a_fix(files, tmp_path):
    with pytest.raises(SpecError, match='small needs an autoencoder: name as vae the file'):
        Engine(spec_of(files, vae=''))
    with pytest.raises(WeightsError, match=r'none.safetensors do not exist'):
        Engine(spec_of(files, vae=str(tmp_path / 'none.safetensors')))
    with pytest.raises(WeightsError, match=r'small.safetensors: .* missing'):
        Engine(spec_of(files, vae=str(files / 'small.safetensors')))


def test_latent_presets_without_a_checkpoint_are_rejected():
    for name in ('paper_cuda', 'base_cuda'):
        spec = find_spec(name)
        with pytest.raises(SpecError, match=f'no weights ship for the preset {spec.preset}'):
            spec.check(read_config(spec.weights))


def test_a_device_without_memory_is_reported(network, vae, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError('no')

    monkeypatch.setattr(latent_runner, 'encode', full)
    with pytest.raises(EngineError, match='no memory left on the GPU'):
        LatentRunner(network, vae, STEPS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no CUDA GPU')
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_a_captured_stream_on_a_gpu_matches_the_cpu(files, precision):
    made = []
    for backend, kind in (('torch', 'fp32'), ('torch_cuda', precision)):
        session = StreamingSession(open_backend(backend, spec_of(files, backend, precision=kind)))
        for scene in (1, 50):
            session.set_scene(*scene_of(scene))
            made.append(streamed(session, [frame_of(i) for i in range(FRAMES)]).astype(float))
    for cpu, cuda in zip(made[:2], made[2:], strict=True):
        assert psnr(cuda, cpu) > 35
