"""Transforms between frames over time, from /tf and /tf_static; tf2_ros has no wheel."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import invert_rigid
from manivideo_ros.hand.interpolation import interpolate_rigid
from manivideo_ros.messages.read import read_transform, stamp_ns
from manivideo_ros.motion.pose_buffer import CLOCK_RESET_NS

KEPT = 128
"""Samples per frame of a live node: at least half a second at the usual rates of robots."""


class TransformTree:
    """Buffers the transforms of frames and looks them up at a query time.

    As in tf2, frames of /tf_static, and those without a stamp, are valid at all times. Moving
    frames are interpolated, and held before their first and after their last sample.

    kept: samples of a frame, of which the newest are kept; None: all.
    """

    def __init__(self, kept: int | None = KEPT) -> None:
        self._links: dict[str, _Link] = {}
        self._kept = kept

    def add(self, message: Any, static: bool = False) -> None:
        """Add parent_from_child of a TransformStamped.

        Raises ValueError with the name of an invalid field.
        """
        child = message.child_frame_id.lstrip('/')
        matrix = read_transform(message.transform, f'transform of {child!r}')
        parent, stamp = message.header.frame_id.lstrip('/'), stamp_ns(message.header)
        static = static or stamp == 0
        link = self._links.get(child)
        if link is None or link.parent != parent or link.static or static:
            link = self._links[child] = _Link(parent, static, self._kept)
        link.add(stamp, matrix)

    def take(self, message: Any, static: bool = False) -> list[str]:
        """Add the valid transforms of a TFMessage; returns the problems of the others."""
        problems = []
        for transform in message.transforms:
            try:
                self.add(transform, static)
            except ValueError as error:
                problems.append(str(error))
        return problems

    def forget_moving(self) -> None:
        """Forget all moving frames, after a clock reset."""
        self._links = {child: link for child, link in self._links.items() if link.static}

    def lookup(self, target: str, source: str, at_ns: int | None = None) -> NDArray[np.floating]:
        """target_from_source [4, 4] at a stamp (ns), the newest for None.

        Raises LookupError if the frames are not connected.
        """
        target, source = target.lstrip('/'), source.lstrip('/')
        if target == source:
            return np.eye(4)
        up, down = self._meet(target, source)
        return invert_rigid(self._chain(down, at_ns)) @ self._chain(up, at_ns)

    def newest_ns(self, target: str, source: str) -> int | None:
        """The last stamp (ns) at which the transform is known; None if it is static.

        Raises LookupError if the frames are not connected.
        """
        covered = self.covered(target, source)
        return None if covered is None else covered[1]

    def covered(self, target: str, source: str) -> tuple[int, int] | None:
        """The first and the last stamp (ns) at which the transform is known; None if it is static.

        Raises LookupError if the frames are not connected.
        """
        up, down = self._meet(target.lstrip('/'), source.lstrip('/'))
        moving = [self._links[child] for child in (*up, *down) if not self._links[child].static]
        if not moving:
            return None
        return max(link.oldest_ns for link in moving), min(link.newest_ns for link in moving)

    def between_ns(self, target: str, source: str, at_ns: int) -> int:
        """The longest time (ns) between the two samples of a frame that a lookup interpolates.

        Raises LookupError if the frames are not connected.
        """
        up, down = self._meet(target.lstrip('/'), source.lstrip('/'))
        return max((self._links[child].between_ns(at_ns) for child in (*up, *down)), default=0)

    @property
    def frames(self) -> set[str]:
        """The names of all frames."""
        return {*self._links, *(link.parent for link in self._links.values())}

    def ancestors(self, frame: str) -> set[str]:
        """The frame and its ancestors, as far as known."""
        return set(self._to_root(frame.lstrip('/')))

    def root(self, frame: str) -> str:
        """The root of the frame's tree, as far as known."""
        return self._to_root(frame.lstrip('/'))[-1]

    def _meet(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """The frames from source, and those from target, up to their first common ancestor."""
        up_source, up_target = self._to_root(source), self._to_root(target)
        shared = next((name for name in up_source if name in up_target), None)
        if shared is None:
            raise LookupError(f'no transform connects {source!r} with {target!r}')
        return up_source[: up_source.index(shared)], up_target[: up_target.index(shared)]

    def _chain(self, frames: list[str], at_ns: int | None) -> NDArray[np.floating]:
        out = np.eye(4)
        for child in frames:
            out = self._links[child].at(at_ns) @ out
        return out

    def _to_root(self, frame: str) -> list[str]:
        """The frame and its ancestors, nearest first."""
        out = [frame]
        while out[-1] in self._links and self._links[out[-1]].parent not in out:
            out.append(self._links[out[-1]].parent)
        return out


class _Link:
    """parent_from_child [4, 4] of one frame: samples in the order of their stamps."""

    def __init__(self, parent: str, static: bool, kept: int | None) -> None:
        self.parent, self.static, self._kept = parent, static, kept
        self._stamps: list[int] = []
        self._samples: list[NDArray[np.floating]] = []

    @property
    def oldest_ns(self) -> int:
        return self._stamps[0]

    @property
    def newest_ns(self) -> int:
        return self._stamps[-1]

    def add(self, stamp_ns: int, matrix: NDArray[np.floating]) -> None:
        if self._stamps and stamp_ns < self._stamps[-1] - CLOCK_RESET_NS:
            self._stamps, self._samples = [], []
        at = bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            self._samples[at] = matrix
            return
        self._stamps.insert(at, stamp_ns)
        self._samples.insert(at, matrix)
        if self._kept is not None:
            del self._stamps[: -self._kept], self._samples[: -self._kept]

    def between_ns(self, stamp_ns: int) -> int:
        """Time between the samples around a stamp; 0 for one on a sample or beyond the ends."""
        after = bisect_left(self._stamps, stamp_ns)
        if self.static or after in (0, len(self._stamps)) or self._stamps[after] == stamp_ns:
            return 0
        return self._stamps[after] - self._stamps[after - 1]

    def at(self, stamp_ns: int | None) -> NDArray[np.floating]:
        """Interpolated between two samples, else the nearest one."""
        if stamp_ns is None or self.static or stamp_ns >= self._stamps[-1]:
            return self._samples[-1]
        after = bisect_left(self._stamps, stamp_ns)
        if after == 0 or self._stamps[after] == stamp_ns:
            return self._samples[after]
        before, next_ns = self._stamps[after - 1], self._stamps[after]
        fraction = (stamp_ns - before) / (next_ns - before)
        return interpolate_rigid(self._samples[after - 1], self._samples[after], fraction)
