"""Background, hands and light of a recorded clip: what a scene folder is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.light import Light
from manivideo_ros.camera.support import plane_moved
from manivideo_ros.data.recorded.background import Background, median_background
from manivideo_ros.data.recorded.bag import DrawnLabels, chosen
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.crop import Box, cropped_image, square_around
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.recorded.refined import refined_clip
from manivideo_ros.data.recorded.skin import Skin, fitted_skin
from manivideo_ros.data.recorded.skin_samples import (
    exposure,
    forearm_colour,
    sample_hand,
    skin_texels,
)
from manivideo_ros.data.recorded.support import resting_plane
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.estimation.crops import crop_of_keypoints
from manivideo_ros.estimation.hand_photo import hand_mask
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.estimation.refined_poses import RefinedPoses
from manivideo_ros.estimation.runtime import EstimatorError
from manivideo_ros.geometry import Array
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference, resized
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import Motion

CANDIDATES = 24
"""Frames, evenly spaced, of which one shows the hand best."""
FRAMES = 80
"""Frames, evenly spaced, that are used."""
SIZE = 256
MARGIN = 0.15
AGREES = 0.6
"""Overlap (intersection over union) of a mask by colour with the posed hand, below which it is not
used: the hand has the colour of what is behind it, or something covers it."""


@dataclass(frozen=True, eq=False)
class Exposure:
    """The camera's exposure and white balance in some frames of a clip.

    stamps_ns int64 [N]; gains [N, 3]: linear RGB of each frame relative to the background's.
    """

    stamps_ns: NDArray[np.int64]
    gains: Array

    def to_json(self) -> dict[str, Any]:
        """The exposure as JSON."""
        return {'stamps_ns': self.stamps_ns.tolist(), 'gains': np.round(self.gains, 4).tolist()}

    def summary(self) -> dict[str, Any]:
        """The least and the greatest gain of a frame, and of each channel relative to its frame."""
        mean = self.gains.mean(1)
        balance = self.gains / mean[:, None]
        return {
            'gain': [round(float(mean.min()), 3), round(float(mean.max()), 3)],
            'white_balance': np.round([balance.min(0), balance.max(0)], 3).T.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Calibration:
    """The scene of a clip.

    hand [256, 256, 3] and parts [256, 256] (1 skin): the hand reference, of the clip's frame of
    this index and of this side; by_colour: whether its mask follows the image and not the pose;
    overlap: of the two masks. fit: how its hands fit their outlines. skin: None where the clip
    shows too little of the hand. sleeve [3]: sRGB of the forearm, None where it is not seen.
    shape: of the hands, None where their poses fit without. support [4]: the plane on which objects
    lie, in the camera's frame; None where none is seen to lie still. exposure: of the used frames.
    """

    background: Background
    hand: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    frame: int
    side: Side
    by_colour: bool
    overlap: float
    fit: RefinedPoses
    skin: Skin | None
    sleeve: NDArray[np.uint8] | None
    shape: HandShape | None = None
    support: Array | None = None
    exposure: Exposure | None = None

    @property
    def reference(self) -> HandReference:
        """The hand reference."""
        texture = None if self.skin is None else self.skin.texture
        return replace(resized(self.hand, self.parts), skin=texture)

    @property
    def light(self) -> Light | None:
        """The light on the hands, in the camera's frame."""
        return None if self.skin is None else self.skin.light


def calibrated(clip: RecordedClip, hands: Mapping[Side, HandModel]) -> Calibration:
    """The scene of a clip with labels drawn from its poses; hands: models by side.

    Of a long clip FRAMES, evenly spaced, are used. Raises RecordedError if no frame shows a whole
    hand.
    """
    used = np.unique(np.linspace(0, len(clip) - 1, min(FRAMES, len(clip))).astype(int)).tolist()
    whole = clip
    clip, fit = refined_clip(chosen(clip, used), hands)
    frame, side, box, keypoints = _best(clip, hands)
    labels = clip.segmentation(frame)
    assert labels is not None  # a recording's are drawn
    hand = cropped_image(clip.image(frame), box, SIZE)
    values = [value for value, of in clip.hand_labels.items() if of == side]
    posed = cropped_image(np.isin(labels, values).astype(np.uint8), box, SIZE) > 0
    scale = SIZE / box.side
    posed_points = (keypoints - [box.left, box.top]) * scale
    seen = hand_mask(hand, _detected(hand, posed_points))
    overlap = 0.0 if seen is None else float((seen & posed).sum() / max((seen | posed).sum(), 1))
    by_colour = seen is not None and overlap >= AGREES
    # Of the posed outline only the inside is certainly skin.
    inner = cv2.erode(posed.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=4)
    parts = seen.astype(np.uint8) if seen is not None and by_colour else np.asarray(inner, np.uint8)
    if not parts.any():
        raise RecordedError(f'{clip.name}: the hand of frame {frame} cannot be masked')
    background = median_background(clip)
    gains = exposures(clip, background)
    skin, sleeve = skin_of(clip, hands, background, gains)
    where = used[frame]
    return Calibration(
        background, hand, parts, where, side, by_colour, overlap, fit, skin, sleeve,
        _shape(clip.motion), _support(whole.motion), Exposure(clip.motion.stamps_ns, gains),
    )  # fmt: skip


def _shape(motion: Motion) -> HandShape | None:
    """The shape of a fitted motion's hands; of a hand without, that of the other one."""
    betas = {str(side): track.betas for side, track in motion.hands.items() if track.betas.any()}
    if not betas:
        return None
    if motion.hand_model == 'default':  # whose two hands are mirror images
        betas = dict.fromkeys(map(str, SIDES), next(iter(betas.values()))) | betas
    return HandShape(motion.hand_model, betas)


def _support(motion: Motion) -> Array | None:
    plane = resting_plane(motion)
    assert motion.camera is not None  # a recorded clip's
    return None if plane is None else plane_moved(plane, motion.camera.camera_from_world)


def exposures(clip: RecordedClip, background: Background) -> Array:
    """The gains [N, 3] of a clip's frames relative to its background, see `exposure`."""
    found = []
    for index in range(len(clip)):
        labels = clip.segmentation(index)
        assert labels is not None  # a recording's are drawn
        found.append(exposure(clip.image(index), labels, background))
    return np.array(found).reshape(-1, 3)


def skin_of(
    clip: RecordedClip,
    hands: Mapping[Side, HandModel],
    background: Background,
    gains: Array,  # [N, 3] of the frames, by which what they show is divided
) -> tuple[Skin | None, NDArray[np.uint8] | None]:
    """The skin of the hands, with the light on it, and the colour of the forearm."""
    drawn = clip.read_labels
    assert isinstance(drawn, DrawnLabels)  # a refined clip's are
    moved = {side: hands[side] for side in SIDES if side in clip.motion.hands}
    model = next(iter(moved.values()))
    # Both hands give samples where their textures have one layout, as those of the default hand.
    places = skin_texels(model).place
    alike = {s: h for s, h in moved.items() if np.array_equal(skin_texels(h).place, places)}
    samples, arms = [], []
    for index in range(len(clip)):
        image, view, states = clip.image(index), drawn.view(index), clip.motion.frame(index).hands
        for side, hand in moved.items():
            if (state := states.get(side)) is None:
                continue
            if side in alike:
                samples.append(sample_hand(image, view, clip.camera, hand, state, gains[index]))
            points, depth = clip.camera.project(world_keypoints(hand, state))
            if depth.min() > 0:
                arms.append(forearm_colour(image, view.labels, points, background))
    found = [colour for colour in arms if colour is not None]
    sleeve = np.median(found, 0).astype(np.uint8) if len(found) > len(arms) // 4 else None
    return fitted_skin(samples, model, skin_texels(model), sleeve), sleeve


def _detected(image: NDArray[np.uint8], posed: Array) -> Array:
    """The keypoints [21, 2] of the hand in an image as the estimator sees them, else as posed."""
    try:
        found = HandEstimator().on_crop(image, crop_of_keypoints(posed))
    except EstimatorError:
        return posed
    return found.keypoints if found.found else posed


def _best(clip: RecordedClip, hands: Mapping[Side, HandModel]) -> tuple[int, Side, Box, Array]:
    """Frame, side, box and keypoints [21, 2] of the hand of which most is seen."""
    most = 0
    best = None
    for index in np.unique(np.linspace(0, len(clip) - 1, CANDIDATES).astype(int)).tolist():
        labels = clip.segmentation(index)
        assert labels is not None
        states = clip.motion.frame(index).hands
        for side in SIDES:
            values = [value for value, of in clip.hand_labels.items() if of == side]
            if side not in states or not values:
                continue
            keypoints, depth = clip.camera.project(world_keypoints(hands[side], states[side]))
            inside = (keypoints >= 0) & (keypoints < [clip.camera.width, clip.camera.height])
            area = int(np.isin(labels, values).sum())
            if depth.min() > 0 and inside.all() and area > most:
                most = area
                best = index, side, square_around(keypoints, clip.camera, MARGIN), keypoints
    if best is None:
        raise RecordedError(f'{clip.name}: no frame shows a whole hand')
    return best
