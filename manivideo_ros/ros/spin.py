"""Runs a node until a signal or its own end; signals never interrupt a callback half way.

Ctrl-C and SIGTERM end a node with status 0 at any moment: before `run` takes over by `start`.
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

from manivideo_ros.process.start import SIGNALS
from manivideo_ros.process.stderr import held_back
from manivideo_ros.ros.mismatches import MismatchWatch

M_ARENA_MAX = -8  # malloc.h
# What the making of a node raises for names, values and files that cannot be used.
UNUSABLE = (ValueError, OSError, rclpy_implementation.RCLError, NameValidationException)
LOGS = ('log directory', 'logging directory')  # what rcl says of a folder that it cannot use


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
    patient: bool = False,
) -> int:
    """The exit status of a node: 0, or 2 and one line on stderr where it could not be made.

    SIGINT and SIGTERM only set a flag: a message that is being written is written whole. Warns of
    who cannot meet the node's topics. While the node is made they end the process at once, but for
    a patient node: one that has something to lose by then, and is made quickly.
    """
    few_arenas()
    stop, made = threading.Event(), threading.Event()

    def told(*_: object) -> None:
        again = stop.is_set()
        stop.set()
        if not (again or patient or made.is_set()):
            raise Ended

    try:
        for number in SIGNALS:
            signal.signal(number, told)
        _init(args)
        node = make()
        made.set()
    except Ended:
        with suppress(Exception):  # what was interrupted may be half there
            rclpy.try_shutdown()
        _leave(0)
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
    """Start rclpy. Raises ValueError, one line, for arguments and folders that it cannot use."""
    try:
        with held_back(on_error=False):  # rcl repeats its error several times
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of several kinds, most of them private
        reason = one_line(error)
        if isinstance(error, rclpy_implementation.UnknownROSArgsError):
            reason = f'unknown after --ros-args: {reason}'
        if any(words in reason for words in LOGS):
            reason += ': set ROS_LOG_DIR to a folder that can be written'
        raise ValueError(f'ROS 2 does not start: {reason}') from None


def one_line(error: Exception) -> str:
    """What rcl says of an error, on one line and without the places in its source."""
    text = re.sub(r',? at /\S+\.c(pp)?:\d+', '', ' '.join(str(error).split()))
    return text.strip().rstrip('.,:')


def _ignore_signals() -> None:
    """`ros2 launch` hands a Ctrl-C on that the terminal has sent already: the second one must not
    end the interpreter while it winds up, when Python has put its own handlers away.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(status: int) -> NoReturn:
    """End without winding up: libraries that were half loaded may not survive it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
