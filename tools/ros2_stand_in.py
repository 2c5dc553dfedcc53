"""Replaces `ros2 run` and `ros2 launch` of this package for try_commands.py if `ros2` is missing.

Launch files are executed unmodified, with the tests' stand-in for the package `launch`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'test' / 'support'))


def main(words: list[str]) -> int:
    """Run the command; returns its exit status."""
    if words[:2] == ['run', 'manivideo_ros']:
        program = Path(sys.prefix) / 'lib' / 'manivideo_ros' / words[2]
        os.execv(program, [str(program), *words[3:]])
    if words[:2] == ['launch', 'manivideo_ros']:
        return launch(ROOT / 'launch' / words[2], words[3:])
    print(f'ros2 {" ".join(words[:2])}: there is no ROS 2 distribution here', file=sys.stderr)
    return 2


def launch(file: Path, words: list[str]) -> int:
    """Run a launch file's nodes until a signal, or until one of them exits."""
    from launch_stand_in import Launch

    from manivideo_ros.process.node_processes import environment

    arguments = dict(word.split(':=', 1) for word in words)
    described = Launch(file, environment(int(os.environ.get('ROS_DOMAIN_ID', '0'))), arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    described.start()
    print(f'started: {", ".join(described.processes)}', flush=True)
    failed: list[str] = []
    while not stop.wait(0.2) and not failed:
        failed = [name for name, p in described.processes.items() if p.poll()]
    described.stop()
    for name in described.processes:
        print(''.join(f'[{name}] {line}\n' for line in described.log(name).splitlines()[-5:]))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
