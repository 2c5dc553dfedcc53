"""Runs nodes of this package as processes, on a ROS domain that is not in use."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

LAST_DOMAIN = 101  # above it, discovery ports overlap with Linux's ephemeral ports
PR_SET_PDEATHSIG = 1


class NodeError(RuntimeError):
    """A node that ended or did not become ready; the message is its last error."""


def free_domain(first: int = 1) -> int:
    """The first ROS_DOMAIN_ID from `first` on without a participant on this machine.

    Raises RuntimeError if all are in use.
    """
    for domain in range(first, LAST_DOMAIN + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # RTPS 9.6.1: the first participant's unicast discovery port.
                probe.bind(('', 7400 + 250 * domain + 10))
            except OSError:
                continue
            return domain
    raise RuntimeError(f'every ROS_DOMAIN_ID from {first} to {LAST_DOMAIN} is in use')


def free_port() -> int:
    """A free TCP port of this machine."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
    return port


def environment(domain: int) -> dict[str, str]:
    """The environment of nodes that discover only each other and share memory for images."""
    root = Path(__file__).resolve().parents[2]
    profile = next(
        (
            str(folder / 'config' / 'fastdds.xml')
            for folder in (root, Path(sys.prefix) / 'share' / 'manivideo_ros')
            if (folder / 'config' / 'fastdds.xml').is_file()
        ),
        '',
    )
    out = {
        **os.environ,
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': os.pathsep.join(filter(None, [str(root), os.environ.get('PYTHONPATH', '')])),
        'PYTHONUNBUFFERED': '1',
        'RCUTILS_LOGGING_BUFFERED_STREAM': '0',
    }
    out.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        if profile:
            out.setdefault(name, profile)
    return out


def as_yaml(value: Any) -> str:
    """A value as YAML on one line, as ROS arguments take it."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return text.strip().removesuffix('...').strip()


def node_arguments(**parameters: Any) -> list[str]:
    """Command-line arguments of a node that set these parameters."""
    out = ['--ros-args']
    for name, value in parameters.items():
        out += ['-p', f'{name}:={as_yaml(value)}']
    return out


class NodeProcess:
    """A node, started as `python -m manivideo_ros.nodes.<module>`; its output is kept in `lines`.

    remapped: new name by name, `__ns` for the namespace. log_level: 'NAME:=LEVEL' of one logger, as
    rcl takes it; '' for the default.

    The process does not receive the terminal's Ctrl-C, so that nodes can be stopped in order. It
    ends with this process in any case.
    """

    def __init__(
        self,
        module: str,
        parameters: Mapping[str, Any],
        env: Mapping[str, str],
        remapped: Mapping[str, str] | None = None,
        log_level: str = '',
    ) -> None:
        self.module = module
        arguments = node_arguments(**parameters)
        arguments += ['--log-level', log_level] if log_level else []
        for name, other in (remapped or {}).items():
            arguments += ['-r', f'{name}:={other}']
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, '-m', f'manivideo_ros.nodes.{module}', *arguments],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            start_new_session=True,
            preexec_fn=partial(signal_with_parent, signal.SIGTERM),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while the node runs."""
        return self._process.poll()

    def wait_for(self, pattern: str, timeout: float) -> str:
        """Wait for an output line that matches a pattern. Raises NodeError on timeout (s)."""
        deadline, seen = time.monotonic() + timeout, 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if re.search(pattern, line):
                        return line
                seen = len(self.lines)
                if not self._reader.is_alive() and self.status is not None:
                    raise NodeError(self.last_words())
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NodeError(f'{self.module} was not ready within {timeout:g} s')
                self._news.wait(min(left, 0.2))

    def wait(self, timeout: float) -> int:
        """Wait for the exit status. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 10.0) -> int:
        """Send SIGTERM, and SIGKILL after the timeout (s); returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.status is None:
                self._process.send_signal(number)
                try:
                    self._process.wait(timeout)
                except subprocess.TimeoutExpired:
                    continue
        self._reader.join(timeout=2)
        return self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        self._process.wait()
        with self._news:
            self._news.notify_all()

    def last_words(self) -> str:
        """The last error of the node, or else its last output."""
        errors = [line for line in self.lines if line.startswith('error: ')]
        if errors:
            return errors[-1].removeprefix('error: ')
        output = self.lines[-1] if self.lines else 'none'
        return f'{self.module} ended with status {self.status}; last output: {output}'


def signal_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
