"""Declares the parameters of a node and checks their values, at startup and when they change."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from manivideo_ros.process.renamed import renamed
from manivideo_ros.ros.parameters import default_of, entries, former_names, types

Parameters = TypeVar('Parameters')
READ_AT_STARTUP = 'is read at startup: restart the node to change it'
# Declared read_only by rclpy, so that `ros2 param load` of a node's own dump would fail.
OWN_OF_RCLPY = 'start_type_description_service'
QOS = 'qos_overrides.'  # declared by rclpy with each topic


def declare(
    node: Node,
    kind: type[Parameters],
    unlocked: Callable[[str], bool] = lambda name: False,
    also: Callable[[Mapping[str, Any]], None] = lambda changed: None,
) -> Parameters:
    """Declare the parameters of a dataclass on a node and return their values.

    unlocked: whether a parameter that is read at startup may be changed now. also: a further check
    of changed values by name, each valid by itself; it raises ValueError to refuse them.

    Warns of values for unknown parameters and of former names, which set the parameter that
    replaces them. Raises ValueError with the name of the first parameter whose value has another
    type or is out of range.
    """
    values, given = {}, node._parameter_overrides  # no public access in rclpy
    follow = _Renamer(node, former_names(kind))
    for old in follow.names.keys() & given.keys():
        override = follow(given.pop(old))
        given.setdefault(override.name, override)
    for name, entry in entries(kind).items():
        try:
            node.declare_parameter(name, default_of(entry), _descriptor(entry, types(kind)[name]))
        except ParameterException as error:
            if name in given:
                checked(kind, name, given[name].value)
            raise ValueError(f'{name}: {error}') from None
        values[name] = checked(kind, name, node.get_parameter(name).value)
    for text in _unknown(node, [name for name in given if not node.has_parameter(name)]):
        node.get_logger().warning(text)

    def check(changes: Sequence[Parameter]) -> SetParametersResult:
        ours = [change for change in changes if change.name in entries(kind)]
        present = {change.name: node.get_parameter(change.name).value for change in changes}
        for change in changes:
            if change.name == OWN_OF_RCLPY and change.value != present[change.name]:
                return _refused(f'{change.name} {READ_AT_STARTUP}')
        result = check_change(kind, ours, present, unlocked)
        if result.successful:
            try:
                also({c.name: c.value for c in ours if c.value != present[c.name]})
            except ValueError as error:
                return _refused(str(error))
        return result

    if OWN_OF_RCLPY in node._descriptors:  # guarded by `check` instead
        node._descriptors[OWN_OF_RCLPY].read_only = False
    node.add_pre_set_parameters_callback(lambda changes: [follow(change) for change in changes])
    node.add_on_set_parameters_callback(check)
    return kind(**values)


class _Renamer:
    """Gives parameters their present names; warns once of each former one."""

    def __init__(self, node: Node, names: Mapping[str, str]) -> None:
        self.names = names
        self._node = node
        self._warned: set[str] = set()

    def __call__(self, parameter: Parameter) -> Parameter:
        old, new = parameter.name, self.names.get(parameter.name)
        if new is None:
            return parameter
        if old not in self._warned:
            self._warned.add(old)
            self._node.get_logger().warning(f'parameter {renamed(old, new)}')
        return Parameter(new, parameter.type_, parameter.value)


def read(node: Node, kind: type[Parameters]) -> Parameters:
    """The present values of declared parameters."""
    return kind(**{name: checked(kind, name, node.get_parameter(name).value)
                   for name in entries(kind)})  # fmt: skip


def check_change(
    kind: type,
    changes: Sequence[Parameter],
    present: Mapping[str, Any] | None = None,
    unlocked: Callable[[str], bool] = lambda name: False,
) -> SetParametersResult:
    """The result of add_on_set_parameters_callback: ranges, and whether a change is allowed now.

    present: the current values, which can always be set again, as `ros2 param load` of a dump does.
    """
    for change in changes:
        name = change.name
        if name not in entries(kind):
            continue
        try:
            value = checked(kind, name, change.value)
            same = present is not None and name in present
            same = same and checked(kind, name, present[name]) == value  # type: ignore[index]
        except ValueError as error:
            return _refused(str(error))
        if not (same or entries(kind)[name].metadata['live'] or unlocked(name)):
            return _refused(f'{name} {READ_AT_STARTUP}')
    return SetParametersResult(successful=True)


def check_values(values: Mapping[str, Any], kind: type) -> None:
    """Raise ValueError where values by name, as of a YAML file, are not parameters of that kind."""
    for name, value in values.items():
        name = former_names(kind).get(name, name)
        if name not in entries(kind):
            raise ValueError(f'{name}: no such parameter of {kind.__name__}')
        checked(kind, name, value)


def checked(kind: type, name: str, value: Any) -> Any:
    """A parameter's value in the type of its field. Raises ValueError with its name."""
    expected, metadata = types(kind)[name], entries(kind)[name].metadata
    if typing.get_origin(expected) is tuple:
        inner = typing.get_args(expected)[0]
        if isinstance(value, str | bytes) or not hasattr(value, '__iter__'):
            raise ValueError(f'{name}: must be a list, is {value!r}: write "[{value}]"')
        return tuple(_typed(name, inner, v) for v in value if v != '')
    value = _typed(name, expected, value)
    (low, high), choices = metadata['range'], metadata['choices']
    if choices and value not in choices:
        raise ValueError(f'{name}: {value!r} is not {_one_of(choices)}')
    if low is not None and not low <= value <= high:
        raise ValueError(f'{name}: {value} is not in {low:.10g} to {high:.10g}')
    return value


def _typed(name: str, kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f'{name}: must be of type {kind.__name__}, is {value!r}')
    return value


def _refused(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)


def _unknown(node: Node, names: Sequence[str]) -> Iterator[str]:
    """A warning for each name that is not a parameter of the node."""
    known = list(node._parameters)
    for name in names:
        if name.startswith(QOS):
            continue
        near = difflib.get_close_matches(name, known, 1, 0.6)
        meant = f'; did you mean {near[0]}?' if near else ''
        yield f'{name}: {node.get_name()} has no such parameter: its value is not used{meant}'


def _descriptor(entry: Field[Any], kind: Any) -> ParameterDescriptor:
    low, high = entry.metadata['range']
    descriptor = ParameterDescriptor(
        name=entry.name,
        description=entry.metadata['about']
        + ('' if entry.metadata['live'] else '; read at startup'),
        # Not read_only: rclpy would refuse even the present value, and `ros2 param load` with it.
        read_only=False,
        # Accepts `hold_s: 1` as 1.0; other types are refused by `checked`, with a better message.
        dynamic_typing=kind is float or typing.get_origin(kind) is tuple,
        additional_constraints=_one_of(entry.metadata['choices']),
    )
    if low is not None and kind is int:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    elif low is not None:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
        ]
    return descriptor


def _one_of(choices: Sequence[str]) -> str:
    return f'one of {", ".join(c or "empty" for c in choices)}' if choices else ''
