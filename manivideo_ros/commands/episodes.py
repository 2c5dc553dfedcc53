"""`manivideo episodes`: proposes where bags with several episodes are cut."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manivideo_ros.motion.sources.hand_option import HELP as HANDS_HELP
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.recording.cutting.cuts import (
    GAPS,
    JUMPS,
    Timeline,
    cut,
    marker_topics,
    timeline_of,
)

ABOUT = """Propose where recordings are cut into episodes: at the messages of topics that look like
markers, at gaps, and where hands or objects jump. Give the option that is right to `manivideo
augment` and `manivideo dataset`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for unusable bags."""
    parser = argparse.ArgumentParser(prog='manivideo episodes', description=ABOUT)
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG', help='rosbag2 folder')
    parser.add_argument('--split-on', action='append', default=[], metavar='TOPIC|gaps|jumps',
                        help='show the episodes of this only (all that are found)')  # fmt: skip
    parser.add_argument('--hands', default='', metavar='FROM', help=HANDS_HELP)
    args = parser.parse_args(arguments)
    try:
        for bag in args.bags:
            print('\n'.join(proposals(bag, args.split_on, args.hands)))
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def proposals(bag: Path, split_on: Sequence[str] = (), hands: str = '') -> list[str]:
    """One line for the bag, and those of each way to cut it; split_on: of all of these together.

    hands: what its hands are read from (motion/sources/hand_option.py). Raises as `parts_of` and
    `open_bag`.
    """
    line = timeline_of(open_bag(bag, hands))
    first, frames = line.first_ns, len(line.frames_ns)
    topics = ' and '.join(line.topics) or 'no poses or images'
    lines = [f'{bag}: {(line.last_ns - first) * 1e-9:.2f} s, {frames} messages ({topics})']
    ways = [tuple(split_on)] if split_on else _ways(line)
    for way in ways:
        parts = cut(line, way)
        options = ' '.join(f'--split-on {where}' for where in way)
        lines.append(f'  {options}: {len(parts.kept)} episodes')
        for part in parts.kept:
            start, end = max(part.start_ns, first), min(part.end_ns, line.last_ns)
            lines.append(
                f'    {part.name}: {(start - first) * 1e-9:.2f} s to {(end - first) * 1e-9:.2f} s, '
                f'{line.frames_in(part)} messages{f" ({part.reason})" if part.reason else ""}'
            )
        lines += [f'    left out: {left.removeprefix(f"{bag}: ")}' for left in parts.left_out]
    if not ways:
        lines.append('  one episode: no markers, gaps or jumps were found')
    return lines


def _ways(line: Timeline) -> list[tuple[str, ...]]:
    """The ways that make several episodes, or leave something out."""
    candidates = marker_topics(line.reader)
    ways: list[tuple[str, ...]] = []
    for where in (*candidates, GAPS, JUMPS):
        try:
            found = cut(line, (where,))
        except ValueError:
            continue  # it marks nothing
        if len(found.kept) > 1 or (found.left_out and where in candidates):
            ways.append((where,))
    return ways
