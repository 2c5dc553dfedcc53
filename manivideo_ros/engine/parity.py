"""Is a backend's stream that of torch, and how fast is it: the same made-up frames for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.engine.runner import SCENE_INPUTS, Runner

FRAMES = 64
MOST_GREY_LEVELS = 1  # in fp32: the rounding to uint8
LEAST_PSNR = 40.0  # dB, in half precision
MOST_MEAN = 2.0  # grey levels, in int8
WARM_UP = 3  # frames that are not timed


Conditions = Callable[[dict[str, tuple[int, ...]], int], Iterator[dict[str, NDArray[Any]]]]
"""Shapes of a runner's inputs, and a number of frames -> their inputs, the scene's in the first."""


@dataclass(frozen=True)
class Parity:
    """How far a stream is from another: most and mean of all values in grey levels, and in dB."""

    most: float
    mean: float
    psnr: float

    def held(self, precision: str) -> bool:
        """Whether that is as near as the precision has to be."""
        if precision == 'fp32':
            return self.most <= MOST_GREY_LEVELS
        return self.mean <= MOST_MEAN if precision == 'int8' else self.psnr >= LEAST_PSNR


def conditions(
    shapes: dict[str, tuple[int, ...]], frames: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Smooth random inputs of a stream: all of them at first, then those of the frame."""
    rng = np.random.default_rng(0)
    for frame in range(frames):
        given = {}
        for name, shape in sorted(shapes.items()):  # backends list them in orders of their own
            if name == 'has_skeleton':
                given[name] = np.array(frame % 8 > 5)
            elif name == 'latents':
                given[name] = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
            elif frame == 0 or name not in SCENE_INPUTS:
                given[name] = _smooth(rng, shape, name)
        yield given


def conditions_for(precision: str) -> Conditions:
    """What backends of a precision are compared on.

    Smooth noise, which shows every fault; in int8 scenes as frames show them, since values that
    were never calibrated on are cut off, and that is no fault.
    """
    if precision != 'int8':
        return conditions
    from manivideo_ros.engine.graph.calibration import held_out_frames  # with Warp and its kernels

    return held_out_frames


def stream(
    runner: Runner, frames: int = FRAMES, given: Conditions = conditions
) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """The frames [N, H, W, 3] of a runner from its start, and the seconds [N - 3] each took."""
    runner.forget()
    made, seconds = [], []
    for inputs in given(dict(runner.shapes), frames):
        started = time.perf_counter()
        runner.put(inputs)
        frame = runner.run()
        seconds.append(time.perf_counter() - started)
        made.append(frame.copy())
    return np.stack(made), np.array(seconds[WARM_UP:])


def compare(made: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Parity:
    """How far apart two streams are."""
    error = made.astype(np.float32) - reference
    square = float((error**2).mean())
    size = np.abs(error)
    psnr = 10 * np.log10(255**2 / max(square, 1e-9))
    return Parity(float(size.max()), float(size.mean()), float(psnr))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Values in 0..1, or -1..1 for normals, that change over a fourth of an image."""
    if len(shape) < 4:
        return rng.random(shape, dtype=np.float32) * np.float32(0.1)
    height, width = shape[-2:]
    small = rng.random((int(np.prod(shape[:-2])), 5, 5), dtype=np.float32)
    maps = [cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in small]
    out = np.stack(maps).reshape(shape)
    return out * 2 - 1 if 'normal' in name else out
