"""The exported graph: inputs, parity with torch, scene cache and file cache."""

import errno
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from graphs import HUMAN, graph_file, model_of, rendered, run
from networks import SMALL, awake, references, skeleton_of

from manivideo_ros.engine import cli
from manivideo_ros.engine.cli import main
from manivideo_ros.engine.graph import cache as graph_cache
from manivideo_ros.engine.graph import export
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.parity import compare, stream
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.model.checkpoint import save_checkpoint
from manivideo_ros.model.patch.schedule import ddim_step, sampling_times

CONDITIONS = {'normal_map', 'occlusion_confidence', 'visible_normal', 'horizon', 'base'}
REFERENCES = {'views', 'background', 'hand_reference', 'points'}
OWN_STATE = {
    'valid',
    'cached_reference',
    'cached_appearance',
    'cached_light',
    'cached_facing',
    'cached_around',
    'cached_point_tokens',
}


def inputs_of(graph: Path) -> set[str]:
    return {value.name for value in onnx.load(graph).graph.input}


def test_the_graphs_inputs_are_conditions_references_noise_and_its_caches():
    names = CONDITIONS | REFERENCES | {'latents', 'refresh_scene'} | OWN_STATE
    assert inputs_of(graph_file(1)) == names | {'cache_0', 'cache_1'}
    caches = {f'cache_{i}' for i in range(4)}
    guided = {'skeleton', 'has_skeleton'}
    assert inputs_of(graph_file(2, human=True)) == names | caches | guided


@pytest.mark.parametrize(
    ('steps', 'frames', 'config'),
    [
        (1, 64, SMALL),
        (2, 12, HUMAN),
        pytest.param(4, 8, SMALL, marks=pytest.mark.long),
    ],
)
@torch.no_grad()
def test_a_stream_matches_torch(steps, frames, config):
    graph = graph_file(steps, human=config.human)
    session = StreamingSession(OnnxRunner(graph, threads=1), seed=5)
    network, given = awake(config), references(SMALL)
    session.set_scene(*(x[0].numpy() for x in given))
    scene, (empty, valid) = network.encode_scene(*given), network.empty_caches()
    kept, times = [empty] * steps, [*sampling_times(steps), 0.0]
    for frame in range(frames):
        one, latents = rendered(seed=frame), torch.from_numpy(session.latents)
        for step in range(steps):
            image, kept[step] = network.denoise(
                latents, torch.tensor([times[step]]), one, scene, caches=kept[step], valid=valid
            )
            predicted = network.patchify(image.clamp(0, 1))
            latents = ddim_step(latents, predicted, times[step], times[step + 1])
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        expected = (image[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        got = run(session, one)
        assert np.abs(got - expected).max() <= 0.51, frame  # only the rounding to uint8


@pytest.mark.long
def test_a_sound_stream_of_four_steps_is_within_the_parity_threshold():
    made = stream(OnnxRunner(graph_file(4), threads=1), 16)[0]
    parity = compare(made, stream(TorchRunner(awake(), 4), 16)[0])
    assert parity.held('fp32', steps=4), parity


@torch.no_grad()
def test_the_skeleton_guider_runs_only_with_a_skeleton():
    session = StreamingSession(OnnxRunner(graph_file(1, human=True), threads=1))
    more = inputs_of(graph_file(1, human=True)) - inputs_of(graph_file(1))
    assert more == {'skeleton', 'has_skeleton'}
    network, given = awake(HUMAN), references(SMALL)
    session.set_scene(*(x[0].numpy() for x in given))
    scene, (caches, valid) = network.encode_scene(*given), network.empty_caches()
    latents, images = torch.from_numpy(session.latents), []
    for skeleton in (None, skeleton_of(SMALL), None):
        one = replace(rendered(), skeleton=skeleton)
        image, caches = network.denoise(
            latents, torch.ones(1), one, scene, caches=caches, valid=valid
        )
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        expected = (image[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        images.append(run(session, one, skeleton))
        assert np.abs(images[-1] - expected).max() <= 0.51
    assert not np.array_equal(images[0], images[1])


def test_the_skeleton_guider_is_a_branch_of_an_if():
    model = onnx.load(graph_file(1, human=True))
    branches = {node.input[0]: node for node in model.graph.node if node.op_type == 'If'}
    assert set(branches) == {'refresh_scene', 'has_skeleton'}
    then, otherwise = (a.g for a in branches['has_skeleton'].attribute)
    if then.name != 'guide_skeleton':
        then, otherwise = otherwise, then
    assert sum(node.op_type == 'Conv' for node in then.node) == 4
    assert [node.op_type for node in otherwise.node] == ['Constant']
    everywhere = [i.name for i in model.graph.initializer]
    assert not [name for name in everywhere if 'skeleton_guider' in name]


def test_a_network_without_human_takes_no_skeleton():
    session = StreamingSession(OnnxRunner(graph_file(1), threads=1))
    with pytest.raises(ValueError, match='made without human'):
        run(session, rendered(), skeleton_of(SMALL))


@torch.no_grad()
def test_the_skeleton_guides_every_step():
    session = StreamingSession(OnnxRunner(graph_file(2, human=True), threads=1))
    network, given, skeleton = awake(HUMAN), references(SMALL), skeleton_of(SMALL)
    session.set_scene(*(x[0].numpy() for x in given))
    scene, (empty, valid) = network.encode_scene(*given), network.empty_caches()
    latents, times = torch.from_numpy(session.latents), [*sampling_times(2), 0.0]
    one = replace(rendered(), skeleton=skeleton)
    for now, after in pairwise(times):
        time = torch.full((1,), now)
        image, _ = network.denoise(latents, time, one, scene, caches=empty, valid=valid)
        latents = ddim_step(latents, network.patchify(image.clamp(0, 1)), now, after)
    expected = (image[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    assert np.abs(run(session, one, skeleton) - expected).max() <= 0.51


def test_a_new_scene_takes_effect_at_the_next_frame_and_forgets_past_frames():
    session = StreamingSession(OnnxRunner(graph_file(1), threads=1))
    first = [x[0].numpy() for x in references(SMALL)]
    second = [x[::-1].copy() for x in first]
    one = rendered()
    session.set_scene(*first)
    fresh = run(session, one)
    run(session, rendered(seed=9))
    session.set_scene(*second)
    assert not np.array_equal(run(session, one), fresh)
    session.set_scene(*first)
    np.testing.assert_array_equal(run(session, one), fresh)


def test_the_seed_determines_the_noise():
    session = StreamingSession(OnnxRunner(graph_file(1), threads=1), seed=1)
    other = StreamingSession(OnnxRunner(graph_file(1), threads=1), seed=2)
    one = rendered()
    assert not np.array_equal(run(session, one), run(other, one))
    other.set_seed(1)
    other.reset()
    session.reset()
    np.testing.assert_array_equal(run(session, one), run(other, one))


@pytest.mark.parametrize(('steps', 'human'), [(1, False), (2, True)])
def test_a_graph_does_not_depend_on_the_folder_of_the_installation(steps, human):
    content = graph_file(steps, human).read_bytes()
    folders = {Path(export.__file__).parents[3], Path(torch.__file__).parents[1]}
    assert not [folder for folder in folders if str(folder).encode() in content]
    assert re.findall(rb'File "[^"]*|/[\w./-]+\.py', content) == []


def test_graphs_are_exported_once_and_again_when_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    exports = []
    monkeypatch.setattr(export, 'build_graph', lambda _, steps, precision: exports.append(steps))
    monkeypatch.setattr(export, 'save_graph', lambda _, path: path.write_bytes(b'graph'))
    checkpoint = tmp_path / 'm.safetensors'
    save_checkpoint(awake().state_dict(), SMALL, checkpoint)
    path = graph_cache.graph_of(checkpoint, 1)
    assert graph_cache.graph_of(checkpoint, 1) == path
    assert exports == [1]
    assert graph_cache.graph_of(checkpoint, 4) != path
    path.write_bytes(b'grap')
    graph_cache.graph_of(checkpoint, 1)
    assert exports == [1, 4, 1]


def test_a_full_disk_is_reported_with_a_fix(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))

    def full(_, path):
        path.with_suffix('.partial').write_bytes(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(export, 'build_graph', lambda *_: None)
    monkeypatch.setattr(export, 'save_graph', full)
    save_checkpoint(awake().state_dict(), SMALL, tmp_path / 'm.safetensors')
    with pytest.raises(EngineError, match=r'No space left on device: .*XDG_CACHE_HOME'):
        graph_cache.graph_of(tmp_path / 'm.safetensors', 1)
    assert {file.suffix for file in (tmp_path / 'manivideo_ros').iterdir()} <= {'.lock'}


def test_the_export_command_writes_a_graph_or_names_the_unusable_checkpoint(
    tmp_path, capsys, monkeypatch
):
    def build(network, steps):  # as the graph that is exported already
        assert all(torch.equal(v, network.state_dict()[n]) for n, v in awake().state_dict().items())
        return model_of(steps)

    monkeypatch.setattr(cli, 'build_graph', build)
    save_checkpoint(awake().state_dict(), SMALL, tmp_path / 'm.safetensors')
    given = ['--checkpoint', str(tmp_path / 'm.safetensors')]
    assert main([str(tmp_path / 'g.onnx'), *given]) == 0
    session = StreamingSession(OnnxRunner(tmp_path / 'g.onnx', threads=1))
    assert session.size == SMALL.size
    (tmp_path / 'm.safetensors').write_bytes(b'')
    assert main([str(tmp_path / 'g.onnx'), *given]) == 2
    assert 'm.safetensors' in capsys.readouterr().err


def test_a_graph_needed_by_two_processes_at_once_is_created_once(tmp_path, monkeypatch):
    """As when two nodes start together on a new machine: the second waits for the first."""
    path, made = tmp_path / 'small.safetensors', []
    save_checkpoint(awake(SMALL).state_dict(), SMALL, path)

    def slowly(*_):
        made.append(path)
        time.sleep(0.3)
        return model_of(1)

    monkeypatch.setattr(graph_cache, '_create', slowly)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda _: graph_cache.graph_of(path, 1), range(2)))
    assert len(made) == 1 and found[0] == found[1]
