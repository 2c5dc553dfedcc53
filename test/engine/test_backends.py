"""Backends: each produces the frames of torch; the first that works runs, then the next."""

import logging
import threading
import time
from collections import deque
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from graphs import rendered, run
from networks import SMALL, references
from safetensors.torch import load_file
from streams import psnr, spec_of, streamed

from manivideo_ros.engine.acceptance import open_accepted
from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.graph.calibration import SCENES
from manivideo_ros.engine.graph.onnx_runner import require_provider
from manivideo_ros.engine.processor import reduced_precision
from manivideo_ros.engine.runner import EngineError, ExchangedError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import AUTO, ON_CPU, PRECISIONS
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError
from manivideo_ros.model.checkpoint import SHIPPED, CheckpointError, read_config, save_checkpoint


@pytest.fixture(scope='module')
def reference(checkpoint):
    return streamed(open_backend('torch', spec_of(checkpoint, 'torch')))


def differences(backend, precision, checkpoint, reference) -> np.ndarray:
    if backend == 'openvino':
        pytest.importorskip('openvino', reason='needs it: pip install openvino')
    made = streamed(open_backend(backend, spec_of(checkpoint, backend, precision)))
    return made.astype(float) - reference


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_an_fp32_stream_matches_torch_to_one_grey_level(backend, checkpoint, reference):
    assert np.ptp(reference, axis=0).max() > 20  # the frames differ enough for a comparison
    assert np.abs(differences(backend, 'fp32', checkpoint, reference)).max() <= 1


@pytest.mark.parametrize('backend', ['openvino', 'torch'])
def test_a_half_precision_stream_is_within_40_db_of_torch(backend, checkpoint, reference):
    if backend == 'openvino' and reduced_precision() != 'bf16':
        pytest.skip('this processor does not support bf16')
    error = differences(backend, 'bf16', checkpoint, reference)
    assert psnr(error) > 40


def test_onnxruntime_without_cuda_must_be_uninstalled_first():
    """Both packages install to one folder; the second would overwrite files of the first."""
    if 'CUDAExecutionProvider' in ort.get_available_providers():
        pytest.skip('the installed onnxruntime has CUDA')
    with pytest.raises(EngineError, match=r'pip uninstall onnxruntime.*; pip install onnxruntime-'):
        require_provider('cuda')


def test_an_int8_stream_is_within_two_grey_levels_of_torch_on_average(
    checkpoint, reference, caplog
):
    with caplog.at_level(logging.INFO):
        error = differences('openvino', 'int8', checkpoint, reference)
    assert 0 < np.abs(error).mean() <= 2
    assert f'calibrating int8: scene {SCENES} of {SCENES}' in caplog.text  # progress is logged


def test_an_int8_graph_quantizes_convolutions_only(checkpoint):
    graph = onnx.load(graph_of(checkpoint, 1, 'int8')).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    fed = {made_by.get(node.input[1]) for node in graph.node if node.op_type == 'Conv'}
    assert fed == {'DequantizeLinear'}
    products = [node for node in graph.node if node.op_type == 'MatMul']
    assert products and not any(made_by.get(n.input[1]) == 'DequantizeLinear' for n in products)


def test_a_damaged_int8_graph_is_reported_and_created_again(checkpoint, caplog, monkeypatch):
    path = graph_of(checkpoint, 1, 'int8')
    whole = onnx.load(path)
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr('manivideo_ros.engine.graph.quantization.quantized', lambda *_: whole)
    assert graph_of(checkpoint, 1, 'int8') == path
    assert f'cached graph {path} is damaged' in caplog.text
    onnx.checker.check_model(onnx.load(path))


@pytest.fixture
def processor(monkeypatch):
    """A processor that reports the given precisions; None: OpenVINO is not installed."""

    def set_to(*reported):
        def capabilities():
            if reported == (None,):
                raise EngineError('OpenVINO cannot be imported (no module): pip install openvino')
            return reported

        monkeypatch.setattr('manivideo_ros.engine.processor.capabilities', capabilities)

    return set_to


@pytest.mark.parametrize(
    ('reported', 'chosen'),
    [
        (('BF16', 'FP32', 'INT8'), 'bf16'),
        (('FP32', 'INT8'), 'int8'),
        (('FP32',), 'fp32'),
        ((None,), 'fp32'),
    ],
)
def test_auto_chooses_the_fastest_precision_that_the_processor_reports(processor, reported, chosen):
    processor(*reported)
    spec = spec_of('', precision='fp16')
    assert spec.precision_on('openvino') == chosen
    reason = ', '.join(reported) if reported[0] else 'cannot be imported'
    assert spec.precision_reason('openvino').startswith(f'{chosen} for fp16: OpenVINO')
    assert reason in spec.precision_reason('openvino')
    assert spec_of('', precision='fp32').precision_on('openvino') == 'fp32'
    assert spec_of('', 'openvino', 'int8').precision_on('openvino') == 'int8'


def test_a_precision_that_the_processor_does_not_support_is_rejected(processor):
    processor('FP32', 'INT8')
    with pytest.raises(EngineError, match=r'no bf16 on .*FP32, INT8\): set precision to int8'):
        open_backend('openvino', spec_of(SHIPPED, 'openvino', 'bf16'))


def test_without_openvino_auto_falls_back_to_onnxruntime(processor, checkpoint, monkeypatch):
    processor(None)
    spec = spec_of(checkpoint, precision='fp16')
    with pytest.raises(EngineError, match='OpenVINO cannot be imported'):
        open_backend('openvino', spec)
    engine = Engine(spec, threads=1)
    assert engine.backend == ('onnxruntime' if not torch.cuda.is_available() else 'torch_cuda')


def test_an_exchanged_runner_starts_without_past_frames(checkpoint):
    spec = spec_of(checkpoint)
    session = StreamingSession(open_backend('onnxruntime', spec), seed=1)
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    first = run(session, rendered(1))
    run(session, rendered(2))
    session.exchange(open_backend('torch', spec))
    assert np.abs(run(session, rendered(1)).astype(float) - first).max() <= 1


class Fake:
    """A runner whose frame is its name; it fails at given frames, or on given inputs."""

    def __init__(self, backend, fails_at=(), refuses=()):
        self.backend, self.fails_at, self.refuses = backend, deque(fails_at), set(refuses)
        self.shapes = {'base': (1, 3, 8, 8)}
        self.given, self.frames, self.forgotten = {}, 0, 0

    def put(self, values):
        if self.refuses & values.keys():
            raise EngineError('CUDA error: an illegal memory access: check nvidia-smi')
        self.given.update(values)

    def run(self):
        if self.fails_at and self.frames == self.fails_at[0]:
            raise EngineError('the device fell off: check nvidia-smi')
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


def engine_of(works, required=False, backend='auto', missing=(), before_opening=lambda: None):
    """An engine whose backends are the fakes in `works`; the plans in `missing` must be built."""
    missing, to_build = set(missing), set(missing)

    def open_one(name, spec, threads):
        if name in missing:
            raise NoPlanError('plan', f'{name}.plan: not built yet')
        if name not in works:
            raise EngineError(f'{name} is not installed: pip install it')
        if name in to_build:
            before_opening()
        return works[name]

    builds = []

    def start(job):
        builds.append(FakeBuild(job))
        missing.discard(job.backend)
        return builds[-1]

    made = Engine(spec_of('', backend), 1, required, open_one, start)
    return made, builds


def run_until_loaded(engine) -> str:
    """Run frames until the built backend runs or is rejected; returns one more frame."""
    deadline = time.monotonic() + 30
    while engine.build is not None and time.monotonic() < deadline:
        engine.run()
    return engine.run()


def test_auto_takes_the_first_backend_that_works_and_reports_why_others_do_not():
    engine, _ = engine_of({n: Fake(n) for n in ('onnxruntime_cuda', 'onnxruntime')})
    assert engine.backend == 'onnxruntime_cuda'
    assert list(engine.reasons) == ['tensorrt', 'tensorrt_rtx', 'torch_cuda']
    assert 'not tensorrt: tensorrt is not installed: pip install it' in engine.why
    assert engine.degraded == ''


@pytest.mark.parametrize(
    ('steps', 'stage', 'warned'), [(4, 'image', True), (1, 'image', False), (4, 'distill', False)]
)
def test_several_steps_with_weights_of_one_are_warned_about(
    steps, stage, warned, checkpoint, tmp_path, caplog
):
    config, trained = read_config(checkpoint), tmp_path / 'trained.safetensors'
    save_checkpoint(load_file(checkpoint), config, trained, {'stage': stage})
    spec = replace(spec_of(trained, 'torch'), steps=steps)
    Engine(spec, open_one=lambda name, spec, threads: Fake(name))
    assert (f'{steps} steps: the weights trained.safetensors' in caplog.text) == warned


def test_no_frame_is_lost_if_a_backend_fails_on_a_frame(caplog):
    first, second = Fake('torch_cuda', fails_at=[2]), Fake('onnxruntime')
    engine, _ = engine_of({'torch_cuda': first, 'onnxruntime': second})
    engine.put({'base': 'b', 'views': 'v'})
    with caplog.at_level(logging.ERROR):
        assert [engine.run() for _ in range(4)] == ['torch_cuda'] * 2 + ['onnxruntime'] * 2
    assert second.given == {'base': 'b', 'views': 'v'} and second.forgotten == 1
    assert 'torch_cuda failed in the stream' in caplog.text
    assert engine.degraded.startswith('onnxruntime serves since torch_cuda failed')


def test_no_frame_is_lost_if_a_backend_fails_on_an_input(caplog):
    first, second = Fake('torch_cuda', refuses=['base']), Fake('onnxruntime')
    engine, _ = engine_of({'torch_cuda': first, 'onnxruntime': second})
    engine.put({'views': 'v'})
    assert engine.run() == 'torch_cuda'
    with caplog.at_level(logging.ERROR):
        engine.put({'base': 'b'})
        assert engine.run() == 'onnxruntime'
    assert second.given == {'views': 'v', 'base': 'b'}
    assert caplog.text.count('illegal memory access') == 1
    assert engine.degraded.startswith('onnxruntime serves since torch_cuda failed: CUDA error')


def test_a_fallback_backend_that_rejects_the_inputs_is_skipped():
    works = {
        'torch_cuda': Fake('torch_cuda', fails_at=[0]),
        'onnxruntime_cuda': Fake('onnxruntime_cuda', refuses=['base']),
        'onnxruntime': Fake('onnxruntime'),
    }
    engine, _ = engine_of(works)
    engine.put({'base': 'b'})
    assert engine.run() == 'onnxruntime'
    assert {'torch_cuda', 'onnxruntime_cuda'} <= set(engine.reasons)


def test_maps_drawn_for_a_failed_device_are_not_used_by_the_next_backend():
    class OnDevice(Fake):
        inputs = MappingProxyType({})

        def run_drawn(self, draw, finish=None):
            return self.run()

    works = {'torch_cuda': OnDevice('torch_cuda', fails_at=[1]), 'onnxruntime': Fake('onnxruntime')}
    engine, _ = engine_of(works)
    assert engine.inputs is OnDevice.inputs
    assert engine.run_drawn(None) == 'torch_cuda'
    with pytest.raises(ExchangedError, match='onnxruntime serves now'):
        engine.run_drawn(None)  # fading: the maps are already in the inputs
    assert engine.inputs is None and works['onnxruntime'].frames == 0


def test_the_stream_continues_while_a_built_backend_is_loaded_and_checked():
    loading = threading.Event()
    works = {'tensorrt': Fake('tensorrt'), 'onnxruntime': Fake('onnxruntime')}
    engine, builds = engine_of(works, missing=['tensorrt'], before_opening=loading.wait)
    builds[0].running = False
    assert [engine.run() for _ in range(3)] == ['onnxruntime'] * 3
    assert engine.degraded == 'onnxruntime serves while tensorrt is loaded and checked'
    loading.set()
    assert run_until_loaded(engine) == 'tensorrt'


def test_an_error_is_raised_when_no_backend_is_left():
    engine, _ = engine_of({'onnxruntime': Fake('onnxruntime', fails_at=[0])})
    with pytest.raises(EngineError, match=r'no backend can run small.*fell off'):
        engine.run()


def test_a_required_backend_never_falls_back():
    with pytest.raises(EngineError, match='tensorrt is required: tensorrt is not installed'):
        engine_of({'onnxruntime': Fake('onnxruntime')}, required=True)
    engine, _ = engine_of({'tensorrt': Fake('tensorrt', fails_at=[0])}, required=True)
    with pytest.raises(EngineError, match='fell off'):
        engine.run()


def test_a_plan_is_built_in_the_background_and_takes_over_between_two_frames():
    works = {'tensorrt': Fake('tensorrt'), 'onnxruntime': Fake('onnxruntime')}
    engine, builds = engine_of(works, missing=['tensorrt'])
    engine.put({'views': 'v'})
    assert engine.run() == 'onnxruntime'
    assert engine.degraded == 'onnxruntime serves while tensorrt is built: 25%'
    builds[0].running = False
    assert run_until_loaded(engine) == 'tensorrt'
    assert works['tensorrt'].given == {'views': 'v'} and works['tensorrt'].forgotten == 1
    assert engine.degraded == '' and engine.why.startswith('tensorrt (')
    works['tensorrt'].fails_at = deque([works['tensorrt'].frames])
    assert engine.run() == 'onnxruntime'  # the previous backend runs again


def test_a_failed_build_is_reported_and_the_stream_continues(caplog):
    engine, builds = engine_of({'onnxruntime': Fake('onnxruntime')}, missing=['tensorrt'])
    builds[0].running, builds[0].error = False, 'out of memory: free memory'
    assert run_until_loaded(engine) == 'onnxruntime'
    assert engine.reasons['tensorrt'] == 'out of memory: free memory'
    assert 'onnxruntime keeps running: out of memory' in caplog.text


def test_a_required_plan_is_built_before_the_stream_starts():
    engine, _ = engine_of({'tensorrt': Fake('tensorrt')}, required=True, missing=['tensorrt'])
    assert engine.backend == 'tensorrt'


def test_closing_the_engine_cancels_the_build():
    engine, builds = engine_of({'onnxruntime': Fake('onnxruntime')}, missing=['tensorrt'])
    engine.close()
    assert builds[0].cancelled


def test_without_a_gpu_auto_takes_the_fastest_cpu_backend_and_reports_why(checkpoint):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    # Without acceptance of its frames: random weights lose too much accuracy in int8.
    engine = Engine(spec_of(checkpoint, precision='fp16'), threads=1, open_one=open_backend)
    assert engine.backend == ON_CPU[0]
    assert list(engine.reasons) == list(AUTO[: AUTO.index(ON_CPU[0])])
    assert 'no CUDA' in engine.reasons['torch_cuda'] or 'finds none' in engine.reasons['torch_cuda']
    expected = reduced_precision() if engine.backend == 'openvino' else 'fp32'
    assert engine.spec.precision_on(engine.backend) == expected


class Inverted:
    """A runner that inverts another runner's frames, as a wrong kernel might."""

    def __init__(self, runner, backend):
        self.runner, self.backend = runner, backend

    def __getattr__(self, name):
        return getattr(self.runner, name)

    def run(self):
        return 255 - self.runner.run()


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_a_backend_with_other_frames_is_rejected(checkpoint, precision):
    def open_one(backend, spec, threads):
        if backend == 'tensorrt':
            return Inverted(open_backend('onnxruntime', spec, threads), backend)
        return open_backend(backend, spec, threads)

    with pytest.raises(
        EngineError, match=rf'tensorrt in {precision} produces other frames than onnx'
    ):
        open_accepted('tensorrt', spec_of(checkpoint, 'tensorrt', precision), 1, open_one)


def test_an_accepted_backend_has_forgotten_the_frames_of_the_check(checkpoint):
    pytest.importorskip('openvino', reason='needs it: pip install openvino')
    spec = spec_of(checkpoint, 'openvino')
    fresh = streamed(open_backend('openvino', spec), 8)
    np.testing.assert_array_equal(streamed(open_accepted('openvino', spec), 8), fresh)


def test_a_missing_checkpoint_is_an_error_and_not_a_reason_to_fall_back(tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        Engine(spec_of(tmp_path / 'none.safetensors'), threads=1)


def test_a_graph_that_onnxruntime_cannot_load_is_reported(tmp_path, checkpoint, monkeypatch):
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'\x08\x01')
    monkeypatch.setattr('manivideo_ros.engine.backends.graph_for', lambda *_: broken)
    with pytest.raises(EngineError, match=r'onnxruntime cannot load broken.onnx: .*export it agai'):
        open_backend('onnxruntime', spec_of(checkpoint))


def test_every_backend_of_auto_supports_fp32():
    assert set(AUTO) <= set(PRECISIONS)
    assert all('fp32' in precisions for precisions in PRECISIONS.values())
    assert spec_of('', 'auto', 'bf16').precision_on('onnxruntime') == 'fp32'


def test_a_gpu_that_warp_cannot_use_is_skipped_with_one_reason(checkpoint, monkeypatch):
    """The driver is new enough for torch but too old for Warp."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr('warp.get_cuda_device_count', lambda: 0)
    monkeypatch.setattr('warp.get_cuda_driver_version', lambda: (12, 2))
    monkeypatch.setattr('warp.get_cuda_toolkit_version', lambda: (13, 0))
    engine = Engine(spec_of(checkpoint), threads=1)
    assert engine.backend in AUTO[AUTO.index('onnxruntime_cuda') :]
    assert 'the NVIDIA driver supports CUDA 12.2; Warp' in engine.reasons['torch_cuda']
    assert '\n' not in engine.reasons['torch_cuda']
