"""Checks documentation, docstrings, comments and messages for words that docs/glossary.md replaces.

    python -m tools.words [FILES]

Prints `FILE:LINE: WORD: write REPLACEMENT` for each; the exit status is 1 if there are any.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTEAD = {
    r'told|tells?|telling': 'given, reported, published, describes',
    r'mend(?:s|ed|ing)?': 'fix, or say what to do',
    r'anew': 'again',
    r'from nothing': 'from scratch',
    r'pictures?|pictured': 'image',
    r"truth's photographs?": 'ground-truth image',
    r'upper marks?': 'upper bound',
    r'rasteris\w+|synthesis(?:er|ers|ed|e)': 'the spelling with z',
}
PATTERN = re.compile(
    r'(?<![\w/`.-])(?:' + '|'.join(f'({word})' for word in INSTEAD) + r')(?![\w/-])', re.I
)
TEXTS = ('.md', '.msg', '.srv', '.action', '.yaml')
EXCEPT = {Path('tools/words.py'), Path('test/test_architecture.py'), Path('docs/glossary.md')}
EXCEPT.add(Path('manivideo_ros/data/packing.py'))  # file names of release 0.1


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of prose in a file: all of a text file, comments and strings of a module."""
    text = file.read_text()
    if file.suffix in TEXTS:
        yield from enumerate(text.split('\n'), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, 'FSTRING_MIDDLE', -1)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            for offset, line in enumerate(token.string.split('\n')):
                yield token.start[0] + offset, line


def found(files: list[Path]) -> Iterator[str]:
    """One line of output for each word."""
    for file in files:
        for number, line in prose(file):
            for match in PATTERN.finditer(line):
                instead = list(INSTEAD.values())[(match.lastindex or 1) - 1]
                yield f'{file.relative_to(ROOT)}:{number}: {match[0]}: write {instead}'


def tracked() -> list[Path]:
    """The files to check: those of the repository, or of an unpacked archive."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split('\n') if listed.returncode == 0 else []
    files = [Path(name) for name in names if name] or [
        file.relative_to(ROOT)
        for file in ROOT.rglob('*')
        if not {'build', 'install', 'log', 'out'}.intersection(file.relative_to(ROOT).parts[:1])
        and not any(part.startswith('.') for part in file.relative_to(ROOT).parts)
    ]
    return [
        ROOT / file
        for file in files
        if file.suffix in ('.py', *TEXTS) and file not in EXCEPT and (ROOT / file).is_file()
    ]


def main(arguments: list[str]) -> int:
    """Check the named files, or all."""
    named = [Path(name).resolve() for name in arguments]
    lines = list(found([file for file in tracked() if not named or file in named]))
    print('\n'.join(lines))
    return int(bool(lines))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
