"""The first moments of a process: signals before a node takes them, imports that are missing."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ACTIVATE = (
    'activate the environment that the package was installed for (. .venv/bin/activate), and '
    'source the workspace (. install/setup.bash) where colcon built it'
)
BUILD = 'make build, or colcon build and source install/setup.bash'


def end_at_once() -> None:
    """Have Ctrl-C and SIGTERM end this process with status 0, as long as it only loads.

    Those that were made to wait until now count.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def node(module: str) -> int:
    """Run a node of this package; its exit status, 2 and one line where it cannot be imported."""
    end_at_once()
    try:
        main = import_module(f'manivideo_ros.nodes.{module}').main
    except ImportError as error:
        print(f'error: {import_problem(error)}', file=sys.stderr)
        return 2
    status: int = main()
    return status


def import_problem(error: ImportError) -> str:
    """What is missing, and what to do, one line."""
    reason = ' '.join(str(error).split())
    generated = (error.name or '').startswith('manivideo_ros.')
    return f'{reason} (by {sys.executable}): {BUILD if generated else ACTIVATE}'
