"""`manivideo demo`: three processes over DDS play, synthesize and record a motion; then a report.

Writes into the output folder: bag/, scene/ (the references and the motion), video.mp4, sheet.png
and report.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manivideo_ros.bags.bag import BagError
from manivideo_ros.camera.support import plane_of
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.motion.files import save_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.motion.view import camera_of
from manivideo_ros.objects.mesh import load_object
from manivideo_ros.process.folders import expanded
from manivideo_ros.process.node_processes import NodeError, NodeProcess, environment, free_domain
from manivideo_ros.ros.parameters import RecorderParameters, default_of, entries

SCENE_SEED = 20  # of the test split: skin, table and light that were not trained on
START_S = 300.0  # at the first start, the graph of the model is exported
RESULTS = ('bag', 'scene', 'video.mp4', 'sheet.png', 'report.json', 'side_by_side.mp4',
           'side_by_side.png')  # fmt: skip
ROBOT = '/robot'  # namespace of the robot's synthesizer


class DemoError(ValueError):
    """An input that cannot be used; the message is one line."""


@dataclass(frozen=True)
class Demo:
    """What is played and where the results go. motion, object: '' for the shipped ones."""

    out: Path
    motion: str = ''
    object: str = ''
    object_scale: float = 1.0
    seconds: float = 10.0
    checkpoint: str = ''
    threads: int = 2
    rate_hz: float = 30.0
    engine: str = 'tiny'
    embodiment: str = 'human'


def main(arguments: list[str]) -> int:
    """The command line. Raises ValueError for a value that cannot be used."""
    parser = argparse.ArgumentParser(
        prog='manivideo demo', description='Play a motion, synthesize its video, report on it.'
    )
    parser.add_argument('--motion', default='', help='motion file, or name of a shipped one')
    parser.add_argument('--object', default='', help='mesh file or generated shape to handle')
    parser.add_argument(
        '--object-scale', type=float, default=1.0, help='metres per unit of the mesh'
    )
    parser.add_argument('--out', type=Path, default=Path('out/demo'), help='folder of the results')
    parser.add_argument('--seconds', type=float, default=10.0, help='length of the video, s')
    parser.add_argument('--checkpoint', default='', help='weights (safetensors)')
    parser.add_argument('--engine', default='tiny', help='engine specification: name or file')
    parser.add_argument('--threads', type=int, default=2, help='threads of the synthesizer')
    parser.add_argument(
        '--embodiment',
        choices=('human', 'robot'),
        default='human',
        help='robot shows the robot beside the person, from the same motion',
    )
    demo = Demo(**vars(parser.parse_args(arguments)))
    if not 0 < demo.seconds <= 3600:
        raise ValueError(f'--seconds: {demo.seconds:g} is not in 0 to 3600')
    return run(demo)


def run(demo: Demo) -> int:
    """Run the demo and return the exit status.

    0; 1 where a process failed, 2 for unusable input, 130 after Ctrl-C.
    """
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
    return report(demo.out, demo.embodiment == 'robot')


def chosen_motion(demo: Demo) -> Motion:
    """The motion to play, its first object replaced with the user's. Raises ValueError."""
    motion = motion_named(demo.motion)
    if not demo.object:
        return motion
    if not motion.objects:
        raise DemoError(f'motion {motion.name} moves no object that {demo.object} could replace')
    first, *_ = motion.objects
    mesh = demo.object if is_shape(demo.object) else str(expanded(demo.object).resolve())
    if mesh != demo.object:
        load_object(mesh, demo.object_scale)  # to report errors now
    track = replace(motion.objects[first], mesh=mesh, scale=demo.object_scale)
    return replace(motion, objects={**motion.objects, first: track})


def is_shape(name: str) -> bool:
    """Whether a name is that of a generated shape."""
    from manivideo_ros.objects.household.shapes import SHAPES

    return name in SHAPES


def clear(out: Path) -> None:
    """Create the folder, and remove only the results of an earlier demo from it."""
    if out.exists() and not out.is_dir():
        raise DemoError(f'{out}: is a file: choose a folder')
    for name in RESULTS:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def prepare(demo: Demo, motion: Motion) -> Path:
    """Write the motion and the references of its scene, and return their folder.

    Raises ValueError and OSError.
    """
    from manivideo_ros.evaluation.suites.held_out import write_references

    folder = demo.out / 'scene'
    print('scene: rendering the background and the hand reference', flush=True)
    camera = camera_of(motion)
    write_references(folder, motion, SCENE_SEED, camera.width, camera.height)
    try:
        save_motion(motion, folder / 'motion')
    except BagError as error:
        raise DemoError(str(error)) from None
    return folder


def stream(
    demo: Demo, motion: Motion, scene: Path, settings: Mapping[str, str] | None = None
) -> None:
    """Play, synthesize and record. settings: environment variables of the nodes, besides ours.

    Raises NodeError if a process fails. The bag is complete in any case, also after Ctrl-C.
    """
    env = {**environment(free_domain()), **(settings or {})}
    frames = round(demo.seconds * demo.rate_hz)
    nodes: list[NodeProcess] = []

    def start(
        module: str,
        parameters: Mapping[str, Any],
        log_level: str = '',
        remapped: Mapping[str, str] | None = None,
    ) -> NodeProcess:
        nodes.append(NodeProcess(module, parameters, env, remapped, log_level))
        return nodes[-1]

    try:
        print(f'domain {env["ROS_DOMAIN_ID"]}: loading the model', flush=True)
        parameters = synthesizer_parameters(demo, motion, scene)
        synthesizer = start('synthesizer_node', parameters)
        synthesizer.wait_for('active', START_S)
        robot: dict[str, Any] = {}
        more: dict[str, Any] = {}
        if demo.embodiment == 'robot':
            robot = {'robot': 'demo'}
            more = {'topics': [*RECORDED, f'{ROBOT}/image_raw']}
            beside = start(
                'synthesizer_node',
                {**parameters, 'embodiment': 'robot'},
                remapped={'__ns': ROBOT, **{name: f'/{name}' for name in SHARED}},
            )
            beside.wait_for('active', START_S)
        recorder = start(
            'recorder',
            {
                'bag': str(demo.out / 'bag'),
                'attachments': [f'held_out={scene / "held_out.json"}'],
                **more,
            },
            'recorder:=debug',  # logs the numbers of messages once a second
        )
        recorder.wait_for('recording', 60)
        player = start(
            'motion_player',
            {
                'motion': str(scene / 'motion'),
                'rate_hz': demo.rate_hz,
                'seconds': float(demo.seconds),
                'wait_for': 2,
                **robot,
            },
        )
        watch(player, recorder, synthesizer, frames, demo.seconds + (300 if robot else 60))
        time.sleep(0.3)  # until the last frame is in the bag
    finally:
        # The source first, and the recorder before the synthesizer, so that nothing is lost.
        for node in sorted(nodes, key=lambda n: STOP_ORDER.index(n.module)):
            node.stop()


SHARED = ('joint_states', 'object_poses', 'camera/camera_info')  # by both synthesizers
RECORDED = default_of(entries(RecorderParameters)['topics'])
STOP_ORDER = ('motion_player', 'recorder', 'synthesizer_node')


def synthesizer_parameters(demo: Demo, motion: Motion, scene: Path) -> dict[str, Any]:
    """The parameters of the synthesizer for the scene of a motion."""
    from manivideo_ros.evaluation.suites.held_out import table_under

    objects, camera = motion.objects, camera_of(motion)
    support = plane_of(invert_rigid(table_under(motion, camera)))
    return {
        'checkpoint': demo.checkpoint,
        'engine': demo.engine,
        'threads': demo.threads,
        'image_width': camera.width,
        'image_height': camera.height,
        'background': str(scene / 'background.png'),
        'hand_reference': str(scene / 'hand_reference.png'),
        'object_ids': list(objects) or [''],
        'object_meshes': [track.mesh for track in objects.values()] or [''],
        'support_plane': support.tolist(),
        'object_scales': [float(track.scale) for track in objects.values()] or [1.0],
    }


def watch(
    player: NodeProcess,
    recorder: NodeProcess,
    synthesizer: NodeProcess,
    frames: int,
    timeout: float,
) -> None:
    """Print the progress until the player ends. Raises NodeError if a process fails."""
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
            raise NodeError(f'the motion did not end within {timeout:g} s')
        counts = recorded_counts(recorder.lines)
        poses, video = counts.get('/hand_poses', 0), counts.get('/image_raw', 0)
        line = f'{progress_bar(poses, frames)} poses {poses}, frames {video}'
        if line != shown and counts:
            shown = line
            print(f'\r{line}' if terminal else line, end='' if terminal else '\n', flush=True)
    if terminal:
        print()


def recorded_counts(lines: list[str]) -> dict[str, int]:
    """Number of messages by topic, from the last line of the recorder that has them."""
    found = next((line for line in reversed(lines) if 'recorded: /' in line), '')
    parts = found.partition('recorded: ')[2].split(', ')
    return {topic: int(count) for topic, count in (p.split(' ') for p in parts if p)}


def progress_bar(done: int, of: int, width: int = 30) -> str:
    """A bar of `width` characters, filled by done / of."""
    filled = min(width, width * done // max(of, 1))
    return f'[{"#" * filled}{"." * (width - filled)}]'


def report(out: Path, robot: bool = False) -> int:
    """Evaluate the recording, write the report, video and contact sheet, print the table.

    robot: whether a robot was shown beside the person.
    """
    from manivideo_ros.evaluation.reports.recorded import evaluate, illustrate

    print('report: comparing the video with the ground truth', flush=True)
    values = evaluate(out / 'bag', 2, '/image_raw')
    (out / 'report.json').write_text(json.dumps(values, indent=2) + '\n')
    illustrate(out / 'bag', out, False, '/image_raw')
    print(table(values))
    shown = 'video.mp4, sheet.png, report.json, bag/'
    if robot:
        from manivideo_ros.evaluation.reports.side_by_side import write_side_by_side

        topics = {'person': '/image_raw', 'robot': f'{ROBOT}/image_raw'}
        write_side_by_side(out / 'bag', out, topics)
        shown = f'side_by_side.mp4, side_by_side.png, {shown}'
    print(f'{out}: {shown}')
    return 0


def table(values: Mapping[str, Any]) -> str:
    """The report as text, one figure per line."""
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
