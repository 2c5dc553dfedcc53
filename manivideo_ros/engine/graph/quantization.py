"""Quantizes a graph to int8, with scales calibrated on generated scenes.

Only convolutions are quantized: on a CPU without VNNI matrix products are not faster in int8, and
they cost most of the accuracy (attention and its caches); the branches of an ONNX `If` run once per
scene. Weights have 7 bits and a scale per channel, because without VNNI sums of two 8-bit products
saturate at 16 bits.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from manivideo_ros.engine.graph.calibration import SCENES, calibration_streams
from manivideo_ros.engine.graph.onnx_runner import TYPES
from manivideo_ros.engine.runner import caches_of, given_inputs

log = logging.getLogger(__name__)

OPERATORS = ['Conv']
THREADS = 2


def quantized(graph: Path, checkpoint: Path) -> onnx.ModelProto:
    """The int8 graph (QuantizeLinear and DequantizeLinear around each convolution) of an fp32 one.

    checkpoint: that it was made of. Takes seconds, and logs its progress.
    """
    model = onnx.load(graph)
    add_pre_process_metadata(model)  # avoids a warning: the exported graph is simplified already
    with tempfile.TemporaryDirectory(prefix='manivideo_int8_') as folder:
        out = Path(folder) / 'int8.onnx'
        quantize_static(
            model,
            out,
            _Frames(graph, checkpoint),
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(out)


class _Frames(CalibrationDataReader):
    """All inputs of each calibration frame, with the caches that the graph itself computed."""

    def __init__(self, graph: Path, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        options = ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        self._session = ort.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
        self._frames = self._generate()

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._frames, None)

    def _generate(self) -> Iterator[dict[str, NDArray[Any]]]:
        inputs = {value.name: value for value in self._session.get_inputs()}
        outputs = [value.name for value in self._session.get_outputs()]
        caches = caches_of(inputs, outputs)
        shapes = {n: tuple(inputs[n].shape) for n in given_inputs(inputs, caches.values())}
        for index, stream in enumerate(calibration_streams(shapes, checkpoint=self._checkpoint)):
            log.info('calibrating int8: scene %d of %d', index + 1, SCENES)
            cached = {n: np.zeros(inputs[n].shape, TYPES[inputs[n].type]) for n in caches.values()}
            latest: dict[str, NDArray[Any]] = {}
            for frame in stream:
                latest = {**latest, **frame}
                full = {**latest, **cached, 'refresh_scene': np.array('views' in frame)}
                yield full
                made = dict(zip(outputs, self._session.run(None, full), strict=True))
                cached = {cache: made[output] for output, cache in caches.items()}
