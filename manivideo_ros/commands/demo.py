"""The main job end to end: three processes over DDS play, synthesize and record; then the report.

Leaves in the output folder: bag/, scene/ (the references and the motion played), video.mp4,
sheet.png and report.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manivideo_ros.motion.files import load_motion, save_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.objects.mesh import load_object
from manivideo_ros.process.folders import expanded
from manivideo_ros.process.node_processes import NodeError, NodeProcess, environment, free_domain
from manivideo_ros.recording.bags.bag import BagError

SCENE_SEED = 20  # of the test split: skin, table and light that were never trained on
START_S = 300.0  # the first start exports the model's graph
LEAVINGS = ('bag', 'scene', 'video.mp4', 'sheet.png', 'report.json')


class DemoError(ValueError):
    """An input that cannot be used; the text is one line."""


@dataclass(frozen=True)
class Demo:
    """What is played and where the results go. motion, object: '' for the ones that ship."""

    out: Path
    motion: str = ''
    object: str = ''
    object_scale: float = 1.0
    seconds: float = 10.0
    checkpoint: str = ''
    threads: int = 2
    rate_hz: float = 30.0
    engine: str = 'tiny'


def run(demo: Demo) -> int:
    """Run it; the exit status: 0, 1 a process failed, 2 unusable input, 130 Ctrl-C."""
    try:
        motion = chosen_motion(demo)
        clear(demo.out)
        scene = prepare(demo, motion)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    try:
        stream(demo, motion, scene)
    except NodeError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'\nstopped; what was recorded is in {demo.out / "bag"}', file=sys.stderr)
        return 130
    return report(demo.out)


def chosen_motion(demo: Demo) -> Motion:
    """The motion to play, with the user's object in place of its own. Raises ValueError."""
    motion = load_motion(motion_path(demo.motion))
    if not demo.object:
        return motion
    if not motion.objects:
        raise DemoError(f'motion {motion.name} moves no object: {demo.object} has no place in it')
    first, *_ = motion.objects
    mesh = demo.object if is_shape(demo.object) else str(expanded(demo.object).resolve())
    if mesh != demo.object:
        load_object(mesh, demo.object_scale)  # says at once what is wrong with it
    track = replace(motion.objects[first], mesh=mesh, scale=demo.object_scale)
    return replace(motion, objects={**motion.objects, first: track})


def is_shape(name: str) -> bool:
    """Whether a name is that of a generated shape."""
    from manivideo_ros.objects.household.shapes import SHAPES

    return name in SHAPES


def clear(out: Path) -> None:
    """Make the folder and remove what an earlier demo left in it, nothing else."""
    if out.exists() and not out.is_dir():
        raise DemoError(f'{out}: is a file: name a folder')
    for name in LEAVINGS:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def prepare(demo: Demo, motion: Motion) -> Path:
    """Write the motion and its scene's references; the folder. Raises ValueError, OSError."""
    from manivideo_ros.evaluation.suites.held_out import write_references

    folder = demo.out / 'scene'
    print('scene: rendering the background and the hand reference', flush=True)
    write_references(folder, motion, SCENE_SEED)
    try:
        save_motion(motion, folder / 'motion')
    except BagError as error:
        raise DemoError(str(error)) from None
    return folder


def stream(
    demo: Demo, motion: Motion, scene: Path, settings: Mapping[str, str] | None = None
) -> None:
    """Play, synthesize and record; settings are laid over the nodes' environment.

    Raises NodeError where a process fails, KeyboardInterrupt; leaves a whole bag in any case.
    """
    env = {**environment(free_domain()), **(settings or {})}
    frames = round(demo.seconds * demo.rate_hz)
    nodes: list[NodeProcess] = []

    def start(module: str, parameters: Mapping[str, Any], log_level: str = '') -> NodeProcess:
        nodes.append(NodeProcess(module, parameters, env, log_level=log_level))
        return nodes[-1]

    try:
        print(f'domain {env["ROS_DOMAIN_ID"]}: loading the model', flush=True)
        synthesizer = start('synthesizer_node', synthesizer_parameters(demo, motion, scene))
        synthesizer.wait_for('active', START_S)
        recorder = start(
            'recorder',
            {
                'bag': str(demo.out / 'bag'),
                'attachments': [f'held_out={scene / "held_out.json"}'],
            },
            'recorder:=debug',  # how many messages it has, once a second
        )
        recorder.wait_for('recording', 60)
        player = start(
            'motion_player',
            {
                'motion': str(scene / 'motion'),
                'rate_hz': demo.rate_hz,
                'seconds': float(demo.seconds),
                'wait_for': 2,
            },
        )
        watch(player, recorder, synthesizer, frames, demo.seconds + 60)
        time.sleep(0.3)  # the last frame's way into the bag
    finally:
        # The source first, the recorder before the synthesizer, so that nothing is cut off.
        for node in sorted(nodes, key=lambda n: STOP_ORDER.index(n.module)):
            node.stop()


STOP_ORDER = ('motion_player', 'recorder', 'synthesizer_node')


def synthesizer_parameters(demo: Demo, motion: Motion, scene: Path) -> dict[str, Any]:
    """The synthesizer's parameters for a motion's scene."""
    objects = motion.objects
    return {
        'checkpoint': demo.checkpoint,
        'engine': demo.engine,
        'threads': demo.threads,
        'background': str(scene / 'background.png'),
        'hand_reference': str(scene / 'hand_reference.png'),
        'object_ids': list(objects) or [''],
        'object_meshes': [track.mesh for track in objects.values()] or [''],
        'object_scales': [float(track.scale) for track in objects.values()] or [1.0],
    }


def watch(
    player: NodeProcess,
    recorder: NodeProcess,
    synthesizer: NodeProcess,
    frames: int,
    timeout: float,
) -> None:
    """Show progress until the player ends. Raises NodeError where a process fails."""
    deadline, shown = time.monotonic() + timeout, ''
    terminal = sys.stdout.isatty()
    while True:
        try:
            if player.wait(0.2) != 0:
                raise NodeError(player.last_words())
            break
        except subprocess.TimeoutExpired:
            pass
        for node in (synthesizer, recorder):
            if node.status is not None:
                raise NodeError(node.last_words())
        if time.monotonic() > deadline:
            raise NodeError(f'the motion was not over after {timeout:g} s')
        counts = recorded_counts(recorder.lines)
        poses, video = counts.get('/hand_poses', 0), counts.get('/image_raw', 0)
        line = f'{progress_bar(poses, frames)} poses {poses}, frames {video}'
        if line != shown and counts:
            shown = line
            print(f'\r{line}' if terminal else line, end='' if terminal else '\n', flush=True)
    if terminal:
        print()


def recorded_counts(lines: list[str]) -> dict[str, int]:
    """Messages by topic, from the newest of the recorder's lines that tells them."""
    told = next((line for line in reversed(lines) if 'recorded: /' in line), '')
    parts = told.partition('recorded: ')[2].split(', ')
    return {topic: int(count) for topic, count in (p.split(' ') for p in parts if p)}


def progress_bar(done: int, of: int, width: int = 30) -> str:
    """done / of as a bar of that many characters."""
    filled = min(width, width * done // max(of, 1))
    return f'[{"#" * filled}{"." * (width - filled)}]'


def report(out: Path) -> int:
    """Measure the recording, draw it, print the table."""
    from manivideo_ros.evaluation.reports.recorded import evaluate, illustrate

    print('report: comparing the video with the truth', flush=True)
    values = evaluate(out / 'bag')
    (out / 'report.json').write_text(json.dumps(values, indent=2) + '\n')
    illustrate(out / 'bag', out)
    print(table(values))
    print(f'{out}: video.mp4, sheet.png, report.json, bag/')
    return 0


def table(values: Mapping[str, Any]) -> str:
    """The report for people: one line a figure."""
    latency, quality = values['latency_ms'], values.get('quality') or {}
    rows = [
        ('poses in, frames out', f'{values["frames_in"]}, {values["frames_out"]}'),
        ('rate', f'{values["rate_hz"]} Hz'),
        ('latency p50 / p95 / p99', f'{latency["p50"]} / {latency["p95"]} / {latency["p99"]} ms'),
        *((f'  {stage}', f'{ms} ms') for stage, ms in values['stages_ms'].items()),
        ('engine', f'{values["preset"]} on {values["backend"]}'),
    ]
    for name, label in (('', 'generated'), ('painted_', 'painted'), ('true_light_', 'true light')):
        if f'{name}psnr_db' in quality:
            ssim = quality.get(f'{name}ssim')
            more = f', SSIM {ssim:.3f}' if ssim is not None else ''
            rows.append((f'quality, {label}', f'PSNR {quality[f"{name}psnr_db"]:.2f} dB{more}'))
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'{name:<{width}}  {value}' for name, value in rows)
