"""Object tracks and cameras of published annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.data.recorded.files import field, numbers, read_yaml
from manivideo_ros.geometry import quaternion_to_matrix, rigid
from manivideo_ros.motion.motion import ObjectTrack


def track_of_poses(mesh: Path, poses: NDArray, world_from_source: NDArray) -> ObjectTrack:
    """An object track from poses [F, 7] (quaternion xyzw, translation in metres).

    mesh: its file, in metres. Absent frames are the identity in DexYCB and -1 in HO-Cap; non-finite
    values and zero quaternions also count as absent.
    """
    values = np.asarray(poses, np.float64)
    finite = np.asarray(np.isfinite(values).all(1))
    values = np.where(finite[:, None], values, 0.0)
    turned = np.linalg.norm(values[:, :4], axis=1) > 1e-6
    present: NDArray[np.bool_] = finite & turned & values[:, 4:].any(1) & ~(values == -1).all(1)
    quaternions = np.where(present[:, None], values[:, :4], [0.0, 0.0, 0.0, 1.0])
    placed = world_from_source @ rigid(quaternion_to_matrix(quaternions), values[:, 4:])
    placed = np.where(present[:, None, None], placed, np.eye(4))
    return ObjectTrack(str(mesh), 1.0, present, placed.astype(np.float32))


def published_intrinsics(fx: float, fy: float, cx: float, cy: float) -> NDArray[np.float64]:
    """Intrinsics [3, 3] with pixel centres at +0.5, from published ones with integer centres."""
    return np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1.0]])


def color_intrinsics(file: Path) -> NDArray[np.float64]:
    """Intrinsics [3, 3] of the color camera in a calibration file. Raises RecordedError."""
    color = field(read_yaml(file), file, 'color')
    values = [field(color, file, name) for name in ('fx', 'fy', 'ppx', 'ppy')]
    return published_intrinsics(*numbers(values, (4,), file, 'color'))


def master_from(extrinsics: Mapping[str, Any], file: Path, name: str) -> NDArray[np.floating]:
    """master_from_<name> [4, 4] of a camera or tag: the file has 12 numbers in row-major order.

    Raises RecordedError.
    """
    values = field(extrinsics, file, 'extrinsics', name)
    rows = numbers(values, (12,), file, name).reshape(3, 4)
    return rigid(rows[:, :3], rows[:, 3])


def stamps(frames: ArrayLike, fps: float) -> NDArray[np.int64]:
    """Stamps int64 [F] (ns) of frame numbers; frame 0 has stamp 0."""
    return np.round(np.asarray(frames) * (1e9 / fps)).astype(np.int64)
