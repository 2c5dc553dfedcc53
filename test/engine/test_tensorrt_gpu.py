"""TensorRT on a GPU: an engine loads, runs, and produces the frames of torch."""

import numpy as np
import pytest
import torch
from graphs import HUMAN, model_of
from networks import awake
from streams import streamed
from synthesizers import frames_on

from manivideo_ros.engine.cuda_queue import CudaQueue, Staging
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.tensorrt import runtime as tensorrt_runtime
from manivideo_ros.engine.tensorrt.builder import build_plan, require_buildable
from manivideo_ros.engine.tensorrt.graphs import pack, split
from manivideo_ros.engine.tensorrt.library import TensorRTError, library, present_capability
from manivideo_ros.engine.tensorrt.plan_cache import PlanCache, fields_of
from manivideo_ros.engine.tensorrt.runner import TensorRTRunner
from manivideo_ros.engine.tensorrt.runtime import TensorRTGraph, target_of


@pytest.fixture(scope='module', params=['tensorrt', 'tensorrt_rtx'])
def trt(request):
    if not torch.cuda.is_available():
        pytest.skip('torch finds no CUDA GPU')
    try:
        found = library([request.param])
        require_buildable(found, [present_capability()])
    except TensorRTError as error:
        pytest.skip(str(error))
    return found


@pytest.fixture(scope='module')
def content(trt, tmp_path_factory):
    """The plans for this GPU, loaded from the cache."""
    graph = model_of(1, human=True).SerializeToString()
    capability = [present_capability()]
    built = pack({n: build_plan(trt, part, capability) for n, part in split(graph).items()})
    made_from = fields_of(graph, 'none', {'steps': 1}, target_of(trt, capability))
    assert made_from['gpu'] == torch.cuda.get_device_name()
    cache = PlanCache(tmp_path_factory.mktemp('plans'))
    cache.store('small', built, made_from)
    return cache.load('small', made_from)


def test_a_stream_of_64_frames_matches_torch(trt, content):
    expected = streamed(TorchRunner(awake(HUMAN)))
    made = streamed(TensorRTRunner(trt, content))
    assert np.abs(made.astype(float) - expected).max() <= 1


def test_the_layers_drawn_before_the_plan_match_those_of_the_cpu(trt, content):
    expected = frames_on(TorchRunner(awake(HUMAN)))
    made = frames_on(TensorRTRunner(trt, content))
    # Where surfaces are equally near, rounding decides which one is visible: single pixels.
    assert np.mean(np.abs(made - expected) > 1) < 0.002


def test_compiled_kernels_are_reused_by_the_next_runner(trt, content):
    first = TensorRTRunner(trt, content)
    kernels = first.kernels()
    assert bool(kernels) == hasattr(trt, 'CudaGraphStrategy')
    expected = streamed(first, 8)
    assert np.abs(streamed(TensorRTRunner(trt, content, kernels), 8) - expected).max() == 0


def test_a_tensor_that_does_not_fit_is_named(trt, content):
    engine = TensorRTRunner(trt, content)._frame
    for wrong in (torch.zeros(1), torch.zeros(engine.tensors['base'].shape)):
        with pytest.raises(ValueError, match='base: must be contiguous'):
            engine.bind('base', wrong)


def test_an_invalid_plan_is_rejected_before_it_is_loaded(trt):
    if not hasattr(trt.Runtime, 'get_engine_validity'):
        pytest.skip(f'{trt.__name__} cannot check plans')
    with pytest.raises(TensorRTError, match='malformed engine'):
        TensorRTGraph(trt, b'not a plan at all' * 8, CudaQueue())


def test_the_driver_is_known_if_the_linux_kernel_reports_it(trt):
    known = tensorrt_runtime.DRIVER_VERSION.is_file()
    assert bool(target_of(trt, ['8.6'])['driver']) == known


@pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no CUDA GPU')
def test_uploads_under_one_name_arrive_in_order_on_their_own_stream():
    queue = CudaQueue()
    assert queue.handle != torch.cuda.default_stream().cuda_stream
    staging, size = Staging(queue), 1 << 22
    targets = [torch.zeros(size, device='cuda') for _ in range(8)]
    with queue.entered():
        for number, target in enumerate(targets):
            staging.upload('base', target, np.full(size, number, np.float32))
    queue.wait()
    assert [int(target.min()) for target in targets] == list(range(8))
    assert [int(target.max()) for target in targets] == list(range(8))
