"""What only a GPU can show of torch with CUDA graphs: frames captured with their drawing."""

import numpy as np
import pytest
import torch
from networks import SMALL, awake, references
from streams import FRAMES, psnr, rendered, run, streamed
from synthesizers import BACKGROUND, CAMERA, HANDS, REFERENCE, SNAPSHOTS, WHOLE, frames_on

from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.synthesizer import Scene, Synthesizer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no CUDA GPU')


@pytest.fixture(autouse=True)
def whole_float32():
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept


def on_gpu(precision='fp32') -> TorchRunner:
    return TorchRunner(awake(SMALL), 1, precision, 'cuda')


def plain(runner) -> np.ndarray:
    """The stream of test_engine_backends without skeletons, which this network does not take."""
    session, made = StreamingSession(runner, seed=5), []
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    for frame in range(FRAMES):
        made.append(run(session, rendered(seed=frame)))
    return np.stack(made).astype(float)


def test_a_captured_stream_of_64_frames_is_that_of_the_cpu():
    expected = plain(TorchRunner(awake(SMALL)))
    assert np.abs(plain(on_gpu()) - expected).max() <= 1
    assert psnr(plain(on_gpu('fp16')) - expected) > 40


def test_the_layers_drawn_in_the_graph_are_those_of_the_cpu():
    expected = frames_on(TorchRunner(awake(SMALL)))
    made = frames_on(on_gpu())
    assert len(made) == len(SNAPSHOTS)
    # Where surfaces are equally near, rounding decides which is seen: single pixels.
    assert np.mean(np.abs(made - expected) > 1) < 0.002


def test_nothing_is_waited_for_between_the_poses_and_the_image():
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    synthesizer = Synthesizer(StreamingSession(on_gpu()), HANDS, scene, 1)
    synthesizer.step(CAMERA, WHOLE)  # captured
    torch.cuda.set_sync_debug_mode('error')  # of the waits that operations have in them
    try:
        synthesizer.step(CAMERA, WHOLE)
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_a_human_network_takes_skeletons_there_too(tmp_path):
    from graphs import HUMAN

    expected = streamed(TorchRunner(awake(HUMAN)))
    made = streamed(TorchRunner(awake(HUMAN), 1, 'fp32', 'cuda'))
    assert np.abs(made.astype(float) - expected).max() <= 1
