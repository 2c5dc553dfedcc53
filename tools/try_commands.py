"""Runs every command block of the documentation in a fresh clone: python -m tools.try_commands

Documents and their blocks run in order, as written. Blocks after a comment `<!-- needs: ... -->`
are checked but not run. Commands that do not end by themselves, such as nodes, are stopped some
seconds after all commands of their block have started. Prints a line for each block; the exit
status is 1 if one failed. --into FOLDER clones into that folder. If documents are named, only these
run; README must be first, as it builds the package.
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

STARTS_S = 120.0  # time limit for the first output of a lasting command
STAYS_S = 10.0  # how long lasting commands then run
LIMIT_S = 1800.0  # time limit of a block that ends by itself
# Activates the environment, once it exists.
TERMINAL = '[ ! -f .venv/bin/activate ] || . .venv/bin/activate\n'


@dataclass
class Lasting:
    """A running command that must be stopped."""

    line: str
    process: subprocess.Popen[bytes]
    output: Path

    def stop(self) -> int:
        """Send SIGINT, then SIGTERM and SIGKILL if needed; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(30)
                except subprocess.TimeoutExpired:
                    continue
        return self.process.wait()


def run(block: Block, clone: Path, env: Mapping[str, str], logs: Path) -> str:
    """Run a block; returns the error, '' for none."""
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
            failed = wait_for_output(running[-1])
            if failed:
                return failed
        time.sleep(STAYS_S)
        for each in running:
            if each.process.poll():
                return f'{each.line}: ended with {each.process.poll()}: {tail(each.output)}'
    finally:
        # In reverse order: a recorder before the nodes that it records.
        ends = {each.line: each.stop() for each in reversed(running)}
    bad = [f'{line}: ended with {status}' for line, status in ends.items() if status]
    return '; '.join(bad)


def run_through(text: str, clone: Path, env: Mapping[str, str]) -> str:
    """Run lines that end by themselves; returns the error, '' for none."""
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
    output = (done.stdout + done.stderr).strip().splitlines()
    return '' if done.returncode == 0 else f'status {done.returncode}: {" / ".join(output[-3:])}'


def begin(line: str, clone: Path, env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start a command in a new session, so that it can be stopped with its children."""
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


def wait_for_output(each: Lasting) -> str:
    """Wait for the first output; returns the error, '' for none."""
    end = time.monotonic() + STARTS_S
    while not each.output.stat().st_size:
        if each.process.poll() is not None:
            return f'{each.line}: ended with {each.process.poll()} without output'
        if time.monotonic() > end:
            return f'{each.line}: no output for {STARTS_S:g} s'
        time.sleep(0.2)
    return ''


def tail(file: Path) -> str:
    """The last lines of a file."""
    return ' / '.join(file.read_text(errors='replace').strip().splitlines()[-3:])


def terminal_environment(folder: Path, clone: Path) -> dict[str, str]:
    """The environment of a new terminal, with a stand-in for `ros2` if it is missing."""
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
    parser.add_argument('documents', nargs='*', type=Path, help='documents to run instead of all')
    parser.add_argument('--into', type=Path, help='folder of the clone, which is kept')
    args = parser.parse_args(arguments)
    chosen = [file.resolve() for file in args.documents] or documents()
    failed = ran = checked = 0
    with tempfile.TemporaryDirectory(prefix='try_commands_') as temporary:
        clone = (args.into or Path(temporary) / 'clone').resolve()
        if not clone.exists():
            subprocess.run(['git', 'clone', '--quiet', str(ROOT), str(clone)], check=True)
        env = terminal_environment(Path(temporary), clone)
        for block in (block for file in chosen for block in blocks(file)):
            started, error = time.monotonic(), '; '.join(problems(block))
            if not error and not block.needs:
                error = run(block, clone, env, Path(temporary))
                ran += 1
            checked += bool(block.needs)
            failed += bool(error)
            state = 'FAILED' if error else f'checked, needs {block.needs}' if block.needs else 'ok'
            print(f'{block.name}: {state} ({time.monotonic() - started:.0f} s) {error}', flush=True)
    print(f'{ran} blocks run, {checked} checked, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
