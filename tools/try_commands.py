"""Runs every command block of the documentation as a new user would: python -m tools.try_commands

In a fresh clone, document after document, block after block, as written. Blocks with a comment
`<!-- needs: ... -->` before them are checked and not run. Nodes, and what else lasts, run until the
others of their block have started and a few seconds longer. Prints a line for each block; 1 where
one failed. --into FOLDER clones there; documents may be named to run these alone (README first:
it builds everything).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.command_blocks import LASTING, ROOT, Block, blocks, documents, lines, problems

STARTS_S = 120.0  # within which what lasts says something
STAYS_S = 10.0  # how long it then goes on
LIMIT_S = 1800.0  # of a block that ends by itself
# What a user's terminal has, once there is an environment.
TERMINAL = '[ ! -f .venv/bin/activate ] || . .venv/bin/activate\n'


@dataclass
class Lasting:
    """A command that works until it is stopped."""

    line: str
    process: subprocess.Popen[bytes]
    output: Path

    def stop(self) -> int:
        """Ctrl-C, then harder; the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(30)
                except subprocess.TimeoutExpired:
                    continue
        return self.process.wait()


def run(block: Block, clone: Path, env: Mapping[str, str], logs: Path) -> str:
    """What went wrong with a block, '' for nothing."""
    if not any(LASTING.match(line) for line in lines(block.text)):
        return run_through(block.text, clone, env)
    running: list[Lasting] = []
    try:
        for n, line in enumerate(lines(block.text)):
            if not LASTING.match(line):
                failed = run_through(line, clone, env)
                if failed:
                    return f'{line}: {failed}'
                continue
            output = logs / f'{block.line}_{n}.txt'
            running.append(Lasting(line, begin(line, clone, env, output), output))
            failed = first_words(running[-1])
            if failed:
                return failed
        time.sleep(STAYS_S)
        for each in running:
            if each.process.poll():
                return f'{each.line}: ended with {each.process.poll()}: {tail(each.output)}'
    finally:
        # The last first: a recorder before what it records.
        ends = {each.line: each.stop() for each in reversed(running)}
    bad = [f'{line}: ended with {status}' for line, status in ends.items() if status]
    return '; '.join(bad)


def run_through(text: str, clone: Path, env: Mapping[str, str]) -> str:
    """Run lines that end by themselves; what went wrong."""
    try:
        done = subprocess.run(
            ['bash', '-ec', TERMINAL + text],
            cwd=clone,
            env=dict(env),
            capture_output=True,
            text=True,
            errors='replace',
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f'took longer than {LIMIT_S:g} s'
    said = (done.stdout + done.stderr).strip().splitlines()
    return '' if done.returncode == 0 else f'status {done.returncode}: {" / ".join(said[-3:])}'


def begin(line: str, clone: Path, env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start a command in a terminal of its own."""
    with output.open('wb') as file:
        return subprocess.Popen(
            ['bash', '-ec', f'{TERMINAL}exec {line}'],
            cwd=clone,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def first_words(each: Lasting) -> str:
    """Wait until it says something; what went wrong."""
    end = time.monotonic() + STARTS_S
    while not each.output.stat().st_size:
        if each.process.poll() is not None:
            return f'{each.line}: ended with {each.process.poll()}, saying nothing'
        if time.monotonic() > end:
            return f'{each.line}: said nothing for {STARTS_S:g} s'
        time.sleep(0.2)
    return ''


def tail(file: Path) -> str:
    """The last lines of an output."""
    return ' / '.join(file.read_text(errors='replace').strip().splitlines()[-3:])


def terminal_environment(folder: Path, clone: Path) -> dict[str, str]:
    """A user's environment; with a stand-in for `ros2` where there is none."""
    env = {k: v for k, v in os.environ.items() if k not in ('AMENT_PREFIX_PATH', 'VIRTUAL_ENV')}
    own = str(Path(sys.prefix) / 'bin')
    path = [p for p in env['PATH'].split(os.pathsep) if p != own]
    if not any((Path(p) / 'ros2').is_file() for p in path):
        stand_in = folder / 'ros2'
        stand_in.write_text(f'#!/bin/sh\nexec python {clone}/tools/ros2_stand_in.py "$@"\n')
        stand_in.chmod(0o755)
        path.append(str(folder))
    return {**env, 'PATH': os.pathsep.join(path), 'PYTHONUNBUFFERED': '1'}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog='python -m tools.try_commands', description=__doc__)
    parser.add_argument('documents', nargs='*', type=Path, help='these alone')
    parser.add_argument('--into', type=Path, help='folder of the clone; kept')
    args = parser.parse_args(arguments)
    chosen = [file.resolve() for file in args.documents] or documents()
    failed = ran = checked = 0
    with tempfile.TemporaryDirectory(prefix='try_commands_') as temporary:
        clone = (args.into or Path(temporary) / 'clone').resolve()
        if not clone.exists():
            subprocess.run(['git', 'clone', '--quiet', str(ROOT), str(clone)], check=True)
        env = terminal_environment(Path(temporary), clone)
        for block in (block for file in chosen for block in blocks(file)):
            started, fault = time.monotonic(), '; '.join(problems(block))
            if not fault and not block.needs:
                fault = run(block, clone, env, Path(temporary))
                ran += 1
            checked += bool(block.needs)
            failed += bool(fault)
            state = 'FAILED' if fault else f'checked, needs {block.needs}' if block.needs else 'ok'
            print(f'{block.name}: {state} ({time.monotonic() - started:.0f} s) {fault}', flush=True)
    print(f'{ran} blocks run, {checked} checked, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
