"""Can the requirements be installed as wheels on another machine? Asks pip, and installs nothing.

`python -m tools.try_wheels` asks for runtime.txt on aarch64 (Jetson, Grace) with Python 3.12 and
glibc 2.35; it downloads the wheels, since indexes may not give their metadata alone. Exits 0 where
all are there. What the wheels require in turn is not asked for: pip would answer for this machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
GLIBC = (17, 24, 26, 27, 28, 31, 34, 35)  # minor versions that wheels are built for


def wanted(file: Path, machine: str, python: str) -> list[str]:
    """The requirements of a file that count on that machine, without their markers."""
    about = {'platform_machine': machine, 'sys_platform': 'linux', 'python_version': python}
    out = []
    for line in file.read_text().splitlines():
        text = line.split('#')[0].strip()
        if text:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(about):
                out.append(f'{requirement.name}{requirement.specifier}')
    return out


def platforms(machine: str, glibc: int) -> list[str]:
    """The tags of wheels that run there, as pip's options."""
    tags = ['manylinux2014', *(f'manylinux_2_{minor}' for minor in GLIBC if minor <= glibc)]
    return [option for tag in tags for option in ('--platform', f'{tag}_{machine}')]


def main(arguments: list[str] | None = None) -> int:
    """pip's exit code; its last line says what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', default=['runtime'], help='files of requirements/')
    parser.add_argument('--machine', default='aarch64')
    parser.add_argument('--python', default='3.12')
    parser.add_argument('--glibc', type=int, default=35, help='minor version: 35 of 2.35')
    args = parser.parse_args(arguments)
    files = [ROOT / 'requirements' / f'{name}.txt' for name in args.names]
    lines = [line for file in files for line in wanted(file, args.machine, args.python)]
    with tempfile.TemporaryDirectory(prefix='wheels_') as folder:
        done = subprocess.run(
            [
                sys.executable, '-m', 'pip', 'install', '--quiet', '--dry-run', '--no-deps',
                '--target', folder, '--only-binary=:all:', '--python-version', args.python,
                *platforms(args.machine, args.glibc), *lines,
            ],
            check=False,
        )  # fmt: skip
    print(f'{len(lines)} requirements: {"all there" if done.returncode == 0 else "not all there"}')
    return done.returncode


if __name__ == '__main__':
    sys.exit(main())
