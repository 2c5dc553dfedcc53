"""Runs a node until a signal or its own end; signals never interrupt a callback half way."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Protocol

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from manivideo_ros.ros.mismatches import MismatchWatch


class Runnable(Protocol):
    """What a node has besides: whether its work is done, and how it puts things in order."""

    finished: bool

    def close(self) -> None:
        """Called once, at the end, while the context still lives."""


def run(
    make: Callable[[], Node],
    args: list[str] | None = None,
    executor_of: Callable[[], Executor] = SingleThreadedExecutor,
) -> int:
    """The exit status of a node: 0, or 2 and one line on stderr where it could not be made.

    SIGINT and SIGTERM only set a flag: a message that is being written is written whole. Warns of
    who cannot meet the node's topics.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = executor_of()
    executor.add_node(node)
    MismatchWatch(node)
    try:
        while rclpy.ok() and not stop.is_set() and not node.finished:
            executor.spin_once(timeout_sec=0.1)
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
        # `ros2 launch` hands a Ctrl-C on that the terminal has sent already: the second one must
        # not end the interpreter while it winds up, when Python has put its own handlers away.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0
