"""Runs a node until a signal or its own end; signals never interrupt a callback half way."""

from __future__ import annotations

import ctypes
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

M_ARENA_MAX = -8  # malloc.h


def few_arenas(most: int = 2) -> None:
    """Have the threads of this process share glibc's arenas of memory.

    It gives them arenas of their own, up to eight a core, and what was freed stays with its arena:
    a node that is configured again and again would grow until all of them are filled.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, most)


class Runnable(Protocol):
    """What a node has besides: whether its work is done, and how it puts things in order."""

    finished: bool

    def close(self) -> None:
        """Called once, at the end, while the context still lives."""


class Ended(BaseException):
    """A signal came while the node was made; no Exception, so that nothing takes it for its own."""


def run(
    make: Callable[[], Node],
    args: list[str] | None = None,
    executor_of: Callable[[], Executor] = SingleThreadedExecutor,
    patient: bool = True,
) -> int:
    """The exit status of a node: 0, or 2 and one line on stderr where it could not be made.

    SIGINT and SIGTERM only set a flag: a message that is being written is written whole. Warns of
    who cannot meet the node's topics. Where it is not patient, they end the making of the node:
    for one that takes long to make and has nothing to lose by then.
    """
    few_arenas()
    stop, made = threading.Event(), threading.Event()

    def told(*_: object) -> None:
        stop.set()
        if not (patient or made.is_set()):
            raise Ended

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
        made.set()
    except Ended:
        rclpy.try_shutdown()
        return 0
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
