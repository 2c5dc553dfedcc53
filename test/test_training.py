"""Training: it lowers the loss, resumes bit for bit, refuses what it cannot go on from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_model import SMALL, conditions_of, references

from manivideo_ros.model.checkpoint import load_checkpoint, save_checkpoint
from manivideo_ros.model.light import LightNet
from manivideo_ros.model.network import NO_BASE
from manivideo_ros.training.batches import Iterations, iterate
from manivideo_ros.training.cli import main
from manivideo_ros.training.config import TrainConfig, TrainConfigError
from manivideo_ros.training.loop import Trainer, TrainingError, train
from manivideo_ros.training.loss import picture_loss
from manivideo_ros.training.mirror import mirrored

CONFIG = TrainConfig(
    model=SMALL,
    iterations=6,
    scenes_per_batch=2,
    frames_per_scene=2,
    clip_share=0.5,
    warmup=2,
    checkpoint_every=3,
)


class PlainScenes:
    """Three scenes whose truth is half as bright as the base."""

    consecutive = np.array([True, False, False])

    def __len__(self) -> int:
        return 3

    def frames_of(self, scene: int) -> int:
        return 4

    def references(self, scene: int) -> dict[str, torch.Tensor]:
        names = ('views', 'background', 'hand_view', 'points')
        return {n: x[0].clone() for n, x in zip(names, references(SMALL), strict=True)}

    def frame(self, scene: int, frame: int) -> dict[str, torch.Tensor]:
        one = conditions_of(SMALL, 1, seed=10 * int(scene) + int(frame))
        return {
            'normal_map': one.normal_map[0],
            'occlusion_confidence': one.occlusion_confidence[0],
            'base': one.base[0],
            'rgb': one.base[0] / 2,
            'mask': torch.ones(1, 64, 64),
        }


def test_training_learns_what_the_frames_have_in_common(tmp_path):
    config = replace(CONFIG, iterations=40, warmup=20, learning_rate=1e-3, drop_both=0.0)
    trainer = Trainer.start(config)
    losses = [trainer.step(batch) for batch in iterate(PlainScenes(), config, 0, workers=0)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path):
    whole = train(PlainScenes(), CONFIG, tmp_path / 'whole', workers=0)
    first = Trainer.start(CONFIG)
    for batch, _ in zip(iterate(PlainScenes(), CONFIG, 0, workers=0), range(3), strict=False):
        first.step(batch)
    first.save(tmp_path / 'parts')
    resumed = train(PlainScenes(), CONFIG, tmp_path / 'parts', workers=0)
    assert resumed.iteration == whole.iteration == 6
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
        assert torch.equal(whole.average[name], resumed.average[name]), name


def test_a_run_starts_from_a_checkpoint_and_leaves_the_light_as_it_was_learned(tmp_path):
    torch.manual_seed(5)
    light = LightNet(SMALL)
    before = {name: value.clone() for name, value in light.state_dict().items()}
    given = Trainer.start(CONFIG).network.state_dict()
    older = {name: value for name, value in given.items() if not name.startswith('light')}
    older['stem.weight'] = older['stem.weight'][:, :8] + 1
    save_checkpoint(older, SMALL, tmp_path / 'older.safetensors')
    trainer = Trainer.start(CONFIG, light, tmp_path / 'older.safetensors')
    stem = trainer.network.stem.weight.detach().clone()
    assert torch.allclose(stem[:, :8], older['stem.weight'], atol=1e-3)
    assert not stem[:, 8:].any()
    for batch in iterate(PlainScenes(), CONFIG, 0, workers=0):
        trainer.step(batch)
    for name, value in trainer.network.light.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not torch.equal(trainer.network.stem.weight, stem)


def test_batches_depend_on_the_iteration_alone():
    later = Iterations(PlainScenes(), CONFIG, first=4)[0]
    same = Iterations(PlainScenes(), CONFIG)[4]
    assert all(torch.equal(later[key], same[key]) for key in same)


def test_dropped_conditions_are_zero_for_all_frames_of_a_scene():
    config = replace(CONFIG, drop_references=0.0, drop_base=0.0, drop_both=1.0)
    batch = Iterations(PlainScenes(), config)[0]
    assert bool((batch['base'] == NO_BASE).all())
    assert not batch['views'].any()
    assert batch['normal_map'].any()


def test_errors_on_the_mask_weigh_more_than_those_outside():
    truth = torch.full((1, 3, 8, 8), 0.5)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    inside, outside = truth.clone(), truth.clone()
    inside[..., :4] += 0.1
    outside[..., 4:] += 0.1
    assert picture_loss(inside, truth, mask, CONFIG) > 2 * picture_loss(
        outside, truth, mask, CONFIG
    )
    assert picture_loss(truth, truth, mask, CONFIG) == 0


def test_a_loss_that_is_not_finite_stops_training_with_advice():
    trainer = Trainer.start(CONFIG)
    batch = Iterations(PlainScenes(), CONFIG)[0]
    batch['rgb'] = batch['rgb'] * float('nan')
    with pytest.raises(TrainingError, match='learning_rate'):
        trainer.step(batch)


def test_a_training_file_describes_a_run_and_names_wrong_fields(tmp_path):
    path = tmp_path / 'run.yaml'
    path.write_text(CONFIG.to_yaml())
    assert TrainConfig.read(path) == CONFIG
    path.write_text('iteration: 3')
    with pytest.raises(TrainConfigError, match="'iteration'"):
        TrainConfig.read(path)


def test_the_command_makes_scenes_trains_and_leaves_a_checkpoint(tmp_path, capsys):
    config = TrainConfig(
        model=replace(SMALL, image_size=256, num_points=2048),
        light_views=3,
        light_iterations=2,
        iterations=2,
        scenes_per_batch=1,
        frames_per_scene=1,
    )
    (tmp_path / 'run.yaml').write_text(config.to_yaml())
    folders = ['--data', str(tmp_path / 'data'), '--out', str(tmp_path / 'out')]
    asked = ['--config', str(tmp_path / 'run.yaml'), *folders, '--scenes', '2', '--threads', '1']
    assert main(asked) == 0
    assert load_checkpoint(tmp_path / 'out' / 'model.safetensors').config == config.model
    asked[1] = str(tmp_path / 'nowhere.yaml')
    assert main(asked) == 2
    assert 'nowhere.yaml' in capsys.readouterr().err


def test_a_mirrored_batch_is_what_the_mirrored_scene_would_have_been():
    """The base too: the mirrored scene, painted under the light that is fixed in the camera."""
    from manivideo_ros.geometry import Camera, look_at, pinhole
    from manivideo_ros.hand.model import load_hand
    from manivideo_ros.mlo.painted import Painter, hand_appearance
    from manivideo_ros.mlo.rasterizer import Rasterizer
    from manivideo_ros.mlo.surfaces import HandReference, HandState, hand_surface

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
        layers = Rasterizer([hand_surface(hand)], 64, 64, threads=1).render(camera, [state])
        painter = Painter(
            Rasterizer([hand_surface(hand)], 128, 128, threads=1, merge=True),
            [hand_appearance(hand, grey)],
        )
        base, mask = painter.paint(camera, [state])
        made[side] = {
            'normal_map': layers.normal_map.clone()[None],
            'occlusion_confidence': layers.occlusion_confidence.clone()[None],
            'base': base.clone()[None],
            'mask': mask.clone()[None, None],
        }
    extra = {'rgb': torch.zeros(1, 3, 64, 64), 'background': torch.zeros(1, 3, 128, 128)}
    extra |= {'hand_view': torch.zeros(1, 3, 128, 128), 'points': torch.ones(1, 4, 3)}
    views = torch.arange(6.0).view(1, 6, 1, 1, 1).expand(-1, -1, 3, 128, 128)
    seen = mirrored({**made['right'], **extra, 'views': views})
    for key, expected in made['left'].items():
        near = (seen[key] - expected).abs() < 0.02
        assert near.float().mean() > 0.995, key
    assert seen['views'][0, :, 0, 0, 0].tolist() == [0, 1, 3, 2, 4, 5]
    assert seen['points'][0, 0].tolist() == [-1, 1, 1]
