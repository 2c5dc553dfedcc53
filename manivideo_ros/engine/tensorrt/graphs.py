"""Splits the exported graph for TensorRT into frame, scene and skeleton.

A plan with an ONNX `If` cannot be captured in a CUDA graph, and copies the scene's features in
every frame. So each branch becomes a graph of its own, which the runner executes when needed; the
frame takes its results as inputs. The plans of an engine are stored in one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper
from safetensors import SafetensorError
from safetensors.numpy import load, save

from manivideo_ros.engine.runner import EngineError

FRAME, SCENE, SKELETON = 'frame', 'encode_scene', 'guide_skeleton'


def split(graph: bytes) -> dict[str, bytes]:
    """The parts of a serialised graph by name: FRAME first, then the branch of each `If`.

    The outputs of a branch have the names of the frame's inputs.
    """
    model = onnx.load_model_from_string(graph)
    frame = onnx.ModelProto()
    frame.CopyFrom(model)
    nodes = [node for node in model.graph.node if node.op_type != 'If']
    branches = [node for node in model.graph.node if node.op_type == 'If']
    branch_results: dict[str, onnx.ValueInfoProto] = {}
    parts = {}
    apart: set[str] = set()
    for node in branches:
        then, otherwise = (_branch(node, name) for name in ('then_branch', 'else_branch'))
        results = [
            helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, _shape(value))
            for name, value in zip(node.output, then.output, strict=True)
        ]
        branch_results.update({value.name: value for value in results})
        read = {name for inner in then.node for name in inner.input}
        apart |= {node.input[0], *read, *(n for inner in otherwise.node for n in inner.input)}
        same = [
            helper.make_node('Identity', [value.name], [name])
            for value, name in zip(then.output, node.output, strict=True)
        ]
        part = onnx.ModelProto()
        part.CopyFrom(model)
        part.graph.CopyFrom(
            helper.make_graph(
                [*then.node, *same],
                then.name,
                [value for value in model.graph.input if value.name in read],
                results,
                then.initializer,
            )
        )
        parts[then.name] = part.SerializeToString()
    # The runner keeps the scene's features, so the frame need not output them for the next one.
    passed = {
        n.output[0] for n in nodes if n.op_type == 'Identity' and n.input[0] in branch_results
    }
    passed &= {value.name for value in model.graph.output}
    _replace(frame.graph.node, [n for n in nodes if not passed.intersection(n.output)])
    _replace(frame.graph.output, [v for v in model.graph.output if v.name not in passed])
    own = [value for value in model.graph.input if value.name not in apart]
    _replace(frame.graph.input, [*own, *branch_results.values()])
    return {FRAME: frame.SerializeToString(), **parts}


def pack(plans: Mapping[str, bytes]) -> bytes:
    """The plans of an engine as the content of one file."""
    return save({name: np.frombuffer(plan, np.uint8) for name, plan in plans.items()})


def unpack(content: bytes) -> dict[str, bytes]:
    """The inverse of `pack`. Raises EngineError for other content."""
    try:
        return {name: plan.tobytes() for name, plan in load(content).items()}
    except (SafetensorError, ValueError, KeyError):
        raise EngineError(
            'the TensorRT engine is not in the format of this version: build it again'
        ) from None


def _branch(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    graph: onnx.GraphProto = next(
        attribute.g for attribute in node.attribute if attribute.name == name
    )
    return graph


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _replace(field: Any, values: Iterable[Any]) -> None:
    """Replace the values of a repeated protobuf field, which cannot be assigned."""
    copied = list(values)
    del field[:]
    field.extend(copied)
