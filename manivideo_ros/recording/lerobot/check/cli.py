"""`manivideo dataset check`: what is wrong with a LeRobot dataset, on one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manivideo_ros.recording.lerobot.check.findings import Findings
from manivideo_ros.recording.lerobot.check.layout import Layout, read_layout
from manivideo_ros.recording.lerobot.check.metadata import check_metadata
from manivideo_ros.recording.lerobot.check.values import check_values
from manivideo_ros.recording.lerobot.check.videos import check_videos

ABOUT = """Check a LeRobot dataset, v3.0 or v2.1: info.json against the files, features against
columns and types, ranges of episodes, numbers and times of frames in tables and videos, NaN,
statistics, tasks. A line per problem: file and field, what is wrong, what to do. The exit status is
1 if there are errors."""


def check(folder: Path) -> tuple[Layout | None, Findings]:
    """Check a dataset; returns what it is, None without a readable info.json, and the findings."""
    found = Findings()
    layout = read_layout(folder, found)
    if layout is not None:
        for part in (check_metadata, check_values, check_videos):
            part(layout, found)
    return layout, found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 without errors, 1 with some, 2 without a folder."""
    parser = argparse.ArgumentParser(prog='manivideo dataset check', description=ABOUT)
    parser.add_argument('set', type=Path, help='folder of the dataset')
    args = parser.parse_args(arguments)
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        print("error: LeRobot needs pyarrow: pip install 'manivideo_ros[lerobot]'", file=sys.stderr)
        return 2
    if not args.set.is_dir():
        print(f'error: {args.set}: no such folder', file=sys.stderr)
        return 2
    layout, found = check(args.set)
    if layout is not None:
        print(*summary(layout), sep='\n')
    for line in found.text():
        print(line)
    print(f'{args.set}: {found.errors} errors, {found.warnings} warnings')
    return 1 if found.errors else 0


def summary(layout: Layout) -> list[str]:
    """What the dataset is, in a few lines."""
    frames = sum(entry.length for entry in layout.entries)
    features = ', '.join(
        f'{name} ({feature.get("dtype")} {"x".join(str(n) for n in feature.get("shape") or ())})'
        for name, feature in layout.features.items()
    )
    tasks = '; '.join(layout.tasks.values())
    return [
        f'LeRobot {layout.info["codebase_version"]}, robot {layout.info.get("robot_type")}: '
        f'{len(layout.entries)} episodes, {frames} frames, {layout.fps:g} frames/s',
        f'features: {features}',
        f'tasks: {tasks[:300]}{"..." if len(tasks) > 300 else ""}',
    ]
