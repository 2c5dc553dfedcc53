"""What the core logs goes the node's way; what takes long says so while it lasts."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.node import Node

BEAT_S = 1.5


class NodeHandler(logging.Handler):
    """Records of the package's loggers, as the node's own."""

    def __init__(self, node: Node) -> None:
        super().__init__(logging.INFO)
        logger = node.get_logger()
        # rclpy wants one place in the code for each severity.
        self._tell = {
            logging.INFO: lambda text: logger.info(text),
            logging.WARNING: lambda text: logger.warning(text),
            logging.ERROR: lambda text: logger.error(text),
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record at the severity of its own or the next lower."""
        known = [level for level in self._tell if level <= record.levelno]
        self._tell[max(known)](record.getMessage())


@contextmanager
def core_logs(node: Node) -> Iterator[None]:
    """Forward what the core logs and warns of while this lasts."""
    core, handler = logging.getLogger('manivideo_ros'), NodeHandler(node)
    level = core.level
    core.addHandler(handler)
    core.setLevel(logging.INFO)
    show = warnings.showwarning

    def log(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, UserWarning):
            core.warning(str(message))
        else:
            show(message, category, *where, **more)

    warnings.showwarning = log
    try:
        yield
    finally:
        warnings.showwarning = show
        core.removeHandler(handler)
        core.setLevel(level)


@contextmanager
def heartbeat(node: Node, text: str) -> Iterator[None]:
    """Say what is being done, and every 1.5 s for how long, until it is over."""
    over, started = threading.Event(), time.monotonic()
    node.get_logger().info(text)

    def beat() -> None:
        while not over.wait(BEAT_S):
            node.get_logger().info(f'{text}: {time.monotonic() - started:.0f} s')

    thread = threading.Thread(target=beat, name='heartbeat', daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
