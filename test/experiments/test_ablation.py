"""The ablation: inputs of each row, training and resuming, contents of the results."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from experiments.ablation import run as ablation
from experiments.ablation import tables
from experiments.ablation.frames import TrainingFrames, scenes_of
from experiments.ablation.inputs import (
    BASE,
    CONFIDENCE,
    DEPTH,
    NORMALS,
    SKELETON,
    WARPED,
    FrameInputs,
    depth_confidence,
)
from experiments.ablation.measuring import ClipFigures
from experiments.ablation.network import CONFIG
from experiments.ablation.rows import FEW_OBJECTS, NAMES, ON_BASE, ROWS, UNTRAINED, Row
from experiments.ablation.training import Budget, Trainer, shared_light, train_row
from manivideo_ros.data.generator import make_shards
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.model.config import PatchTrunk
from manivideo_ros.model.patch.light import LightNet
from manivideo_ros.model.patch.network import NO_BASE

TRUNK = PatchTrunk(
    channels=(32, 64, 64), skip_channels=(8, 16), guider_channels=(8, 16, 32), embed_dim=32,
    time_dim=64,
)  # fmt: skip
SMALL = replace(CONFIG, image_size=64, trunk=TRUNK)
BUDGET = Budget(steps=4, scenes_per_batch=1, frames_per_scene=2, warmup=1, checkpoint_every=2)
ALL_INPUTS = (NORMALS, CONFIDENCE, DEPTH, SKELETON, BASE, WARPED)
BY_NAME = {row.name: row for row in ROWS}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    make_shards(folder, 3, 40, 'train', workers=1)
    return folder


@pytest.fixture(scope='module')
def light():
    torch.manual_seed(3)
    return LightNet(SMALL).state_dict()


@pytest.fixture(scope='module')
def batch(data):
    """References and every input of two frames of a scene with hands and an object."""
    return TrainingFrames(data, ALL_INPUTS, size=64).batch(1, 0, 1, 2)


def initialized(row):
    """The row's network with random weights in its zero-initialized parts."""
    torch.manual_seed(0)
    network = row.build(SMALL).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return network


def image(network, references, frames):
    config = network.config
    shape = (2, config.latent_channels, *config.latent_size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return network.image(network.scene(references).repeat(2), frames, noise)


def reacts(network, batch, changed_references=None, changed_frames=None):
    references, frames = batch
    before = image(network, references, frames)
    after = image(network, references | (changed_references or {}), frames | (changed_frames or {}))
    return not torch.equal(before, after)


def without_hidden(frames):
    """The frames without the hidden layers."""
    seen = frames[DEPTH] == frames[DEPTH].amax(1, keepdim=True)
    there = seen & (frames[DEPTH] > 0)
    assert (there.sum(1) < (frames[DEPTH] > 0).sum(1)).any(), 'nothing is hidden here'
    out = {key: frames[key] * there for key in (DEPTH, CONFIDENCE)}
    return out | {NORMALS: frames[NORMALS] * there.unsqueeze(2)}


@pytest.mark.parametrize('row', [*ROWS, *ON_BASE], ids=lambda row: row.name)
def test_every_row_learns_from_a_step(row, batch, light):
    torch.manual_seed(0)
    trainer = Trainer(row.build(SMALL), light, BUDGET, 0)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    loss = trainer.take(*batch)
    assert np.isfinite(loss)
    after = trainer.network.state_dict()
    assert not torch.equal(before['head.weight'], after['head.weight'])
    kept = [name for name in after if name.startswith('light.')]
    assert kept and all(torch.equal(before[name], after[name]) for name in kept)


def test_rows_with_the_same_layers_have_the_same_initial_weights():
    states = []
    for name in ('full', 'depth_only', 'noise_only', 'no_objaverse', 'adiff'):
        torch.manual_seed(7)
        states.append(BY_NAME[name].build(SMALL).state_dict())
    for state in states[1:]:
        assert all(torch.equal(value, state[name]) for name, value in states[0].items())


@pytest.mark.parametrize('row', [*ROWS, *ON_BASE], ids=lambda row: row.name)
def test_a_row_reads_only_its_needs(row, batch):
    network = initialized(row)
    references, frames = batch
    given = {key: frames[key] for key in network.needs}
    assert torch.equal(image(network, references, given), image(network, references, frames))


@pytest.mark.parametrize('name', ['full', 'noise_only'])
def test_rows_with_layers_react_to_hidden_layers(name, batch):
    assert reacts(initialized(BY_NAME[name]), batch, changed_frames=without_hidden(batch[1]))


@pytest.mark.parametrize('name', ['depth_only', 'cdiff', 'adiff', 'animate_anyone', 'hogan'])
def test_rows_without_layers_ignore_hidden_layers(name, batch):
    assert not reacts(initialized(BY_NAME[name]), batch, changed_frames=without_hidden(batch[1]))


def test_noise_only_ignores_the_order(batch):
    swapped = {CONFIDENCE: batch[1][CONFIDENCE].flip(1)}
    assert not reacts(initialized(BY_NAME['noise_only']), batch, changed_frames=swapped)
    assert reacts(initialized(BY_NAME['full']), batch, changed_frames=swapped)


def test_depth_only_and_adiff_ignore_normals(batch):
    turned = {NORMALS: -batch[1][NORMALS]}
    for name in ('depth_only', 'adiff'):
        assert not reacts(initialized(BY_NAME[name]), batch, changed_frames=turned)
    assert reacts(initialized(BY_NAME['cdiff']), batch, changed_frames=turned)


def test_animate_anyone_uses_only_the_skeleton(batch):
    network = initialized(BY_NAME['animate_anyone'])
    assert network.needs == (SKELETON,)
    assert reacts(network, batch, changed_frames={SKELETON: batch[1][SKELETON].flip(-1)})


def test_cdiff_reads_all_three_images(batch):
    network = initialized(BY_NAME['cdiff'])
    for key in (NORMALS, DEPTH, SKELETON):
        changed = {key: batch[1][key].roll(4, -1)}
        assert reacts(network, batch, changed_frames=changed), key


def test_an_untrained_control_branch_adds_nothing(batch):
    torch.manual_seed(0)
    network = BY_NAME['cdiff'].build(SMALL).eval()
    torch.nn.init.normal_(network.head.weight, std=0.2)
    changed = {SKELETON: batch[1][SKELETON].flip(-1)}
    assert not reacts(network, batch, changed_frames=changed)


def test_adiff_uses_one_view_of_the_object(batch):
    network, views = initialized(BY_NAME['adiff']), batch[0]['views'].clone()
    views[:, 1:] = 1 - views[:, 1:]
    assert not reacts(network, batch, {'views': views})
    views[:, 0] = 1 - views[:, 0]
    assert reacts(network, batch, {'views': views})


@pytest.mark.parametrize('name', ['cdiff', 'adiff', 'animate_anyone', 'hogan'])
def test_baselines_ignore_the_geometry_of_the_object(name, batch):
    assert not reacts(initialized(BY_NAME[name]), batch, {'points': batch[0]['points'] + 0.1})
    assert reacts(initialized(BY_NAME['full']), batch, {'points': batch[0]['points'] + 0.1})


def test_hogan_uses_the_source_instead_of_references(batch):
    network, references = initialized(BY_NAME['hogan']), batch[0]
    for key in ('views', 'hand_reference'):
        assert not reacts(network, batch, {key: 1 - references[key]})
    assert reacts(network, batch, changed_frames={WARPED: batch[1][WARPED].flip(-1)})


def test_the_adversary_is_trained_by_its_own_optimizer(batch, light):
    trainer = Trainer(BY_NAME['hogan'].build(SMALL), light, BUDGET, 0)
    before = [value.clone() for value in trainer.adversary.parameters()]
    trainer.take(*batch)
    after = list(trainer.adversary.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    sets = [{id(p) for g in o.param_groups for p in g['params']} for o in trainer.optimizers]
    assert not sets[0] & sets[1]


def test_a_frame_warped_to_itself_is_unchanged(data):
    frames = TrainingFrames(data, (WARPED,), size=64)
    scene = frames.scenes[0]
    warped = frames.frame(scene, 0, 0)
    known = warped[WARPED].amin(0) != NO_BASE
    # Only surfaces: elsewhere it is the background without shadows.
    on_surface = known & (warped['mask'][0] == 1)
    assert on_surface.float().mean() > 0.02
    error = (warped[WARPED] - warped['rgb']).abs()[:, on_surface]
    assert error.max() < 1 / 255


def test_depth_equals_that_of_the_rasterizer(data):
    frames = TrainingFrames(data, (DEPTH,), size=64)
    scene = frames.scenes[0]
    shards = frames.shards
    rasterizer = Rasterizer(shards.surfaces(scene), 64, 64, threads=1, confidence='depth')
    buffers = rasterizer.render(shards.camera(scene), shards.poses(scene, 0))
    torch.testing.assert_close(depth_confidence(buffers.depth), buffers.occlusion_confidence)


def test_all_rows_have_the_same_frames_in_the_same_order(data):
    batches = [
        TrainingFrames(data, row.build(SMALL).needs, size=64).batch(3, 5, 2, 2)[1]['rgb']
        for row in (BY_NAME['full'], BY_NAME['animate_anyone'])
    ]
    assert torch.equal(*batches)


def test_few_objects_are_the_most_frequent_ones(data):
    shards = TrainingFrames(data, (), size=64).shards
    shards.scenes = [
        {'object': name, 'others': others}
        for name, others in [('a', []), ('b', []), ('a', ['c']), ('', []), ('a', ['b']), ('c', [])]
    ]
    shards.place = [(0, 0)] * len(shards.scenes)
    assert scenes_of(shards, 1) == [0, 3]
    assert scenes_of(shards, 2) == [0, 1, 3, 4]  # b and c are equally frequent: sorted by name
    assert scenes_of(shards, 0) == [0, 1, 2, 3, 4, 5]
    assert BY_NAME['no_objaverse'].objects == FEW_OBJECTS == 15
    assert [row.name for row in (*ROWS, *ON_BASE) if row.objects] == ['no_objaverse']


@pytest.mark.parametrize('name', ['full', 'hogan'])
def test_an_interrupted_row_ends_with_the_same_weights(name, data, light, tmp_path, monkeypatch):
    row = BY_NAME[name]
    whole = train_row(row, 1, data, tmp_path / 'whole', light, BUDGET, SMALL).state_dict()

    take = Trainer.take

    def killed(trainer, *batch):
        if trainer.step == 3:
            raise KeyboardInterrupt
        return take(trainer, *batch)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, 'take', killed)
        with pytest.raises(KeyboardInterrupt):
            train_row(row, 1, data, tmp_path / 'cut', light, BUDGET, SMALL)
    resumed = train_row(row, 1, data, tmp_path / 'cut', light, BUDGET, SMALL).state_dict()
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def test_a_checkpoint_with_another_budget_is_rejected(data, light, tmp_path):
    row: Row = BY_NAME['full']
    train_row(row, 0, data, tmp_path, light, replace(BUDGET, steps=1), SMALL)
    with pytest.raises(ValueError, match='has another budget; delete it'):
        train_row(row, 0, data, tmp_path, light, BUDGET, SMALL)


def test_the_light_comes_from_a_file_or_the_shipped_checkpoint(light, tmp_path):
    save_file(light, tmp_path / 'light.safetensors')
    for stored in (shared_light(tmp_path / 'light.safetensors'), shared_light(None)):
        assert stored.keys() == light.keys()


def figures(psnr):
    order = {'order': 0.9, 'order_pixels': 10}
    hand = dict.fromkeys(('hand_share', 'hand_with_misses', 'hand_own', 'hands'), 1.0)
    return {'psnr_db': psnr, 'ssim': 0.5, 'hand_other': 3.0, 'hand_misses': 0.0} | order | hand


def measured(seed, names, better):
    """Three clips with a PSNR of 20, that of `full` higher by `better`."""
    return [
        ClipFigures(
            f'clip {i}',
            ['dense_contact'] if i else ['unseen_objects'],
            {
                poses: {name: figures(20 + i + seed + better * (name == 'full')) for name in names}
                for poses in ('exact', 'noise')
            },
        )
        for i in range(3)
    ]


def test_results_have_exactly_the_rows_of_names():
    seeds = {seed: measured(seed, NAMES, 1) for seed in (0, 1)}
    rows = json.loads(json.dumps(tables.rows_of(seeds, NAMES)))
    assert NAMES == (
        'full', 'depth_only', 'noise_only', 'no_objaverse', 'cdiff', 'adiff', 'animate_anyone',
        'hogan', 'painted', 'textured', 'true_light',
    )  # fmt: skip
    found = [(row['name'], row['seed']) for row in rows]
    trained = [name for name in NAMES if name not in UNTRAINED]
    wanted = {(name, seed) for name in trained for seed in (0, 1)} | {(n, None) for n in UNTRAINED}
    assert set(found) == wanted and len(found) == len(wanted)
    for row in rows:
        assert row.keys() == {'name', 'seed', 'metrics'}
        for metric in row['metrics'].values():
            assert metric.keys() == {'mean', 'lo', 'hi'}
    assert rows[0]['metrics']['psnr_db']['mean'] == 22
    assert rows[0]['metrics']['psnr_db.dense_contact.noise']['mean'] == 22.5


def test_differences_are_paired_by_clip_and_positive_where_full_is_better():
    clips = tables.over_seeds({seed: measured(seed, ('full', 'cdiff'), 1) for seed in (0, 1)})
    found = tables.difference(clips, 'cdiff', 'all', 'noise', 'psnr_db')
    assert (found.mean, found.low, found.high) == (1, 1, 1)
    assert clips[0].figures['exact']['cdiff']['psnr_db'] == 20.5


def test_the_second_table_has_only_the_rows_on_the_base():
    names = ('full', 'full on base', 'painted')
    found = tables.table_of({0: measured(0, names, 1)}, ' on base')
    assert list(found[0][0].figures['exact']) == ['full']


def test_tables_name_every_row_in_markdown():
    text = '\n'.join(tables.markdown('A table', {0: measured(0, NAMES, 1)}, NAMES))
    assert all(f'| {name} |' in text for name in NAMES)
    assert '+1.00 [+1.00, +1.00]' in text


def test_measuring_rows_requires_full(capsys):
    with pytest.raises(SystemExit):
        ablation.main(['--rows', 'cdiff'])
    assert 'must include full' in capsys.readouterr().err


def test_a_frame_has_only_the_needed_inputs(data):
    frames = TrainingFrames(data, (SKELETON,), size=64)
    renderer = frames._renderer(frames.scenes[0])
    assert isinstance(renderer, FrameInputs) and renderer._layers is None
    assert set(frames.frame(frames.scenes[0], 0, 1)) == {SKELETON, 'rgb', 'mask'}
