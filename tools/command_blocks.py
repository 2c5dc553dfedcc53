"""Finds the commands in the documentation and checks them without running them."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.ros.declare_parameters import check_change, check_values
from manivideo_ros.ros.parameters import ALL
from tools.command_lines import NESTED, ROOT, command_parser, launch_arguments, module_parser
from tools.reference import meanings

BLOCK = re.compile(r'^(?:<!-- needs: ([^\n]+) -->\n)?```sh\n(.*?)^```', re.DOTALL | re.MULTILINE)
INLINE = re.compile(r'`((?:manivideo|make|ros2 (?:run|launch) manivideo_ros) [^`]+)`')
# Commands of the shell or of a distribution, which are not checked.
OTHERS = {
    '.', 'cat', 'cd', 'colcon', 'export', 'git', 'lerobot-edit-dataset', 'lerobot-train',
    'mkdir', 'pip', 'python3', 'ray',
    'rosdep', 'source', 'touch', 'true',
}  # fmt: skip
NODES = 'manivideo_ros.nodes.'
# Commands that run until they are stopped.
LASTING = re.compile(
    r'^(ros2 (launch|run) manivideo_ros|ros2 topic (hz|echo)(?!.*--once)'
    rf'|manivideo (play|record|view)|python -m {re.escape(NODES)})(?!.*--show-args)'
)


class MissingError(ValueError):
    """A command lacks arguments that it requires."""


@dataclass(frozen=True)
class Block:
    """A shell block of a document; needs: what a clean machine lacks, '' if it can be run."""

    file: Path
    line: int
    needs: str
    text: str

    @property
    def name(self) -> str:
        """Its file and line."""
        return f'{self.file.relative_to(ROOT)}:{self.line}'


def documents() -> list[Path]:
    """README, the tutorials (the demo's first), then the other documents."""
    tutorials = sorted((ROOT / 'docs' / 'tutorials').glob('*.md'), key=lambda f: f.stem != 'demo')
    return [ROOT / 'README.md', *tutorials, *sorted((ROOT / 'docs').glob('*.md'))]


def blocks(file: Path) -> list[Block]:
    """The shell blocks of a document, in order."""
    text = file.read_text()
    return [
        Block(file, text.count('\n', 0, m.start(2)) + 1, m[1] or '', m[2])
        for m in BLOCK.finditer(text)
    ]


def lines(text: str) -> list[str]:
    """Split a block into command lines; continued lines and here-documents are kept together."""
    out: list[str] = []
    end = ''
    joined = False
    for line in text.splitlines():
        if end:
            out[-1] += '\n' + line
            end = '' if line == end else end
        elif joined:
            out[-1] += '\n' + line
        elif line.strip() and not line.lstrip().startswith('#'):
            out.append(line)
        else:
            continue
        joined = not end and line.endswith('\\')
        here = re.search(r"<<'(\w+)'$", line)
        end = here[1] if here and not end else end
    return out


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command in a block."""
    for line in lines(text):
        plain = re.sub(r'\$\([^)]*\)', 'OUTPUT', line.partition('<<')[0].replace('\\\n', ' '))
        words = shlex.split(plain, comments=True)
        command: list[str] = []
        for word in [*words, ';']:
            if word in ('&&', '||', ';', '&', '|'):
                while command and re.match(r'^\w+=', command[0]):
                    command = command[1:]
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def problems(block: Block) -> list[str]:
    """Errors in a block that can be found without running it."""
    done = subprocess.run(
        ['bash', '-n'], input=block.text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return [f'{block.name}: {done.stderr.strip()}']
    found = []
    for command in commands(block.text):
        try:
            check(command)
        except (ValueError, OSError) as error:
            found.append(f'{block.name}: {shlex.join(command)}: {error}')
    return found


def check(command: Sequence[str]) -> None:
    """Raise ValueError if a command, or something that it names, does not exist."""
    first, rest = command[0], list(command[1:])
    if first == 'manivideo':
        _manivideo(rest)
    elif first == 'make':
        _make(rest)
    elif first == 'ros2':
        _ros2(rest)
    elif first == 'python':
        _python(rest)
    elif first == 'torchrun':
        _python(rest[rest.index('-m') :])
    elif first not in OTHERS:
        raise ValueError(f'{first}: unknown command')


def _manivideo(words: list[str]) -> None:
    from manivideo_ros import cli

    if words and words[0] == 'evaluate' and len(words) > 1 and not words[1].startswith('-'):
        _parse(module_parser('manivideo_ros.evaluation.reports.recorded'), words[1:])
    elif tuple(words[:2]) in NESTED:
        _parse(module_parser(NESTED[words[0], words[1]]), words[2:])
    elif words and words[0] in [name for name, *_ in cli.COMMANDS]:
        _parse(command_parser(words[0]), words[1:])
    else:
        _parse(cli.make_parser(), words)


def _python(words: list[str]) -> None:
    if words[0] != '-m':
        if words[0] != 'vision_pro.py' and not (ROOT / words[0]).is_file():
            raise ValueError('no such file')
        return
    module, rest = words[1], words[2:]
    if module.startswith(NODES):
        node = module.removeprefix(NODES).removesuffix('_node')
        if find_spec(module) is None:
            raise ValueError('no such module')
        _node(node, rest)
    elif module == 'venv':
        return
    elif module.startswith('tools.'):
        if find_spec(module) is None:
            raise ValueError('no such module')
    else:
        _parse(module_parser(module), rest)


def _parse(parser: Any, words: list[str]) -> None:
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
            parser.parse_args(words)
    except SystemExit as end:
        if end.code:
            last = output.getvalue().strip().splitlines()[-1]
            kind = MissingError if 'arguments are required' in last else ValueError
            raise kind(last) from None


def _make(words: list[str]) -> None:
    text = (ROOT / 'Makefile').read_text()
    targets = re.search(r'^\.PHONY: (.+)$', text, re.MULTILINE)
    assert targets is not None
    for word in words:
        variable, equals, _ = word.partition('=')
        if equals and not re.search(rf'^{variable} \?=', text, re.MULTILINE):
            raise ValueError(f'{variable}: the Makefile has no such variable')
        if not equals and word not in targets[1].split():
            raise ValueError(f'{word}: the Makefile has no such target')


def _ros2(words: list[str]) -> None:
    verb, rest = words[0], words[1:]
    if verb == 'run' and rest[0] == 'manivideo_ros':
        _node(rest[1], rest[2:])
    elif verb == 'launch' and rest[0] == 'manivideo_ros':
        _launch(rest[1], rest[2:])
    elif verb == 'param' and rest[0] == 'set':
        node, name, value = rest[1:]
        _parameter(node.lstrip('/'), name, value)
        _changed(node.lstrip('/'), name, value)
    elif verb in ('topic', 'service', 'action'):
        names = {f'/{n.lstrip("/")}' for node in meanings().values() for n in node} | {'/clock'}
        for word in rest:
            if word.startswith('/') and word not in names:
                raise ValueError(f'{word}: no node has this {verb}')
            if word.startswith('manivideo_ros/'):
                _, kind, name = word.split('/')
                if not (ROOT / kind / f'{name}.{kind}').is_file():
                    raise ValueError(f'{word}: no such interface')
    elif verb not in ('run', 'bag', 'security'):
        raise ValueError(f'ros2 {verb}: add a check of this verb to tools/command_blocks.py')


def _node(node: str, words: list[str]) -> None:
    if node not in ALL:
        raise ValueError(f'{node}: no such node')
    for flag, value in pairwise(words):
        if flag == '-p':
            name, is_set, text = value.partition(':=')
            if not is_set:
                raise ValueError(f'-p {value}: must be name:=value')
            _parameter(node, name, text)
        elif flag == '-r' and ':=' not in value:
            raise ValueError(f'-r {value}: must be from:=to')


def _parameter(node: str, name: str, text: str) -> None:
    if name == 'use_sim_time':
        return
    check_values({name: yaml.safe_load(text)}, ALL[node])


def _changed(node: str, name: str, text: str) -> None:
    from rclpy.parameter import Parameter

    result = check_change(ALL[node], [Parameter(name, value=yaml.safe_load(text))])
    if not result.successful:
        raise ValueError(result.reason)


def _launch(file: str, words: list[str]) -> None:
    declared = launch_names(file)
    for word in words:
        name, is_set, _ = word.partition(':=')
        if word != '--show-args' and (not is_set or name not in declared):
            raise ValueError(f'{word}: {file} has no such argument')


@cache
def launch_names(file: str) -> frozenset[str]:
    """Names of a launch file's arguments. Raises ValueError if there is no such file."""
    path = ROOT / 'launch' / file
    if not path.is_file():
        raise ValueError(f'{file}: no such launch file')
    return frozenset(argument.name for argument in launch_arguments(path))
