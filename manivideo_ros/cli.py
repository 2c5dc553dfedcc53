"""`manivideo`: the package's jobs from a shell. Each command imports only what it needs."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manivideo_ros.process.start import end_at_once, import_problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 2 and one line on stderr for what cannot be used."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.formatwarning = one_line
    parser = make_parser()
    try:
        if arguments and arguments[0] in PASSED_ON:
            return PASSED_ON[arguments[0]](arguments[1:])
        args = parser.parse_args(arguments)
        if not hasattr(args, 'run'):
            parser.print_help()
            return 2
        status: int = args.run(args)
    except ImportError as error:
        print(f'error: {import_problem(error)}', file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status


def one_line(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> str:
    """A warning as the user sees it, without the place in the code that gave it."""
    kind = 'warning' if issubclass(category, UserWarning) else category.__name__
    return f'{kind}: {message}\n'


def make_parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    parser = argparse.ArgumentParser(prog='manivideo', description='Pose topics in, video out.')
    commands = parser.add_subparsers(title='commands', metavar='')

    demo = commands.add_parser('demo', help='play a motion, synthesize its video, report')
    demo.add_argument('--motion', default='', help='motion file, or the name of one that ships')
    demo.add_argument('--object', default='', help='mesh file or generated shape to handle')
    demo.add_argument('--object-scale', type=float, default=1.0, help='metres per unit of the mesh')
    demo.add_argument('--out', type=Path, default=Path('out/demo'), help='folder of the results')
    demo.add_argument('--seconds', type=float, default=10.0, help='length of the video')
    demo.add_argument('--checkpoint', default='', help='weights (safetensors)')
    demo.add_argument('--engine', default='tiny', help='engine specification: a name, or a file')
    demo.add_argument('--threads', type=int, default=2, help="of the synthesizer's")
    demo.set_defaults(run=run_demo)

    render = commands.add_parser('render', help='make the video of a motion file, without ROS')
    render.add_argument('motion', nargs='?', default='', help='motion file, or the name of one')
    render.add_argument('--out', type=Path, default=Path('video.mp4'), help='the video to write')
    render.add_argument('--engine', default='tiny', help='engine specification: a name, or a file')
    render.add_argument('--checkpoint', default='', help='weights (safetensors)')
    render.add_argument('--background', default='', help='background image')
    render.add_argument('--hand-appearance', default='', help='image of an open hand')
    render.add_argument('--seed', type=int, default=0, help='of the generative noise')
    render.add_argument('--threads', type=int, default=2, help="of the synthesizer's")
    render.add_argument(
        '--quality', action='store_true', help='in windows of 24 frames on torch, not as a stream'
    )
    render.set_defaults(run=run_render)

    doctor = commands.add_parser('doctor', help='look at this machine, say how to mend it')
    doctor.set_defaults(run=run_doctor)

    play = commands.add_parser('play', help='publish a motion file as pose topics')
    play.add_argument('motion', nargs='?', default='', help='motion file, or the name of one')
    play.add_argument('--rate', type=float, default=30.0, help='poses a second')
    play.add_argument('--seconds', type=float, default=0.0, help='how long; 0 for ever')
    play.set_defaults(run=run_play)

    record = commands.add_parser('record', help='record poses and video into a rosbag2')
    record.add_argument('bag', nargs='?', default='', help='folder of the new bag')
    record.add_argument('--topics', nargs='+', help='instead of those of poses and video')
    record.add_argument(
        '--labels', nargs='+', default=[], metavar='LABEL', help='layers, mask, depth, keypoints'
    )
    record.set_defaults(run=run_record)

    view = commands.add_parser('view', help='show video, layers and latency in a browser')
    view.add_argument('--host', default='127.0.0.1', help='address to serve the page on')
    view.add_argument('--port', type=int, default=8642, help='port of the page; 0 for a free one')
    view.set_defaults(run=run_view)

    mano = commands.add_parser('convert-mano', help='read official MANO files, safely, once')
    mano.add_argument('files', nargs='+', type=Path, help='MANO_LEFT.pkl, MANO_RIGHT.pkl or both')
    mano.add_argument('--out', type=Path, required=True, help='folder for hand_folder to name')
    mano.set_defaults(run=run_convert_mano)

    for name, text in HELP.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def run_demo(args: argparse.Namespace) -> int:
    """The main job end to end."""
    from manivideo_ros.commands.demo import Demo, run

    if not 0 < args.seconds <= 3600:
        raise ValueError(f'--seconds: {args.seconds:g} is not in 0 to 3600')
    return run(
        Demo(
            out=args.out,
            motion=args.motion,
            object=args.object,
            object_scale=args.object_scale,
            seconds=args.seconds,
            checkpoint=args.checkpoint,
            threads=args.threads,
            engine=args.engine,
        )
    )


def run_render(args: argparse.Namespace) -> int:
    """The video of a recorded motion."""
    from manivideo_ros.commands.render import Render, run

    return run(
        Render(
            out=args.out,
            motion=args.motion,
            engine=args.engine,
            checkpoint=args.checkpoint,
            background=args.background,
            hand=args.hand_appearance,
            seed=args.seed,
            threads=args.threads,
            quality=args.quality,
        )
    )


def run_doctor(_: argparse.Namespace) -> int:
    """Look at the machine."""
    from manivideo_ros.commands.doctor import run

    return run()


def run_play(args: argparse.Namespace) -> int:
    """The motion player."""
    end_at_once()
    from manivideo_ros.nodes.motion_player import main as play

    return play(_ros(motion=args.motion, rate_hz=args.rate, seconds=args.seconds))


def run_record(args: argparse.Namespace) -> int:
    """The recorder."""
    end_at_once()
    from manivideo_ros.nodes.recorder import main as record

    topics = {'topics': args.topics} if args.topics else {}
    labels = {'labels': args.labels} if args.labels else {}
    return record(_ros(bag=args.bag, **topics, **labels))


def run_view(args: argparse.Namespace) -> int:
    """The page in the browser."""
    end_at_once()
    from manivideo_ros.nodes.viewer import main as view

    return view(_ros(host=args.host, port=args.port))


def run_convert_mano(args: argparse.Namespace) -> int:
    """The user's own hand models into the slot of the default hand."""
    from manivideo_ros.hand.mano_file import convert_mano

    args.out.mkdir(parents=True, exist_ok=True)
    for file in args.files:
        partial = args.out / 'converted.npz'
        side = convert_mano(file, partial)
        print(partial.replace(args.out / f'{side}.npz'))
    return 0


def _ros(**parameters: object) -> list[str]:
    """Node arguments that set these parameters."""
    import yaml

    out = ['--ros-args']
    for name, value in parameters.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
        out += ['-p', f'{name}:={text.removesuffix("...").strip()}']
    return out


def _convert(arguments: list[str]) -> int:
    from manivideo_ros.motion.convert import main as convert

    return convert(arguments)


def _train(arguments: list[str]) -> int:
    from manivideo_ros.training.cli import main as train

    return train(arguments)


def _evaluate(arguments: list[str]) -> int:
    from manivideo_ros.evaluation.cli import main as evaluate

    return evaluate(arguments)


def _export(arguments: list[str]) -> int:
    from manivideo_ros.engine.cli import main as export

    return export(arguments)


def _engine(arguments: list[str]) -> int:
    from manivideo_ros.engine.commands import main as engine

    return engine(arguments)


def _augment(arguments: list[str]) -> int:
    from manivideo_ros.augment.cli import main as augment

    return augment(arguments)


def _dataset(arguments: list[str]) -> int:
    from manivideo_ros.recording.datasets.dataset import main as dataset

    return dataset(arguments)


def _gate(arguments: list[str]) -> int:
    from manivideo_ros.augment.gate_report import main as gate

    return gate(arguments)


def _repair(arguments: list[str]) -> int:
    from manivideo_ros.recording.bags.repair import main as repair

    return repair(arguments)


def _data(arguments: list[str]) -> int:
    from manivideo_ros.data.recorded.check import main as data

    return data(arguments)


# Commands whose arguments their own modules describe.
PASSED_ON = {
    'convert': _convert,
    'data': _data,
    'train': _train,
    'evaluate': _evaluate,
    'export': _export,
    'engine': _engine,
    'augment': _augment,
    'dataset': _dataset,
    'repair': _repair,
    'gate': _gate,
}
HELP = {
    'convert': 'turn a recording of joints or keypoints into a motion file',
    'data': 'check DIR: what a dataset holds and what is wrong; shards DIR: make it trainable',
    'train': 'train a model: image, temporal or distill',
    'evaluate': 'measure a model on the held-out suite, or a recorded stream against its truth',
    'export': 'write a checkpoint as one ONNX graph',
    'engine': 'list, build, check, bench or clean what runs the frames',
    'augment': 'make synthetic episodes of recorded ones',
    'dataset': 'write episodes for learners: lerobot, robomimic, frames or video',
    'gate': 'judge synthetic episodes, report which to drop',
    'repair': 'make a recording that was cut off whole again',
}


if __name__ == '__main__':
    sys.exit(main())
