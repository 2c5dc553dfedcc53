"""torch with CUDA graphs on a GPU: frames captured together with their drawing."""

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
def without_tf32():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def on_gpu(precision='fp32') -> TorchRunner:
    return TorchRunner(awake(SMALL), 1, precision, 'cuda')


def stream_without_skeletons(runner) -> np.ndarray:
    """As streams.streamed, for a network without `human`."""
    session, made = StreamingSession(runner, seed=5), []
    session.set_scene(*(x[0].numpy() for x in references(SMALL)))
    for frame in range(FRAMES):
        made.append(run(session, rendered(seed=frame)))
    return np.stack(made).astype(float)


def test_a_captured_stream_of_64_frames_matches_the_cpu():
    expected = stream_without_skeletons(TorchRunner(awake(SMALL)))
    assert np.abs(stream_without_skeletons(on_gpu()) - expected).max() <= 1
    assert psnr(stream_without_skeletons(on_gpu('fp16')) - expected) > 40


def test_layers_drawn_in_a_cuda_graph_match_the_cpu():
    expected = frames_on(TorchRunner(awake(SMALL)))
    made = frames_on(on_gpu())
    assert len(made) == len(SNAPSHOTS)
    # Where surfaces are equally near, rounding decides which one is visible: single pixels.
    assert np.mean(np.abs(made - expected) > 1) < 0.002


def test_a_frame_has_no_hidden_synchronisation():
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    synthesizer = Synthesizer(StreamingSession(on_gpu()), HANDS, scene, 1)
    synthesizer.step(CAMERA, WHOLE)  # captured
    torch.cuda.set_sync_debug_mode('error')  # raise on operations that synchronise
    try:
        synthesizer.step(CAMERA, WHOLE)
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_a_human_network_takes_skeletons_on_a_gpu(tmp_path):
    from graphs import HUMAN

    expected = streamed(TorchRunner(awake(HUMAN)))
    made = streamed(TorchRunner(awake(HUMAN), 1, 'fp32', 'cuda'))
    assert np.abs(made.astype(float) - expected).max() <= 1
