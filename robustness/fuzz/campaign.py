"""`python -m robustness.fuzz.campaign`: fuzzes every parser in its own process.

--examples N    corruptions of each by hypothesis (robustness/fuzz/run.py)
--guided S      seconds of each by Atheris instead (robustness/fuzz/guided.py)
--out FILE      results as JSON; earlier results of other parsers are kept

Exits with status 1 and prints the findings if a parser misbehaves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from robustness.fuzz.parsers import parsers
from robustness.fuzz.run import main as run


def examined(name: str, examples: int) -> tuple[int, str]:
    """Exit status and output of one parser's run, forked to avoid repeated imports."""
    with tempfile.TemporaryFile('w+') as output:
        child = os.fork()
        if not child:
            for descriptor in (1, 2):
                os.dup2(output.fileno(), descriptor)
            status = 1
            try:
                run(name, examples)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return status, output.read()


def guided(name: str, seconds: int) -> tuple[int, str]:
    """Exit status and output of a coverage-guided run, in a process with instrumented imports."""
    command = [sys.executable, '-m', 'robustness.fuzz.guided', name, '--seconds', str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, errors='replace')
    return done.returncode, done.stderr + done.stdout  # Atheris prints exceptions on stdout


def counts(output: str) -> dict[str, int]:
    """Executions, covered edges and features, corpus size from libFuzzer's last status line."""
    lines = re.findall(r'#(\d+)\s+\w+ +cov: (\d+) ft: (\d+) corp: (\d+)', output)
    if not lines:
        return {}
    names = ('executions', 'coverage', 'features', 'corpus')
    return dict(zip(names, map(int, lines[-1]), strict=True))


def main(arguments: list[str]) -> int:
    """Run the parsers; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='robustness.fuzz.campaign',
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('parsers', nargs='*', help='parsers to run; default: all')
    parser.add_argument('--examples', type=int, default=5000)
    parser.add_argument('--guided', type=int, default=0, metavar='S')
    parser.add_argument('--out', type=Path)
    args = parser.parse_args(arguments)
    known = list(parsers())
    unknown = set(args.parsers) - set(known)
    if unknown:
        parser.error(f'unknown parser {sorted(unknown)[0]}: choose from {", ".join(known)}')
    method, failed = 'guided' if args.guided else 'hypothesis', False
    for name in args.parsers or known:
        started = time.monotonic()
        if args.guided:
            status, output = guided(name, args.guided)
        else:
            status, output = examined(name, args.examples)
        seen: dict[str, Any] = counts(output) if args.guided else {'examples': args.examples}
        seen |= {'seconds': round(time.monotonic() - started), 'passed': status == 0}
        print(f'{name} {method}: {", ".join(f"{k} {v}" for k, v in seen.items())}', flush=True)
        if status:
            failed = True
            print(output[-4000:], file=sys.stderr, flush=True)
        if args.out:
            _store(args.out, name, method, seen)
    return int(failed)


def _store(file: Path, name: str, method: str, seen: dict[str, Any]) -> None:
    results: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {'parsers': {}}
    results['machine'] = f'{os.cpu_count()} cores, Python {platform.python_version()}'
    results['parsers'].setdefault(name, {})[method] = seen
    file.write_text(json.dumps(results, indent=1, sort_keys=True) + '\n')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
