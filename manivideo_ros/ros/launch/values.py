"""Values of launch arguments: which were given, their types, and the files that pass them on.

Uses nothing of `launch` itself. A value that cannot be used raises ValueError, one line that names
its argument.
"""

from __future__ import annotations

import difflib
import tempfile
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.process.folders import expanded
from manivideo_ros.process.node_processes import as_yaml
from manivideo_ros.ros.declare_parameters import check_values
from manivideo_ros.ros.parameters import (
    ALL,
    default_of,
    description_of,
    entries,
    former_names,
    types,
)

OF_CONFIG = '(config'
# rcl applies the sections of parameter files in the order in which their names first appear, and
# merges sections of one name. These two match every node, and are used nowhere else: every other
# file overrides the values of the first, and none those of the second.
WEAKEST, STRONGEST = '/**/**/**', '/**/**'
USE_SIM_TIME = 'use_sim_time'


def of_config(default: str = '') -> str:
    """The default of an argument that leaves the value of the parameter file alone.

    default: the value where the file has none; it is only shown.
    """
    return f'{OF_CONFIG}, else {default})' if default else f'{OF_CONFIG})'


def argument_of(executable: str, parameter: str, defaults: Mapping[str, Any]) -> tuple[str, str]:
    """Default and description of the argument that sets a parameter.

    defaults: those of the launch file, where it has others than the node.
    """
    entry = entries(ALL[executable])[parameter]
    value = defaults.get(parameter, default_of(entry))
    return of_config('' if value in ('', ['']) else as_yaml(value)), f'{description_of(entry)}.'


def former_arguments(nodes: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Arguments by their names in the previous release.

    nodes: executable of each node, and its launch arguments by the parameter that they set.
    """
    return {
        old: new
        for executable, arguments in nodes
        for old, new in former_names(ALL[executable]).items()
        if arguments.get(new) == new
    }


def is_given(text: str) -> bool:
    """Whether an argument was given, or still has its default by `of_config`."""
    return not text.startswith(OF_CONFIG)


def is_true(argument: str, text: str) -> bool:
    """The value of a switch."""
    found = {'true': True, '1': True, 'false': False, '0': False}.get(text.strip().lower())
    if found is None:
        raise ValueError(f'launch argument {argument}: must be true or false, is {text!r}')
    return found


def value_of(argument: str, text: str, executable: str, parameter: str) -> Any:
    """An argument's text as the value of a node's parameter, checked as the node checks it.

    Strings are not read as YAML: a folder named 2026 is not a number.
    """
    try:
        if parameter == USE_SIM_TIME:
            return is_true(argument, text)
        kind = ALL[executable]
        expected = types(kind)[parameter]
        if expected is str:
            value: Any = text
        elif typing.get_args(expected)[:1] == (str,):
            value = yaml.load(text, yaml.BaseLoader)  # every entry is a string
            value = '' if value is None else value
        else:
            value = yaml.safe_load(text)
        check_values({parameter: value}, kind)
    except yaml.YAMLError:
        raise ValueError(f'launch argument {argument}: {text!r} cannot be read as YAML') from None
    except ValueError as error:
        reason = str(error).removeprefix('launch argument ').removeprefix(f'{argument}: ')
        raise ValueError(f'launch argument {argument}: {reason}') from None
    return value


def parameter_file(section: str, values: Mapping[str, Any]) -> str:
    """A new temporary parameter file with these values; section: WEAKEST or STRONGEST."""
    with tempfile.NamedTemporaryFile(
        'w', prefix='manivideo_launch_', suffix='.yaml', delete=False
    ) as file:
        yaml.safe_dump({section: {'ros__parameters': dict(values)}}, file)
    return file.name


def config_file(name: str, shipped: Path) -> str:
    """The parameter file of the argument `config`; shipped: the folder of those of the package."""
    path = expanded(name)
    found = shipped / name if '/' not in name and (shipped / name).is_file() else path
    if not found.is_file():
        raise ValueError(
            f'launch argument config: {found.absolute()}: no such file; name a file, or one of '
            f'{", ".join(sorted(file.name for file in shipped.glob("*.yaml")))}'
        )
    return str(found)


def remaps_of(text: str) -> list[tuple[str, str]]:
    """The rules of `[from:=to, from:=to]`, as pairs; the brackets may be left out."""
    out = []
    for rule in text.strip().strip('[]').replace(',', ' ').split():
        old, separator, new = rule.strip('\'"').partition(':=')
        if not (old and separator and new):
            raise ValueError(
                f'launch argument remaps: {rule!r} is not a rule: write '
                '"[hand_poses:=/glove/poses]"'
            )
        out.append((old, new))
    return out


def misspelt(given: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Unknown names, each with the known one that it resembles, or ''."""
    return {
        name: next(iter(difflib.get_close_matches(name, known, 1, 0.75)), '')
        for name in given
        if name not in known
    }
