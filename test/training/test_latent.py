"""Training of the latent model: cached latents, v-prediction, the paper's values, all stages."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from latent_networks import SMALL
from safetensors import safe_open

from manivideo_ros.data.generator import Recipe, make_shards
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent.load import WeightsError
from manivideo_ros.model.latent.schedule import ddim_scheduler
from manivideo_ros.training.batches import Iterations
from manivideo_ros.training.cli import run_training
from manivideo_ros.training.config import Source, TrainConfig
from manivideo_ros.training.latent.encoded_scenes import with_latents
from manivideo_ros.training.latent.objective import LatentObjective, sampling_timesteps, velocity
from manivideo_ros.training.networks import start
from manivideo_ros.training.processes import Place
from manivideo_ros.training.sources import open_sources
from manivideo_ros.training.stages import is_temporal

RUNS = Path(__file__).parents[2] / 'config' / 'train'
CONFIG = TrainConfig(
    model=replace(SMALL, num_points=2048),
    sources={name: Source(name) for name in ('hand_object', 'objaverse', 'human')},
    vae='random',
    iterations=2,
    scenes_per_batch=3,
    frames_per_scene=1,
    clips_per_batch=1,
    clip_frames=3,
    causal_share=0.5,
    unconditional_rate=0.1,
    learning_rate=1e-3,
    weight_decay=0.0,
    warmup=0,
    checkpoint_every=2,
    sheet_every=2,
    distill_times=4,
    workers=0,
    precision='fp32',  # several times as fast as bf16 on processors without it
)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('latent')
    for kind in ('hand_object', 'objaverse', 'human'):
        make_shards(
            out / kind, 1, 3, 'train', 1, Recipe(kind, 3, (128, 128), consecutive_share=1.0)
        )
    return out


@pytest.fixture(scope='module')
def sources(data):
    return with_latents(open_sources(CONFIG, data), CONFIG, data, Place())


@pytest.fixture(scope='module')
def image(data, tmp_path_factory):
    """The checkpoint of the image stage."""
    out = tmp_path_factory.mktemp('image')
    return run_training(CONFIG, 'image', data, out, threads=1, place=Place())


def test_the_shipped_runs_have_the_papers_values():
    first, second = (TrainConfig.read(RUNS / f'paper_{s}.yaml') for s in ('image', 'temporal'))
    assert (first.iterations, first.learning_rate, first.scenes_per_batch) == (20_000, 1e-5, 4)
    assert (second.iterations, second.learning_rate) == (30_000, 8e-6)
    assert (second.clips_per_batch, second.clip_frames, first.frames_per_scene) == (1, 24, 1)
    for run in (first, second):
        assert run.model == replace(ModelConfig.of('paper'), human=True)
        assert run.final_learning_rate == run.learning_rate and run.warmup == 0
        assert (run.weight_decay, run.beta2) == (0.0, 0.999)  # Adam
        assert (run.snr_gamma, run.noise_offset) == (5.0, 0.05)
        assert (run.unconditional_rate, run.gradient_clip) == (0.1, 1.0)
        assert {s.share for s in run.sources.values()} == {1} and len(run.sources) == 3
    schedule = ddim_scheduler().config
    assert schedule.prediction_type == 'v_prediction' and schedule.rescale_betas_zero_snr


@pytest.mark.parametrize('file', sorted(RUNS.glob('*.yaml')), ids=lambda f: f.stem)
def test_every_shipped_run_can_be_read_and_written(file, tmp_path):
    config = TrainConfig.read(file)
    (tmp_path / 'again.yaml').write_text(config.to_yaml())
    assert TrainConfig.read(tmp_path / 'again.yaml') == config


def test_latents_are_encoded_once_per_autoencoder(data, sources, tmp_path):
    files = sorted((data / 'latents').rglob('*.npz'))
    assert len(files) == 3
    times = [file.stat().st_mtime_ns for file in files]
    with_latents(open_sources(CONFIG, data), CONFIG, data, Place())
    assert [file.stat().st_mtime_ns for file in files] == times
    frame, references = sources['human'].frame(0, 2), sources['human'].references(0)
    assert frame['latents'].shape == (4, 16, 16) and frame['skeleton'].shape == (3, 128, 128)
    assert references['views'].shape == (6, 4, 16, 16) and references['points'].shape == (2048, 3)
    with pytest.raises(ValueError, match='vae: name the file'):
        with_latents(open_sources(CONFIG, data), replace(CONFIG, vae=''), data, Place())


def test_the_loss_uses_diffusers_velocity_and_min_snr_weights(sources):
    objective = start(CONFIG).objective
    assert isinstance(objective, LatentObjective)
    batch = Iterations(sources, CONFIG)[0]
    batch['time'] = torch.tensor([0.0305, 0.5, 0.9999])
    steps = torch.tensor([30, 500, 999])
    scheduler, noise = ddim_scheduler(), objective.noise(batch)
    noisy = scheduler.add_noise(batch['latents'], noise, steps)
    target = scheduler.get_velocity(batch['latents'], noise, steps)
    with torch.no_grad():
        error = (velocity(objective.network, noisy, steps, batch) - target).square()
        snr = scheduler.alphas_cumprod[steps] / (1 - scheduler.alphas_cumprod[steps])
        weight = torch.minimum(snr + 1, torch.tensor(5.0)) / (snr + 1)
        assert weight[2] == 1 and weight[0] < 0.5
        assert torch.allclose(
            objective.loss(batch), (error.mean((1, 2, 3)) * weight).mean(), rtol=1e-4
        )


@pytest.mark.parametrize(('clip', 'causal', 'same'), [(1, 1, True), (1, 0, False), (0, 1, False)])
def test_only_a_causal_clip_has_the_same_noise_in_all_frames(clip, causal, same):
    objective = LatentObjective(torch.nn.Identity(), CONFIG)
    batch = {
        'normal_map': torch.zeros(6, 1),
        'views': torch.zeros(2, 1),
        'latents': torch.zeros(6, 4, 16, 16),
        'noise_seed': torch.tensor([1, 2]),
        'clip': torch.tensor(clip),
        'causal': torch.tensor(causal),
    }
    drawn = objective.noise(batch)
    assert drawn.shape == (6, 4, 16, 16)
    assert torch.equal(drawn[0], drawn[1]) == torch.equal(drawn[3], drawn[5]) == same
    assert not torch.equal(drawn[2], drawn[3])  # of different scenes


def test_a_sampler_uses_trailing_timesteps():
    assert sampling_timesteps(4) == [999, 749, 499, 249]
    scheduler = ddim_scheduler()
    scheduler.set_timesteps(8)
    assert sampling_timesteps(8) == scheduler.timesteps.tolist()


def test_the_image_stage_does_not_train_the_motion_modules(image, data):
    with safe_open(image, framework='pt') as file:
        metadata = file.metadata()
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert metadata['stage'] == 'image' and metadata['seed'] == '0'
    assert metadata['iteration'] == '2'
    fresh = start(CONFIG).objective.network.state_dict()
    moved = {n for n, v in saved.items() if not torch.equal(v, fresh[n].half())}
    assert moved and not any(is_temporal(name) for name in moved)
    assert (image.parent / 'samples' / '000002.png').exists()


def test_the_temporal_stage_trains_only_the_motion_modules(image, data, tmp_path):
    made = run_training(CONFIG, 'temporal', data, tmp_path, threads=1, init=image)
    with safe_open(made, framework='pt') as new, safe_open(image, framework='pt') as old:
        names = list(new.keys())
        moved = {n for n in names if not torch.equal(new.get_tensor(n), old.get_tensor(n))}
    assert moved and all(is_temporal(name) for name in moved)


def test_distillation_runs_for_the_latent_model(image, data, tmp_path):
    config = replace(CONFIG, guidance=2.0)
    made = run_training(config, 'distill', data, tmp_path, threads=1, init=image)
    with safe_open(made, framework='pt') as file:
        assert file.metadata()['stage'] == 'distill'


def test_weights_of_another_network_are_rejected_with_the_differing_field(image):
    trunk = replace(CONFIG.model.latent_trunk, cross_attention_dim=24)
    wider = replace(CONFIG, model=replace(CONFIG.model, trunk=trunk))
    with pytest.raises(WeightsError, match='differs in cross_attention_dim'):
        start(wider, 'temporal', image)


def test_offloading_and_recomputation_give_the_same_steps(sources):
    """Up to the rounding of bf16 weights."""
    batch = Iterations(sources, CONFIG)[1]
    config = replace(CONFIG, sheet_every=0, learning_rate=1e-3, precision='bf16')
    saving = replace(config, offload=True, gradient_checkpointing=True, micro_batch=1)
    plain, light = start(config), start(saving)
    before = {name: value.detach().clone() for name, value in plain.trained.items()}
    losses = [trainer.step(batch) for trainer in (plain, light)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert {p.dtype for p in light.objective.network.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in light.trained.values()} == {torch.float32}
    same, moved = 0, 0
    for name, value in plain.trained.items():
        one, other = value - before[name], light.trained[name] - before[name]
        large = one.abs() > 5e-4
        same += int((torch.sign(one[large]) == torch.sign(other[large])).sum())
        moved += int(large.sum())
    assert same > 0.8 * moved > 0
