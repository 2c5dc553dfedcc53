"""The arguments of all commands and launch files, read without running them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]


NESTED = {
    ('dataset', 'check'): 'manivideo_ros.recording.lerobot.check.cli',
    ('dataset', 'bag'): 'manivideo_ros.recording.lerobot.bags',
}
"""Modules of commands of two words that have a parser of their own."""


class _FoundError(Exception):
    """Carries the parser of a command."""


def parser_of(call: Callable[[], Any]) -> argparse.ArgumentParser:
    """The parser that a command's `main` creates; stops the command at `parse_args`."""

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _FoundError(parser)

    with mock.patch.object(argparse.ArgumentParser, 'parse_args', stop):
        try:
            call()
        except _FoundError as found:
            parser: argparse.ArgumentParser = found.args[0]
            return parser
    raise ValueError('the command parses no arguments')


def module_parser(name: str) -> argparse.ArgumentParser:
    """The parser of `python -m NAME`. Raises ImportError if there is no such module."""
    return parser_of(lambda: import_module(name).main([]))


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a command of `manivideo`."""
    from manivideo_ros import cli

    return parser_of(lambda: cli.run(name, []))


def manivideo_parsers() -> dict[str, argparse.ArgumentParser]:
    """Parsers by command of `manivideo` (by both words if nested), in the order of its help."""
    from manivideo_ros import cli

    out: dict[str, argparse.ArgumentParser] = {}
    for name, *_ in cli.COMMANDS:
        parser = command_parser(name)
        children = list(_children(parser))
        out |= {f'{name} {child}': deeper for child, deeper in children} or {name: parser}
        if name == 'evaluate':
            out['evaluate BAG'] = module_parser('manivideo_ros.evaluation.reports.recorded')
        out |= {f'{a} {b}': module_parser(m) for (a, b), m in NESTED.items() if a == name}
    return out


def launch_arguments(file: Path) -> list[Any]:
    """The arguments that a launch file declares, with name, default and description."""
    sys.path.insert(0, str(ROOT / 'test' / 'support'))
    from launch_stand_in import DeclareLaunchArgument, load

    return [entity for entity in load(file) if isinstance(entity, DeclareLaunchArgument)]


def arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser, without help and subcommands."""
    for action in parser._actions:
        hidden = action.help == argparse.SUPPRESS
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction) and not hidden:
            yield action


def shown(action: argparse.Action) -> str:
    """An argument as a user types it."""
    name = action.option_strings[-1] if action.option_strings else ''
    if action.nargs == 0:
        return name
    choices: Sequence[Any] = list(action.choices or ())
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = '|'.join(map(str, choices)) if 0 < len(choices) <= 4 else value
    many = action.nargs in ('+', '*') or (isinstance(action.nargs, int) and action.nargs > 1)
    return ' '.join(filter(None, [name, f'{value} ...' if many else value]))


def _children(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()
