"""The options of commands that take recordings apart: which part, which frames, what to skip."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from manivideo_ros.bags.part import Part
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.recording.cutting.cuts import parts_of


def add_cut_options(parser: argparse.ArgumentParser, frames: str) -> None:
    """Add the options; frames: what frames are made of, for the help."""
    options = parser.add_argument_group('which episodes')
    options.add_argument('--split-on', action='append', default=[], metavar='TOPIC|gaps|jumps|none',
                         help='cut each bag into episodes: at the messages of a marker topic, at '
                         'missing poses, or where hands or objects jump; repeatable '
                         '(see `manivideo episodes`)')  # fmt: skip
    about = 'leave out what is earlier, counted from the beginning of each bag'
    options.add_argument('--start', type=float, default=0.0, metavar='SECONDS', help=about)
    options.add_argument('--end', type=float, metavar='SECONDS', help='leave out what is later')
    about = f'frames per second, of those {frames} that are nearest in time (all)'
    options.add_argument('--rate', type=float, metavar='HZ', help=about)
    about = 'leave out episodes that cannot be used, and list them at the end'
    options.add_argument('--skip-bad', action='store_true', help=about)


def check_cut_options(args: argparse.Namespace) -> None:
    """Raise ValueError for values outside their ranges."""
    for name in ('start', 'rate', 'max_gap'):
        value = getattr(args, name, None)
        if value is not None and (value < 0 or (name == 'rate' and value == 0)):
            raise ValueError(f'--{name.replace("_", "-")} must be above 0, is {value:g}')


class Skipped(list[str]):
    """What was left out and why, one line each.

    skips: whether episodes that cannot be used are left out, or are errors.
    """

    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.skips = skips

    def or_raise(self, error: ValueError) -> None:
        """Note an episode that cannot be used. Raises its error unless such are left out."""
        if not self.skips:
            raise error
        self.append(str(error))

    def require_some(self, episodes: int) -> None:
        """Raise ValueError if nothing is left."""
        if not episodes:
            raise ValueError(f'no episode can be used: {"; ".join(self)}')


def parts_of_bags(
    bags: Iterable[str | Path], args: argparse.Namespace, skipped: Skipped
) -> list[Part]:
    """The episodes of bags by the options. Raises as `parts_of`, unless bad ones are skipped."""
    found: list[Part] = []
    for bag in bags:
        try:
            parts = parts_of(open_bag(Path(bag), args.hands), args.split_on, args.start, args.end)
        except ValueError as error:
            skipped.or_raise(error)
            continue
        found += parts.kept
        skipped += parts.left_out
    skipped.require_some(len(found))
    return found


def print_skipped(skipped: Skipped) -> None:
    """List what was left out."""
    if skipped:
        print(f'left out ({len(skipped)}):')
    for line in skipped:
        print(f'  {line}')
