"""Runs a node until a signal or its own end. Signals do not interrupt callbacks.

Ctrl-C and SIGTERM end a node with status 0 at any time; until `run` starts, `process.start` handles
them.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, Protocol

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from manivideo_ros.files.errors import reason_of
from manivideo_ros.process.start import SIGNALS
from manivideo_ros.process.stderr import held_back
from manivideo_ros.ros.mismatches import MismatchWatch

M_ARENA_MAX = -8  # malloc.h
SHUTDOWN_S = 1.0  # for leaving the graph while the node is created
# Raised while a node is created, for names, values and files that cannot be used.
UNUSABLE = (ValueError, OSError, rclpy_implementation.RCLError, NameValidationException)
LOGS = ('log directory', 'logging directory')  # in rcl's error for an unusable log folder


def few_arenas(most: int = 2) -> None:
    """Limit the number of memory arenas of glibc in this process.

    By default threads have arenas of their own, up to eight per core, and freed memory stays in its
    arena: a node that is configured repeatedly would grow until all arenas are filled.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, most)


class Runnable(Protocol):
    """What a node has besides rclpy's interface: `finished` ends it, `close` cleans up."""

    finished: bool

    def close(self) -> None:
        """Called once at the end, while the context is still valid."""


def run(
    make: Callable[[], Node],
    args: list[str] | None = None,
    executor_of: Callable[[], Executor] = SingleThreadedExecutor,
    patient: bool = False,
) -> int:
    """Run a node and return its exit status: 0, or 2 with one line on stderr if creation failed.

    SIGINT and SIGTERM set a flag, so that a message being written is completed. While the node is
    created they end the process at once, unless it is patient: for nodes that are created quickly
    and must not lose data. Warns of endpoints that do not match the node's topics.
    """
    few_arenas()
    stop, made = threading.Event(), threading.Event()

    def handle(*_: object) -> None:
        again = stop.is_set()
        stop.set()
        if not (again or patient or made.is_set()):
            _end()

    try:
        for number in SIGNALS:
            signal.signal(number, handle)
        _init(args)
        node = make()
        made.set()
    except UNUSABLE as error:
        _ignore_signals()
        print(f'error: {one_line(error)}', file=sys.stderr)
        with suppress(Exception):
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
        _ignore_signals()
    return 0


def _init(args: list[str] | None) -> None:
    """Initialize rclpy. Raises ValueError, one line, for unusable arguments and folders."""
    try:
        with held_back(on_error=False):  # rcl repeats its error several times
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of several types, most of them private
        reason = one_line(error)
        if isinstance(error, rclpy_implementation.UnknownROSArgsError):
            reason = f'unknown after --ros-args: {reason}'
        if any(words in reason for words in LOGS):
            reason += ': set ROS_LOG_DIR to a folder that can be written'
        raise ValueError(f'ROS 2 does not start: {reason}') from None


def one_line(error: Exception) -> str:
    """The message of an error on one line, without rcl's source locations."""
    text = re.sub(r',? at /\S+\.c(pp)?:\d+', '', reason_of(error, None))
    return text.strip().rstrip('.,:')


def _ignore_signals() -> None:
    """Ignore the SIGINT that `ros2 launch` sends after the terminal's: it would end the interpreter
    during its shutdown, when Python's own handlers are already removed.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end() -> NoReturn:
    """End the process with status 0 from a signal handler that interrupts a node's creation.

    An exception would be lost where the interrupted code swallows exceptions: in callbacks of C
    libraries, in destructors. Other nodes see this one leave by the context's shutdown, which waits
    for a lock that the interrupted code may hold: it has a thread of its own and a limit.
    """
    shutdown = threading.Thread(target=_shutdown, daemon=True)
    shutdown.start()
    shutdown.join(SHUTDOWN_S)
    for stream in (sys.stdout, sys.stderr):
        with suppress(RuntimeError, ValueError, OSError):  # e.g. interrupted in its own write
            stream.flush()
    os._exit(0)  # half-loaded libraries may not survive a cleanup


def _shutdown() -> None:
    with suppress(Exception):  # the interrupted initialization may be incomplete
        rclpy.try_shutdown()
