"""Startup of a process: signals before a node handles them, and missing imports."""

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
    """Let Ctrl-C and SIGTERM end this process with status 0 while it loads.

    Signals that were blocked until now are delivered.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def node(module: str) -> int:
    """Run a node and return its exit status: 2, with one line on stderr, if an import fails."""
    end_at_once()
    try:
        main = import_module(f'manivideo_ros.nodes.{module}').main
    except ImportError as error:
        print(f'error: {import_problem(error)}', file=sys.stderr)
        return 2
    status: int = main()
    return status


def import_problem(error: ImportError) -> str:
    """The missing import and how to fix it, one line."""
    reason = ' '.join(str(error).split())
    generated = (error.name or '').startswith('manivideo_ros.')
    return f'{reason} (by {sys.executable}): {BUILD if generated else ACTIVATE}'
