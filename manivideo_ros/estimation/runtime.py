"""Runs the shipped TensorFlow Lite models; the interpreter is an optional dependency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.assets import ASSETS

MODELS = ASSETS / 'estimation'
PACKAGE = 'ai-edge-litert'


class EstimatorError(ValueError):
    """The estimator cannot run here; one line with what to do."""


class TfliteModel:
    """A model with one image as its input.

    name: of a file in assets/estimation, without suffix. size: side of the input in pixels. Raises
    EstimatorError if the interpreter or the file is missing.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise EstimatorError(
                f'hand estimator: the package {PACKAGE} is missing; pip install {PACKAGE}'
            ) from None
        path = MODELS / f'{name}.tflite'
        if not path.is_file():
            raise EstimatorError(f'{path}: no such model file; install the package again')
        self._interpreter: Any = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        self._input: int = details['index']
        self.size = int(details['shape'][1])
        # The order of outputs is that of their names: Identity, Identity_1 and so on.
        outputs = self._interpreter.get_output_details()
        self._outputs = [d['index'] for d in sorted(outputs, key=lambda d: d['name'])]

    def __call__(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The outputs, each without its batch axis, of an image [size, size, 3] sRGB."""
        self._interpreter.set_tensor(self._input, image[None].astype(np.float32) / 255)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
