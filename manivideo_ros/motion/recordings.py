"""Recordings of hand joints in npz files, read as keypoints over time.

Recordings pass the same checks as live points (inputs/tables.py, inputs/checks.py): zeros are an
untracked hand; a wrong unit, side or handedness is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.npz import read_npz
from manivideo_ros.geometry import quaternion_to_matrix
from manivideo_ros.inputs.checks import SideCheck, unit_problem
from manivideo_ros.inputs.tables import TrackedHand, mediapipe, openxr
from manivideo_ros.inputs.world import to_ros

Side = Literal['left', 'right']
HEADSET, VIDEO = ('left', 'right'), 'keypoints'
# Parameters of nodes in the checks' messages, and the options here.
_OPTIONS = (('`unit` to', '--unit'), ('`axes` to', '--axes'), ('set --', 'give --'))


class RecordingError(ValueError):
    """An unusable recording; one line: the file, the array, what to do."""


@dataclass(frozen=True, eq=False)
class Recording:
    """21 keypoints of each hand over time.

    stamps_ns int64[F], increasing; keypoints [F,21,3] by side, metres, MediaPipe's order, NaN
    where the hand is absent, in a z-up world (headsets) or the file's own frame (keypoints).
    left_out: number of frames without the hand, by side and reason.
    """

    stamps_ns: NDArray[np.int64]
    keypoints: dict[str, NDArray[np.float64]]
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)


def read_recording(
    path: str | Path, side: str = 'right', unit: float = 1.0, axes: str | None = None
) -> Recording:
    """Read an npz of joints.

    `left` and/or `right` [F,25,3 or 7] (OpenXR: 26): WebXR joints, y up, quaternions xyzw; or
    `keypoints` [F,21,3] of one hand, that of `side`. NaN or all zeros where the hand is absent.
    Times: `time_s` [F], else `fps`. unit: metres per unit of the file; axes: of its world
    (inputs/world.py), None: y_up for joints, ros (unchanged) for keypoints. Raises RecordingError
    for other files, and for points that do not fit a hand of that side in that unit.
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
    hands: dict[str, tuple[str, list[TrackedHand | str]]] = {}
    for name in HEADSET:
        if name in arrays:
            hands[name] = name, _joints(file, name, arrays[name])
    if not hands and VIDEO in arrays:
        points = arrays[VIDEO]
        if points.ndim != 3 or points.shape[1:] != (21, 3) or points.dtype.kind not in 'fiu':
            raise RecordingError(f'{file}: array {VIDEO!r} must be [F,21,3], got {points.shape}')
        who = cast(Side, side)
        hands[side] = VIDEO, [_frame(partial(mediapipe, who, p), p) for p in points]
    if not hands:
        raise RecordingError(
            f'{file}: holds {sorted(arrays)}: save joints as left and right, or as keypoints'
        )
    frames = {len(found) for _, found in hands.values()}
    if len(frames) > 1 or frames == {0}:
        raise RecordingError(f'{file}: left and right must have the same frames, at least one')
    stamps = _stamps(file, arrays, frames.pop())
    keypoints: dict[str, NDArray[np.float64]] = {}
    left_out: dict[str, dict[str, int]] = {}
    for hand, (name, found) in hands.items():
        turn = axes or ('ros' if name == VIDEO else 'y_up')
        try:
            keypoints[hand], left_out[hand] = _checked(found, unit, turn)
        except ValueError as error:
            raise RecordingError(f'{file}: array {name!r}: {error}') from None
    return Recording(stamps, keypoints, left_out)


def checked_keypoints(
    side: Side, points: NDArray[np.floating], unit: float, axes: str
) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Keypoints [F,21,3] of a hand, metres, z up, NaN where it is absent, and the frames without it
    by reason. Raises ValueError for points that do not fit a hand of that side in that unit.
    """
    return _checked([_frame(partial(mediapipe, side, p), p) for p in points], unit, axes)


def _joints(file: Path, side: str, array: NDArray[np.floating]) -> list[TrackedHand | str]:
    """The hand of each frame, or the reason for its absence."""
    wrong = array.ndim != 3 or array.shape[1] not in (25, 26) or array.shape[2] not in (3, 7)
    if wrong or array.dtype.kind not in 'fiu':
        raise RecordingError(
            f'{file}: array {side!r}: WebXR joints must be [F,25,3] or [F,25,7] (OpenXR: 26 '
            f'joints), got {array.dtype} {[*array.shape]}'
        )
    who = cast(Side, side)
    joints = array.astype(np.float64)
    return [_frame(partial(openxr, who, j[:, :3], _rotations(j)), j[:, :3]) for j in joints]


def _frame(
    hand: Callable[[], TrackedHand | None], points: NDArray[np.floating]
) -> TrackedHand | str:
    """A frame's hand, or the reason for its absence."""
    if not np.isfinite(points).any() or not np.nan_to_num(points).any():
        return 'not tracked (NaN or zeros)'
    try:
        found = hand()
    except ValueError:
        return 'tracked in part'
    if found is None or not np.isfinite(found.points).all():
        return 'tracked in part'
    return found


def _rotations(joints: NDArray[np.floating]) -> NDArray[np.floating] | None:
    """The joints' rotations [J, 3, 3]; None if there are none, or one is no rotation."""
    if joints.shape[1] != 7:
        return None
    try:
        return np.stack([quaternion_to_matrix(q) for q in joints[:, 3:]])
    except ValueError:
        return None


def _checked(
    found: list[TrackedHand | str], unit: float, axes: str
) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Keypoints [F,21,3], and the number of frames without the hand by reason.

    Raises ValueError if most hands do not fit the unit, or the last ones the side and axes.
    """
    points = np.full((len(found), 21, 3), np.nan)
    reasons = [hand if isinstance(hand, str) else '' for hand in found]
    check, units, side, since = SideCheck(), list[str](), '', 0
    for number, hand in enumerate(found):
        if isinstance(hand, str):
            continue
        turned = to_ros(hand, axes, unit)
        problem = unit_problem(turned.points, unit)
        if problem:
            units.append(problem)
            reasons[number] = 'not as large as a hand'
            continue
        before, side = side, check.problem(turned)
        since = number if side and not before else since
        if side:
            reasons[number] = 'bent as the other hand'
        else:
            points[number] = turned.points
    if 2 * len(units) > sum(not isinstance(hand, str) for hand in found):
        raise ValueError(_as_options(units[len(units) // 2]))
    if side:
        raise ValueError(f'up to frame {since}: {_as_options(side)}')
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons) if reason}
    return points, counts


def _as_options(problem: str) -> str:
    for parameter, option in _OPTIONS:
        problem = problem.replace(parameter, option)
    return problem


def _stamps(file: Path, arrays: dict[str, NDArray[Any]], frames: int) -> NDArray[np.int64]:
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
