"""The conventions of a recorded LeRobot dataset, which an export follows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.episode import Episode, EpisodeError, Table
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.features import (
    ACTION,
    COUNTERS,
    LANGUAGE,
    STAMP,
    STATE,
    TIMESTAMP,
    is_camera,
    is_depth,
    size_of,
)

OWN_RATE = 0.05  # share by which a rate may be off and count as the same
ASPECT = 0.01  # share by which an aspect may be off and count as the same
FIELDS = {'pos': 'position', 'vel': 'velocity', 'torque': 'effort'}
"""Names of JointState's fields by what lerobot's robots append to the names of their joints."""
OPTIONS = {STATE: '--state TOPIC', ACTION: '--action TOPIC'}


class Like:
    """A dataset that an export is to be merged with. Raises LeRobotError.

    Raises EpisodeError naming the feature for what an episode cannot be made like.
    """

    def __init__(self, dataset: LeRobotSet) -> None:
        self.dataset, self.features, self.fps = dataset, dataset.features, dataset.fps
        self.name = str(dataset.folder)

    @property
    def cameras(self) -> list[str]:
        """Keys of its colour cameras."""
        return [k for k, f in self.features.items() if is_camera(f) and not is_depth(f)]

    @property
    def depths(self) -> list[str]:
        """Keys of its depth cameras."""
        return [k for k, f in self.features.items() if is_camera(f) and is_depth(f)]

    @property
    def numbers(self) -> list[str]:
        """Names of its numbers that an episode must have."""
        given = {TIMESTAMP, STAMP, *COUNTERS}
        return [k for k, f in self.features.items() if not is_camera(f) and k not in given]

    def require_keys(self, cameras: Sequence[str], depths: Sequence[str]) -> None:
        """Raise ValueError naming a camera that one side lacks."""
        for wanted, given, option in (
            (self.cameras, cameras, '--images'), (self.depths, depths, '--depth')
        ):  # fmt: skip
            for key in wanted:
                if key not in given:
                    raise ValueError(
                        f'{self.name}: feature {key}: no topic is given for it: '
                        f'{option} {key.rpartition(".")[2]}=TOPIC'
                    )
            for key in given:
                if key not in wanted:
                    raise ValueError(
                        f'{self.name}: has no feature {key}; its cameras are '
                        f'{", ".join(wanted) or "none"}: name one, {option} KEY=TOPIC'
                    )

    def at_rate(self, episode: Episode) -> None:
        """Take the frames of an episode at the dataset's rate."""
        if abs(episode.rate_hz - self.fps) <= OWN_RATE * self.fps:
            return
        if episode.rate_hz < self.fps:
            raise EpisodeError(
                f'{episode.part}: feature {TIMESTAMP}: {episode.rate_hz:.1f} frames/s where '
                f'{self.name} has {self.fps}: frames are not made up; export it apart'
            )
        episode.reduce(self.fps)

    def table(self, episode: Episode, name: str, given: Table | None) -> NDArray:
        """The values [F, N] of a feature in the dataset's order and type; given: the episode's."""
        feature = self.features[name]
        if given is None:
            option = OPTIONS.get(name, f'--feature {name}=TOPIC')
            raise EpisodeError(
                f'{episode.part}: feature {name}: no topic is given for it: {option}'
            )
        if name == LANGUAGE or feature['dtype'] in ('string', 'language'):
            raise EpisodeError(f'{episode.part}: feature {name}: {feature["dtype"]} is not made')
        if len(feature['shape']) > 1:
            raise EpisodeError(
                f'{episode.part}: feature {name}: has the shape {feature["shape"]}: vectors alone '
                'are made'
            )
        wanted = names_of(feature)
        count = int(np.prod(feature['shape']))
        if len(given.names) != count:
            raise EpisodeError(
                f'{episode.part}: feature {name}: has {len(given.names)} numbers '
                f'({", ".join(given.names[:8])}) where {self.name} has {count}'
                f'{" (" + ", ".join(wanted[:8]) + ")" if wanted else ""}: choose fields, as '
                'TOPIC:FIELD,FIELD'
            )
        if wanted:
            order = _order(given.names, wanted)
            if order is None:
                lacks = next((w for w in wanted if _order(given.names, [w]) is None), wanted[0])
                raise EpisodeError(
                    f'{episode.part}: feature {name}: no column is called {lacks}, as in '
                    f'{self.name}; there are {", ".join(given.names[:12])}'
                )
            values = given.values[:, order]
        else:
            episode.remarks.append(
                f'{name}: {self.name} does not name its numbers: taken in the order '
                f'{", ".join(given.names)}'
            )
            values = given.values
        cast = values.astype(feature['dtype'])
        if np.issubdtype(cast.dtype, np.integer) and not np.array_equal(cast, values):
            raise EpisodeError(
                f'{episode.part}: feature {name}: is {feature["dtype"]} in {self.name}, the topic '
                'has fractions'
            )
        self._check_range(episode, name, cast)
        return cast

    def images(
        self, episode: Episode, key: str, images: Iterator[NDArray[Any]]
    ) -> Iterator[NDArray[Any]]:
        """Images in the size of a camera of the dataset; another aspect is refused."""
        size = size_of(self.features[key])
        resized = False
        for image in images:
            own = (image.shape[1], image.shape[0])
            if own == size:
                yield image
                continue
            if abs(own[0] * size[1] / (own[1] * size[0]) - 1) > ASPECT:
                raise EpisodeError(
                    f'{episode.part}: feature {key}: images are {own[0]}x{own[1]}, in {self.name} '
                    f'{size[0]}x{size[1]}, of another aspect: record or augment that size'
                )
            if not resized:
                resized = True
                episode.remarks.append(
                    f'{key}: resized from {own[0]}x{own[1]} to {size[0]}x{size[1]}'
                )
            shrinks = own[0] > size[0]
            kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            if image.dtype != np.uint8:
                kind = cv2.INTER_NEAREST  # depths: means of two surfaces are on neither
            yield np.asarray(cv2.resize(image, size, interpolation=kind))

    def task(self) -> str:
        """The only task of the dataset. Raises ValueError if there are several."""
        tasks = self.dataset.tasks
        if len(tasks) != 1:
            raise ValueError(
                f'{self.name}: has the tasks {"; ".join(tasks[:6])}: say which one it is, --task'
            )
        return tasks[0]

    def _check_range(self, episode: Episode, name: str, values: NDArray) -> None:
        """Note numbers far outside of what was recorded: another unit, another zero."""
        figures = self.dataset.statistics.get(name, {})
        try:
            low, high = (np.asarray(figures[n], np.float64).reshape(-1) for n in ('min', 'max'))
        except (KeyError, TypeError, ValueError):
            return
        if low.shape != values.shape[1:]:
            return
        span = np.maximum(high - low, 1e-6)
        off = ((values.min(0) > high + span) | (values.max(0) < low - span)) & (high > low)
        if off.any():
            place = int(np.argmax(off))
            column = (names_of(self.features[name]) or [str(k) for k in range(len(off))])[place]
            episode.remarks.append(
                f'warning: {name}, {column}: is {values[:, place].min():.4g} to '
                f'{values[:, place].max():.4g}, in {self.name} {low[place]:.4g} to '
                f'{high[place]:.4g}: check unit and zero'
            )


def names_of(feature: dict[str, Any]) -> list[str]:
    """The names of a feature's numbers, [] without; those of a dict are its lists'."""
    names = feature.get('names')
    if isinstance(names, dict):
        names = [each for own in names.values() if isinstance(own, list) for each in own]
    names = [str(each) for each in names] if isinstance(names, list) else []
    return names if len(names) == int(np.prod(feature['shape'])) else []


def _order(given: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """The places of names among others; those of joints may be spelled as lerobot's robots do."""
    # JointState's positions may be what has the name itself, as in bags of a dataset.
    spellings = ((str, str), (_position, str), (_spelled, _spelled), (_joint, _joint))
    for own, others in spellings:
        known = [own(name) for name in given]
        order = [known.index(others(name)) for name in wanted if others(name) in known]
        if len(order) == len(wanted) == len(set(order)) and len(set(known)) == len(known):
            return order
    return None


def _position(name: str) -> str:
    return name.removeprefix('position.')


def _spelled(name: str) -> str:
    """`position.elbow` of `elbow.pos`."""
    joint, _, field = name.rpartition('.')
    return f'{FIELDS[field]}.{joint}' if field in FIELDS else name


def _joint(name: str) -> str:
    """`elbow` of `position.elbow`, `elbow.pos` and `main_elbow`."""
    name = re.sub(r'^(position|velocity|effort)\.', '', _spelled(name))
    return re.sub(r'^main_', '', name)
