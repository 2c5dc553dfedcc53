"""`manivideo gate`: judges episodes and writes a report with images of those that fail."""

from __future__ import annotations

import argparse
import html
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from manivideo_ros.augment.gate import Thresholds, judge
from manivideo_ros.bags.folder import state_of
from manivideo_ros.bags.part import part_of
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.motion.robots.options import add_robot_options, robot_given
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.process.pool import in_processes, locked, processes
from manivideo_ros.recording.dataset import find_bags
from manivideo_ros.recording.episode import IMAGES

REPORT, PAGE, WORK = 'report.json', 'report.html', '.work'
_ESTIMATORS: list[HandEstimator] = []
"""The one of this process, once it is needed."""
HEAD = """<!doctype html>
<meta charset="utf-8">
<title>Quality gate</title>
<style>body { font: 15px sans-serif; margin: 2em } img { width: 40em; max-width: 100% }</style>
<h1>Quality gate</h1>
"""
ABOUT_THRESHOLDS = {
    'hand_error': 'largest mean error, share of the hand',
    'hand_misses': 'largest share of hands not found',
    'silhouette': 'smallest overlap of the object',
    'hand_silhouette': 'smallest overlap of the hands',
    'visible': 'smallest mean visible share of each commanded hand and object',
    'unseen': 'largest share of frames in which no commanded hand is visible',
    'inside': 'largest share of frames in which the camera is in an object',
    'penetration': 'largest depth of a finger in an object, m',
    'untouched': 'largest share of the frames in which an object moves and no finger is near it',
    'empty': 'largest share of the frames in which a gripper holds something by its state and '
    'touches no object',
    'open': 'largest share of the frames in which a gripper that is wide open carries an object up',
}
ABOUT = """Judge synthetic episodes: estimated hands against the commanded ones, silhouettes of
hands and object against their masks, and how much the camera sees of each commanded hand and
object. DIR/report.json lists the measures and reasons, DIR/report.html shows the worst frame of
each dropped episode; `manivideo dataset --gate DIR` omits these. After an interruption run the
command again: episodes that were judged are not judged again."""


@dataclass(frozen=True)
class Job:
    """An episode to be judged; images: topic of its frames, folder: of the verdict, robot: that it
    shows in place of hands."""

    bag: Path
    thresholds: Thresholds
    images: str
    folder: Path
    robot: RecordedRobot | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for episodes that cannot be judged."""
    best = Thresholds()
    parser = argparse.ArgumentParser(prog='manivideo gate', description=ABOUT)
    parser.add_argument('episodes', nargs='+', type=Path, help='bags, or folders of bags')
    parser.add_argument('--out', type=Path, required=True, help='folder of the report')
    parser.add_argument('--images', default=IMAGES, help='topic of the frames')
    add_robot_options(parser)
    for name, about in ABOUT_THRESHOLDS.items():
        default = getattr(best, name)
        option = f'--{name.replace("_", "-")}'
        parser.add_argument(option, type=float, default=default, help=f'{about} ({default})')
    parser.add_argument('--workers', type=int, default=0,
                        help='processes (one per core, or one for small recordings)')  # fmt: skip
    args = parser.parse_args(arguments)
    thresholds = Thresholds(**{name: getattr(args, name) for name in ABOUT_THRESHOLDS})
    try:
        bags = find_bags(args.episodes)
        workers, robot = processes(args.workers, bags), robot_given(args)
        dropped, count = write_report(bags, args.out, thresholds, args.images, workers, robot)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nstopped: run the command again to continue', file=sys.stderr)
        return 130
    print(f'{args.out / PAGE}: {count - dropped} of {count} episodes pass')
    return 0


def write_report(
    bags: Sequence[Path],
    out: Path,
    thresholds: Thresholds,
    images: str = IMAGES,
    workers: int = 1,
    robot: RecordedRobot | None = None,
) -> tuple[int, int]:
    """Judge episodes; returns how many are dropped, and of how many. Raises ValueError, OSError.

    images: topic of their frames; workers: number of processes; robot: that they show in place of
    hands. After an interruption episodes that were judged by the same thresholds are not judged
    again.
    """
    work, dropped = out / WORK, out / 'dropped'
    with locked(work, 'gate'):
        jobs = [Job(bag, thresholds, images, work, robot) for bag in bags]
        found: dict[str, dict[str, Any]] = {}
        with tqdm(total=len(jobs), unit='episode', disable=None) as progress:
            for verdict in in_processes(judged, jobs, workers):
                found[verdict['episode']] = verdict
                progress.update()
        _ESTIMATORS.clear()
        shutil.rmtree(dropped, ignore_errors=True)
        dropped.mkdir(parents=True)
        verdicts = [found[part_of(bag).name] for bag in bags]
        for verdict in verdicts:
            if not verdict['kept']:
                name = f'{verdict["episode"]}.png'
                (work / name).replace(dropped / name)
    shutil.rmtree(work)
    content = {'thresholds': asdict(thresholds), 'episodes': verdicts}
    (out / REPORT).write_text(json.dumps(content, indent=1) + '\n')
    (out / PAGE).write_text(page(verdicts))
    return sum(not verdict['kept'] for verdict in verdicts), len(verdicts)


def judged(job: Job) -> dict[str, Any]:
    """The verdict on an episode as JSON, with its worst frame beside it if it is dropped."""
    robot = None if job.robot is None else [repr(job.robot), job.robot.provenance]
    made_of = json.loads(json.dumps([state_of(job.bag), asdict(job.thresholds), job.images, robot]))
    state = job.folder / f'{part_of(job.bag).name}.json'
    try:
        known = json.loads(state.read_text())
        if known['made_of'] == made_of:
            return dict(known['verdict'])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if not _ESTIMATORS:
        _ESTIMATORS.append(HandEstimator())
    verdict = judge(job.bag, _ESTIMATORS[0], job.thresholds, job.images, job.robot)
    if verdict.reasons:
        Image.fromarray(verdict.image).save(job.folder / f'{verdict.episode}.png')
    content = {'made_of': made_of, 'verdict': verdict.to_json()}
    partial = state.with_suffix('.partial')
    partial.write_text(json.dumps(content))
    partial.replace(state)
    return content['verdict']


def page(verdicts: Sequence[dict[str, Any]]) -> str:
    """The report as HTML: dropped episodes with the reasons and images."""
    dropped = [verdict for verdict in verdicts if not verdict['kept']]
    lines = [f'<p>{len(verdicts) - len(dropped)} of {len(verdicts)} episodes pass.</p>']
    if dropped:
        lines.append(
            '<p>The worst frame of each dropped episode; on the right with the commanded hands in '
            "green, the estimated hands in red, the visible object's outline in yellow, and "
            'silhouettes without what hides them in blue; a red line connects the tips of a '
            'gripper whose state is not that of the scene.</p>'
        )
    for verdict in dropped:
        name = html.escape(verdict['episode'])
        lines += [
            f'<h2>{name}</h2>',
            *(f'<p>{html.escape(reason)}</p>' for reason in verdict['reasons']),
            f'<img src="dropped/{name}.png" alt="worst frame of {name}">',
        ]
    return HEAD + '\n'.join(lines) + '\n'
