"""What CUDA graphs require of a frame, checked without a GPU: captures, uploads, exclusion."""

import threading
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from capture_lint import CaptureLint, NotCapturableError
from graphs import HUMAN, rendered
from latent_networks import SMALL as LATENT
from latent_networks import awake as awake_latent
from networks import SMALL, awake, references
from synthesizers import BACKGROUND, CAMERA, HANDS, REFERENCE, SNAPSHOTS, WHOLE, frames_on
from tensorrt_stand_in import DeferredQueue

from manivideo_ros.engine.cuda_queue import EXCLUSIVE, CapturedDraw, Staging
from manivideo_ros.engine.pytorch import stream as torch_stream
from manivideo_ros.engine.pytorch.latent_runner import LatentRunner
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.pytorch.stream import chosen_kernels, in_channels_last
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent.autoencoder import autoencoder
from manivideo_ros.model.patch.network import ManiVideoNet
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.synthesizer import Scene, Synthesizer

MOST_LAUNCHES = {'tiny': 300, 'tiny, four steps': 1180, 'human': 300, 'latent': 3000}
"""Kernel launches of the network per frame: the present number, rounded up."""


class Queue:
    """A stand-in for a CUDA stream: a capture runs nothing, a replay runs the captured work."""

    device = torch.device('cpu')
    entered = staticmethod(nullcontext)

    def __init__(self) -> None:
        self.captured = 0

    def capture(self, work):
        with EXCLUSIVE:
            self.captured += 1
            self.while_capturing()
        return work

    def while_capturing(self) -> None:
        """Called during each capture."""

    def host_tensor(self, shape, dtype):
        return torch.zeros(tuple(shape), dtype=dtype)

    def copy(self, target, source):
        target.copy_(source)

    def mark(self):
        return lambda: None

    def wait(self):
        pass


def captured(network=None, queue=None) -> TorchRunner:
    """A runner on the CPU that captures its frames as on a GPU."""

    class Captured(TorchRunner):
        def _make_queue(self):
            self.queue = queue or Queue()
            return self.queue

    return Captured(network or awake(SMALL))


def synthesizer_on(runner) -> Synthesizer:
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    return Synthesizer(StreamingSession(runner, seed=3), HANDS, scene, 1)


@pytest.fixture
def on_meta(monkeypatch):
    """Use the meta device in place of a GPU."""
    monkeypatch.setattr(torch_stream, 'require_device', lambda _: None)


def network_of(name: str):
    if name == 'latent':
        network, vae = awake_latent(), autoencoder(LATENT)
        return lambda: LatentRunner(network, vae, 2, 'fp16', 'meta')
    config, steps = (HUMAN, 1) if name == 'human' else (ModelConfig(), 4 if 'four' in name else 1)
    return lambda: TorchRunner(ManiVideoNet(config).eval(), steps, 'fp16', 'meta')


@pytest.mark.parametrize('name', MOST_LAUNCHES)
@torch.inference_mode()
def test_a_frame_can_be_captured_and_does_not_exceed_its_number_of_launches(name, on_meta):
    runner = network_of(name)()
    with CaptureLint() as lint:
        runner._compute()
    assert lint.total <= MOST_LAUNCHES[name], lint.launches.most_common()


@pytest.mark.parametrize(
    'wrong',
    [
        lambda x: x.new_tensor([0.0, 1.0]),
        lambda x: x + torch.tensor([1.0]),
        lambda x: x.to('cpu'),
        lambda x: x.sum().item(),
        lambda x: x + torch.ones(4),
        lambda x: x[x > 0],
    ],
)
def test_capture_lint_rejects_what_a_capture_rejects(wrong):
    with pytest.raises(NotCapturableError), CaptureLint():
        wrong(torch.empty(4, device='meta'))


def test_frames_are_replayed_and_not_captured_again():
    runner = captured()
    synthesizer = synthesizer_on(runner)
    assert runner.queue.captured == 1  # the network, at construction
    for _ in range(6):
        synthesizer.step(CAMERA, WHOLE)
    assert runner.queue.captured == 2  # and the drawing, at the first frame
    synthesizer.set_scene(replace(synthesizer.scene, objects={'box': generate('box')}))
    for _ in range(3):
        synthesizer.step(CAMERA, replace(WHOLE, objects={}))
    assert runner.queue.captured == 3  # and the drawing of the other scene


def test_fading_captures_nothing():
    runner = captured()
    synthesizer = synthesizer_on(runner)
    for weight in (1.0, 0.7, 0.3, 1.0):
        synthesizer.step(CAMERA, replace(WHOLE, presence=dict.fromkeys(WHOLE.presence, weight)))
    assert runner.queue.captured == 2


def test_captured_frames_match_eager_frames():
    expected = frames_on(TorchRunner(awake(SMALL)))
    assert len(expected) == len(SNAPSHOTS)
    assert np.abs(frames_on(captured()) - expected).max() <= 1


def test_no_past_frames_remain_after_the_warm_up():
    session = StreamingSession(captured(), seed=5)
    plain = StreamingSession(TorchRunner(awake(SMALL)), seed=5)
    made = []
    for stream in (session, plain):
        stream.set_scene(*(x[0].numpy() for x in references(SMALL)))
        one = rendered(1)
        maps = (one.normal_map, one.occlusion_confidence, one.visible_normal, one.horizon, one.base)
        made.append(stream.step(*(m[0].numpy() for m in maps)).astype(int).copy())
    assert np.abs(made[0] - made[1]).max() <= 1


def test_a_bound_drawing_method_is_captured_once():
    class Drawing:
        drawn = 0

        def draw(self):
            self.drawn += 1

    queue, first, second = Queue(), Drawing(), Drawing()
    draw = CapturedDraw(queue)
    for drawing in (first, first, first, second, second):
        draw(drawing.draw)  # each lookup makes a new bound method
    assert queue.captured == 2
    assert (first.drawn, second.drawn) == (3 + 1, 2 + 1)  # once more before each capture


@pytest.mark.parametrize('what', ['put', 'run', 'forget'])
def test_no_other_thread_uses_the_device_while_a_graph_is_captured(what):
    serving = captured()
    work = {
        'put': lambda: serving.put({'latents': np.zeros(serving.shapes['latents'], np.float32)}),
        'run': serving.run,
        'forget': serving.forget,
    }[what]
    done, waited = threading.Event(), []

    class Watched(Queue):
        def while_capturing(self):
            other = threading.Thread(target=lambda: (work(), done.set()), daemon=True)
            other.start()
            waited.append(not done.wait(0.3))

    captured(queue=Watched())  # an engine that is loaded in the background
    assert waited == [True]
    assert done.wait(30)  # the other thread continues afterwards


def test_uploads_stay_staged_until_the_device_reads_them():
    queue, staging_targets = DeferredQueue(), {n: torch.zeros(4) for n in ('base', 'horizon')}
    staging = Staging(queue)
    for number, (name, target) in enumerate(staging_targets.items(), 1):
        staging.upload(name, target, np.full(4, number, np.float32))
    assert not any(target.any() for target in staging_targets.values())
    queue.wait()
    assert [target[0].item() for target in staging_targets.values()] == [1, 2]


def test_a_session_sends_only_inputs_that_change(monkeypatch):
    runner, sent = TorchRunner(awake(HUMAN)), []
    put = runner.put
    monkeypatch.setattr(runner, 'put', lambda values: (sent.append(set(values)), put(values)))
    session = StreamingSession(runner)
    for _ in range(2):
        sent.clear()
        session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    assert sent == []  # the same references
    one = rendered(1)
    maps = (one.normal_map, one.occlusion_confidence, one.visible_normal, one.horizon, one.base)
    person = np.ones((3, 64, 64), np.float32)
    for skeleton in (None, person, person, None, None):
        session.step(*(m[0].numpy() for m in maps), skeleton)
    names = set.union(*sent)
    assert 'latents' not in names and 'views' not in names
    assert sum('has_skeleton' in g for g in sent) == 2  # it appears and disappears
    assert sum('skeleton' in g for g in sent) == 1
    person[:] = 0.5
    session.step(*(m[0].numpy() for m in maps), person)
    assert sum('skeleton' in g for g in sent) == 2  # the caller has changed its array


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (torch.OutOfMemoryError('CUDA out of memory'), 'no memory left on the GPU'),
        (RuntimeError('operation not permitted when stream is capturing'), 'torch failed on'),
    ],
)
def test_a_failed_capture_becomes_an_engine_error(error, message):
    class Failing(Queue):
        def while_capturing(self):
            raise error

    with pytest.raises(EngineError, match=message):
        captured(queue=Failing())


def test_a_device_that_fails_on_an_input_raises_an_engine_error(monkeypatch):
    runner = captured()

    def fail(*_):
        raise RuntimeError('CUDA error: an illegal memory access was encountered')

    monkeypatch.setattr(runner._staging, 'upload', fail)
    with pytest.raises(EngineError, match=r'illegal memory access.*nvidia-smi'):
        runner.put({'latents': np.zeros(runner.shapes['latents'], np.float32)})


def test_tf32_is_disabled_for_float32_and_settings_are_restored():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    with chosen_kernels(torch.float32):
        assert (cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32) == (True, False, False)
    assert (cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32) == before


def test_channels_last_convolutions_give_the_same_frames():
    network = awake(SMALL)
    in_channels_last(network)
    assert network.head.weight.is_contiguous(memory_format=torch.channels_last)
    made = [frames_on(TorchRunner(n)) for n in (awake(SMALL), network)]
    assert np.abs(made[0] - made[1]).max() <= 1
