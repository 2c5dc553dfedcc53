"""Compares and times the streams of backends on the same synthetic inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.engine.runner import SCENE_INPUTS, Runner, at_grid_size

FRAMES = 64
GREY_LEVELS_PER_STEP = 1  # in fp32
MIN_PSNR = 40.0  # dB, in half precision
MAX_MEAN = 2.0  # grey levels, in int8
WARM_UP = 3  # frames that are not timed

Conditions = Callable[[dict[str, tuple[int, ...]], int], Iterator[dict[str, NDArray[Any]]]]
"""(shapes of a runner's inputs, frames) -> each frame's inputs, the scene's in the first."""


@dataclass(frozen=True)
class Parity:
    """Difference of two streams: maximum and mean in grey levels, and PSNR in dB."""

    most: float
    mean: float
    psnr: float

    def held(self, precision: str, steps: int = 1) -> bool:
        """Whether the difference is within the threshold of a precision and a number of steps."""
        if precision == 'fp32':
            # One step differs by the rounding to uint8. Each further step starts from the previous
            # step's image, and so amplifies the rounding errors of all steps before it.
            return self.most <= GREY_LEVELS_PER_STEP * steps
        return self.mean <= MAX_MEAN if precision == 'int8' else self.psnr >= MIN_PSNR


def conditions(
    shapes: dict[str, tuple[int, ...]], frames: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Smooth random inputs of a stream: all inputs for the first frame, then those of the frame."""
    rng = np.random.default_rng(0)
    for frame in range(frames):
        inputs = {}
        for name, shape in sorted(shapes.items()):  # the order differs between backends
            if name == 'has_skeleton':
                inputs[name] = np.array(frame % 8 > 5)
            elif name == 'latents':
                inputs[name] = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
            elif frame == 0 or name not in SCENE_INPUTS:
                inputs[name] = _smooth(rng, shape, name)
        yield inputs


def conditions_for(precision: str) -> Conditions:
    """The inputs on which backends of a precision are compared.

    Smooth noise, which shows every fault; for int8 rendered scenes, because int8 clips values
    outside of the calibrated range, which noise exceeds.
    """
    if precision != 'int8':
        return conditions
    from manivideo_ros.engine.graph.calibration import held_out_frames  # imports Warp

    return held_out_frames


def stream(
    runner: Runner, frames: int = FRAMES, inputs_of: Conditions = conditions
) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """The frames [N, H, W, 3] of a runner without past, and the seconds [N - 3] each took."""
    runner.forget()
    made, seconds = [], []
    for inputs in inputs_of(dict(runner.shapes), frames):
        started = time.perf_counter()
        runner.put(inputs)
        predicted = runner.run()
        seconds.append(time.perf_counter() - started)
        base = inputs['base'][0]
        made.append(at_grid_size(predicted, base).copy())
    return np.stack(made), np.array(seconds[WARM_UP:])


def compare(made: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Parity:
    """The difference of two streams [N, H, W, 3]."""
    error = made.astype(np.float32) - reference
    square = float((error**2).mean())
    size = np.abs(error)
    psnr = 10 * np.log10(255**2 / max(square, 1e-9))
    return Parity(float(size.max()), float(size.mean()), float(psnr))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Values in 0..1, or -1..1 for normals, interpolated on a 5 x 5 grid."""
    if len(shape) < 4:
        return rng.random(shape, dtype=np.float32) * np.float32(0.1)
    height, width = shape[-2:]
    small = rng.random((int(np.prod(shape[:-2])), 5, 5), dtype=np.float32)
    maps = [cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in small]
    out = np.stack(maps).reshape(shape)
    return out * 2 - 1 if 'normal' in name else out
