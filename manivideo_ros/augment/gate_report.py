"""`manivideo gate`: judges episodes and writes a report with images of those that fail."""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from manivideo_ros.augment.gate import Thresholds, judge
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.recording.dataset import find_bags
from manivideo_ros.recording.episode import IMAGES

REPORT, PAGE = 'report.json', 'report.html'
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
}
ABOUT = """Judge synthetic episodes: estimated hands against the commanded ones, silhouettes of
hands and object against their masks, and how much the camera sees of each commanded hand and
object. DIR/report.json lists the measures and reasons, DIR/report.html shows the worst frame of
each dropped episode; `manivideo dataset --gate DIR` omits these."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for episodes that cannot be judged."""
    best = Thresholds()
    parser = argparse.ArgumentParser(prog='manivideo gate', description=ABOUT)
    parser.add_argument('episodes', nargs='+', type=Path, help='bags, or folders of bags')
    parser.add_argument('--out', type=Path, required=True, help='folder of the report')
    parser.add_argument('--images', default=IMAGES, help='topic of the frames')
    for name, about in ABOUT_THRESHOLDS.items():
        default = getattr(best, name)
        option = f'--{name.replace("_", "-")}'
        parser.add_argument(option, type=float, default=default, help=f'{about} ({default})')
    args = parser.parse_args(arguments)
    thresholds = Thresholds(**{name: getattr(args, name) for name in ABOUT_THRESHOLDS})
    try:
        bags = find_bags(args.episodes)
        dropped, count = write_report(bags, args.out, thresholds, args.images)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.out / PAGE}: {count - dropped} of {count} episodes pass')
    return 0


def write_report(
    bags: Sequence[Path], out: Path, thresholds: Thresholds, images: str = IMAGES
) -> tuple[int, int]:
    """Judge episodes; returns how many are dropped, and of how many. Raises ValueError, OSError.

    images: topic of their frames.
    """
    estimator = HandEstimator()
    (out / 'dropped').mkdir(parents=True, exist_ok=True)
    for old in (out / 'dropped').glob('*.png'):
        old.unlink()
    verdicts = []
    for bag in tqdm(bags, unit='episode', disable=None):
        verdict = judge(bag, estimator, thresholds, images)
        verdicts.append(verdict.to_json())
        if verdict.reasons:
            Image.fromarray(verdict.image).save(out / 'dropped' / f'{verdict.episode}.png')
    content = {'thresholds': asdict(thresholds), 'episodes': verdicts}
    (out / REPORT).write_text(json.dumps(content, indent=1) + '\n')
    (out / PAGE).write_text(page(verdicts))
    return sum(not verdict['kept'] for verdict in verdicts), len(verdicts)


def page(verdicts: Sequence[dict[str, Any]]) -> str:
    """The report as HTML: dropped episodes with the reasons and images."""
    dropped = [verdict for verdict in verdicts if not verdict['kept']]
    lines = [f'<p>{len(verdicts) - len(dropped)} of {len(verdicts)} episodes pass.</p>']
    if dropped:
        lines.append(
            '<p>The worst frame of each dropped episode; on the right with the commanded hands in '
            "green, the estimated hands in red, the visible object's outline in yellow, and "
            'silhouettes without what hides them in blue.</p>'
        )
    for verdict in dropped:
        name = html.escape(verdict['episode'])
        lines += [
            f'<h2>{name}</h2>',
            *(f'<p>{html.escape(reason)}</p>' for reason in verdict['reasons']),
            f'<img src="dropped/{name}.png" alt="worst frame of {name}">',
        ]
    return HEAD + '\n'.join(lines) + '\n'
