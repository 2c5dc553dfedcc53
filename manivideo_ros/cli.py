"""`manivideo`: the commands of the package. A command's module is imported when it runs."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from manivideo_ros.process.start import import_problem

# Name, help text and 'module:function', which takes the arguments and returns the exit status.
COMMANDS = (
    ('demo', 'play a motion, synthesize its video and report on it', 'commands.demo:main'),
    ('render', 'make the video of a motion file, without ROS', 'commands.render:main'),
    ('doctor', 'check this machine and suggest fixes', 'commands.doctor:main'),
    ('play', 'publish a motion file as pose topics', 'commands.nodes:play'),
    ('record', 'record poses and video into a rosbag2', 'commands.nodes:record'),
    ('view', 'show video, layers and latency in a browser', 'commands.nodes:view'),
    ('convert-mano', 'convert the official MANO files, safely', 'commands.convert_mano:main'),
    (
        'convert',
        'convert a recording of joints or keypoints into a motion file',
        'motion.convert:main',
    ),
    ('calibrate', 'make a scene folder of a recording', 'commands.calibrate:main'),
    ('estimate', 'estimate the hands in a video file and record them', 'commands.estimate:main'),
    (
        'data',
        'check DIR: validate a dataset; shards DIR: make it ready for training',
        'data.recorded.check:main',
    ),
    ('train', 'train a model: image, temporal or distill', 'training.cli:main'),
    (
        'evaluate',
        'measure a model on the held-out suite or a recording, or a recorded stream',
        'evaluation.cli:main',
    ),
    ('export', 'write a checkpoint as one ONNX graph', 'engine.cli:main'),
    ('engine', 'list, build, check, benchmark or clean engines', 'engine.commands:main'),
    ('episodes', 'propose where recordings are cut into episodes', 'commands.episodes:main'),
    ('augment', 'make synthetic variations of recorded episodes', 'augment.cli:main'),
    (
        'dataset',
        'export episodes: lerobot, robomimic, frames, video, or controls of other generators; '
        'check SET, bag SET: of LeRobot',
        'recording.dataset:main',
    ),
    ('adopt', 'take frames of another generator as an episode', 'recording.generators.adopt:main'),
    ('repair', 'repair a truncated recording', 'bags.repair:main'),
    (
        'gate',
        'check synthetic episodes and report which to drop',
        'augment.gate_report:main',
    ),
)
_TARGETS = {name: target for name, _, target in COMMANDS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2, with one line on stderr, for unusable input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.formatwarning = one_line
    try:
        if arguments and arguments[0] in _TARGETS:
            return run(arguments[0], arguments[1:])
        parser = make_parser()
        parser.parse_args(arguments)
        parser.print_help()
    except ImportError as error:
        print(f'error: {import_problem(error)}', file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the function of a command and return its exit status."""
    module, _, function = _TARGETS[command].partition(':')
    status: int = getattr(import_module(f'manivideo_ros.{module}'), function)(list(arguments))
    return status


def one_line(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> str:
    """A warning as the user sees it, without the place in the code that raised it."""
    kind = 'warning' if issubclass(category, UserWarning) else category.__name__
    return f'{kind}: {message}\n'


def make_parser() -> argparse.ArgumentParser:
    """The names of all commands; each parses its own arguments."""
    parser = argparse.ArgumentParser(prog='manivideo', description='Pose topics in, video out.')
    commands = parser.add_subparsers(title='commands', metavar='')
    for name, text, _ in COMMANDS:
        commands.add_parser(name, help=text, add_help=False)
    return parser


if __name__ == '__main__':
    sys.exit(main())
