"""The TensorRT runner without a GPU: what it enqueues, in which order, and what it caches.

Stand-ins for the library and the CUDA stream (tensorrt_stand_in.py) execute the graph.
"""

from itertools import pairwise

import numpy as np
import onnx
import pytest
import tensorrt_stand_in
import torch
from graphs import HUMAN
from networks import SMALL, awake, references
from onnx import TensorProto
from streams import spec_of, streamed
from tensorrt_stand_in import DeferredQueue

from manivideo_ros.engine import availability
from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.cuda_queue import Staging
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.graph.cache import graph_for
from manivideo_ros.engine.graph.export import example_inputs
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.runner import EngineError, input_shapes
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.tensorrt import library as tensorrt_library
from manivideo_ros.engine.tensorrt import plans
from manivideo_ros.engine.tensorrt import runner as tensorrt_runner
from manivideo_ros.engine.tensorrt.builder import build_plan
from manivideo_ros.engine.tensorrt.graphs import FRAME, SCENE, SKELETON, pack, split, unpack
from manivideo_ros.engine.tensorrt.library import TensorRTError
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError
from manivideo_ros.engine.tensorrt.plans import PlanJob, plan_cache
from manivideo_ros.engine.tensorrt.runner import TensorRTRunner, open_plan


@pytest.fixture(scope='module')
def parts(checkpoint):
    return split(graph_for(spec_of(checkpoint, 'tensorrt'), 'tensorrt').read_bytes())


@pytest.fixture(scope='module')
def content(parts):
    return pack(parts)


@pytest.fixture(params=[False, True], ids=['tensorrt', 'tensorrt_rtx'])
def trt(request):
    return tensorrt_stand_in.library(rtx=request.param)


def runner_of(trt, content, kernels=b'') -> tuple[TensorRTRunner, DeferredQueue]:
    queue = DeferredQueue()
    return TensorRTRunner(trt, content, kernels, queue), queue


class Drawing:
    """Draws a number into the base image with a bound method, as a scene's drawing does."""

    def __init__(self, runner, queue) -> None:
        self.base, self.queue, self.number = runner.inputs['base'], queue, 0.0

    def draw(self) -> None:
        self.queue.enqueue(lambda: self.base.fill_(self.number))


def test_no_part_contains_an_if_which_a_cuda_graph_could_not_capture(parts):
    assert next(iter(parts)) == FRAME and {*parts} == {FRAME, SCENE, SKELETON}
    for part in parts.values():
        graph = onnx.load_model_from_string(part)
        onnx.checker.check_model(graph)
        assert 'If' not in {node.op_type for node in graph.graph.node}


def test_inputs_are_float32_in_every_precision(parts):
    half = example_inputs(awake(HUMAN).to(torch.float16))  # determines the graph's types
    assert {tensor.dtype for tensor in half.values()} == {torch.float32}
    names = set(input_shapes(HUMAN)) - {'has_skeleton'}
    values = [v for p in parts.values() for v in onnx.load_model_from_string(p).graph.input]
    assert names <= {value.name for value in values}
    types = {v.type.tensor_type.elem_type for v in values if v.name in names}
    assert types == {TensorProto.FLOAT}


def test_a_stream_with_scenes_and_skeletons_matches_torch(trt, content):
    expected = streamed(TorchRunner(awake(HUMAN)), 16)
    runner, queue = runner_of(trt, content)
    assert dict(runner.shapes) == dict(TorchRunner(awake(HUMAN)).shapes)
    made = streamed(runner, 16)
    assert np.ptp(expected, axis=0).max() > 20  # the frames differ enough for a comparison
    assert np.abs(made.astype(float) - expected).max() <= 1
    assert queue.waits == 1 + 16  # one of the warm-up, and one per frame


def test_frames_are_captured_once_per_drawing_and_never_for_fading(trt, content):
    runner, queue = runner_of(trt, content)
    session = StreamingSession(runner)
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    first, second = Drawing(runner, queue), Drawing(runner, queue)
    made = []
    for number in (0.1, 0.5, 0.9):
        first.number = number
        made.append(session.predict_drawn(first.draw).copy())
    network = 1 if trt.__name__ == 'tensorrt' else 0  # tensorrt_rtx captures its runs itself
    assert queue.captures == network + 1
    assert all(not np.array_equal(a, b) for a, b in pairwise(made))  # drawn before each run
    for _ in range(3):  # fading: the maps are already drawn
        session.predict_drawn(None)
        session.predict_drawn(first.draw)
    assert queue.captures == network + 1
    session.predict_drawn(second.draw)
    session.predict_drawn(second.draw)
    assert queue.captures == network + 2


def test_tensorrt_rtx_captures_its_runs_itself_and_only_the_drawing_is_captured(content):
    trt = tensorrt_stand_in.library(rtx=True)
    runner, queue = runner_of(trt, content)
    assert [config.cuda_graph_strategy for config in trt.contexts] == ['whole'] * 3
    assert len({id(config.cache) for config in trt.contexts}) == 1
    frame = runner._frame._context
    before = frame.runs
    drawing = Drawing(runner, queue)
    for _ in range(3):
        runner.run_drawn(drawing.draw)
    assert frame.runs == before + 3 and queue.captures == 1 and queue.replays == 3


def test_plain_tensorrt_is_captured_once_and_replayed_after_its_drawing(content):
    trt = tensorrt_stand_in.library(rtx=False)
    runner, queue = runner_of(trt, content)
    assert trt.contexts == [None] * 3  # without runtime configuration, which it does not support
    frame = runner._frame._context
    before = frame.runs
    drawing = Drawing(runner, queue)
    for _ in range(3):
        runner.run_drawn(drawing.draw)
    assert frame.runs == before and queue.captures == 2 and queue.replays == 3 + 3


def test_one_frame_is_run_at_construction_and_then_forgotten(trt, content):
    runner, queue = runner_of(trt, content)
    assert queue.waits == 1
    runs = {id(engine): engine.contexts[0].runs for engine in trt.engines}
    captured = 1 if trt.__name__ == 'tensorrt' else 0  # enqueued once more for the capture
    frame = runner._frame._context.engine
    assert runs.pop(id(frame)) == 1 + captured
    assert set(runs.values()) == {1}
    queue.wait()
    assert not runner._frame.tensors['valid'].any()


def test_a_host_tensor_is_not_rewritten_before_the_device_has_read_it():
    queue = DeferredQueue()
    staging, first, second = Staging(queue), torch.zeros(4), torch.zeros(4)
    staging.upload('base', first, np.full(4, 1, np.float32))
    staging.upload('base', second, np.full(4, 2, np.float32))
    assert len(queue.pending) == 1  # the second copy is pending; the first was read
    queue.wait()
    assert first.tolist() == [1] * 4 and second.tolist() == [2] * 4


def test_inputs_may_be_changed_after_put(trt, content):
    runner, _ = runner_of(trt, content)
    base = np.full(runner.shapes['base'], 0.5, np.float32)
    runner.put({'base': base})
    base[:] = 7
    runner.run()
    assert float(runner.inputs['base'].max()) == 0.5


def test_only_changed_inputs_are_uploaded(trt, content):
    runner, queue = runner_of(trt, content)
    session = StreamingSession(runner)
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    drawing, copies = Drawing(runner, queue), []
    for _ in range(4):
        before = queue.copies
        session.predict_drawn(drawing.draw)
        copies.append(queue.copies - before)
    caches = len(runner._next) if trt.__name__ == 'tensorrt_rtx' else 0
    assert copies[1:] == [1 + caches] * 3  # only the frame's download
    scene = runner._scene._context
    before = scene.runs
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    session.predict_drawn(drawing.draw)
    assert scene.runs == before  # the references are the same
    session.set_scene(*(x[0].numpy() * np.float32(0.5) for x in references(SMALL)))
    session.predict_drawn(drawing.draw)
    session.predict_drawn(drawing.draw)
    assert scene.runs == before + 1


@pytest.mark.parametrize('at', ['put', 'run', 'run_drawn', 'forget'])
def test_a_gpu_error_becomes_an_engine_error(trt, content, at, monkeypatch):
    runner, queue = runner_of(trt, content)

    def fails(*_):
        raise torch.AcceleratorError('CUDA error: an illegal memory access\nmore lines')

    monkeypatch.setattr(queue, 'copy', fails)
    monkeypatch.setattr(torch, 'AcceleratorError', RuntimeError, raising=False)
    base = np.zeros(runner.shapes['base'], np.float32)
    calls = {
        'put': lambda: runner.put({'base': base}),
        'run': runner.run,
        'run_drawn': lambda: runner.run_drawn(Drawing(runner, queue).draw),
        'forget': runner.forget,
    }
    with pytest.raises(EngineError, match=r'illegal memory access.*nvidia-smi') as caught:
        calls[at]()
    assert '\n' not in str(caught.value)


def test_a_capture_without_memory_becomes_an_engine_error(trt, content, monkeypatch):
    runner, queue = runner_of(trt, content)

    def fails(work):
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(queue, 'capture', fails)
    with pytest.raises(EngineError, match='no memory left on the GPU'):
        runner.run_drawn(Drawing(runner, queue).draw)


def test_a_failed_run_is_reported(trt, content):
    runner, _ = runner_of(trt, content)
    for engine in trt.engines:
        engine.fails = True
    with pytest.raises(TensorRTError, match='the TensorRT engine failed'):
        runner.run()


def test_a_file_that_is_no_engine_is_rejected(trt):
    with pytest.raises(EngineError, match='build it again'):
        unpack(b'of an older version')


@pytest.fixture
def here(monkeypatch, checkpoint, tmp_path):
    """A machine with a GPU of a compute capability, a TensorRT library, and an empty cache."""

    def make(capability, trt) -> PlanJob:
        monkeypatch.setattr(plans, 'library', lambda names: trt)
        monkeypatch.setattr(tensorrt_runner, 'library', lambda names: trt)
        monkeypatch.setattr(availability, 'library', lambda names: trt)
        monkeypatch.setattr(availability, 'require_device', lambda _: None)
        monkeypatch.setattr(tensorrt_library, 'require_cuda', lambda: None)
        monkeypatch.setattr(tensorrt_library, 'present_capability', lambda: capability)
        monkeypatch.setattr(plans, 'present_capability', lambda: capability)
        monkeypatch.setattr(tensorrt_runner, 'CudaQueue', DeferredQueue)
        monkeypatch.setattr(plans, 'cache_folder', lambda: tmp_path)
        return PlanJob(spec_of(checkpoint, trt.__name__), trt.__name__)

    return make


def built(job: PlanJob) -> list[float]:
    shares: list[float] = []
    job.build(lambda phase, done: shares.append(done))
    return shares


def test_a_plan_is_built_cached_and_streamed_with_either_library(trt, here, checkpoint):
    job = here('8.9', trt)
    with pytest.raises(NoPlanError, match='not built yet'):
        open_backend(job.backend, job.spec)
    shares = built(job)
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(trt.builds) == 3
    made = streamed(open_backend(job.backend, job.spec), 8)
    reference = streamed(open_backend('torch', spec_of(checkpoint, 'torch')), 8)
    assert np.abs(made.astype(float) - reference).max() <= 1


def test_kernels_are_cached_and_signed_like_the_plan(here):
    trt = tensorrt_stand_in.library(rtx=True)
    job = here('8.9', trt)
    built(job)
    open_plan(job)
    assert trt.contexts[-1].cache.taken is None
    open_plan(job)
    assert trt.contexts[-1].cache.taken == b'kernels'
    plan_cache().plan_file(f'{job.name}-kernels').write_bytes(b'planted')
    open_plan(job)
    assert trt.contexts[-1].cache.taken is None  # not signed by this machine: not loaded
    built(job)
    open_plan(job)
    assert trt.contexts[-1].cache.taken is None  # compiled for another plan: not loaded
    job.keep_kernels(b'of another driver')
    open_plan(job)  # rejected by the library: compiled and cached again
    open_plan(job)
    assert trt.contexts[-1].cache.taken == b'kernels'


@pytest.mark.parametrize('capability', ['8.7', '9.0', '10.0'])
def test_a_gpu_unsupported_by_tensorrt_rtx_gives_one_message_and_no_build(here, capability, caplog):
    job = here(capability, tensorrt_stand_in.library(rtx=True))
    started = []

    def open_one(backend, spec, threads):
        if backend == 'tensorrt_rtx':
            return open_backend(backend, spec, threads)
        if backend in ('onnxruntime', 'openvino', 'torch'):
            return open_backend('torch', spec, threads)
        raise EngineError('not available')

    spec = spec_of(job.spec.weights, 'auto')
    engine = Engine(spec, 1, False, open_one, started.append)
    assert not started and engine.build is None
    why = engine.reasons['tensorrt_rtx']
    assert f'compute capability {capability}' in why and '7.5, 8.0, 8.6, 8.9, 12.0, 12.1' in why
    assert 'pip install tensorrt,' in why


def test_plain_tensorrt_builds_for_the_present_gpu_only(here):
    trt = tensorrt_stand_in.library(rtx=False)
    here('9.0', trt)
    assert build_plan(trt, b'graph', ['9.0']) == b'graph'
    with pytest.raises(TensorRTError, match=r'compute capability 9\.0, not for 8\.6'):
        build_plan(trt, b'graph', ['8.6'])


def test_a_failed_build_is_not_repeated_until_something_changes(here, trt):
    job = here('8.9', trt)
    job.note_failure('TensorRT does not support node 7')
    with pytest.raises(
        TensorRTError, match=r'last build failed \(TensorRT does not support node 7\)'
    ):
        job.load()
    trt.__version__ = 'a newer one'
    with pytest.raises(NoPlanError):
        job.load()
    trt.__version__ = '0.0.stand_in'
    built(job)  # as `manivideo engine build` does
    assert job.load()
    plan_cache().remove(job.name)
    with pytest.raises(NoPlanError):
        job.load()
