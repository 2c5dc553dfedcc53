"""The recording that the page starts and stops: a recorder process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from manivideo_ros.process.folders import expanded
from manivideo_ros.process.node_processes import NodeProcess

POLL_S = 0.05
CLOSE_S = 30.0  # for the rest of the bag to be written
DISABLED = 'recording is disabled: start the viewer with its parameter record_folder'


class Recording:
    """Runs at most one recorder. `start` and `stop` return whether they succeeded, and one line.

    folder: where bags are created, named by the time; '' disables recording. topics: resolved
    names. namespace, domain: of the recorder.
    """

    def __init__(
        self, folder: str = '', topics: Sequence[str] = (), namespace: str = '/', domain: int = 0
    ) -> None:
        self._folder = expanded(folder).resolve() if folder else None
        self._topics, self._remapped = list(topics), {'__ns': namespace}
        self._env = {**os.environ, 'ROS_DOMAIN_ID': str(domain), 'PYTHONUNBUFFERED': '1'}
        self._process: NodeProcess | None = None
        self._bag, self._since, self._stopping = Path(), 0.0, False

    @property
    def phase(self) -> str:
        """'disabled', 'idle', 'starting', 'recording' or 'stopping'."""
        if self._process is None or self._process.status is not None:
            return 'idle' if self._folder else 'disabled'
        return 'stopping' if self._stopping else 'recording' if self._since else 'starting'

    def state(self) -> dict[str, Any]:
        """Phase, bag folder, seconds recorded so far and how the last recording ended, as JSON."""
        phase = self.phase
        return {
            'phase': phase,
            'bag': str(self._bag),
            'seconds': time.monotonic() - self._since if phase == 'recording' else 0.0,
            'message': DISABLED if phase == 'disabled' else self._result(),
        }

    async def start(self) -> tuple[bool, str]:
        """Start a recorder; returns once its bag is open or it ended."""
        if self._folder is None or self.phase != 'idle':
            return False, f'already recording into {self._bag}' if self._folder else DISABLED
        self._bag = self._folder / f'bag_{datetime.now():%Y%m%d_%H%M%S}'
        self._since, self._stopping = 0.0, False
        parameters = {'bag': str(self._bag), 'topics': self._topics}
        process = NodeProcess('recorder', parameters, self._env, self._remapped)
        self._process = process
        while not any(self._bag.glob('*.mcap')):
            if process.status is not None:
                process.stop()  # reads its last lines
                return False, self._result()
            await asyncio.sleep(POLL_S)
        self._since = time.monotonic()
        return True, f'recording into {self._bag}'

    async def stop(self) -> tuple[bool, str]:
        """Stop the recorder with SIGINT; returns once its bag is complete."""
        process = self.interrupt()
        if process is None:
            return False, 'nothing is being recorded'
        while process.status is None:
            await asyncio.sleep(POLL_S)
        return process.stop() == 0, self._result()

    def interrupt(self) -> NodeProcess | None:
        """Send SIGINT to the recorder, which then completes its bag; None where none runs."""
        if self._process is None or self._process.status is not None:
            return None
        self._stopping = True
        os.kill(self._process.pid, signal.SIGINT)
        return self._process

    def close(self) -> None:
        """Stop the recorder and wait until its bag is complete."""
        if process := self.interrupt():
            process.stop(CLOSE_S)

    def _result(self) -> str:
        """How the last recording ended; '' while it goes on, or if there is none."""
        process = self._process
        if process is None or process.status is None:
            return ''
        if process.status == 0 and any(self._bag.glob('*.mcap')):
            counts = next((line for line in reversed(process.lines) if 'recorded: ' in line), '')
            return f'{self._bag} is complete: {counts.partition("recorded: ")[2]}'
        errors = [line.partition(']: ')[2] for line in process.lines if '[ERROR]' in line]
        return errors[-1] if errors else process.last_words()
