"""Half-precision graphs: their frames match torch in float32, and all constants are finite."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graphs import model_of
from networks import SMALL, awake
from onnx import TensorProto, helper, numpy_helper

from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.parity import compare, stream
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.model.latent import temporal as latent_temporal
from manivideo_ros.model.patch.temporal import MASKED

FRAMES = 8  # more than the temporal context


@cache
def reference() -> np.ndarray:
    return stream(TorchRunner(awake(SMALL)), FRAMES)[0]


def graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all subgraphs in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs_in(attribute.g)


def constants_of(model: onnx.ModelProto) -> Iterator[tuple[str, np.ndarray]]:
    """All constants of a graph."""
    for graph in graphs_in(model.graph):
        for tensor in graph.initializer:
            yield tensor.name, numpy_helper.to_array(tensor)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    yield node.name, numpy_helper.to_array(attribute.t)


def rounded_to_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in float32, with every bfloat16 value rounded to bfloat16.

    onnxruntime has no kernels for bfloat16 on a CPU.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for graph in graphs_in(made.graph):
        half = {v.name for v in (*graph.value_info, *graph.input, *graph.output)
                if v.type.tensor_type.elem_type == TensorProto.BFLOAT16}  # fmt: skip
        for value in (*graph.value_info, *graph.input, *graph.output):
            if value.name in half:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        for tensor in graph.initializer:
            if tensor.data_type == TensorProto.BFLOAT16:
                whole = numpy_helper.to_array(tensor).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(whole, tensor.name))
        nodes = []
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name == 'to' and attribute.i == TensorProto.BFLOAT16:
                    attribute.i = TensorProto.FLOAT
                is_half = attribute.type == onnx.AttributeProto.TENSOR
                if is_half and attribute.t.data_type == TensorProto.BFLOAT16:
                    whole = numpy_helper.to_array(attribute.t).astype(np.float32)
                    attribute.t.CopyFrom(numpy_helper.from_array(whole))
            nodes.append(node)
            for index, name in enumerate(node.output):
                if name not in half:
                    continue
                node.output[index] = f'{name} unrounded'
                low = helper.make_node(
                    'Cast', [f'{name} unrounded'], [f'{name} low'], to=TensorProto.BFLOAT16
                )
                high = helper.make_node('Cast', [f'{name} low'], [name], to=TensorProto.FLOAT)
                nodes += [low, high]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    return made


BF16 = pytest.param('bf16', marks=pytest.mark.long)  # the same casts as for fp16


@pytest.mark.parametrize('precision', ['fp32', 'fp16', BF16])
def test_all_constants_of_a_graph_are_finite(precision):
    for name, values in constants_of(model_of(1, precision=precision)):
        if values.dtype.kind == 'f' or values.dtype.name == 'bfloat16':
            assert np.isfinite(values.astype(np.float64)).all(), name


def test_the_sum_of_two_masks_is_finite_in_half_precision():
    assert latent_temporal.MASKED == MASKED
    assert np.isfinite(np.float16(MASKED) + np.float16(MASKED))


def test_the_fp16_graph_matches_torch(tmp_path):
    path = tmp_path / 'half.onnx'
    path.write_bytes(model_of(1, precision='fp16').SerializeToString())
    parity = compare(stream(OnnxRunner(path), FRAMES)[0], reference())
    assert np.ptp(reference(), axis=0).max() > 20  # the frames differ enough for a comparison
    assert parity.psnr > 58


@pytest.mark.long
def test_the_bf16_graph_matches_torch(tmp_path):
    path = tmp_path / 'half.onnx'
    path.write_bytes(rounded_to_bfloat16(model_of(1, precision='bf16')).SerializeToString())
    whole = ort.InferenceSession(path, providers=['CPUExecutionProvider'])
    assert {i.type for i in whole.get_inputs()} <= {'tensor(float)', 'tensor(bool)'}
    parity = compare(stream(OnnxRunner(path), FRAMES)[0], reference())
    assert parity.psnr > 45  # every operation has 8 bits of mantissa
