"""A part of a bag, read as a bag of its own: one episode of a recording that has several."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.bags.bag import BagMessage, BagReader
from manivideo_ros.files.bounded_yaml import load_yaml

FOREVER = 2**63 - 1


@dataclass(frozen=True)
class Part:
    """The messages of a bag that were received from start_ns on and before end_ns.

    number: among the parts of the bag, from 0; None: the only one. reason: of its limits.
    """

    path: Path
    start_ns: int = 0
    end_ns: int = FOREVER
    number: int | None = None
    reason: str = ''

    @property
    def name(self) -> str:
        """The name of the episode that it is."""
        path = self.path.resolve()
        bag = path.stem if path.is_file() else path.name
        return bag if self.number is None else f'{bag}_part{self.number}'

    @property
    def whole(self) -> bool:
        """Whether it is the whole bag."""
        return self.start_ns == 0 and self.end_ns == FOREVER

    def __str__(self) -> str:
        return str(self.path) if self.number is None else f'{self.path}, part {self.number}'


class PartReader(BagReader):
    """Reads a part of a bag as BagReader reads a bag.

    What was latched before its start is received at its start: the scene, the static transforms.
    opened: a reader of its bag, which is not opened again.
    """

    def __init__(self, part: Part, opened: BagReader) -> None:
        self._opened = opened
        vars(self).update(vars(self._opened))
        self.part = part
        self._latched = {
            topic
            for topic, found in self.connections.items()
            if topic.endswith(('tf_static', 'scene')) or is_latched(found.qos)
        }

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages of topics (None: all), as BagReader's."""
        for message in self._opened.messages(topics):
            if self.part.start_ns <= message.stamp_ns < self.part.end_ns:
                yield message
            elif message.stamp_ns < self.part.start_ns and message.topic in self._latched:
                yield message._replace(stamp_ns=self.part.start_ns)
            elif message.stamp_ns >= self.part.end_ns and not self.truncated:
                return

    def decoded(self, record: BagMessage) -> Any:
        """As BagReader's."""
        return self._opened.decoded(record)


Bag = str | Path | Part | BagReader
"""A bag or a part of one, opened or not."""


def part_of(bag: Bag) -> Part:
    """The part that a bag is: of a path the whole."""
    if isinstance(bag, BagReader):
        return bag.part if isinstance(bag, PartReader) else Part(bag.path)
    return bag if isinstance(bag, Part) else Part(Path(bag))


def open_part(bag: Bag) -> BagReader:
    """A reader of a bag or of a part of one. Raises BagError."""
    if isinstance(bag, BagReader):
        return bag
    part = part_of(bag)
    return reader_of(part, BagReader(part.path))


def reader_of(part: Part, opened: BagReader) -> BagReader:
    """A reader of a part of a bag that was opened."""
    return opened if part.whole else PartReader(part, opened)


@cache
def durabilities(qos: str) -> tuple[str, ...]:
    """The durability of each recorded publisher; qos: their profiles in a bag's YAML."""
    try:
        return tuple(str(profile['durability']) for profile in load_yaml(qos) or [])
    except (yaml.YAMLError, ValueError, TypeError, LookupError):
        return ()


def is_latched(qos: str) -> bool:
    """Whether all publishers are transient local; qos: their profiles in a bag's YAML."""
    found = durabilities(qos)
    return bool(found) and all(d in ('1', 'transient_local') for d in found)
