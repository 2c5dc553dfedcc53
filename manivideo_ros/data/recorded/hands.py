"""Hand tracks of published annotations: from MANO parameters, or from 21 keypoints without MANO.

A published translation is applied after the rotation about joint 0 of the rest pose: the wrist is
at rest joint 0 + translation, not at the translation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.data.recorded.files import RecordedError, read_npz
from manivideo_ros.geometry import axis_angle_to_matrix, invert_rigid, transform_points
from manivideo_ros.hand.load import read_hand
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.convert import convert
from manivideo_ros.motion.motion import HandTrack
from manivideo_ros.motion.recordings import Recording


@dataclass(frozen=True, eq=False)
class PublishedMano:
    """Parameters of the genuine MANO, needed to read annotations made with it; float64, metres.

    components [45, 45]: rows are the principal directions of theta; mean [45]: the mean pose
    relative to the flat hand; wrist [3], wrist_shapes [3, 10]: joint 0 of the rest pose.
    """

    side: Side
    components: NDArray[np.float64]
    mean: NDArray[np.float64]
    wrist: NDArray[np.float64]
    wrist_shapes: NDArray[np.float64]

    def theta(self, pose: ArrayLike, *, pca: bool, flat_hand_mean: bool) -> NDArray[np.float64]:
        """theta [..., 45] relative to the flat hand, from principal components or axis-angles."""
        values = np.asarray(pose, np.float64)
        turned = values @ self.components if pca else values
        return turned if flat_hand_mean else turned + self.mean

    def wrist_position(self, betas: ArrayLike, translation: ArrayLike) -> NDArray[np.float64]:
        """Position of joint 0 [..., 3] for betas [10] and translations [..., 3]."""
        rest = self.wrist + self.wrist_shapes @ np.asarray(betas, np.float64)
        return rest + np.asarray(translation, np.float64)


def read_published_mano(folder: str | Path) -> dict[Side, PublishedMano]:
    """Both hands of a folder with left.npz and right.npz, as written by `manivideo convert-mano`.

    MANO's shape directions of the left hand have a sign error in x, which `convert-mano` corrects.
    The three datasets were annotated with the error, so the wrist is computed with it, whichever
    the file has. Raises RecordedError or HandFileError (ValueErrors) for other files.
    """
    return {side: _read(side, Path(folder) / f'{side}.npz') for side in SIDES}


def _read(side: Side, file: Path) -> PublishedMano:
    hand = read_hand(side, file)
    components = read_npz(file, {'hands_components': (45, 45)})['hands_components']
    regressor = hand.J_regressor.astype(np.float64)
    shapes = np.einsum('v,vcs->cs', regressor[0], hand.shapedirs.astype(np.float64))
    if side == 'left':
        away = hand.v_template - (regressor @ hand.v_template)[0]
        x, y, z = np.sum(away * hand.shapedirs[:, :, 0], 0)
        if x * (y + z) >= 0:  # corrected file: restore the error
            shapes = shapes * np.array([-1.0, 1.0, 1.0])[:, None]
    return PublishedMano(
        side,
        components.astype(np.float64),
        hand.hands_mean.astype(np.float64),
        regressor[0] @ hand.v_template,
        shapes,
    )


def track_of_mano(
    hand: PublishedMano,
    pose: NDArray,
    translation: NDArray,
    betas: NDArray,
    present: NDArray[np.bool_],
    world_from_source: NDArray,
    *,
    pca: bool,
    flat_hand_mean: bool,
) -> HandTrack:
    """A hand track from pose [F, 48] (global axis-angle, then 45), translation [F, 3], betas [10].

    world_from_source [4, 4] or [F, 4, 4]: from the annotation's frame to the motion's.
    """
    pose, translation = (np.where(present[:, None], v, 0.0) for v in (pose, translation))
    turn, place = world_from_source[..., :3, :3], world_from_source[..., :3, 3]
    wrist = hand.wrist_position(betas, translation)
    return _track(
        present,
        hand.theta(pose[:, 3:], pca=pca, flat_hand_mean=flat_hand_mean),
        betas,
        turn @ axis_angle_to_matrix(pose[:, :3]),
        np.einsum('...ab,...b->...a', turn, wrist) + place,
    )


def tracks_of_keypoints(
    stamps_ns: NDArray[np.int64], keypoints: Mapping[str, NDArray]
) -> dict[str, HandTrack]:
    """Fit default hands to world keypoints [F, 21, 3] by side, metres.

    Keypoints are in MediaPipe's order, NaN where the hand is absent.
    """
    seen = {s: p for s, p in keypoints.items() if np.isfinite(p).all((1, 2)).any()}
    tracks = dict(convert(Recording(stamps_ns, seen))[0].hands) if seen else {}
    none = np.zeros(len(stamps_ns), bool)
    for side in set(keypoints) - set(seen):
        still = np.tile(np.eye(3), (len(none), 1, 1))
        zeros = np.zeros((len(none), 48))
        tracks[side] = _track(none, zeros[:, 3:], np.zeros(10), still, zeros[:, :3])
    return tracks


def keypoints_in_world(points: NDArray, camera_from_world: NDArray) -> NDArray[np.floating]:
    """Keypoints [21, 3] in a camera's frame transformed to the world; NaN if absent (-1)."""
    if not np.all(np.isfinite(points)) or np.all(points == -1):
        return np.full((21, 3), np.nan)
    return transform_points(invert_rigid(camera_from_world), points)


def label_keypoints(
    read: Callable[[int], NDArray],
    rows: Mapping[Side, int],
    present: Mapping[Side, NDArray[np.bool_]],
    camera_from_world: NDArray,
) -> dict[str, NDArray]:
    """World keypoints [F, 21, 3] by side from a view's labels; NaN where the hand is absent.

    read: labelled joints [N, 21, 3] of a frame, in the camera's frame; rows: row by side; present
    [F]: by side; frames without hands are not read.
    """
    points: dict[str, NDArray] = {s: np.full((len(present[s]), 21, 3), np.nan) for s in rows}
    for index in sorted({i for s in rows for i in np.flatnonzero(present[s]).tolist()}):
        joints = read(index)
        for side, row in rows.items():
            if present[side][index]:
                points[side][index] = keypoints_in_world(joints[row], camera_from_world)
    return points


def check_betas(betas: NDArray, file: Path) -> NDArray[np.float64]:
    """betas [10] from a subject's [10] or [F, 10]. Raises RecordedError for other shapes."""
    values = np.asarray(betas, np.float64)
    if values.ndim == 2 and len(values):
        values = np.median(values, 0)
    if values.shape != (10,) or not np.all(np.isfinite(values)):
        raise RecordedError(f'{file}: betas must be 10 finite numbers: get the file again')
    return values


def _track(
    present: NDArray[np.bool_],
    theta: NDArray,
    betas: NDArray,
    rotation: NDArray,
    position: NDArray,
) -> HandTrack:
    return HandTrack(
        present,
        theta.astype(np.float32),
        np.asarray(betas, np.float32),
        rotation.astype(np.float32),
        position.astype(np.float32),
    )
