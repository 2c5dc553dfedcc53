"""The options of `manivideo dataset`: topics by the names that they get, how they are written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from manivideo_ros.motion.sources.hand_option import HELP as HANDS_HELP
from manivideo_ros.process.renamed import RenamedOption
from manivideo_ros.recording.cutting.cut_options import add_cut_options
from manivideo_ros.recording.episode import IMAGES, NEXT_STATE, Topics
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.features import ACTION, STATE, camera_key
from manivideo_ros.recording.lerobot.like import Like
from manivideo_ros.recording.lerobot.old_version import OLD
from manivideo_ros.recording.options import CAMERA, TASK, VERSION, Options


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of all formats, and those of LeRobot."""
    parser.add_argument('episodes', nargs='+', type=Path, help='bags, or folders of bags')
    parser.add_argument('--out', type=Path, required=True, help='folder of the new dataset')
    parser.add_argument('--images', action='append', default=[], metavar='[KEY=]TOPIC',
                        help=f'topic of the frames ({IMAGES}); repeat it in lerobot and robomimic '
                        'for further cameras, of which each frame takes the nearest image; KEY: '
                        'name of the feature')  # fmt: skip
    parser.add_argument('--pictures', dest='images', nargs=1, action=RenamedOption)
    parser.add_argument('--state', nargs='+', default=[], metavar='TOPIC[:FIELD,...]',
                        help='of the state (poses of hands and objects); with fields only these, '
                        'as /arm:position')  # fmt: skip
    parser.add_argument('--action', nargs='+', default=[], metavar='TOPIC[:FIELD,...]',
                        help=f'of the action (none); {NEXT_STATE}: the state of the next '
                        'frame')  # fmt: skip
    parser.add_argument('--hold', nargs='+', default=[], metavar='SECONDS|TOPIC[=SECONDS]',
                        help='how long the last value of a state or action is held, or topics '
                        'whose last value is valid until the next (three periods of a topic, 0.05 '
                        'above 20 Hz)')  # fmt: skip
    parser.add_argument('--hands', default='', metavar='FROM', help=HANDS_HELP)
    parser.add_argument('--gate', type=Path, metavar='DIR',
                        help='of `manivideo gate`: omit the episodes that it drops')  # fmt: skip
    parser.add_argument('--task', default='', help=f"the task's description ({TASK})")
    about = 'longest time without an image (five periods, at least 0.5)'
    parser.add_argument('--max-gap', type=float, metavar='SECONDS', help=about)
    parser.add_argument('--workers', type=int, default=0,
                        help='processes (one per core, or one for small recordings)')  # fmt: skip
    own = parser.add_argument_group('lerobot')
    own.add_argument('--like', default='', metavar='SET',
                     help='a recorded LeRobot v3.0 dataset: its camera keys, size, rate, codec, '
                     'task, robot type, names and types, so that both can be merged')  # fmt: skip
    own.add_argument('--depth', action='append', default=[], metavar='[KEY=]TOPIC',
                     help='depth (16UC1, 32FC1), as video of 12 bits; repeatable')  # fmt: skip
    own.add_argument('--feature', action='append', default=[], metavar='NAME=TOPIC[:FIELD,...]',
                     help='further numbers; repeatable')  # fmt: skip
    own.add_argument('--task-topic', default='', metavar='TOPIC',
                     help='of String messages: the task of each frame')  # fmt: skip
    own.add_argument('--language', default='', metavar='TOPIC',
                     help='of String messages: the subtask of each frame, in '
                     'language_persistent')  # fmt: skip
    own.add_argument('--masks', action='store_true',
                     help='a mask of the first camera: hands and each object')  # fmt: skip
    own.add_argument('--intrinsics', action='store_true',
                     help='fx fy cx cy of each camera, of its CameraInfo')  # fmt: skip
    own.add_argument('--robot-type', default='', metavar='NAME', help='in info.json')
    own.add_argument('--format', dest='version', choices=(VERSION, OLD), default=VERSION,
                     help=f'version of the format ({VERSION})')  # fmt: skip
    add_cut_options(parser, 'images')


def asked(args: argparse.Namespace) -> tuple[Topics, Options]:
    """The topics, and how they are written. Raises ValueError naming the option, LeRobotError."""
    like = Like(LeRobotSet(args.like)) if args.like else None
    images = args.images or [IMAGES]
    cameras = _keyed('--images', images, like.cameras if like else [])
    depths = _keyed('--depth', args.depth, like.depths if like else [], '_depth')
    if len(images) == 1 and '=' not in images[0] and like is None:
        cameras = [(CAMERA, images[0])]
    if args.format != 'lerobot':
        _require_lerobot(args)
        if len(cameras) > 1 and args.format != 'robomimic':
            raise ValueError(f'--images: {args.format} takes one topic')
    if like is not None:
        like.require_keys([key for key, _ in cameras], [key for key, _ in depths])
        if args.version != VERSION:
            raise ValueError(f'--like: not with --format {args.version}')
    topics = Topics(
        cameras[0][1], tuple(args.state), tuple(args.action), *_hold(args), args.rate,
        args.max_gap, args.hands, tuple(cameras[1:]), tuple(depths), _features(args.feature),
        '' if args.task else args.task_topic,
    )  # fmt: skip
    if NEXT_STATE in args.action and len(args.action) > 1:
        raise ValueError(f'--action {NEXT_STATE}: is the whole action: name nothing beside it')
    options = Options(
        args.task, cameras[0][0], str(Path(args.like).resolve()) if args.like else '',
        args.robot_type, args.masks, args.intrinsics, args.language, args.version,
    )  # fmt: skip
    return topics, options


def _hold(args: argparse.Namespace) -> tuple[float | None, tuple[str, ...]]:
    """Seconds for all topics, and topics with their own."""
    held = tuple(each for each in args.hold if each.startswith('/'))
    rest = [each for each in args.hold if each not in held]
    try:
        seconds = [float(each) for each in rest]
    except ValueError:
        raise ValueError(f'--hold {" ".join(rest)}: give seconds, or topics with their /') from None
    return seconds[-1] if seconds else None, held


def _keyed(
    option: str, given: Sequence[str], known: Sequence[str], end: str = ''
) -> list[tuple[str, str]]:
    """Keys and topics; known: keys of the dataset that is followed; end: of a key by its topic."""
    found = []
    for each in given:
        name, _, topic = each.rpartition('=')
        if not topic.startswith('/'):
            raise ValueError(f'{option} {each}: give a topic with its /, or KEY=TOPIC')
        if not name and len(given) == len(known) == 1:
            found.append((known[0], topic))
        elif name in known:
            found.append((name, topic))
        else:
            key = camera_key(topic, name)
            named = name or (end and end.strip('_') in key)
            found.append((key if named else key + end, topic))
    keys = [key for key, _ in found]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f'{option}: two topics are called {twice}: name them, KEY=TOPIC')
    return found


def _features(given: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, tuple[str, ...]] = {}
    for each in given:
        name, _, topic = each.partition('=')
        if not name or not topic.startswith('/'):
            raise ValueError(f'--feature {each}: give NAME=TOPIC')
        if name in (STATE, ACTION):
            option = '--state' if name == STATE else '--action'
            raise ValueError(f'--feature {name}: is {option}')
        found[name] = (*found.get(name, ()), topic)
    return tuple(found.items())


def _require_lerobot(args: argparse.Namespace) -> None:
    """Raise ValueError for an option that the format does not have."""
    own = {'--like': args.like, '--depth': args.depth, '--task-topic': args.task_topic,
           '--language': args.language, '--masks': args.masks, '--intrinsics': args.intrinsics,
           '--robot-type': args.robot_type, '--format': args.version != VERSION}  # fmt: skip
    if args.format != 'robomimic':
        own['--feature'] = args.feature
    for option, value in own.items():
        if value:
            raise ValueError(f'{option}: not with {args.format}')
