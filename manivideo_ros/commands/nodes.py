"""`manivideo play`, `record` and `view`: nodes, with their parameters as options."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from manivideo_ros.process.node_processes import node_arguments
from manivideo_ros.process.start import end_at_once
from manivideo_ros.ros.parameters import ALL, default_of, description_of, entries


def play(arguments: list[str]) -> int:
    """Run the motion player."""
    parser = _Parser('motion_player', 'manivideo play', 'Publish a motion file as pose topics.')
    parser.add('motion', nargs='?')
    parser.add('--camera', metavar='TOPIC')
    parser.add('--rate', 'rate_hz', type=float)
    parser.add('--seconds', type=float)
    return parser.run(arguments)


def record(arguments: list[str]) -> int:
    """Run the recorder."""
    parser = _Parser('recorder', 'manivideo record', 'Record poses and video into a rosbag2.')
    parser.add('bag', nargs='?')
    parser.add('--topics', nargs='+')
    parser.add('--video')
    parser.add('--labels', nargs='+', metavar='LABEL')
    return parser.run(arguments)


def view(arguments: list[str]) -> int:
    """Run the viewer."""
    parser = _Parser('viewer', 'manivideo view', 'Show video, layers and latency in a browser.')
    parser.add('--host')
    parser.add('--port', type=int)
    parser.add('--record-folder')
    return parser.run(arguments)


class _Parser(argparse.ArgumentParser):
    """Options that set parameters of a node, with the defaults and descriptions of these."""

    def __init__(self, node: str, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description)
        self._node = node

    def add(self, name: str, parameter: str = '', **options: Any) -> None:
        """An option, or a positional argument, that sets a parameter."""
        parameter = parameter or name.removeprefix('--').replace('-', '_')
        entry = entries(ALL[self._node])[parameter]
        if name.startswith('--'):
            options['dest'] = parameter
        self.add_argument(name, default=default_of(entry), help=description_of(entry), **options)

    def run(self, arguments: list[str]) -> int:
        """Run the node and return its exit status."""
        values = vars(self.parse_args(arguments))
        end_at_once()
        status: int = import_module(f'manivideo_ros.nodes.{self._node}').main(
            node_arguments(**values)
        )
        return status
