"""The exported graph in the parts that TensorRT runs: the frame, the scene and the skeleton.

A plan with an ONNX `If` inside cannot be captured in a CUDA graph, and passes a scene's features
through every frame. So each branch is a graph of its own here, which the runner calls when it is
needed; the frame takes their results as inputs. All plans of an engine lie in one file.
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
    """The parts of a serialised graph by name: FRAME first, then a branch for each of its `If`.

    What a branch gives has the name that the frame takes it by.
    """
    model = onnx.load_model_from_string(graph)
    frame = onnx.ModelProto()
    frame.CopyFrom(model)
    nodes = [node for node in model.graph.node if node.op_type != 'If']
    branches = [node for node in model.graph.node if node.op_type == 'If']
    given: dict[str, onnx.ValueInfoProto] = {}
    parts = {}
    apart: set[str] = set()
    for node in branches:
        then, otherwise = (_branch(node, name) for name in ('then_branch', 'else_branch'))
        results = [
            helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, _shape(value))
            for name, value in zip(node.output, then.output, strict=True)
        ]
        given.update({value.name: value for value in results})
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
    # The features that the graph hands on to its next frame are kept by the runner instead.
    handed = {n.output[0] for n in nodes if n.op_type == 'Identity' and n.input[0] in given}
    handed &= {value.name for value in model.graph.output}
    _replace(frame.graph.node, [n for n in nodes if not handed.intersection(n.output)])
    _replace(frame.graph.output, [v for v in model.graph.output if v.name not in handed])
    own = [value for value in model.graph.input if value.name not in apart]
    _replace(frame.graph.input, [*own, *given.values()])
    return {FRAME: frame.SerializeToString(), **parts}


def pack(plans: Mapping[str, bytes]) -> bytes:
    """The plans of an engine as one file's content."""
    return save({name: np.frombuffer(plan, np.uint8) for name, plan in plans.items()})


def unpack(content: bytes) -> dict[str, bytes]:
    """What `pack` was given. Raises EngineError for anything else."""
    try:
        return {name: plan.tobytes() for name, plan in load(content).items()}
    except (SafetensorError, ValueError, KeyError):
        raise EngineError(
            'the TensorRT engine is not in the form of this version: build it again'
        ) from None


def _branch(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    return next(attribute.g for attribute in node.attribute if attribute.name == name)


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _replace(field: Any, values: Iterable[Any]) -> None:
    """Set a repeated field of a message, which cannot be assigned."""
    kept = list(values)
    del field[:]
    field.extend(kept)
