"""Checks with pip whether the requirements have wheels for another machine; installs nothing.

`python -m tools.try_wheels` checks runtime.txt for aarch64 (Jetson, Grace) with Python 3.12 and
glibc 2.35. It downloads the wheels, as an index may not serve their metadata alone. Exits with 0 if
all are available. Dependencies of the wheels are not checked, as pip resolves these for this
machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
GLIBC = (17, 24, 26, 27, 28, 31, 34, 35)  # minor versions for which wheels are built


def requirements_on(file: Path, machine: str, python: str) -> list[str]:
    """The requirements of a file that apply to a machine, without their markers."""
    markers = {'platform_machine': machine, 'sys_platform': 'linux', 'python_version': python}
    out = []
    for line in file.read_text().splitlines():
        text = line.split('#')[0].strip()
        if text:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(markers):
                out.append(f'{requirement.name}{requirement.specifier}')
    return out


def platforms(machine: str, glibc: int) -> list[str]:
    """Options of pip with the platform tags of wheels that run on a machine."""
    tags = ['manylinux2014', *(f'manylinux_2_{minor}' for minor in GLIBC if minor <= glibc)]
    return [option for tag in tags for option in ('--platform', f'{tag}_{machine}')]


def main(arguments: list[str] | None = None) -> int:
    """Run the check; returns the exit status of pip, whose last line names what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', default=['runtime'], help='files of requirements/')
    parser.add_argument('--machine', default='aarch64')
    parser.add_argument('--python', default='3.12')
    parser.add_argument('--glibc', type=int, default=35, help='minor version, 35 for 2.35')
    args = parser.parse_args(arguments)
    files = [ROOT / 'requirements' / f'{name}.txt' for name in args.names]
    lines = [line for file in files for line in requirements_on(file, args.machine, args.python)]
    with tempfile.TemporaryDirectory(prefix='wheels_') as folder:
        done = subprocess.run(
            [
                sys.executable, '-m', 'pip', 'install', '--quiet', '--dry-run', '--no-deps',
                '--target', folder, '--only-binary=:all:', '--python-version', args.python,
                *platforms(args.machine, args.glibc), *lines,
            ],
            check=False,
        )  # fmt: skip
    found = 'all available' if done.returncode == 0 else 'not all available'
    print(f'{len(lines)} requirements: {found}')
    return done.returncode


if __name__ == '__main__':
    sys.exit(main())
