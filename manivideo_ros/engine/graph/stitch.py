"""Two exported graphs in one: the second runs under an ONNX `If`, only when it is asked to."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper


def run_if(
    graph: onnx.GraphProto,
    condition: str,  # name of the scalar BOOL that decides
    branch: onnx.GraphProto,  # its inputs are inputs of `graph` by their names
    otherwise: Sequence[onnx.NodeProto],  # what gives the values when the branch does not run
    results: Sequence[str],  # names in `graph` of what the branch, or `otherwise`, gives
) -> None:
    """Put the branch before all nodes of a graph, whose inputs called as the results it feeds.

    The nodes of `otherwise` each give one output, in the order of the branch's outputs.
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


def _renamed(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    out = onnx.ValueInfoProto()
    out.CopyFrom(value)
    out.name = name
    return out


def _prefix(graph: onnx.GraphProto, prefix: str, keep: set[str]) -> None:
    """Rename every value of a graph but the kept ones, so that two graphs can share a scope."""

    def new(name: str) -> str:
        return name if not name or name in keep else prefix + name

    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    for value in [*graph.initializer, *graph.output, *graph.value_info]:
        value.name = new(value.name)
