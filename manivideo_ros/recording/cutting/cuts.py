"""Where a bag with several episodes is cut: at messages of a marker topic, gaps, or jumps."""

from __future__ import annotations

import dataclasses
import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.bags.part import FOREVER, Part, PartReader, open_part
from manivideo_ros.messages.names import FRAMES, HANDS, OBJECTS
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import decoded
from manivideo_ros.motion.continuity import all_jumps, gaps
from manivideo_ros.motion.files import load_motion, topics_by_type

GAPS, JUMPS, NOWHERE = 'gaps', 'jumps', 'none'
"""Where to split, besides at the messages of a topic."""
MARKERS = tuple(
    f'std_msgs/msg/{name}'
    for name in (
        'Bool',
        'Empty',
        'String',
        *(f'{u}Int{n}' for u in ('', 'U') for n in (8, 16, 32, 64)),
    )
)
"""Types of topics that are proposed as markers; any type may be one."""
BEGIN = ('start', 'started', 'begin', 'record', 'recording', 'resume')
END = ('stop', 'stopped', 'end', 'ended', 'done', 'finish', 'finished', 'pause', 'discard', 'abort')
REPUBLISHED_NS = 1_000_000_000
"""A value that is sent again within this time is no marker of its own."""
AROUND_NS = 50_000_000  # kept on both sides of a gap: messages of other topics
FEWEST = 2  # messages of poses or images of an episode


NAMED = re.compile(r'(^|[/_])(episode|trial|take|demo|demonstration|marker|recording)s?([/_]|$)')
"""Names of topics that are markers."""


class Cut(NamedTuple):
    """A time of receipt at which an episode begins or ends, or one ends and the next begins."""

    at_ns: int
    begins: bool
    ends: bool
    reason: str


class Parts(NamedTuple):
    """The episodes of a bag, and one line for each interval that is left out."""

    kept: list[Part]
    left_out: list[str]


class Timeline(NamedTuple):
    """An opened bag: when its first and last message, and those of frames, were received, ns.

    Frames are poses, or images in a bag without any; topics: of the frames.
    """

    reader: BagReader
    first_ns: int
    last_ns: int
    frames_ns: list[int]
    topics: list[str]

    def frames_in(self, part: Part) -> int:
        """The number of messages of frames in a part."""
        return bisect_left(self.frames_ns, part.end_ns) - bisect_left(self.frames_ns, part.start_ns)


def timeline_of(bag: Path | BagReader) -> Timeline:
    """Read when the frames of a bag were received; bag: opened or not.

    Raises BagError, ValueError for one without messages.
    """
    reader = open_part(bag)
    topics = frame_topics(reader)
    if reader.span_ns == (0, 0):
        raise ValueError(f'{reader.path}: has no messages: record it again')
    frames = sorted(m.stamp_ns for m in reader.messages(topics)) if topics else []
    return Timeline(reader, *reader.span_ns, frames, topics)


def parts_of(
    bag: Path | BagReader,
    split_on: Sequence[str] = (),
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Parts:
    """Cut a bag, opened or not, into episodes.

    split_on: topics, each message of which is a marker (`markers`), `gaps` or `jumps` of its poses,
    or `none`. start_s, end_s: seconds from the bag's first message; what is before and after is
    left out. Raises BagError or MotionError for an unusable bag, ValueError for limits without
    messages, a topic that is not in the bag or marks nothing, and a bag with a topic that marks
    several episodes where split_on is empty.
    """
    cuts = [where for where in split_on if where != NOWHERE]
    reader = open_part(bag)
    path, named = reader.path, marker_topics(reader, named=True)
    if not cuts and not start_s and end_s is None and (split_on or not named):
        return Parts([Part(path)], [])
    line = timeline_of(reader)
    if not split_on:
        for topic in named:
            try:
                found = cut(line, [topic], start_s, end_s)
            except ValueError:
                continue  # it marks nothing
            if len(found.kept) > 1:
                raise ValueError(
                    f'{path}: {topic} marks {len(found.kept)} episodes: give --split-on {topic}, '
                    f'or --split-on {NOWHERE} if they are one'
                )
    return cut(line, cuts, start_s, end_s)


def cut(
    bag: Timeline, split_on: Sequence[str], start_s: float = 0.0, end_s: float | None = None
) -> Parts:
    """The episodes of an opened bag, as `parts_of`."""
    path, first = bag.reader.path, bag.first_ns
    end = FOREVER if end_s is None else first + round(end_s * 1e9)
    start = first + round(start_s * 1e9) if start_s else 0
    if end <= start:
        raise ValueError(f'--end {end_s:g} must be after --start {start_s:g}')
    parts, left_out = [Part(path, start, end)], list[str]()
    for where in split_on:
        split: list[Part] = []
        for part in parts:
            made = _split(bag, part, where)
            split += made.kept
            left_out += made.left_out
        parts = split
    if split_on or start_s or end_s is not None:
        left_out += [
            f'{path}: {_times(part, first)}: fewer than {FEWEST} messages of poses or images'
            for part in parts
            if bag.frames_in(part) < FEWEST
        ]
        parts = [part for part in parts if bag.frames_in(part) >= FEWEST]
    if not parts:
        raise ValueError(f'{path}: no episode is left: {"; ".join(left_out)}')
    if split_on:
        parts = [dataclasses.replace(part, number=n) for n, part in enumerate(parts)]
    return Parts(parts, left_out)


def marker_topics(reader: BagReader, named: bool = False) -> list[str]:
    """The topics whose types may mark episodes; named: whose names say so."""
    return [
        topic
        for topic, kind in sorted(reader.topics.items())
        if kind in MARKERS
        and not topic.endswith('scene')
        and (not named or NAMED.search(topic) is not None)
    ]


def frame_topics(reader: BagReader) -> list[str]:
    """The topics whose messages become frames: of poses, or else of images."""
    return _poses(reader) or [t for t, kind in reader.topics.items() if kind in FRAMES][:1]


def _split(bag: Timeline, part: Part, where: str) -> Parts:
    if where == GAPS:
        found, separates = gap_cuts(bag, part), True
    elif where == JUMPS:
        found, separates = jump_cuts(bag, part), True
    else:
        found, separates = markers(bag.reader, where)
        found = [c for c in found if part.start_ns <= c.at_ns < part.end_ns]
    if not found:
        return Parts([part], [])
    begun = part.start_ns if separates else None
    kept, left_out, reason = [], list[str](), part.reason
    idle = part.start_ns
    for each in found:
        if begun is not None and each.at_ns > begun:
            ended = dataclasses.replace(part, start_ns=begun, end_ns=each.at_ns, reason=reason)
            kept.append(ended)
        elif begun is None and each.begins:
            unused = Part(part.path, idle, each.at_ns)
            if bag.frames_in(unused) >= FEWEST:
                times = _times(unused, bag.first_ns)
                left_out.append(f'{part.path}: {times}: outside of {where}')
        begun = each.at_ns if each.begins else None
        idle, reason = each.at_ns, each.reason
    if begun is not None:
        kept.append(dataclasses.replace(part, start_ns=begun, reason=reason))
    return Parts(kept, left_out)


def markers(reader: BagReader, topic: str) -> tuple[list[Cut], bool]:
    """The cuts at a topic's messages, and whether the time before the first belongs to an episode.

    A Bool begins an episode with true and ends it with false; text that starts with a word such as
    `start` or `stop` does so too. Other text and numbers name the episode that begins, until they
    change. A message without a value (Empty) ends one episode and begins the next. Raises
    ValueError for a topic that is not in the bag or whose messages mark nothing.
    """
    if topic not in reader.topics:
        raise ValueError(
            f'{reader.path}: --split-on {topic}: no such topic: it has '
            f'{", ".join(sorted(reader.topics))}; or give {GAPS} or {JUMPS}'
        )
    types = typestore_of(reader)
    received = [
        (record.stamp_ns, _value(decoded(record.data, record.type_name, types)))
        for record in reader.messages([topic])
    ]
    values = {value for _, value in received}
    cuts: list[Cut] = []
    before: tuple[int, Any] | None = None
    for at, value in received:
        again = before is not None and value == before[1]
        late = before is not None and at - before[0] > REPUBLISHED_NS
        pulse = values == {True} or (isinstance(value, str) and _word(value))
        if not again or value is None or (pulse and late):
            reason = topic if value is None else f'{topic}: {value}'
            ends_only = value is False or (isinstance(value, str) and _word(value) == 'end')
            cuts.append(Cut(at, not ends_only, True, reason))
        before = at, value
    if not any(cut.begins for cut in cuts):
        raise ValueError(f'{reader.path}: --split-on {topic}: its messages begin no episode')
    return cuts, values == {None}


def gap_cuts(bag: Timeline, part: Part) -> list[Cut]:
    """An end before and a beginning after each gap of the poses, or of the images without any."""
    pairs = _received(bag, part)
    if _poses(bag.reader):
        stamps = load_motion(
            PartReader(part, bag.reader), camera=None, warn=lambda line: None
        ).stamps_ns
    else:
        stamps = np.array([stamp for stamp, _ in pairs], np.int64)
    cuts = []
    for index in gaps(stamps):
        before, after = _sides(pairs, int(stamps[index]))
        margin = min(AROUND_NS, (after - before) // 2)
        lasting = (after - before) * 1e-9
        cuts += [
            Cut(before + margin, False, True, GAPS),
            Cut(after - margin, True, False, f'after a gap of {lasting:.2f} s'),
        ]
    return cuts


def jump_cuts(bag: Timeline, part: Part) -> list[Cut]:
    """A cut at each jump of a hand or object."""
    if not _poses(bag.reader):
        return []
    motion, pairs = (
        load_motion(PartReader(part, bag.reader), camera=None, warn=lambda line: None),
        _received(bag, part),
    )
    cuts: dict[int, Cut] = {}
    for jump in all_jumps(motion):
        before, after = _sides(pairs, int(motion.stamps_ns[jump.frame]))
        reason = f'{jump.name} is {jump.metres:.2f} m away'
        cuts.setdefault(jump.frame, Cut((before + after + 1) // 2, True, True, reason))
    return [cuts[frame] for frame in sorted(cuts)]


def _value(message: Any) -> Any:
    """What a marker says: its number or text, all of them of a type with several; None: nothing."""
    found = []
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if (
            isinstance(value, bool | int | float | str)
            and not str(field.type).startswith('ClassVar')
            and field.name != 'structure_needs_at_least_one_member'  # of a type without fields
        ):
            found.append(value)
    return found[0] if len(found) == 1 else tuple(found) or None


def _word(text: str) -> str:
    """`begin` or `end`, if a text starts with such a word."""
    word = text.strip().lower().partition(' ')[0].strip('.:,;')
    return 'begin' if word in BEGIN else 'end' if word in END else ''


def _poses(reader: BagReader) -> list[str]:
    """The topics whose messages become frames; none if there are no poses."""
    topics = topics_by_type(reader)
    return topics.get(HANDS) or topics.get(OBJECTS, [])


def _received(bag: Timeline, part: Part) -> list[tuple[int, int]]:
    """Stamp and time of receipt of each message of frames; of images the latter twice."""
    records = PartReader(part, bag.reader).messages(bag.topics)
    if not _poses(bag.reader):
        return [(record.stamp_ns, record.stamp_ns) for record in records]
    return [(stamp_ns(bag.reader.decoded(r).header), r.stamp_ns) for r in records]


def _sides(pairs: list[tuple[int, int]], stamp: int) -> tuple[int, int]:
    """When the last message up to a stamp, and the first after it, were received."""
    before = max(at for own, at in pairs if own <= stamp)
    return before, max(before, min(at for own, at in pairs if own > stamp))


def _times(part: Part, first_ns: int) -> str:
    start = max(part.start_ns - first_ns, 0) * 1e-9
    end = 'the end' if part.end_ns == FOREVER else f'{(part.end_ns - first_ns) * 1e-9:.2f} s'
    return f'{start:.2f} s to {end}'
