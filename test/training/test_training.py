"""Training: batches, decreasing loss, exact resumption, and errors."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from networks import SMALL
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity as skimage_ssim
from training_runs import CONFIG, IMAGES, KINDS, RUN, SOURCES, PlainScenes

from manivideo_ros.model.checkpoint import load_checkpoint, save_checkpoint
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.light import LightNet
from manivideo_ros.model.patch.network import NO_BASE, ManiVideoNet
from manivideo_ros.process.node_processes import free_port
from manivideo_ros.training import batches, loop, saving
from manivideo_ros.training import cli as training_cli
from manivideo_ros.training.batches import Iterations, iterate
from manivideo_ros.training.cli import main
from manivideo_ros.training.config import Source, TrainConfig, TrainConfigError
from manivideo_ros.training.loop import train
from manivideo_ros.training.mirror import mirrored
from manivideo_ros.training.networks import start
from manivideo_ros.training.patch.loss import image_loss, smoothed, structural_similarity
from manivideo_ros.training.processes import ALONE, Place
from manivideo_ros.training.stages import is_temporal
from manivideo_ros.training.trainer import TrainingError, split


def weights(trainer) -> dict[str, torch.Tensor]:
    averages = {f'average of {name}': value for name, value in trainer.average.items()}
    return trainer.objective.network.state_dict() | averages


def assert_equal_weights(first, second) -> None:
    others = weights(second)
    for name, value in weights(first).items():
        assert torch.equal(value, others[name]), name


# Batches.


def test_every_batch_has_equal_shares_of_the_three_kinds():
    batch = Iterations(SOURCES, IMAGES)[0]
    people = batch['skeleton'].flatten(1).any(1)
    assert people.view(6, 2).all(1).sum() == people.view(6, 2).any(1).sum() == 2
    assert not batch['normal_map'][people].any()
    assert batch['normal_map'][~people].flatten(1).any(1).all()


def test_batches_depend_only_on_the_iteration():
    later = Iterations(SOURCES, CONFIG, first=3)[0]
    same = Iterations(SOURCES, CONFIG)[3]
    assert all(torch.equal(later[key], same[key]) for key in same)


def test_processes_divide_the_scenes_of_one_batch():
    whole = Iterations(SOURCES, IMAGES)[1]
    parts = [Iterations(SOURCES, IMAGES, rank=rank, world=2)[1] for rank in range(2)]
    for scene in range(6):
        part, place = parts[scene % 2], scene // 2
        assert torch.equal(part['noise_seed'][place], whole['noise_seed'][scene])
        assert torch.equal(part['rgb'][2 * place], whole['rgb'][2 * scene])
    with pytest.raises(ValueError, match='cannot be shared by 4'):
        Iterations(SOURCES, IMAGES, world=4)


def test_clips_are_consecutive_frames_of_scenes_with_enough_frames():
    batch = Iterations(SOURCES, CONFIG, 'temporal')[0]
    assert batch['clip'] and len(batch['rgb']) == 8
    with pytest.raises(ValueError, match='no scene has 9 consecutive frames'):
        Iterations(SOURCES, replace(CONFIG, clip_frames=9), 'temporal')


def test_a_source_may_have_a_larger_share():
    config = replace(IMAGES, sources={'human': Source('human', share=2), 'objaverse': Source('o')})
    batch = Iterations({k: SOURCES[k] for k in ('human', 'objaverse')}, config)[0]
    assert batch['skeleton'].flatten(1).any(1).sum() == 8  # of 12 frames


def test_dropped_conditions_are_zero_for_all_frames_of_a_scene():
    batch = Iterations(SOURCES, replace(IMAGES, drop_both=1.0))[0]
    assert bool((batch['base'] == NO_BASE).all())
    assert not batch['views'].any()
    assert batch['normal_map'].any()
    bare = Iterations(SOURCES, replace(IMAGES, unconditional_rate=1.0))[0]
    assert not bare['normal_map'].any() and not bare['skeleton'].any() and bare['rgb'].any()


def test_splitting_a_batch_keeps_all_scenes():
    batch = Iterations(SOURCES, IMAGES)[0]
    parts = split(batch, 4)
    assert [len(part['views']) for part in parts] == [4, 2]
    for key in ('rgb', 'views', 'noise_seed', 'weight'):
        assert torch.equal(torch.cat([part[key] for part in parts]), batch[key])


# The loop.


@pytest.mark.parametrize('precision', ['fp32', pytest.param('bf16', marks=pytest.mark.long)])
def test_training_lowers_the_loss(precision):
    config = replace(
        IMAGES,
        precision=precision,
        scenes_per_batch=3,
        frames_per_scene=1,
        iterations=25,
        warmup=10,
        learning_rate=2e-3,
        pure_noise_share=1.0,
    )
    trainer = start(config)
    losses = [trainer.step(batch) for batch in iterate(Iterations(SOURCES, config), 0)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = train(start(CONFIG), SOURCES, tmp_path / 'whole', RUN)
    first = start(CONFIG)
    for batch, _ in zip(iterate(Iterations(SOURCES, CONFIG), 0), range(2), strict=False):
        first.step(batch)
    (tmp_path / 'parts').mkdir()
    saving.save(first, tmp_path / 'parts', RUN)
    torch.rand(3)  # random numbers drawn in between have no influence
    resumed = train(start(CONFIG), SOURCES, tmp_path / 'parts', RUN)
    drawn = torch.get_rng_state()
    assert resumed.iteration == whole.iteration == 4
    assert_equal_weights(whole, resumed)
    whole.restore(torch.load(tmp_path / 'whole' / 'state.pt', weights_only=True))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert (tmp_path / 'whole' / 'samples' / '000002.png').exists()
    assert load_checkpoint(tmp_path / 'whole' / 'model.safetensors').config == CONFIG.model


def test_micro_batches_train_like_the_whole_batch():
    runs = [start(IMAGES), start(replace(IMAGES, micro_batch=2))]
    batch = Iterations(SOURCES, IMAGES)[0]
    for trainer in runs:
        trainer.step(batch)
    whole, split_up = (weights(trainer) for trainer in runs)
    for name in whole:
        torch.testing.assert_close(whole[name], split_up[name], atol=1e-5, rtol=1e-4)


def test_only_the_temporal_stage_trains_temporal_layers_and_it_trains_no_others(tmp_path):
    made = start(CONFIG).objective.network.state_dict()
    save_checkpoint(made, CONFIG.model, tmp_path / 'image.safetensors')
    for stage, config in (('image', IMAGES), ('temporal', CONFIG)):
        init = tmp_path / 'image.safetensors' if stage == 'temporal' else None
        trainer = start(config, stage, init)
        before = {n: v.clone() for n, v in trainer.objective.network.state_dict().items()}
        for index in range(2):
            trainer.step(Iterations(SOURCES, config, stage)[index])
        moved = {
            name
            for name, value in trainer.objective.network.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert moved and {is_temporal(name) for name in moved} == {stage == 'temporal'}


def test_later_stages_need_initial_weights():
    for stage in ('temporal', 'distill'):
        with pytest.raises(ValueError, match='--init'):
            start(CONFIG, stage)


def test_a_run_starts_from_a_checkpoint_and_keeps_the_light_net_frozen(tmp_path):
    torch.manual_seed(5)
    light = LightNet(SMALL)
    before = {name: value.clone() for name, value in light.state_dict().items()}
    state = start(CONFIG).objective.network.state_dict()
    older = {name: value for name, value in state.items() if not name.startswith('light')}
    older['stem.weight'] = older['stem.weight'][:, :8] + 1
    save_checkpoint(older, CONFIG.model, tmp_path / 'older.safetensors')
    config = replace(CONFIG, precision='bf16')  # as the shipped runs
    trainer = start(config, init=tmp_path / 'older.safetensors', light=light)
    network = trainer.objective.network
    stem = network.stem.weight.detach().clone()
    assert torch.allclose(stem[:, :8], older['stem.weight'], atol=1e-3)
    trainer.step(Iterations(SOURCES, CONFIG)[0])
    for name, value in network.light.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not torch.equal(network.stem.weight, stem)


def test_distillation_reduces_the_difference_between_adjacent_times(tmp_path):
    """Without the loss against ground truth."""
    torch.manual_seed(3)
    made = start(CONFIG).objective.network
    for parameter in made.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    save_checkpoint(made.state_dict(), CONFIG.model, tmp_path / 'image.safetensors')
    config = replace(
        IMAGES,
        scenes_per_batch=3,
        frames_per_scene=1,
        truth_weight=0.0,
        distill_times=4,
        learning_rate=1e-3,
        warmup=1,
        iterations=12,
    )
    trainer = start(config, 'distill', tmp_path / 'image.safetensors')
    teacher = {n: v.clone() for n, v in trainer.objective.teacher.state_dict().items()}
    batch = Iterations(SOURCES, config, 'distill')[0]
    batch['draw'] = torch.linspace(0.3, 0.9, len(batch['draw']), dtype=torch.float64)
    losses = [trainer.step(batch) for _ in range(12)]
    assert losses[-1] < 0.7 * losses[0]
    for name, value in trainer.objective.target.state_dict().items():
        assert torch.equal(value, trainer.average[name]), name
    for name, value in trainer.objective.teacher.state_dict().items():
        assert torch.equal(value, teacher[name]), name


TWO_PROCESSES = """
import sys
from dataclasses import replace
import torch
from training_runs import CONFIG, IMAGES, RUN, SOURCES
from manivideo_ros.training.loop import train
from manivideo_ros.training.networks import start
from manivideo_ros.training.processes import join, leave
from pathlib import Path
torch.set_num_threads(1)
place = join('cpu')
config = replace(IMAGES, iterations=2)
train(start(config, place=place), SOURCES, Path(sys.argv[1]), RUN)
leave(place)
"""


def test_two_processes_train_like_one(tmp_path):
    (tmp_path / 'both.py').write_text(TWO_PROCESSES)
    root = Path(__file__).parents[2]
    paths = [str(root / 'test' / 'support'), str(root)]
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths), 'OMP_NUM_THREADS': '1'}
    running = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2']
    running += ['--master-port', str(free_port()), str(tmp_path / 'both.py'), str(tmp_path / 'two')]
    done = subprocess.run(running, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    config = replace(IMAGES, iterations=2)
    one = train(start(config), SOURCES, tmp_path / 'one', RUN)
    two = torch.load(tmp_path / 'two' / 'state.pt', weights_only=True)
    assert two['iteration'] == 2
    for name, value in one.objective.network.state_dict().items():
        torch.testing.assert_close(two['network'][name], value, atol=2e-5, rtol=1e-4, msg=name)


# Errors.


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    trainer = start(CONFIG)
    saving.save(trainer, tmp_path, RUN)
    before = (tmp_path / 'state.pt').read_bytes()

    def full(state, path):
        Path(path).write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(saving.torch, 'save', full)
    with pytest.raises(TrainingError, match=r'No space left.*make room') as caught:
        saving.save(trainer, tmp_path, RUN)
    assert '\n' not in str(caught.value)
    assert (tmp_path / 'state.pt').read_bytes() == before
    assert not list(tmp_path.glob('*.partial'))


class Killed(PlainScenes):
    """Scenes whose worker is killed, as when memory runs out."""

    def frame(self, scene, frame):
        os._exit(9)


def test_a_killed_worker_is_reported_in_one_line(tmp_path):
    config = replace(IMAGES, workers=1)
    with pytest.raises(TrainingError, match=r'iteration 0 .*last checkpoint') as caught:
        train(start(config), {'hand_object': Killed()}, tmp_path, RUN)
    assert '\n' not in str(caught.value)


def test_a_non_finite_loss_stops_training_with_a_fix():
    trainer = start(CONFIG)
    before = weights(trainer)['head.weight'].clone()
    batch = Iterations(SOURCES, CONFIG)[0]
    batch['rgb'] = batch['rgb'] * float('nan')
    with pytest.raises(TrainingError, match='learning_rate'):
        trainer.step(batch)
    assert torch.equal(weights(trainer)['head.weight'], before)


def test_errors_inside_the_mask_weigh_more():
    truth = torch.full((1, 3, 8, 8), 0.5)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    inside, outside = truth.clone(), truth.clone()
    inside[..., :4] += 0.1
    outside[..., 4:] += 0.1
    assert image_loss(inside, truth, mask, CONFIG) > 2 * image_loss(outside, truth, mask, CONFIG)
    assert image_loss(truth, truth, mask, CONFIG) == 0


def test_smoothed_images_are_scipys_and_those_of_deviation_0_stay_as_they_are():
    images = torch.rand(3, 2, 24, 40, generator=torch.Generator().manual_seed(0))
    found = smoothed(images, torch.tensor([0.0, 2.0, 0.0]))
    assert torch.equal(found[0], images[0]) and torch.equal(found[2], images[2])
    # By position: zeros outside, and weights that are normalized there.
    weights = gaussian_filter(np.ones((24, 40)), 2.0, mode='constant', truncate=3.0)
    for channel in range(2):
        plane = images[1, channel].numpy()
        expected = gaussian_filter(plane, 2.0, mode='constant', truncate=3.0) / weights
        np.testing.assert_allclose(found[1, channel], expected, atol=1e-5)


def test_scenes_of_inexact_poses_are_compared_smoothed():
    sources = {**CONFIG.sources, 'hand_object': replace(CONFIG.sources['hand_object'], smooth=3.0)}
    exact, smooth = Iterations(SOURCES, IMAGES), Iterations(
        SOURCES, replace(IMAGES, sources=sources)
    )  # fmt: skip
    deviations = smooth[0].pop('smooth')
    assert set(deviations.tolist()) == {0.0, 3.0} and not exact[0].pop('smooth').any()
    # A shift by a pixel is a small error where images are compared smoothed.
    truth = (torch.rand(1, 3, 32, 32) > 0.5).float()
    shifted, whole = truth.roll(1, -1), torch.ones(1, 1, 32, 32)
    both = [smoothed(image, torch.tensor([3.0])) for image in (shifted, truth)]
    assert image_loss(*both, whole, CONFIG) < 0.1 * image_loss(shifted, truth, whole, CONFIG)


def test_the_structural_term_equals_ssim():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 3, 40, 40, generator=generator)
    image = (truth + 0.2 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    _, expected = skimage_ssim(
        image[0].permute(1, 2, 0).numpy(),
        truth[0].permute(1, 2, 0).numpy(),
        channel_axis=2,
        full=True,
        data_range=1,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    with torch.autocast('cpu', torch.bfloat16):
        found = structural_similarity(image, truth)[0].permute(1, 2, 0).numpy()
    inner = slice(6, -6)  # at the border the two pad differently
    np.testing.assert_allclose(found[inner, inner], expected[inner, inner], atol=1e-4)
    whole = torch.ones(1, 1, 40, 40)
    without = image_loss(image, truth, whole, CONFIG)
    with_term = image_loss(image, truth, whole, replace(CONFIG, structure_weight=0.5))
    assert float(with_term - without) == pytest.approx(0.5 * (1 - found.mean()), abs=1e-4)


def test_smooth_is_not_negative_and_not_for_latent_models(tmp_path):
    path = tmp_path / 'run.yaml'
    path.write_text('sources: {hand_object: {folder: x, smooth: -1.0}}')
    with pytest.raises(TrainConfigError, match=r'smooth is -1\.0'):
        TrainConfig.read(path)
    latent = TrainConfig(model=ModelConfig.of('base'), sources={'a': Source('a', smooth=2.0)})
    with pytest.raises(ValueError, match='smooth: only for patch models'):
        start(latent)


def test_a_checkpoint_names_its_initial_weights_without_their_folder(tmp_path):
    init = tmp_path / 'first.safetensors'
    init.write_bytes(b'weights')
    described = saving.describe_run(CONFIG, 'image', 'none', init)['init']
    assert described == f'first.safetensors {hashlib.sha256(b"weights").hexdigest()}'
    assert saving.describe_run(CONFIG, 'image', 'none')['init'] == ''


def test_a_run_is_read_from_yaml_and_unknown_fields_are_named(tmp_path):
    path = tmp_path / 'run.yaml'
    path.write_text(CONFIG.to_yaml())
    assert TrainConfig.read(path) == CONFIG
    path.write_text('iteration: 3')
    with pytest.raises(TrainConfigError, match="'iteration'"):
        TrainConfig.read(path)


def test_the_command_generates_scenes_and_writes_a_checkpoint(tmp_path, capsys):
    config = TrainConfig(
        model=replace(SMALL, image_size=128, num_points=2048, human=True),
        light_views=3,
        light_iterations=2,
        iterations=2,
        scenes_per_batch=3,
        frames_per_scene=1,
        sheet_every=0,
        workers=0,
        precision='fp32',
    )
    (tmp_path / 'run.yaml').write_text(config.to_yaml())
    folders = ['--data', str(tmp_path / 'data'), '--out', str(tmp_path / 'out')]
    options = ['--config', str(tmp_path / 'run.yaml'), *folders, '--scenes', '1']
    options += ['--threads', '1', '--device', 'cpu']
    assert main(['image', *options]) == 0
    made = {p.name for p in (tmp_path / 'data').iterdir() if p.is_dir()}
    assert made == {*KINDS, 'light_views'}
    checkpoint = tmp_path / 'out' / 'model.safetensors'
    assert load_checkpoint(checkpoint).config == config.model
    assert TrainConfig.read(tmp_path / 'out' / 'run.yaml') == config
    written = (tmp_path / 'out' / 'run.yaml').read_text()
    assert all(f'# {name}: ' in written for name in ('code', 'data', 'seed', 'stage'))
    assert main(['temporal', *options]) == 2
    assert '--init' in capsys.readouterr().err
    options[1] = str(tmp_path / 'nowhere.yaml')
    assert main(['image', *options]) == 2
    assert 'nowhere.yaml' in capsys.readouterr().err


def test_a_mirrored_batch_equals_the_rendered_mirrored_scene():
    """Including the base image, whose light is fixed to the camera and not mirrored."""
    from manivideo_ros.drawing.base_image import Painter, hand_material
    from manivideo_ros.drawing.horizon import HorizonMapper
    from manivideo_ros.geometry import Camera, look_at, pinhole
    from manivideo_ros.hand.load import load_hand
    from manivideo_ros.hand.reference import HandReference
    from manivideo_ros.hand.state import HandState
    from manivideo_ros.mlo.rasterizer import Rasterizer
    from manivideo_ros.mlo.surfaces import hand_surface

    grey = HandReference(np.full((128, 128, 3), 120, np.uint8), np.ones((128, 128), np.uint8))
    camera = Camera(pinhole(64, 64, 0.6), look_at((0, -0.3, 0.4), (0, 0, 0)), 64, 64)
    rng = np.random.default_rng(1)
    theta = rng.normal(0, 0.2, 45).astype('f4')
    made = {}
    for side, sign in (('right', 1), ('left', -1)):
        hand = load_hand(side)
        bent = (theta.reshape(15, 3) * [1, sign, sign]).ravel()
        place = np.array([sign * 0.04, 0.01, 0])
        state = HandState(bent, np.zeros(10, 'f4'), np.eye(3), place)
        rasterizer = Rasterizer([hand_surface(hand)], 64, 64, threads=1)
        layers = rasterizer.render(camera, [state])
        painter = Painter(
            Rasterizer([hand_surface(hand)], 128, 128, threads=1, merge=True),
            [hand_material(hand, grey)],
        )
        base, mask = painter.paint(camera, [state])
        made[side] = {
            'normal_map': layers.normal_map.clone()[None],
            'occlusion_confidence': layers.occlusion_confidence.clone()[None],
            'visible_normal': layers.visible_normal.clone()[None],
            'horizon': HorizonMapper(rasterizer).map().clone()[None],
            'base': base.clone()[None],
            'mask': mask.clone()[None, None],
        }
    extra = {'rgb': torch.zeros(1, 3, 64, 64), 'background': torch.zeros(1, 3, 128, 128)}
    extra |= {'hand_reference': torch.zeros(1, 3, 128, 128), 'points': torch.ones(1, 4, 3)}
    views = torch.arange(6.0).view(1, 6, 1, 1, 1).expand(-1, -1, 3, 128, 128)
    seen = mirrored({**made['right'], **extra, 'views': views})
    # Horizons are sampled at the left pixel of each pair: mirrored ones are off by a pixel, which
    # matters at this size. They must be closer than with the directions in another order.
    horizon, elsewhere = made['left'].pop('horizon'), made['right']['horizon'].flip(-1)
    off = (seen['horizon'] - horizon).abs().mean()
    assert off < 0.7 * (elsewhere - horizon).abs().mean()
    for key, expected in made['left'].items():
        near = (seen[key] - expected).abs() < 0.02
        assert near.float().mean() > 0.995, key
    assert seen['views'][0, :, 0, 0, 0].tolist() == [0, 1, 3, 2, 4, 5]
    assert seen['points'][0, 0].tolist() == [-1, 1, 1]


def test_batches_for_a_gpu_are_in_pinned_memory(monkeypatch, tmp_path):
    pinned = []
    monkeypatch.setattr(
        batches, 'DataLoader', lambda *_, **options: pinned.append(options['pin_memory']) or ()
    )
    for device in ('cpu', 'cuda'):
        place = Place(1, 2, torch.device(device))
        trainer = SimpleNamespace(config=CONFIG, place=place, iteration=0)
        loop.train(trainer, SOURCES, tmp_path, {})
    assert pinned == [False, True]


def test_the_light_net_is_trained_on_the_runs_device(monkeypatch, tmp_path):
    """The other processes wait for it."""
    devices, place = [], Place(0, 2, torch.device('cuda'))
    monkeypatch.setattr(training_cli, 'make_light_views', lambda *_: None)
    views = MagicMock()
    views.open.return_value.__len__.return_value = 9
    views.open.return_value.measured = False
    monkeypatch.setattr(training_cli, 'LightViews', views)
    monkeypatch.setattr(training_cli, 'train_light', lambda *a: devices.append(a[-2]) or 0.0)
    monkeypatch.setattr(training_cli, 'load_light', lambda *_: 'light')
    light = training_cli._light(CONFIG, tmp_path, tmp_path, 1, None, place)
    assert light == 'light' and devices == [place.device]


def test_the_light_net_of_a_checkpoint_is_kept_unless_it_is_to_be_tuned(monkeypatch, tmp_path):
    first = []
    monkeypatch.setattr(
        training_cli, 'learned_light', lambda *a: first.append(a[-1].state_dict()) or 'tuned'
    )
    network, file = ManiVideoNet(SMALL), tmp_path / 'init.safetensors'
    save_checkpoint(network.state_dict(), SMALL, file)
    arguments = tmp_path, tmp_path, 1, file, ALONE
    assert training_cli._light(CONFIG, *arguments) is None and not first
    assert training_cli._light(replace(CONFIG, tune_light=True), *arguments) == 'tuned'
    kept = network.light.state_dict()
    assert all(torch.allclose(value, kept[name], atol=1e-2) for name, value in first[0].items())


def test_panoramas_that_would_not_be_used_are_refused(monkeypatch, tmp_path):
    config = replace(CONFIG, panoramas='hdri')
    with pytest.raises(ValueError, match='panoramas: no light estimator is trained'):
        training_cli._light(config, tmp_path, tmp_path, 1, tmp_path / 'init.safetensors', ALONE)
    (tmp_path / 'light_views').mkdir()
    views = MagicMock()
    views.open.return_value.measured = False
    monkeypatch.setattr(training_cli, 'LightViews', views)
    with pytest.raises(ValueError, match='light_views: was made without panoramas'):
        training_cli.learned_light(config, tmp_path, tmp_path / 'light.safetensors', 1)


def test_a_run_without_its_panoramas_is_refused(tmp_path):
    config = replace(CONFIG, panoramas=str(tmp_path / 'nowhere'))
    with pytest.raises(ValueError, match='nowhere: holds 0 panoramas'):
        training_cli.learned_light(config, tmp_path, tmp_path / 'light.safetensors', 1)
