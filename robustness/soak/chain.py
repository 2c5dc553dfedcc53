"""The nodes under test: player, synthesizer and recorder as processes, and a listener."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.commands.demo import Demo, chosen_motion, prepare, synthesizer_parameters
from manivideo_ros.process.node_processes import NodeProcess, environment, free_domain
from robustness.soak.listener import Listener

START_S = 300.0  # the first start exports the model's graph
# Environment that this process needs too, for fast discovery and shared memory.
SHARED = (
    'ROS_AUTOMATIC_DISCOVERY_RANGE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_DEFAULT_PROFILES_FILE',
)
STOP_ORDER = ('motion_player', 'recorder', 'synthesizer_node')
# Images as JPEG: one hour is one gigabyte. The listener receives the raw images.
RECORDED = [
    'hand_poses',
    'object_poses',
    'camera/camera_info',
    '/tf_static',
    'image_raw/compressed',
    'camera_info',
    '/diagnostics',
]


class Chain:
    """The processes on their own domain, started individually and stopped in order."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.domain = free_domain(60)
        self.env = environment(self.domain)
        os.environ.update({name: self.env[name] for name in SHARED if name in self.env})
        self.nodes: list[NodeProcess] = []
        self.motion = chosen_motion(demo)
        demo.out.mkdir(parents=True, exist_ok=True)
        self._scene = prepare(demo, self.motion)
        self.listener: Listener | None = None

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        for node in sorted(self.nodes, key=lambda n: STOP_ORDER.index(n.module)):
            node.stop()
        if self.listener is not None:
            self.listener.close()

    def synthesizer(self, **parameters: Any) -> NodeProcess:
        """Start the synthesizer and wait until it is active."""
        node = self.start('synthesizer_node', {**self.parameters(), **parameters})
        node.wait_for('active', START_S)
        return node

    def parameters(self) -> dict[str, Any]:
        """The synthesizer's parameters for the played scene."""
        return synthesizer_parameters(self.demo, self.motion, self._scene)

    def player(self) -> NodeProcess:
        """Start a player that loops."""
        rate = {'rate_hz': float(self.demo.rate_hz)}
        node = self.start('motion_player', {'motion': str(self._scene / 'motion'), **rate})
        node.wait_for('frames', 60)
        return node

    def recorder(self, name: str, topics: Sequence[str] = RECORDED) -> tuple[NodeProcess, Path]:
        """Start a recorder; returns it and its bag."""
        bag = self.demo.out / name
        node = self.start('recorder', {'bag': str(bag), 'topics': list(topics)})
        node.wait_for('recording', 60)
        return node, bag

    def listen(self) -> Listener:
        """Start the listener."""
        self.listener = Listener(self.domain)
        return self.listener

    def start(self, module: str, parameters: Mapping[str, Any]) -> NodeProcess:
        """Start a node of the package."""
        self.nodes.append(NodeProcess(module, parameters, self.env))
        return self.nodes[-1]


def bag_counts(bag: Path) -> dict[str, int]:
    """Number of messages of a bag by topic. Raises BagError or ValueError if it is incomplete."""
    reader = BagReader(bag)
    if reader.truncated:
        raise ValueError(f'{bag}: is truncated')
    counts = dict.fromkeys(reader.topics, 0)
    for record in reader.messages(list(counts)):
        counts[record.topic] += 1
    return counts


def streaming(listener: Listener, frames: int, timeout: float) -> None:
    """Wait for `frames` images. Raises TimeoutError."""
    deadline, since = time.monotonic() + timeout, time.time_ns()
    while np.sum(listener.frames()[1] > since) < frames:
        if time.monotonic() > deadline:
            raise TimeoutError(f'fewer than {frames} images within {timeout:g} s')
        time.sleep(0.02)
