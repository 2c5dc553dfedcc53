"""A stream with scenes and skeletons that every runner can be compared on."""

import numpy as np
from graphs import rendered, run
from networks import SMALL, references, skeleton_of

from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec

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
            scene = (x[0].numpy() * (1 - frame / FRAMES) for x in references(SMALL))
            session.set_scene(*(np.asfortranarray(x) for x in scene))  # need not be contiguous
        skeleton = skeleton_of(SMALL) if frame % 8 > 4 else None
        made.append(run(session, rendered(seed=frame), skeleton))
    return np.stack(made)


def psnr(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / (error**2).mean()))
