"""Installs lerobot and robomimic for the tests of exported datasets.

    python -m tools.datasets_environment FOLDER

FOLDER goes on PYTHONPATH, before the environment. lerobot 0.6 is written for Python 3.12: on 3.11
its few generics and type aliases are rewritten. torchvision's wheels are built for torch with CUDA:
beside a torch for CPUs its operators, which datasets do not need, are declared alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / 'requirements' / 'datasets.txt'
DECLARED = """
if not _has_ops():
    import torch
    _DECLARED = torch.library.Library('torchvision', 'DEF')
    for _name in ('nms', 'qnms'):
        _DECLARED.define(f'{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
"""


def main(folder: Path) -> int:
    """Install into a folder, which is there afterwards only if all of it succeeded."""
    installed = folder / REQUIREMENTS.name
    if installed.is_file() and installed.read_text() == REQUIREMENTS.read_text():
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    partial = folder.with_name(f'{folder.name}.partial')
    command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
               '--no-deps', '--ignore-requires-python', '--upgrade', '--retries', '1', '--target',
               str(partial), '--requirement', str(REQUIREMENTS)]  # fmt: skip
    status = subprocess.run(command, check=False).returncode
    if status:
        return status
    if sys.version_info < (3, 12):
        for file in (partial / 'lerobot').rglob('*.py'):
            text = file.read_text()
            if (rewritten := for_python_311(text)) != text:
                file.write_text(rewritten)
    with (partial / 'torchvision' / 'extension.py').open('a') as extension:
        extension.write(DECLARED)
    shutil.copyfile(REQUIREMENTS, partial / REQUIREMENTS.name)
    partial.replace(folder)
    return 0


def for_python_311(text: str) -> str:
    """Source code without `type X = ...`, `class X[T]` and `def f[T]` at its outer level."""
    variables: dict[str, None] = {}

    def header(match: re.Match[str]) -> str:
        own = [each.partition(':')[0].strip() for each in match['parameters'].split(',')]
        variables.update(dict.fromkeys(own))
        if match['kind'] == 'def':
            return f'def {match["name"]}('
        bases = [match['bases'], f'Generic[{", ".join(own)}]']
        return f'class {match["name"]}({", ".join(filter(None, bases))}):'

    text = re.sub(r'^type (\w+) =', r'\1 =', text, flags=re.M)
    start = r'^(?P<kind>{}) (?P<name>\w+)\[(?P<parameters>[^\]]+)\]'
    text = re.sub(start.format('def') + r'\(', header, text, flags=re.M)
    text = re.sub(start.format('class') + r'(?:\((?P<bases>.*)\))?:', header, text, flags=re.M)
    if not variables:
        return text
    lines = ''.join(f'{name} = TypeVar({name!r})\n' for name in variables)
    first = re.search(r'^(import|from) (?!__future__)', text, flags=re.M)
    at = first.start() if first else 0
    return f'{text[:at]}from typing import Generic, TypeVar\n{lines}{text[at:]}'


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1])))
