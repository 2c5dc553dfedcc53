"""The images of one topic, one after another, and which of them belong to the frames of another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.bags.part import part_of
from manivideo_ros.messages.images import camera_image, depth_image
from manivideo_ros.messages.names import FRAMES
from manivideo_ros.messages.types import decoded
from manivideo_ros.messages.video import (
    ImageReader,
    image_stamp_ns,
    is_shown,
    is_video,
    topic_of_images,
)
from manivideo_ros.motion.continuity import period_of

LOGGER = logging.getLogger(__name__)
MASK, DEPTH, BACKGROUND = '/mlo/mask', '/mlo/depth', '/background'
PERIODS, NEAR_NS = 1.5, 50e6  # of a camera: longest distance of a frame to its nearest image


class EpisodeError(ValueError):
    """An episode that cannot be exported; one line: the bag, the topic, what to do."""


class ImageStream:
    """The images of a topic, or of what image_transport appends `/foxglove` and so on to.

    topic: that they are on. stamps_ns, received_ns int64 [F]; of a video those from its first key
    frame on. Raises EpisodeError.
    """

    def __init__(self, reader: BagReader, name: str, option: str = '--images') -> None:
        self._reader, self._types, self.part = reader, typestore_of(reader), part_of(reader)
        found = topic_of_images(reader.topics, name)
        if found is None:
            images = [t for t, k in reader.topics.items() if k in FRAMES]
            frames = [t for t in images if not t.endswith((MASK, DEPTH, BACKGROUND))]
            raise EpisodeError(
                f'{self.part}: topic {name} has no images: choose one of '
                f'{", ".join(frames or images) or "a bag with an Image topic"} with {option}'
            )
        self.topic = found
        self.stamps_ns, self.received_ns = np.array(self._stamps(), np.int64).T
        back = np.flatnonzero(np.diff(self.stamps_ns) <= 0)
        if len(back):
            raise EpisodeError(
                f'{self.part}: topic {found}: the stamp of frame {back[0] + 1} does not '
                'increase: record it again'
            )

    def colours(self, chosen: NDArray[np.intp]) -> Iterator[NDArray[np.uint8]]:
        """Images [H, W, 3] of indices that do not decrease. Raises EpisodeError for one that is no
        colour image, and for a video that is damaged or lacks messages.
        """
        reader = ImageReader()

        def read(message: Any) -> NDArray[Any] | None:
            image = reader.read(message) if is_video(message) else camera_image(message)
            return np.stack([image] * 3, -1) if image is not None and image.ndim == 2 else image

        return self._chosen(chosen, read)

    def depths(self, chosen: NDArray[np.intp]) -> Iterator[NDArray[np.float32]]:
        """Depths [H, W] in metres, 0 or NaN where unknown, of indices that do not decrease.

        Raises EpisodeError for one that is no 32FC1 or 16UC1 image.
        """
        return self._chosen(chosen, depth_image)

    def nearest(
        self, stamps_ns: NDArray[np.int64], max_gap_s: float | None = None
    ) -> tuple[NDArray[np.intp], float]:
        """The index of the image nearest to each stamp, and the longest distance, s.

        max_gap_s: allowed distance; None: PERIODS of the images, at least NEAR_NS. Raises
        EpisodeError beyond it.
        """
        after = np.searchsorted(self.stamps_ns, stamps_ns).clip(1, max(1, len(self.stamps_ns) - 1))
        before = np.maximum(after - 1, 0)
        after = np.minimum(after, len(self.stamps_ns) - 1)
        later = abs(self.stamps_ns[after] - stamps_ns) < abs(stamps_ns - self.stamps_ns[before])
        index = np.where(later, after, before)
        away = abs(self.stamps_ns[index] - stamps_ns)
        bound = max(PERIODS * period_of(self.stamps_ns), NEAR_NS)
        bound = bound if max_gap_s is None else max_gap_s * 1e9
        worst = int(np.argmax(away))
        if away[worst] > bound:
            raise EpisodeError(
                f'{self.part}: topic {self.topic}, at '
                f'{(stamps_ns[worst] - stamps_ns[0]) * 1e-9:.3f} s: its nearest image is '
                f'{away[worst] * 1e-9:.3f} s away: cut the episode there, or allow it (--max-gap)'
            )
        return index, float(away[worst]) * 1e-9

    def _chosen(
        self, chosen: NDArray[np.intp], read: Callable[[Any], NDArray[Any] | None]
    ) -> Iterator[NDArray[Any]]:
        wanted, count, place = chosen.tolist(), -1, 0
        for message, _ in self._decoded():
            if place >= len(wanted):
                return
            if is_video(message) or count + 1 == wanted[place]:
                image = self._read(read, message)
                if image is None:
                    continue
            count += 1
            while place < len(wanted) and wanted[place] == count:
                yield image
                place += 1

    def _stamps(self) -> list[tuple[int, int]]:
        """Stamp and receipt time (ns) of each image. Raises EpisodeError if there is none."""
        before = 0
        stamps: list[tuple[int, int]] = []
        for message, received_ns in self._decoded():
            if not stamps and not self._read(is_shown, message):
                before += 1
            else:
                stamps.append((image_stamp_ns(message), received_ns))
        if not stamps:
            lacks = 'has no key frame' if before else 'is empty'
            raise EpisodeError(f'{self.part}: topic {self.topic} {lacks}: record it again')
        if before:
            LOGGER.warning(
                '%s: topic %s: %d messages before its first key frame are left out, because they '
                'depend on earlier ones that were not recorded', self.part, self.topic, before
            )  # fmt: skip
        return stamps

    def _read(self, read: Callable[[Any], Any], message: Any) -> Any:
        try:
            return read(message)
        except ValueError as error:
            raise EpisodeError(f'{self.part}: {self.topic}: {error}') from None

    def _decoded(self) -> Iterator[tuple[Any, int]]:
        for record in self._reader.messages([self.topic]):
            try:
                message = decoded(record.data, record.type_name, self._types)
            except ValueError as error:
                raise EpisodeError(f'{self.part}: topic {self.topic}: {error}') from None
            yield message, record.stamp_ns
