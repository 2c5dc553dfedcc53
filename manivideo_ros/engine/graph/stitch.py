"""Inserts one exported graph into another as the branch of an ONNX `If`; removes annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import helper


def run_if(
    graph: onnx.GraphProto,
    condition: str,  # name of the scalar BOOL input
    branch: onnx.GraphProto,  # its inputs become inputs of `graph`, under their names
    otherwise: Sequence[onnx.NodeProto],  # compute the results if the branch does not run
    results: Sequence[str],  # inputs of `graph` that the branch's outputs replace
) -> None:
    """Insert the branch before all nodes of a graph, and feed it into the inputs `results`.

    The nodes of `otherwise` have one output each, in the order of the branch's outputs.
    """
    _prefix(branch, f'{branch.name}_', {value.name for value in branch.input})
    then_branch = onnx.GraphProto(name=branch.name)
    then_branch.node.extend(branch.node)
    then_branch.initializer.extend(branch.initializer)
    then_branch.output.extend(branch.output)
    else_branch = helper.make_graph(
        otherwise,
        f'without_{branch.name}',
        [],
        [_renamed(v, n.output[0]) for v, n in zip(branch.output, otherwise, strict=True)],
    )
    choose = helper.make_node(
        'If', [condition], list(results), then_branch=then_branch, else_branch=else_branch
    )
    graph.node.insert(0, choose)
    kept = [value for value in graph.input if value.name not in results]
    del graph.input[:]
    graph.input.extend(kept)
    graph.input.extend(branch.input)
    graph.input.append(helper.make_tensor_value_info(condition, onnx.TensorProto.BOOL, []))


def without_annotations(model: onnx.ModelProto) -> None:
    """Remove metadata and documentation of a model, in place.

    The exporter annotates nodes with stack traces, whose absolute paths would make the hash of a
    graph depend on the folder of the installation.
    """
    _bare(model)
    _bare_graph(model.graph)


def _bare_graph(graph: onnx.GraphProto) -> None:
    _bare(graph)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        _bare(value)
    for node in graph.node:
        _bare(node)
        for attribute in node.attribute:
            attribute.ClearField('doc_string')
            if attribute.HasField('g'):
                _bare_graph(attribute.g)
            if attribute.HasField('t'):
                _bare(attribute.t)


def _bare(part: Any) -> None:
    part.ClearField('metadata_props')
    part.ClearField('doc_string')


def _renamed(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    out = onnx.ValueInfoProto()
    out.CopyFrom(value)
    out.name = name
    return out


def _prefix(graph: onnx.GraphProto, prefix: str, keep: set[str]) -> None:
    """Rename all values of a graph except `keep`, so that two graphs can share a scope."""

    def new(name: str) -> str:
        return name if not name or name in keep else prefix + name

    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    for value in [*graph.initializer, *graph.output, *graph.value_info]:
        value.name = new(value.name)
