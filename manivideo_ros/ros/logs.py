"""Forwards the package's logs to a node's logger, and reports the progress of long tasks."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.node import Node

PROGRESS_PERIOD_S = 1.5


class NodeHandler(logging.Handler):
    """Logs records with the logger of a node."""

    def __init__(self, node: Node) -> None:
        super().__init__(logging.INFO)
        logger = node.get_logger()
        # rclpy requires one place in the code for each severity.
        self._log = {
            logging.INFO: lambda text: logger.info(text),
            logging.WARNING: lambda text: logger.warning(text),
            logging.ERROR: lambda text: logger.error(text),
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record at its severity, or the next lower one that rclpy has."""
        known = [level for level in self._log if level <= record.levelno]
        self._log[max(known)](record.getMessage())


@contextmanager
def core_logs(node: Node) -> Iterator[None]:
    """Forward the logs and warnings of the package to a node."""
    package, handler = logging.getLogger('manivideo_ros'), NodeHandler(node)
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    show = warnings.showwarning

    def log(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, UserWarning):
            package.warning(str(message))
        else:
            show(message, category, *where, **more)

    warnings.showwarning = log
    try:
        yield
    finally:
        warnings.showwarning = show
        package.removeHandler(handler)
        package.setLevel(level)


@contextmanager
def heartbeat(node: Node, text: str) -> Iterator[None]:
    """Log what is being done, and every 1.5 s for how long, until the block ends."""
    over, started = threading.Event(), time.monotonic()
    node.get_logger().info(text)

    def beat() -> None:
        while not over.wait(PROGRESS_PERIOD_S):
            node.get_logger().info(f'{text}: {time.monotonic() - started:.0f} s')

    thread = threading.Thread(target=beat, name='heartbeat', daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
