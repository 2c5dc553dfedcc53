"""The TensorRT builder: parsing, builds for GPUs that are not present, cancellation, errors."""

import threading
from functools import partial
from types import ModuleType

import pytest
import torch
from graphs import model_of
from onnx import TensorProto, helper

from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.tensorrt.builder import BuildCancelledError, build_plan, require_buildable
from manivideo_ros.engine.tensorrt.graphs import FRAME, SCENE, split
from manivideo_ros.engine.tensorrt.library import (
    LIBRARIES,
    RTX_CAPABILITIES,
    TensorRTError,
    library,
    package_for,
)
from manivideo_ros.engine.tensorrt.plan_cache import PlanCache
from manivideo_ros.engine.tensorrt.runner import TensorRTRunner

AHEAD = ['8.9', '12.0']


@pytest.fixture(scope='module')
def trt():
    return pytest.importorskip('tensorrt_rtx', reason='needs it: pip install tensorrt-rtx')


@pytest.fixture(scope='module')
def graph():
    return model_of(1)


def one_node(operator: str) -> bytes:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ('x', 'y'))
    node = helper.make_node(operator, ['x'], ['y'], name='the_node')
    model = helper.make_graph([node], 'one', [x], [y])
    return helper.make_model(model, opset_imports=[helper.make_opsetid('', 20)]).SerializeToString()


def test_every_part_is_a_plan_for_each_gpu_and_its_progress_is_reported(trt, graph):
    reported: dict[str, list[tuple[int, int]]] = {}

    def progress(phase, step, of):
        reported.setdefault(phase, []).append((step, of))

    plans = {}
    for name, part in split(graph.SerializeToString()).items():
        reported.clear()
        plans[name] = build_plan(trt, part, AHEAD, progress)
    assert {*plans} == {FRAME, SCENE}
    assert sum(map(len, plans.values())) > graph.ByteSize()  # every weight is in one of them
    steps, totals = zip(*reported['Building engine'], strict=True)
    assert len(set(steps)) > 2 and list(steps) == sorted(steps)
    assert steps[0] == 0 and steps[-1] == totals[0] and len(set(totals)) == 1
    assert all(0 <= step <= of for steps in reported.values() for step, of in steps)


def test_other_threads_run_during_a_build(trt, graph):
    ticks, done = [], threading.Event()

    def stream():
        while not done.wait(0.005):
            ticks.append(1)

    other = threading.Thread(target=stream)
    other.start()
    build_plan(trt, graph.SerializeToString(), AHEAD[:1], lambda *_: ticks.append(0))
    done.set()
    other.join()
    first, last = ticks.index(0), len(ticks) - 1 - ticks[::-1].index(0)
    assert ticks[first:last].count(1) > 10


def test_a_build_can_be_cancelled_at_its_next_step(trt):
    steps = []

    def progress(phase, step, of):
        steps.append(step)

    with pytest.raises(BuildCancelledError, match='cancelled'):
        build_plan(trt, one_node('Relu'), AHEAD, progress, lambda: sum(steps) > 0)
    stopped = len(steps)
    build_plan(trt, one_node('Relu'), AHEAD, progress)
    assert len(steps) - stopped > 2 * stopped


def test_a_cancelled_build_leaves_nothing_behind(trt, tmp_path):
    cache = PlanCache(tmp_path / 'engines')
    build = partial(build_plan, trt, one_node('Relu'), AHEAD)
    with pytest.raises(BuildCancelledError):
        cache.store('relu', build(cancelled=lambda: True), {})
    assert not list(tmp_path.rglob('*'))
    plan = build()
    cache.store('relu', plan, {})
    assert cache.load('relu', {}) == plan


def test_an_exception_of_the_progress_callback_is_raised_by_the_build(trt):
    def progress(phase, step, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(trt, one_node('Relu'), AHEAD, progress)


def test_an_unsupported_operator_is_named_with_its_node_and_a_fix(trt):
    with pytest.raises(TensorRTError, match=r"'the_node'.*BlackmanWindow.*use the backend"):
        build_plan(trt, one_node('BlackmanWindow'), AHEAD)
    with pytest.raises(TensorRTError, match='not an ONNX graph'):
        build_plan(trt, b'junk', AHEAD)


def test_an_unsupported_gpu_is_named_with_the_supported_ones(trt):
    with pytest.raises(TensorRTError, match=r'9\.0.*supports.*8\.6, 8\.9, 12\.0.*use the backend'):
        build_plan(trt, one_node('Relu'), ['9.0'])


def test_the_documented_gpus_of_tensorrt_rtx_are_those_of_the_library(trt):
    for capability in RTX_CAPABILITIES:
        assert require_buildable(trt, [capability])
    known = [name for name in trt.ComputeCapability.__members__ if name.startswith('SM')]
    assert len(known) == len(RTX_CAPABILITIES)
    assert package_for('8.9') == 'tensorrt-rtx' and package_for('9.0') == 'tensorrt'


def test_a_missing_library_is_named_with_how_to_install_it():
    with pytest.raises(TensorRTError, match=r'no_such_library.*pip install tensorrt-rtx'):
        library(['no_such_library'])


def test_the_first_installed_library_is_used():
    assert library(['no_such_library', 'json']).__name__ == 'json'
    assert LIBRARIES == ('tensorrt', 'tensorrt_rtx')


NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason='CUDA is available')


@NO_CUDA
def test_plain_tensorrt_is_not_called_without_cuda():
    with pytest.raises(TensorRTError, match=r'CUDA GPU.*use the backend'):
        build_plan(ModuleType('tensorrt'), one_node('Relu'), AHEAD)


@NO_CUDA
def test_no_plan_is_deserialised_without_cuda():
    class Untouchable(ModuleType):
        def __getattr__(self, name):
            raise AssertionError(f'TensorRT was asked for {name}')

    with pytest.raises(EngineError, match=r'CUDA.*another backend'):
        TensorRTRunner(Untouchable('tensorrt'), b'plan')
