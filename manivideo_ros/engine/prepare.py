"""Creates the graph of an engine in a process of its own, beside a stream.

An export takes up to a minute and cannot be interrupted in a thread, where it would also slow the
stream down. `python -m manivideo_ros.engine.prepare SPEC` is that process; SPEC is the JSON
of a specification's fields.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from manivideo_ros.engine.availability import why_not
from manivideo_ros.engine.graph.cache import graph_for
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk

NICE = 10
"""The stream goes first."""


class GraphPreparation:
    """A running preparation; `kill` ends it at any time."""

    def __init__(self, spec: EngineSpec) -> None:
        command = [sys.executable, '-m', __name__, json.dumps(spec.as_dict())]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait for the end. A failure shows itself when the engine is opened."""
        self._process.wait()

    def kill(self) -> None:
        """End the process."""
        self._process.kill()


def prepare(spec: EngineSpec) -> None:
    """Create the graph of the first backend that runs here, if it needs one.

    Raises EngineError, CheckpointError.
    """
    if isinstance(read_config(spec.weights).trunk, LatentTrunk):
        return
    for backend in spec.backends:
        if not why_not(backend, spec):
            if not backend.startswith('torch'):
                graph_for(spec, backend)
            return


def main(arguments: list[str]) -> int:
    """The process: one line and status 2 for what cannot be prepared."""
    os.nice(NICE)
    try:
        prepare(EngineSpec(**json.loads(arguments[0])))
    except (ValueError, EngineError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
