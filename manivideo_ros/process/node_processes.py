"""The package's nodes as processes of their own, on a ROS domain that nobody else uses."""

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

LAST_DOMAIN = 101  # above it, discovery ports fall among Linux's ephemeral ones
PR_SET_PDEATHSIG = 1


class NodeError(RuntimeError):
    """A node that ended or kept silent; the message is its last line of error, or says so."""


def free_domain(first: int = 1) -> int:
    """A ROS_DOMAIN_ID from `first` on in which no participant of this machine listens.

    Raises RuntimeError where all are taken.
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
    """A TCP port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
    return port


def environment(domain: int) -> dict[str, str]:
    """The environment of nodes that see each other and nobody else, images in shared memory."""
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
    """One node, started as `python -m manivideo_ros.nodes.<module>`; its output is kept.

    remapped: names, `__ns` for the namespace, by what the node calls them. log_level: 'NAME:=LEVEL'
    for one logger, as rcl takes it; '' for its default.

    The process is apart from the terminal's Ctrl-C, so that nodes are stopped in order, and ends
    with this one in any case.
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
        """The process's id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def wait_for(self, pattern: str, timeout: float) -> str:
        """The first line that the pattern is found in. Raises NodeError when none comes."""
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
        """The exit status. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 10.0) -> int:
        """End it kindly, then by force; the exit status."""
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
        """What it said last, an error before all else."""
        errors = [line for line in self.lines if line.startswith('error: ')]
        if errors:
            return errors[-1].removeprefix('error: ')
        said = self.lines[-1] if self.lines else 'nothing'
        return f'{self.module} ended with status {self.status}; it said: {said}'


def signal_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent ends, however that comes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
