"""The newest transforms between frames, as /tf and /tf_static bring them."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import (
    invert_rigid,
    quaternion_to_matrix,
    rigid,
)
from manivideo_ros.ros.conversion import pose_message


class TransformTree:
    """Frames by name, each with its parent; of every transform the newest is kept."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, NDArray[np.floating]]] = {}

    def add(self, message: TransformStamped) -> None:
        """Take parent_from_child. Raises ValueError naming the field that makes no sense."""
        child, transform = message.child_frame_id.lstrip('/'), message.transform
        translation = np.array(
            [transform.translation.x, transform.translation.y, transform.translation.z]
        )
        q = transform.rotation
        if not np.isfinite(translation).all():
            raise ValueError(f'transform of {child!r}.translation: not finite')
        try:
            matrix = rigid(quaternion_to_matrix([q.x, q.y, q.z, q.w]), translation)
        except ValueError as error:
            raise ValueError(f'transform of {child!r}.rotation: {error}') from None
        self._parents[child] = (message.header.frame_id.lstrip('/'), matrix)

    def take(self, message: TFMessage) -> list[str]:
        """Take all transforms of a message; the problems of those that make no sense."""
        problems = []
        for transform in message.transforms:
            try:
                self.add(transform)
            except ValueError as error:
                problems.append(str(error))
        return problems

    def lookup(self, target: str, source: str) -> NDArray[np.floating]:
        """target_from_source [4, 4]. Raises LookupError where nothing connects the two."""
        target, source = target.lstrip('/'), source.lstrip('/')
        if target == source:
            return np.eye(4)
        up_source, up_target = self._to_root(source), self._to_root(target)
        shared = next((name for name in up_source if name in up_target), None)
        if shared is None:
            raise LookupError(f'no transform connects {source!r} with {target!r}')
        return invert_rigid(up_target[shared]) @ up_source[shared]

    def ancestors(self, frame: str) -> set[str]:
        """The frame and all that it hangs from, as far as is known."""
        return set(self._to_root(frame.lstrip('/')))

    def _to_root(self, frame: str) -> dict[str, NDArray[np.floating]]:
        """ancestor_from_frame of every ancestor, the nearest first."""
        out: dict[str, NDArray[np.floating]] = {frame: np.eye(4)}
        at = frame
        while at in self._parents and self._parents[at][0] not in out:
            parent, matrix = self._parents[at]
            out[parent] = matrix @ out[at]
            at = parent
        return out


def transform_message(
    header: Header, child_frame_id: str, transform: NDArray[np.floating]
) -> TransformStamped:
    """The message of parent_from_child [4, 4]; the header names the parent."""
    pose = pose_message(transform)
    at = pose.position
    return TransformStamped(
        header=header,
        child_frame_id=child_frame_id,
        transform=Transform(translation=Vector3(x=at.x, y=at.y, z=at.z), rotation=pose.orientation),
    )
