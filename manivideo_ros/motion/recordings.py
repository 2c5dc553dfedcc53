"""Recordings of hand joints in npz files, read as keypoints over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.inputs.webxr import keypoints_from_joints
from manivideo_ros.npz import read_npz

HEADSET, VIDEO = ('left', 'right'), 'keypoints'


class RecordingError(ValueError):
    """A recording that cannot be used; one line: the file, the array, the mend."""


@dataclass(frozen=True, eq=False)
class Recording:
    """21 keypoints of each hand over time.

    stamps_ns int64[F], increasing; keypoints [F,21,3] by side, metres, MediaPipe's order, NaN
    where the hand is absent, in a z-up world (headsets) or the file's own frame (keypoints).
    """

    stamps_ns: NDArray[np.int64]
    keypoints: dict[str, NDArray[np.float64]]


def read_recording(path: str | Path, side: str = 'right') -> Recording:
    """Read an npz of joints.

    `left` and/or `right` [F,25,3 or 7] (OpenXR: 26): WebXR joints, y up, NaN where absent; or
    `keypoints` [F,21,3] of one hand, that of `side`. Times: `time_s` [F], else `fps`. Raises
    RecordingError for everything else.
    """
    file = Path(path)
    try:
        arrays = read_npz(file)
    except FileNotFoundError:
        raise RecordingError(f'{file}: no such recording') from None
    except ValueError as error:
        raise RecordingError(
            f'{file}: not a readable npz ({error}): save it with numpy.savez'
        ) from None
    keypoints = {}
    for name in HEADSET:
        if name in arrays:
            try:
                keypoints[name] = keypoints_from_joints(arrays[name])
            except (ValueError, TypeError) as error:
                raise RecordingError(f'{file}: array {name!r}: {error}') from None
    if not keypoints and VIDEO in arrays:
        points = arrays[VIDEO]
        if points.ndim != 3 or points.shape[1:] != (21, 3) or points.dtype.kind not in 'fiu':
            raise RecordingError(f'{file}: array {VIDEO!r} must be [F,21,3], got {points.shape}')
        keypoints[side] = points.astype(np.float64)
    if not keypoints:
        raise RecordingError(
            f'{file}: holds {sorted(arrays)}: save joints as left and right, or as keypoints'
        )
    frames = {len(points) for points in keypoints.values()}
    if len(frames) > 1 or frames == {0}:
        raise RecordingError(f'{file}: left and right must have the same frames, at least one')
    return Recording(_stamps(file, arrays, frames.pop()), keypoints)


def _stamps(file: Path, arrays: dict[str, NDArray], frames: int) -> NDArray[np.int64]:
    if 'time_s' in arrays:
        times = np.asarray(arrays['time_s'], np.float64)
        if times.shape != (frames,):
            raise RecordingError(f'{file}: array time_s must be [{frames}], got {[*times.shape]}')
    elif 'fps' in arrays and arrays['fps'].size == 1 and float(arrays['fps'].item()) > 0:
        times = np.arange(frames) / float(arrays['fps'].item())
    else:
        raise RecordingError(f'{file}: has no times: add time_s [F] (seconds) or fps')
    if not np.all(np.isfinite(times)) or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise RecordingError(f'{file}: array time_s must increase from 0 or later, in seconds')
    return np.round(times * 1e9).astype(np.int64)
