"""Exported graphs that several test files use; each is exported once per test run."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import onnx

from manivideo_ros.engine.graph.export import save_graph

FOLDER = Path(os.environ['MANIVIDEO_SHARED_GRAPHS'])  # conftest makes and removes it


def shared_graph(name: str, export: Callable[[], onnx.ModelProto]) -> onnx.ModelProto:
    """The graph of that name, exported by the first worker that asks for it."""
    path = FOLDER / f'{name}.onnx'
    with (FOLDER / f'{name}.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            save_graph(export(), path)
    return onnx.load(path)
