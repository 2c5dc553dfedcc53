"""Backends: each paints what torch paints; the first that works serves, and then the next."""

import logging
from collections import deque

import numpy as np
import onnxruntime as ort
import pytest
import torch
from test_engine import rendered, run
from test_model import SMALL, references, skeleton_of

from manivideo_ros.engine.backends import Engine, open_backend
from manivideo_ros.engine.onnx_runner import require_provider
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import AUTO, PRECISIONS, EngineSpec
from manivideo_ros.engine.tensorrt_cache import NoPlanError
from manivideo_ros.model.checkpoint import CheckpointError

FRAMES = 64


def spec_of(checkpoint, backend='auto', precision='fp32', steps=1) -> EngineSpec:
    return EngineSpec(
        SMALL.preset, str(checkpoint), SMALL.image_size, SMALL.layers, steps, precision, backend
    )


def streamed(runner, frames=FRAMES) -> np.ndarray:
    """The same frames for every runner: a scene, a skeleton now and then, a second scene."""
    session, made = StreamingSession(runner, seed=5), []
    for frame in range(frames):
        if frame % (frames // 2) == 0:
            given = (x[0].numpy() * (1 - frame / FRAMES) for x in references(SMALL))
            session.set_scene(*(np.asfortranarray(x) for x in given))  # as slices and resizes are
        skeleton = skeleton_of(SMALL) if frame % 8 > 4 else None
        made.append(run(session, rendered(seed=frame), skeleton))
    return np.stack(made)


@pytest.fixture(scope='module')
def reference(checkpoint):
    return streamed(open_backend('torch', spec_of(checkpoint, 'torch')))


def psnr(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / (error**2).mean()))


def differences(backend, precision, checkpoint, reference) -> np.ndarray:
    if backend == 'openvino':
        pytest.importorskip('openvino', reason='needs it: pip install openvino')
    made = streamed(open_backend(backend, spec_of(checkpoint, backend, precision)))
    return made.astype(float) - reference


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_in_fp32_a_stream_is_that_of_torch_to_a_grey_level(backend, checkpoint, reference):
    assert np.ptp(reference, axis=0).max() > 20  # there is something to be wrong about
    assert np.abs(differences(backend, 'fp32', checkpoint, reference)).max() <= 1


@pytest.mark.parametrize('backend', ['openvino', 'torch'])
def test_in_half_precision_a_stream_is_within_40_db_of_torch(backend, checkpoint, reference):
    error = differences(backend, 'bf16', checkpoint, reference)
    assert psnr(error) > 40


def test_an_onnxruntime_without_cuda_is_to_be_uninstalled_first():
    """Both packages own one folder: installed over the other, either leaves a mixture."""
    if 'CUDAExecutionProvider' in ort.get_available_providers():
        pytest.skip('the installed onnxruntime has CUDA')
    with pytest.raises(EngineError, match=r'pip uninstall onnxruntime.*; pip install onnxruntime-'):
        require_provider('cuda')


def test_forgetting_and_exchanging_a_runner_leave_no_trace_of_the_past(checkpoint):
    spec = spec_of(checkpoint)
    session = StreamingSession(open_backend('onnxruntime', spec), seed=1)
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    first = run(session, rendered(1))
    run(session, rendered(2))
    session.exchange(open_backend('torch', spec))
    assert np.abs(run(session, rendered(1)).astype(float) - first).max() <= 1


class Fake:
    """A runner that paints its number, and fails where it is told to."""

    def __init__(self, backend, fails_at=()):
        self.backend, self.fails_at = backend, deque(fails_at)
        self.shapes = {'base': (1, 3, 8, 8)}
        self.given, self.frames, self.forgotten = {}, 0, 0

    def put(self, values):
        self.given.update(values)

    def run(self):
        if self.fails_at and self.frames == self.fails_at[0]:
            raise EngineError('the device fell off: look at nvidia-smi')
        self.frames += 1
        return self.backend

    def forget(self):
        self.forgotten += 1


class FakeBuild:
    def __init__(self, job):
        self.job, self.progress, self.phase, self.error = job, 0.25, 'tuning', ''
        self.running, self.cancelled = True, False

    def wait(self, timeout_s=None):
        self.running = False
        return True

    def cancel(self):
        self.cancelled, self.running = True, False


def engine_of(works, required=False, backend='auto', missing=()):
    """An engine whose backends are fakes: those in `works`, and plans in `missing` to be built."""
    missing = set(missing)

    def open_one(name, spec, threads):
        if name in missing:
            raise NoPlanError('plan', f'{name}.plan: not built yet')
        if name not in works:
            raise EngineError(f'{name} is not installed: pip install it')
        return works[name]

    builds = []

    def start(job):
        builds.append(FakeBuild(job))
        missing.discard(job.backend)
        return builds[-1]

    made = Engine(spec_of('', backend), 1, required, open_one, start)
    return made, builds


def test_auto_takes_the_first_that_works_and_tells_why_not_the_others():
    engine, _ = engine_of({n: Fake(n) for n in ('onnxruntime_cuda', 'onnxruntime')})
    assert engine.backend == 'onnxruntime_cuda'
    assert list(engine.reasons) == ['tensorrt', 'tensorrt_rtx', 'torch_cuda']
    assert 'not tensorrt: tensorrt is not installed: pip install it' in engine.why
    assert engine.degraded == ''


def test_a_backend_that_fails_in_the_stream_is_followed_by_the_next_without_a_frame_lost(caplog):
    first, second = Fake('torch_cuda', fails_at=[2]), Fake('onnxruntime')
    engine, _ = engine_of({'torch_cuda': first, 'onnxruntime': second})
    engine.put({'base': 'b', 'views': 'v'})
    with caplog.at_level(logging.ERROR):
        assert [engine.run() for _ in range(4)] == ['torch_cuda'] * 2 + ['onnxruntime'] * 2
    assert second.given == {'base': 'b', 'views': 'v'} and second.forgotten == 1
    assert 'torch_cuda failed in the stream' in caplog.text
    assert engine.degraded.startswith('onnxruntime serves since torch_cuda failed')


def test_where_none_is_left_the_stream_is_told_so():
    engine, _ = engine_of({'onnxruntime': Fake('onnxruntime', fails_at=[0])})
    with pytest.raises(EngineError, match=r'no backend can run small.*fell off'):
        engine.run()


def test_a_required_backend_starts_or_refuses_and_never_falls_back():
    with pytest.raises(EngineError, match='tensorrt is required: tensorrt is not installed'):
        engine_of({'onnxruntime': Fake('onnxruntime')}, required=True)
    engine, _ = engine_of({'tensorrt': Fake('tensorrt', fails_at=[0])}, required=True)
    with pytest.raises(EngineError, match='fell off'):
        engine.run()


def test_a_plan_is_built_beside_the_stream_and_takes_over_between_two_frames():
    works = {'tensorrt': Fake('tensorrt'), 'onnxruntime': Fake('onnxruntime')}
    engine, builds = engine_of(works, missing=['tensorrt'])
    engine.put({'views': 'v'})
    assert engine.run() == 'onnxruntime'
    assert engine.degraded == 'onnxruntime serves while tensorrt is built: 25%'
    builds[0].running = False
    assert engine.run() == 'tensorrt'
    assert works['tensorrt'].given == {'views': 'v'} and works['tensorrt'].forgotten == 1
    assert engine.degraded == '' and engine.why.startswith('tensorrt (')
    works['tensorrt'].fails_at = deque([1])
    assert engine.run() == 'onnxruntime'  # what served before serves again


def test_a_build_that_fails_is_told_and_the_stream_goes_on(caplog):
    engine, builds = engine_of({'onnxruntime': Fake('onnxruntime')}, missing=['tensorrt'])
    builds[0].running, builds[0].error = False, 'out of memory: free memory'
    assert engine.run() == 'onnxruntime'
    assert engine.reasons['tensorrt'] == 'out of memory: free memory'
    assert 'onnxruntime goes on: out of memory' in caplog.text


def test_a_required_plan_is_built_before_the_stream_starts():
    engine, _ = engine_of({'tensorrt': Fake('tensorrt')}, required=True, missing=['tensorrt'])
    assert engine.backend == 'tensorrt'


def test_closing_gives_up_the_build():
    engine, builds = engine_of({'onnxruntime': Fake('onnxruntime')}, missing=['tensorrt'])
    engine.close()
    assert builds[0].cancelled


def test_without_a_gpu_the_default_comes_to_onnxruntime_and_says_why(checkpoint):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    engine = Engine(spec_of(checkpoint, precision='fp16'), threads=1)
    assert engine.backend == 'onnxruntime'
    assert list(engine.reasons) == list(AUTO[:-1])
    assert 'no CUDA' in engine.reasons['torch_cuda'] or 'finds none' in engine.reasons['torch_cuda']
    assert engine.spec.precision_on(engine.backend) == 'fp32'


def test_a_checkpoint_that_cannot_be_read_is_no_reason_for_another_backend(tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        Engine(spec_of(tmp_path / 'none.safetensors'), threads=1)


def test_a_graph_that_onnxruntime_cannot_load_is_named(tmp_path, checkpoint, monkeypatch):
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'\x08\x01')
    monkeypatch.setattr('manivideo_ros.engine.backends.graph_for', lambda *_: broken)
    with pytest.raises(EngineError, match=r'onnxruntime cannot load broken.onnx: .*export it anew'):
        open_backend('onnxruntime', spec_of(checkpoint))


def test_every_backend_of_auto_is_known_and_computes_in_fp32():
    assert set(AUTO) <= set(PRECISIONS)
    assert all('fp32' in precisions for precisions in PRECISIONS.values())
    assert spec_of('', 'auto', 'bf16').precision_on('onnxruntime') == 'fp32'
