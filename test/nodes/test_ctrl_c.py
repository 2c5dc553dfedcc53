"""Ctrl-C at any moment of a node's start ends it with status 0 and not a word of an error."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from manivideo_ros.process.node_processes import environment, free_domain

NODES = Path(sys.prefix) / 'lib' / 'manivideo_ros'
# The moments of a node that starts quickly, in seconds: Python itself, imports, rclpy, topics.
SOON = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
QUICK = ('motion_player', 'hand_source', 'object_source', 'virtual_camera', 'viewer', 'recorder')
MASKS = ('SigBlk', 'SigIgn', 'SigCgt')
# Of the synthesizer, by its log: torch is imported, the engine is loaded, frames can be made.
LOGGED = ('loading torch', 'loading torch', 'loading the model', 'engine: ', 'active')


SWALLOWING = """
import sys, time
from manivideo_ros.ros.spin import run

def make():
    print('creating', flush=True)
    while True:
        try:
            time.sleep(60)
        except BaseException as error:
            print('Traceback', error, flush=True)

sys.exit(run(make))
"""  # a node whose creation loses exceptions, as callbacks of C libraries do


@pytest.fixture(scope='module')
def env():
    return environment(free_domain(96))


def started(node, env, parameters=(), terminal=True):
    given = [word for name, value in parameters for word in ('-p', f'{name}:={value}')]
    return subprocess.Popen(
        [NODES / node, '--ros-args', *given],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=terminal,
    )


def takes_signals(process):
    """Whether SIGINT does no longer simply kill it, as in the shell's own first millisecond."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    masks = (line.split()[1] for line in status.splitlines() if line[:6] in MASKS)
    return any(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks)


def ended_quietly(process, output=''):
    """As `ros2 launch` has it: the terminal's signal, then its own."""
    while not takes_signals(process):
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    output += process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert 'Traceback' not in output and 'error' not in output.lower(), output


@pytest.mark.parametrize('moment', SOON)
def test_during_startup(moment, env, tmp_path):
    """Several at once: what one of them waits for, another may do."""
    others = {'viewer': [('port', 0)], 'recorder': [('bag', tmp_path / 'bag')]}
    # The webcam first: where there is none, it soon ends by itself, with an error.
    wanted = QUICK if moment else (*QUICK, 'webcam', 'synthesizer', 'augmenter')
    for group in (wanted[:3], wanted[3:6], wanted[6:]):
        processes = [started(node, env, others.get(node, ())) for node in group]
        time.sleep(moment)
        try:
            for process in processes:
                ended_quietly(process)
        finally:
            for process in processes:  # what a failure leaves
                process.kill()


@pytest.mark.parametrize(('number', 'words'), list(enumerate(LOGGED)))
def test_while_the_synthesizer_loads(number, words, env, human, images):
    parameters = {**human, **images}.items()
    process = started('synthesizer', env, parameters)
    output = ''
    while words not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    time.sleep(0.3 * (number % 2))
    ended_quietly(process, output)


def test_signals_sent_before_they_can_be_handled_count(env):
    """The shell that starts Python has them wait."""
    process = started('motion_player', env)
    while not takes_signals(process):
        time.sleep(0.001)
    for _ in range(20):
        time.sleep(0.005)
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_while_the_interrupted_code_swallows_exceptions(env):
    process = subprocess.Popen(
        [sys.executable, '-c', SWALLOWING],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        ended_quietly(process, process.stdout.readline())
    finally:
        process.kill()
