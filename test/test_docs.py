"""The documentation: links, quoted messages, commands and Python blocks are valid."""

import ast
import re
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from tools.command_blocks import (
    INLINE,
    Block,
    MissingError,
    blocks,
    check,
    commands,
    documents,
    problems,
)

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
TEXT = {file: file.read_text() for file in DOCUMENTS}


def anchors(text):
    """The anchors of a document's headings, as GitHub makes them."""
    for heading in re.findall(r'^#+ (.+)$', text, re.MULTILINE):
        yield re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


@pytest.mark.parametrize('file', DOCUMENTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_links_are_valid(file):
    for target in re.findall(r'\]\(([^)\s]+)\)', TEXT[file]):
        if target.startswith('http'):
            continue
        path, _, anchor = target.partition('#')
        there = (file.parent / path).resolve() if path else file
        assert there.exists(), f'{file.name}: {target}'
        if anchor:
            assert anchor in anchors(there.read_text()), f'{file.name}: {target}'


def test_every_tutorial_is_listed():
    index = TEXT[ROOT / 'docs' / 'tutorials' / 'README.md']
    for file in (ROOT / 'docs' / 'tutorials').glob('*.md'):
        assert file.name == 'README.md' or f'({file.name})' in index, file.name
    for file in (ROOT / 'docs').glob('*.md'):
        assert f'docs/{file.name}' in TEXT[ROOT / 'README.md'], f'{file.name}: not in README.md'


@pytest.fixture(scope='module')
def strings():
    """All string constants of the package's code, in one text."""
    parts = []
    for file in (ROOT / 'manivideo_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(node.value)
    return '\n'.join(parts)


def test_quoted_messages_are_in_the_code(strings):
    text = TEXT[ROOT / 'docs' / 'troubleshooting.md']
    quoted = re.findall(r'^> `(.+)`$', text, re.MULTILINE)
    assert len(quoted) > 30
    for message in quoted:
        parts = [part.strip() for part in message.split('…')]
        assert max(map(len, parts)) > 4, f'{message!r} has no fixed part'
        for part in parts:
            assert part in strings, f'{message!r}: not in the code: {part!r}'


@pytest.mark.parametrize('file', DOCUMENTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_python_blocks_compile(file):
    for block in re.findall(r'^```python\n(.*?)^```', TEXT[file], re.DOTALL | re.MULTILINE):
        compile(block, str(file), 'exec')


@pytest.mark.parametrize('file', DOCUMENTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_documents_name_no_paths_of_this_machine(file):
    assert not re.search(r'/(tmp|work|root|home)/', TEXT[file])


@pytest.mark.parametrize('file', documents(), ids=lambda f: str(f.relative_to(ROOT)))
def test_commands_in_blocks_are_valid(file):
    found = [problem for block in blocks(file) for problem in problems(block)]
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('file', documents(), ids=lambda f: str(f.relative_to(ROOT)))
def test_commands_in_the_text_are_valid(file):
    text = re.sub(r'^```.*?^```|^> .*?$', '', TEXT[file], flags=re.DOTALL | re.MULTILINE)
    for found in INLINE.findall(text):
        # N stands for a number; a text with ellipses, choices or placeholders is no command.
        line = re.sub(r'\bN\b', '1', found.replace('\n', ' '))
        if re.search(r'\.\.\.$|\|| \.\.\. |NODE|<', line):
            continue
        for command in commands(line):
            # A text may name a command without its required arguments.
            named = len(command) <= 3 and all(re.fullmatch(r'[a-z-]+', w) for w in command)
            with suppress(MissingError) if named else nullcontext():
                check(command)


def test_all_blocks_have_a_language():
    for file in DOCUMENTS:
        languages = re.findall(r'^```(\w*)\n.*?^```$', TEXT[file], re.DOTALL | re.MULTILINE)
        assert set(languages) <= {'sh', 'python', 'yaml'}, file.name
        found = blocks(file)
        assert len(found) == languages.count('sh'), file.name
        assert sum(bool(b.needs) for b in found) == TEXT[file].count('<!-- needs: '), file.name


@pytest.mark.parametrize(
    ('wrong', 'reason'),
    [
        ('manivideo augmentt', 'invalid choice'),
        ('manivideo augment bag --out x', '--variations'),
        ('manivideo view --prot 1', '--prot'),
        ('ros2 launch manivideo_ros teleop.launch.py sauce:=tf', 'sauce'),
        ('ros2 launch manivideo_ros tele.launch.py', 'no such launch file'),
        ('ros2 run manivideo_ros hand_sauce', 'no such node'),
        ('ros2 run manivideo_ros webcam --ros-args -p camera:=99', 'camera: 99'),
        ('python -m manivideo_ros.nodes.viewer --ros-args -p prot:=1', 'no such parameter'),
        ('ros2 param set /synthesizer threads 3', 'read at startup'),
        ('ros2 topic echo /image_rw', 'no node has this topic'),
        ('ros2 service call /set_scene manivideo_ros/srv/SetScenes', 'no such interface'),
        ('make demmo', 'no such target'),
        ('make demo MOTON=x', 'no such variable'),
        ('python -m benchmarks.stream --fast', '--fast'),
        ('manivido demo', 'unknown command'),
        ('if manivideo', 'syntax error'),
    ],
)
def test_a_wrong_command_is_found(wrong, reason):
    (problem,) = problems(Block(ROOT / 'README.md', 1, '', wrong + '\n'))
    assert reason in problem


def test_blocks_are_parsed_as_by_a_shell():
    text = "A=1 manivideo play && make demo  # a remark\ncat > x <<'END'\nmanivideo?\nEND\n"
    text += '. a \\\n  b\n'
    assert list(commands(text)) == [
        ['manivideo', 'play'],
        ['make', 'demo'],
        ['cat', '>', 'x'],
        ['.', 'a', 'b'],
    ]
