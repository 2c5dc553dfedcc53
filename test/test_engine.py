"""The exported graph: its inputs, its parity with torch, its scene cache, its file cache."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from test_model import SMALL, awake, conditions_of, references

from manivideo_ros.engine import cache as graph_cache
from manivideo_ros.engine.cli import main
from manivideo_ros.engine.export import build_graph, save_graph
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.model.checkpoint import save_checkpoint
from manivideo_ros.model.network import FrameConditions

CONDITIONS = {'normal_map', 'occlusion_confidence', 'base'}
REFERENCES = {'views', 'background', 'hand_view', 'points'}
OWN_STATE = {
    'valid',
    'cached_reference',
    'cached_appearance',
    'cached_light',
    'cached_point_tokens',
}


@cache
def graph_file(steps: int, folder: str) -> Path:
    path = Path(folder) / f'small-{steps}.onnx'
    save_graph(build_graph(awake(), steps), path)
    return path


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp('graphs'))


def test_nothing_but_conditions_references_noise_and_own_caches_enters(folder):
    session = StreamingSession(graph_file(2, folder), threads=1)
    names = {i.name for i in session.session.get_inputs()}
    caches = {f'cache_{i}' for i in range(6)}
    assert names == CONDITIONS | REFERENCES | {'latents', 'refresh_scene'} | OWN_STATE | caches


@torch.no_grad()
def test_a_stream_of_64_frames_is_what_torch_computes(folder):
    session = StreamingSession(graph_file(1, folder), threads=1, seed=5)
    network, given = awake(), references(SMALL)
    session.set_scene(*(x[0].numpy() for x in given))
    scene, (caches, valid) = network.encode_scene(*given), network.empty_caches()
    latents = torch.from_numpy(session.latents)
    for frame in range(64):
        one = conditions_of(SMALL, 1, seed=frame)
        picture, caches = network.denoise(
            latents, torch.ones(1), one, scene, caches=caches, valid=valid
        )
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        expected = (picture[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        got = session.step(
            *(x[0].numpy() for x in (one.normal_map, one.occlusion_confidence, one.base))
        )
        assert np.abs(got - expected).max() <= 0.51  # the rounding to uint8 alone


def run(session: StreamingSession, one: FrameConditions) -> np.ndarray:
    arrays = (one.normal_map, one.occlusion_confidence, one.base)
    return session.step(*(x[0].numpy() for x in arrays)).copy()


def test_a_new_scene_takes_effect_with_the_next_frame_and_forgets_the_past(folder):
    session = StreamingSession(graph_file(1, folder), threads=1)
    first = [x[0].numpy() for x in references(SMALL)]
    second = [x[::-1].copy() for x in first]
    one = conditions_of(SMALL, 1)
    session.set_scene(*first)
    fresh = run(session, one)
    run(session, conditions_of(SMALL, 1, seed=9))
    session.set_scene(*second)
    assert not np.array_equal(run(session, one), fresh)
    session.set_scene(*first)
    np.testing.assert_array_equal(run(session, one), fresh)


def test_the_seed_decides_the_noise(folder):
    session = StreamingSession(graph_file(1, folder), threads=1, seed=1)
    other = StreamingSession(graph_file(1, folder), threads=1, seed=2)
    one = conditions_of(SMALL, 1)
    assert not np.array_equal(run(session, one), run(other, one))
    other.set_seed(1)
    other.reset()
    session.reset()
    np.testing.assert_array_equal(run(session, one), run(other, one))


def test_graphs_are_exported_once_and_again_when_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    exports = []
    monkeypatch.setattr(
        graph_cache.export, 'build_graph', lambda network, steps: exports.append(steps)
    )
    monkeypatch.setattr(
        graph_cache.export, 'save_graph', lambda _, path: path.write_bytes(b'graph')
    )
    checkpoint = tmp_path / 'm.safetensors'
    save_checkpoint(awake().state_dict(), SMALL, checkpoint)
    path = graph_cache.graph_of(checkpoint, 1)
    assert graph_cache.graph_of(checkpoint, 1) == path
    assert exports == [1]
    assert graph_cache.graph_of(checkpoint, 4) != path
    path.write_bytes(b'grap')
    graph_cache.graph_of(checkpoint, 1)
    assert exports == [1, 4, 1]


def test_the_command_exports_a_graph_and_names_what_it_cannot_use(tmp_path, capsys):
    save_checkpoint(awake().state_dict(), SMALL, tmp_path / 'm.safetensors')
    given = ['--checkpoint', str(tmp_path / 'm.safetensors')]
    assert main([str(tmp_path / 'g.onnx'), *given]) == 0
    assert StreamingSession(tmp_path / 'g.onnx', threads=1).image_size == SMALL.image_size
    (tmp_path / 'm.safetensors').write_bytes(b'')
    assert main([str(tmp_path / 'g.onnx'), *given]) == 2
    assert 'm.safetensors' in capsys.readouterr().err
