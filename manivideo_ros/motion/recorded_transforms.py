"""The transforms of a bag, in the buffer of the live node with all samples kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.part import Part
from manivideo_ros.messages.names import TF
from manivideo_ros.motion.transforms import TransformTree

HELD_NS = 50_000_000
"""A transform is held this long before its first and after its last sample."""
NAMES = ('tf', 'tf_static')
WIDE_NS = 500_000_000
"""Time between two samples from which on an interpolated transform is warned about."""
SHOWN = 12  # frames that a message lists


def transform_topics(reader: BagReader) -> list[str]:
    """The topics /tf and /tf_static of a bag, in any namespace, sorted."""
    return [
        topic
        for topic, kind in sorted(reader.topics.items())
        if kind == TF and topic.rpartition('/')[2] in NAMES
    ]


class NotConnectedError(ValueError):
    """No transform connects two frames; one line."""


class RecordedTransforms:
    """The transforms of all topics /tf and /tf_static of a bag, read where they are needed.

    warn: called with one line for transforms that are not used.
    """

    def __init__(self, path: Path | Part, reader: BagReader, warn: Callable[[str], None]) -> None:
        self._path, self._reader, self._warn = path, reader, warn
        self._warned: set[tuple[str, str]] = set()
        self.topics = transform_topics(reader)

    def lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.floating]:
        """target_from_source [4, 4] at a stamp (ns), interpolated between samples.

        Raises NotConnectedError if no transform connects the frames, ValueError for a stamp outside
        their samples; one line: the frames, the topics, what to do.
        """
        if target.lstrip('/') == source.lstrip('/'):
            return np.eye(4)
        try:
            covered = self._tree.covered(target, source)
        except LookupError as error:
            raise NotConnectedError(f'{error} ({self._listed()})') from None
        if covered is not None and not covered[0] - HELD_NS <= stamp_ns <= covered[1] + HELD_NS:
            first, last, asked = (f'{stamp * 1e-9:.3f}' for stamp in (*covered, stamp_ns))
            raise ValueError(
                f'{" and ".join(self.topics)}: the transform from {target!r} to {source!r} is '
                f'known from {first} to {last} s, not at {asked} s: cut the recording to these '
                'stamps, or record its transforms throughout'
            )
        between = self._tree.between_ns(target, source, stamp_ns)
        if between > WIDE_NS and (target, source) not in self._warned:
            self._warned.add((target, source))
            self._warn(
                f'{self._path}: {" and ".join(self.topics)}: from {target!r} to {source!r} nothing '
                f'was recorded for {between * 1e-9:.1f} s around {stamp_ns * 1e-9:.3f} s: the '
                'transform is interpolated'
            )
        return self._tree.lookup(target, source, stamp_ns)

    def _listed(self) -> str:
        frames = sorted(self._tree.frames)
        if not frames:
            return 'no transforms were recorded'
        more = f' and {len(frames) - SHOWN} more' if len(frames) > SHOWN else ''
        return f'frames on {" and ".join(self.topics)}: {", ".join(frames[:SHOWN])}{more}'

    @cached_property
    def _tree(self) -> TransformTree:
        tree = TransformTree(kept=None)
        parents: dict[str, str] = {}
        problems: list[str] = []
        several: set[str] = set()
        for record in self._reader.messages(self.topics) if self.topics else ():
            message = self._reader.decoded(record)
            problems += tree.take(message, static=record.topic.endswith('tf_static'))
            for transform in message.transforms:
                child, parent = transform.child_frame_id, transform.header.frame_id
                if parents.setdefault(child, parent) != parent:
                    several.add(f'{child!r} has the parents {parents[child]!r} and {parent!r}')
        topics = ' and '.join(self.topics)
        for line in sorted(several):
            self._warn(f'{self._path}: {topics}: {line}: the last one is used')
        if problems:
            self._warn(f'{self._path}: {topics}: {len(problems)} dropped: {problems[0]}')
        return tree
