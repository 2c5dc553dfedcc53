"""The command `manivideo evaluate`: the held-out suite, recorded images, or a recorded stream.

manivideo evaluate [--checkpoint FILE] [--steps 1 4] [--clips N] [--frames N] [--out DIR]
manivideo evaluate --data dexycb --split s0 --folder DIR [--mano DIR]
manivideo evaluate --recording BAG [--images TOPIC] [--camera TOPIC] [--mano DIR]
manivideo evaluate BAG [--out DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from manivideo_ros.evaluation.reports.evaluation import (
    Evaluation,
    measured_figures,
    threshold_table,
    write,
)
from manivideo_ros.evaluation.run import Work, cores, folder_for_frames

OUT = Path('out') / 'evaluation'


def make_parser() -> argparse.ArgumentParser:
    """The arguments; those for a recorded stream are in reports/recorded.py."""
    parser = argparse.ArgumentParser(
        prog='manivideo evaluate',
        description='Measure a model on the held-out suite (or on DexYCB), or, given a BAG, '
        'a recorded stream against its ground truth.',
        usage='%(prog)s [BAG] [options]',
    )
    parser.add_argument('--checkpoint', type=Path, help='weights (safetensors); default: shipped')
    parser.add_argument(
        '--steps',
        type=int,
        nargs='+',
        default=[1, 4],
        help='denoising steps; the thresholds apply to the first',
    )
    parser.add_argument('--data', choices=['suite', 'dexycb'], default='suite', help='clips')
    parser.add_argument('--clips', type=int, help='measure only the first clips')
    parser.add_argument('--frames', type=int, help='measure only the first frames of each clip')
    parser.add_argument('--size', type=int, default=256, help='side of the images, pixels')
    parser.add_argument('--workers', type=int, default=min(cores(), 16), help='processes')
    parser.add_argument('--out', type=Path, default=OUT, help='folder of the results')
    parser.add_argument('--alexnet', type=Path, help="torchvision's AlexNet, for LPIPS")
    parser.add_argument('--inception', type=Path, help="torch-fidelity's InceptionV3, for FID")
    parser.add_argument('--recordings', type=Path, help='folder of the recorded hand motion')
    recording = parser.add_argument_group('recorded images and poses')
    recording.add_argument('--recording', type=Path, help='bag; its last third is measured')
    recording.add_argument('--images', default='', help='topic of the images (the only one)')
    recording.add_argument('--camera', default='', help='topic of their CameraInfo (the only one)')
    dexycb = parser.add_argument_group('DexYCB')
    dexycb.add_argument('--folder', type=Path, help='the dataset as published')
    dexycb.add_argument('--split', default='s0', help='s0, s1, s2 or s3')
    dexycb.add_argument('--subset', default='test', help='train, val or test')
    dexycb.add_argument('--mano', type=Path, help='folder that `manivideo convert-mano` wrote')
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; prints one line and returns 2 for what cannot be evaluated."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and not arguments[0].startswith('-'):
        from manivideo_ros.evaluation.reports.recorded import main as report

        return report(arguments)
    parser = make_parser()
    args = parser.parse_args(arguments)
    for name, least in (('clips', 1), ('frames', 2), ('workers', 1), ('size', 16)):
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f'--{name}: must be {least} or more, got {value}')
    if any(not 1 <= steps <= 50 for steps in args.steps) or len(args.steps) > 2:
        parser.error('--steps: one or two numbers of 1 to 50')
    try:
        result = run(args)
        write(result, args.out)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for name, figures in measured_figures(result).items():
        print(f'{name:>20}  {figures}')
    for poses in result.poses() if result.judged else []:
        print(f'\n{result.generated}, {poses} poses, {len(result.clips)} clips')
        print('\n'.join(threshold_table(result.thresholds(poses))))
    print(f'\n{args.out / "evaluation.md"}')
    return 0


def run(args: argparse.Namespace) -> Evaluation:
    """Run the evaluation that the arguments describe. Raises ValueError (one line)."""
    from manivideo_ros.engine.graph.cache import graph_of
    from manivideo_ros.model.checkpoint import SHIPPED, checkpoint_sha256, load_checkpoint

    checkpoint = args.checkpoint or SHIPPED
    first, *more = args.steps
    graphs = {'generated': (graph_of(checkpoint, first), checkpoint)}
    graphs |= {f'generated_{n}_steps': (graph_of(checkpoint, n), checkpoint) for n in more}
    about: dict[str, Any] = {
        'title': 'Held-out suite',
        'checkpoint': checkpoint.name,
        'checkpoint_sha256': checkpoint_sha256(checkpoint),
        'steps': args.steps,
    }
    config = load_checkpoint(checkpoint).config
    about['size'] = args.size
    kept = folder_for_frames(args.inception)
    keep = None if kept is None else Path(kept.name)
    work = Work(graphs, args.size, args.alexnet, keep, config.human)
    try:
        if args.recording is not None:
            return _recording(args, work, about)
        if args.data == 'dexycb':
            return _dexycb(args, work, about)
        return _suite(args, work, about)
    finally:
        if kept is not None:
            kept.cleanup()


def _suite(args: argparse.Namespace, work: Work, about: dict[str, Any]) -> Evaluation:
    from manivideo_ros.evaluation.held_out import Part, evaluate
    from manivideo_ros.evaluation.suites.suite import FRAMES, RECORDINGS

    part = Part(args.clips, min(args.frames or FRAMES, FRAMES), args.recordings or RECORDINGS)
    about['frames'] = part.frames
    return evaluate(work, args.inception, part, args.workers, about)


def _dexycb(args: argparse.Namespace, work: Work, about: dict[str, Any]) -> Evaluation:
    from manivideo_ros.evaluation.dexycb import Views, evaluate

    if args.folder is None:
        raise ValueError('--data dexycb needs --folder DIR, the dataset as published')
    about |= {'title': f'DexYCB {args.split}, {args.subset}', 'frames': args.frames or 'all'}
    views = Views(args.folder, args.split, args.subset, args.mano, args.clips, args.frames)
    return evaluate(work, args.inception, views, args.workers, about)


def _recording(args: argparse.Namespace, work: Work, about: dict[str, Any]) -> Evaluation:
    from manivideo_ros.evaluation.photographs.recording import Recording, evaluate

    about |= {'title': str(args.recording), 'frames': args.frames or 'the last third'}
    recording = Recording(args.recording, args.images, args.camera, args.mano, args.frames)
    return evaluate(work, args.inception, recording, about)
