"""What only a GPU can show of TensorRT: an engine loads, runs, and paints what torch paints."""

import pytest
import torch
from test_engine import rendered
from test_model import SMALL, awake, references

from manivideo_ros.engine import tensorrt_runtime
from manivideo_ros.engine.export import build_graph
from manivideo_ros.engine.runner import SCENE_INPUTS
from manivideo_ros.engine.tensorrt_builder import TensorRTError, build_plan, library
from manivideo_ros.engine.tensorrt_cache import PlanCache, fields_of
from manivideo_ros.engine.tensorrt_runtime import TensorRTGraph, present_capability, target_of

MAPS = ('normal_map', 'occlusion_confidence', 'visible_normal', 'horizon', 'base')


@pytest.fixture(scope='module')
def trt():
    if not torch.cuda.is_available():
        pytest.skip('torch finds no CUDA GPU')
    try:
        return library()
    except TensorRTError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def plan(trt, tmp_path_factory):
    """The plan for this GPU, through the cache."""
    graph = build_graph(awake(SMALL)).SerializeToString()
    capability = [present_capability()]
    try:
        built = build_plan(trt, graph, capability)
    except TensorRTError as error:
        if 'does not support compute capability' in str(error):
            pytest.skip(str(error))
        raise
    made_from = fields_of(graph, 'none', {'steps': 1}, target_of(trt, capability))
    assert made_from['gpu'] == torch.cuda.get_device_name()
    cache = PlanCache(tmp_path_factory.mktemp('plans'))
    cache.store('small', built, made_from)
    return cache.load('small', made_from)


def give(engine: TensorRTGraph, values: dict[str, torch.Tensor]) -> None:
    for name, value in values.items():
        engine.tensors[name].copy_(value)


def run(engine: TensorRTGraph) -> None:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        engine.run()
    stream.synchronize()


@torch.no_grad()
def test_a_stream_of_64_frames_is_what_torch_computes(trt, plan):
    engine, network, given = TensorRTGraph(trt, plan), awake(SMALL), references(SMALL)
    latents = torch.randn(
        engine.tensors['latents'].shape, generator=torch.Generator().manual_seed(5)
    )
    give(engine, {'latents': latents, **dict(zip(SCENE_INPUTS, given, strict=True))})
    scene, (caches, valid) = network.encode_scene(*given), network.empty_caches()
    nexts = [name for name in engine.tensors if name.startswith('next_')]
    for frame in range(64):
        one = rendered(seed=frame)
        picture, caches = network.denoise(
            latents, torch.ones(1), one, scene, caches=caches, valid=valid
        )
        valid = torch.cat([valid[:, 1:], torch.ones(1, 1)], 1)
        expected = (picture[0].clamp(0, 1) * 255).permute(1, 2, 0)
        refresh = torch.tensor(frame == 0)
        give(engine, {'refresh_scene': refresh, **{name: getattr(one, name) for name in MAPS}})
        run(engine)
        got = engine.tensors['frame'].cpu().float()
        assert (got - expected).abs().max() <= 1
        assert (engine.tensors['next_cache_0'].cpu() - caches[0]).abs().max() < 1e-4
        for name in nexts:  # ping-pong by address: what was written is read next
            own = name[5:] if name[5:] in engine.tensors else 'cached_' + name[5:]
            read, written = engine.tensors[own], engine.tensors[name]
            engine.bind(own, written)
            engine.bind(name, read)


def test_a_tensor_that_does_not_fit_is_named(trt, plan):
    engine = TensorRTGraph(trt, plan)
    for wrong in (torch.zeros(1), torch.zeros(engine.tensors['base'].shape)):
        with pytest.raises(ValueError, match='base: must be contiguous'):
            engine.bind('base', wrong)


def test_a_plan_that_cannot_run_here_is_refused_before_it_is_loaded(trt):
    if not hasattr(trt.Runtime, 'get_engine_validity'):
        pytest.skip(f'{trt.__name__} has no such question')
    with pytest.raises(TensorRTError, match='malformed engine'):
        TensorRTGraph(trt, b'not a plan at all' * 8)


def test_the_driver_is_known_where_the_kernel_tells_it(trt):
    known = tensorrt_runtime.DRIVER_VERSION.is_file()
    assert bool(target_of(trt, ['8.6'])['driver']) == known
