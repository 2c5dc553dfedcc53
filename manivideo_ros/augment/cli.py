"""`manivideo augment`: generates synthetic variations of recorded episodes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from manivideo_ros.augment.cluster import run_on_ray
from manivideo_ros.augment.engine import ENGINE, engine_named
from manivideo_ros.augment.jobs import plan, run_here, sole_writer
from manivideo_ros.augment.lerobot.run import Order, augment_set
from manivideo_ros.augment.source import Selection
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.motion.robots.options import add_robot_options, robot_given
from manivideo_ros.motion.sources.hand_option import HELP as HANDS_HELP
from manivideo_ros.process.folders import expanded
from manivideo_ros.recording.cutting.cut_options import (
    Skipped,
    add_cut_options,
    check_cut_options,
    parts_of_bags,
    print_skipped,
)

ABOUT = """Generate variations of recorded episodes: poses, states, actions and stamps of each bag
are copied, its images are generated with another skin, light, room, camera pose and colours of the
objects. Several cameras (--camera) see one scene. Variation k has the seed S + k and is
DIR/<bag>_seed<S + k>. After an interruption run the command again: complete episodes are kept, and
the result is the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for unusable input, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog='manivideo augment', description=ABOUT)
    parser.add_argument('bags', nargs='*', metavar='BAG', help='rosbag2 folder with pose topics')
    parser.add_argument('--lerobot', type=Path, metavar='SET',
                        help='a LeRobot v3.0 dataset instead: --out is a new one, with generated '
                        'videos and all other values of the old')  # fmt: skip
    parser.add_argument('--mapping', type=Path, metavar='FILE',
                        help='with --lerobot: which features are hands, objects and cameras (YAML; '
                        'not needed for an export of `manivideo dataset`)')  # fmt: skip
    parser.add_argument('--variations', type=int, required=True, help='of each bag')
    parser.add_argument('--out', type=Path, required=True, help='folder of the episodes')
    parser.add_argument('--seed', type=int, default=0, help='of the first variation')
    parser.add_argument('--engine', default=ENGINE,
                        help='specification: a name, or a file; of one backend')  # fmt: skip
    parser.add_argument('--checkpoint', default='', help='weights (safetensors)')
    parser.add_argument('--hand-folder', default='', metavar='DIR',
                        help='hands of `manivideo convert-mano` (the default hands)')  # fmt: skip
    parser.add_argument('--hands', default='', metavar='FROM', help=HANDS_HELP)
    add_robot_options(parser)
    parser.add_argument('--background', choices=['generated', 'keep'], default='generated',
                        help='keep: the recorded scene without its hands and objects')  # fmt: skip
    parser.add_argument('--camera', action='append', default=[], metavar='TOPIC',
                        help='CameraInfo of a camera that sees the scene; repeat it for several '
                        '(the only one); with --lerobot the key of its images (all of the '
                        'mapping)')  # fmt: skip
    parser.add_argument('--fixed-camera', action='store_true',
                        help='do not move the recorded cameras: for policies that act through '
                        'cameras that stay in place')  # fmt: skip
    parser.add_argument('--images', action='append', default=[], metavar='TOPIC',
                        help='images for --background keep, for each --camera in its order (the '
                        'only topic of images, or that beside the CameraInfo)')  # fmt: skip
    parser.add_argument('--scene', default='', metavar='DIR',
                        help='skin and light of the hands, of `manivideo calibrate` (generated '
                        'ones)')  # fmt: skip
    parser.add_argument('--max-gap', type=float, default=0.0, metavar='SECONDS',
                        help='longest time without poses that is filled by interpolation, and '
                        'marked in the provenance (0)')  # fmt: skip
    add_cut_options(parser, 'poses')
    who = parser.add_mutually_exclusive_group()
    who.add_argument('--workers', type=int, default=1, help='processes on this machine')
    who.add_argument('--ray', metavar='ADDRESS', help='a Ray cluster instead, or auto')
    args = parser.parse_args(arguments)
    try:
        return augment(args)
    except (ValueError, OSError, EngineError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nstopped: run the command again to continue', file=sys.stderr)
        return 130


def augment(args: argparse.Namespace) -> int:
    """Check all arguments and recordings, then make the missing episodes."""
    for name, lowest in (('variations', 1), ('seed', 0), ('workers', 1)):
        if getattr(args, name) < lowest:
            raise ValueError(f'--{name}: must be {lowest} or more, is {getattr(args, name)}')
    check_cut_options(args)
    selection, skipped = Selection(args.max_gap, args.rate or 0.0), Skipped(args.skip_bad)
    out = args.out.resolve()
    engine = engine_named(args.engine, args.checkpoint)
    hand_folder = str(expanded(args.hand_folder).resolve()) if args.hand_folder else ''
    scene = str(expanded(args.scene).resolve()) if args.scene else ''
    seeds = range(args.seed, args.seed + args.variations)
    robot = robot_given(args)
    if args.lerobot is not None:
        given = {'BAG': args.bags, '--ray': args.ray, '--images': args.images,
                 '--hands': args.hands, '--background': args.background == 'keep',
                 '--split-on': args.split_on, '--start': args.start, '--end': args.end is not None,
                 '--rate': args.rate, '--max-gap': args.max_gap,
                 '--skip-bad': args.skip_bad, '--scene': args.scene,
                 '--robot': args.robot, '--fixed-camera': args.fixed_camera}  # fmt: skip
        for name, value in given.items():
            if value:
                raise ValueError(f'{name}: not with --lerobot')
        frames = augment_set(
            Order(args.lerobot, out, seeds, engine, args.mapping, tuple(args.camera), hand_folder,
                  args.workers)
        )  # fmt: skip
        print(f'{out}: {frames} frames')
        return 0
    if not args.bags or args.mapping is not None:
        raise ValueError('name bags, or a dataset with --lerobot (and its --mapping)')
    with sole_writer(out):
        keep = args.background == 'keep'
        work = plan(
            parts_of_bags(args.bags, args, skipped), out, seeds, engine, hand_folder, keep,
            args.images, args.camera, selection, skipped, args.hands, scene, robot,
            args.fixed_camera,
        )  # fmt: skip
        for line in work.warnings:
            print(f'warning: {line}', file=sys.stderr)
        jobs, there = work.jobs, len(work.folders) - len(work.jobs)
        if there:
            print(f'{there} of {len(work.folders)} episodes exist already')
        started, frames = time.monotonic(), 0
        made = run_on_ray(jobs, args.ray) if args.ray else run_here(jobs, args.workers)
        for number, episode in enumerate(made, 1):
            frames += episode.frames
            rate = frames / (time.monotonic() - started)
            print(f'{number}/{len(jobs)} {episode.folder}: {episode.frames} frames, '
                  f'{rate:.1f} frames/s', flush=True)  # fmt: skip
    print_skipped(skipped)
    return 0
