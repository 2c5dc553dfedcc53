"""What launch arguments mean: which were given, of which type, and the files that pass them on.

Knows nothing of `launch` itself. What cannot be used raises ValueError, one line that names the
argument.
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
from manivideo_ros.ros.parameters import ALL, check_file

OF_CONFIG = '(config'
# rcl applies the sections of parameter files in the order in which their names first came up, and
# merges sections of one name. These two match every node, and nobody else has them: what stands
# under the first is overridden by every other file, what stands under the second by none.
WEAKEST, STRONGEST = '/**/**/**', '/**/**'
USE_SIM_TIME = 'use_sim_time'


def of_config(default: str = '') -> str:
    """The default of an argument that leaves the value of the parameter file alone.

    default: the value where the file has none, for people to read.
    """
    return f'{OF_CONFIG}, else {default})' if default else f'{OF_CONFIG})'


def is_given(text: str) -> bool:
    """Whether an argument's text is a value that somebody gave."""
    return not text.startswith(OF_CONFIG)


def is_true(argument: str, text: str) -> bool:
    """The value of a switch."""
    found = {'true': True, '1': True, 'false': False, '0': False}.get(text.strip().lower())
    if found is None:
        raise ValueError(f'launch argument {argument}: must be true or false, is {text!r}')
    return found


def value_of(argument: str, text: str, executable: str, parameter: str) -> Any:
    """An argument's text as the value of a node's parameter, checked as the node checks it.

    A text stays as it is: a folder named 2026 is no number.
    """
    try:
        if parameter == USE_SIM_TIME:
            return is_true(argument, text)
        kind = ALL[executable]
        wanted = typing.get_type_hints(kind)[parameter]
        if wanted is str:
            value: Any = text
        elif typing.get_args(wanted)[:1] == (str,):
            value = yaml.load(text, yaml.BaseLoader)  # every entry is a text
            value = '' if value is None else value
        else:
            value = yaml.safe_load(text)
        check_file({parameter: value}, kind)
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
    """The pairs of `[from:=to, from:=to]`, which may also stand without brackets."""
    out = []
    for rule in text.strip().strip('[]').replace(',', ' ').split():
        old, separator, new = rule.strip('\'"').partition(':=')
        if not (old and separator and new):
            raise ValueError(
                f'launch argument remaps: {rule!r} is no rule: write "[hand_poses:=/glove/poses]"'
            )
        out.append((old, new))
    return out


def misspelt(given: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Names that are none of the known ones, each with the known one that it resembles, or ''."""
    return {
        name: next(iter(difflib.get_close_matches(name, known, 1, 0.75)), '')
        for name in given
        if name not in known
    }
