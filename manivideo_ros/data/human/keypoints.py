"""Reads the keypoints of people in an image: DWPose's arrays as npz or JSON, OpenPose's JSON.

npz     keypoints [P, 134, 3]; or, as DWPose returns them, candidate [P, 134, 2] and subset
        [P, 134] (confidences)
JSON    {"keypoints": [P][134][3]}; or OpenPose's {"people": [{"pose_keypoints_2d": x, y, c of 25
        or 18 points, "face_keypoints_2d": 70 or 68, "hand_left_keypoints_2d": 21,
        "hand_right_keypoints_2d": 21}]}; a part that is empty, null or absent is not visible

Coordinates are in pixels, or relative to the image's width and height.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.drawing.skeleton import (
    BODY,
    FACE,
    FEET,
    LEFT_HAND,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    THRESHOLD,
)
from manivideo_ros.files import npz as arrays
from manivideo_ros.files.errors import reason_of

# OpenPose's BODY_25 is COCO-18 with the middle of the hips inserted at index 8.
_BODY_OF_25 = (*range(8), *range(9, 19))
_FEET_OF_25 = tuple(range(19, 25))
_MAX_RELATIVE = 2.0  # largest relative coordinate; no person in pixels is that small


class KeypointError(ValueError):
    """A keypoint file is not usable; one line names file and field and suggests a fix."""


def read_people(path: Path, width: int, height: int) -> NDArray[np.float32]:
    """Skeletons [P, 134, 3] of the people in an image, in pixels; P may be 0.

    Non-finite points are set to 0. Raises KeypointError.
    """
    return in_pixels(_read_json(path) if path.suffix == '.json' else read_npz(path), width, height)


def in_pixels(people: NDArray, width: int, height: int) -> NDArray[np.float32]:
    """People [..., 134, 3] in pixels of a width x height image, from pixels or relative units."""
    out = np.array(people, np.float32)
    out[~np.isfinite(out).all(-1)] = 0
    there = out[out[..., 2] >= THRESHOLD, :2]
    if len(there) and np.abs(there).max() <= _MAX_RELATIVE:
        out[..., :2] *= (width, height)
    return out


def read_npz(path: Path, clip: bool = False) -> NDArray[np.float32]:
    """The array [P, 134, 3] of an npz, or [F, P, 134, 3] if `clip`. Raises KeypointError."""
    try:
        data = arrays.read_npz(path)
    except FileNotFoundError:
        raise _absent(path) from None
    except ValueError as error:
        raise _unreadable(path, error) from None
    if 'keypoints' in data:
        array = data['keypoints']
    elif 'candidate' in data and 'subset' in data:
        array = _joined(path, data['candidate'], data['subset'])
    else:
        raise KeypointError(
            f'{path}: has {", ".join(data) or "no arrays"}; needs keypoints [P, 134, 3], '
            'or candidate [P, 134, 2] and subset [P, 134]'
        )
    return _people(path, 'keypoints', array, 4 if clip else 3)


def _joined(path: Path, places: NDArray, confidence: NDArray) -> NDArray:
    if places.shape[-1:] != (2,) or places.shape[:-1] != confidence.shape:
        raise KeypointError(
            f'{path}: candidate {list(places.shape)} and subset {list(confidence.shape)} do not '
            'match; needs [P, 134, 2] and [P, 134], as DWPose returns them'
        )
    return np.concatenate([places, confidence[..., None]], -1)


def _read_json(path: Path) -> NDArray[np.float32]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise _absent(path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None
    if isinstance(content, dict) and 'keypoints' in content:
        return _people(path, 'keypoints', content['keypoints'], 3)
    people = content.get('people') if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise KeypointError(
            f'{path}: has neither people, as OpenPose writes it, nor keypoints [P][134][3]'
        )
    found = [_openpose_person(path, f'people[{i}]', person) for i, person in enumerate(people)]
    return np.array(found, np.float32).reshape(-1, NUM_KEYPOINTS, 3)


def _openpose_person(path: Path, name: str, person: Any) -> NDArray[np.float32]:
    if not isinstance(person, dict):
        raise KeypointError(f'{path}: {name} is not an object; write it again with OpenPose')
    out = np.zeros((NUM_KEYPOINTS, 3), np.float32)

    def part(key: str, *counts: int) -> NDArray | None:
        values = person.get(key)
        if not values:
            return None
        try:
            points = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            points = np.zeros(0, np.float32)
        if points.shape not in [(3 * count,) for count in counts]:
            raise KeypointError(
                f'{path}: {name}.{key} must be x, y, confidence of '
                f'{" or ".join(map(str, counts))} points; write it again with OpenPose'
            )
        return points.reshape(-1, 3)

    body = part('pose_keypoints_2d', 25, 18)
    if body is not None:
        out[BODY] = body[list(_BODY_OF_25)] if len(body) == 25 else body
        if len(body) == 25:
            out[FEET] = body[list(_FEET_OF_25)]
    face = part('face_keypoints_2d', 70, 68)
    if face is not None:
        out[FACE] = face[:68]  # without the pupils
    for key, hand in (
        ('hand_left_keypoints_2d', LEFT_HAND),
        ('hand_right_keypoints_2d', RIGHT_HAND),
    ):
        points = part(key, 21)
        if points is not None:
            out[hand] = points
    return out


def _people(path: Path, name: str, values: ArrayLike, axes: int) -> NDArray[np.float32]:
    try:
        array = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        raise KeypointError(
            f'{path}: {name} is not a regular array of numbers; write it again with DWPose'
        ) from None
    if array.size == 0 and array.ndim <= axes:
        return np.zeros((*array.shape[: axes - 3], 0, NUM_KEYPOINTS, 3), np.float32)
    if array.ndim != axes or array.shape[-2:] != (NUM_KEYPOINTS, 3):
        wanted = '[F, P, 134, 3] of all frames' if axes == 4 else '[P, 134, 3]'
        raise KeypointError(
            f'{path}: {name} is {list(array.shape)}, must be {wanted} (x, y, confidence)'
        )
    return array


def _absent(path: Path) -> KeypointError:
    return KeypointError(f'{path}: no such file of keypoints; run DWPose or OpenPose on the frames')


def _unreadable(path: Path, error: Exception) -> KeypointError:
    reason = reason_of(error)
    return KeypointError(f'{path}: cannot be read as keypoints ({reason}); write it again')
