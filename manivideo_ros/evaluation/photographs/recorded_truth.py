"""Recorded images as ground truth of a clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from manivideo_ros.camera.light import Light
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.crop import clip_box, cropped, cropped_image
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.suites.clips import ClipInputs, GroundTruthFrame, RgbImage
from manivideo_ros.geometry import Array
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import MotionSample
from manivideo_ros.objects.named import load_mesh


class RecordedGroundTruth:
    """The recorded images of a clip.

    frames: of the clip, to measure; grasped: id of the only object that is measured, '' for all;
    masked: labels of measured pixels; light: calibrated. Raises RecordedError for missing or
    damaged files.
    """

    def __init__(
        self,
        clip: RecordedClip,
        hands: Mapping[Side, HandModel],
        size: int,
        frames: range,
        background: RgbImage,  # [H, W, 3] of the camera's size
        reference: HandReference,
        grasped: str = '',
        light: Light | None = None,
    ) -> None:
        self._clip, self._box, self._first = clip, clip_box(clip.motion), frames.start
        tracks = clip.motion.objects
        order = sorted(tracks, key=lambda name: name != grasped)
        objects = [v for v, name in clip.object_labels.items() if grasped in ('', name)]
        self.masked = [*clip.hand_labels, *objects]
        stamps = clip.motion.stamps_ns[frames.start : frames.stop]
        self.inputs = ClipInputs(
            clip.motion.resampled(stamps),
            cropped(clip.camera, self._box, size),
            {name: load_mesh(tracks[name].mesh, tracks[name].scale) for name in order},
            {side: hands[side] for side in SIDES if side in clip.motion.hands},
            cropped_image(background, self._box, size),
            reference,
            light=light,
        )

    def frame(self, index: int) -> GroundTruthFrame:
        """The image of a frame, and its measured pixels as mask."""
        image = self._clip.image(self._first + index)
        labels = self._clip.segmentation(self._first + index)
        assert labels is not None  # the background is made from labels
        mask = np.isin(labels, self.masked).astype(np.uint8)
        size = self.inputs.size
        return GroundTruthFrame(
            cropped_image(image, self._box, size),
            cropped_image(mask, self._box, size) != 0,
        )

    def true_light(self, sample: MotionSample) -> None:
        """Always None: the light is unknown."""

    def other_hands(self) -> dict[str, Array]:
        """Keypoints [F, 21, 2] by side: for each frame, those half a clip away."""
        inputs, out = self.inputs, {}
        for side, model in inputs.hands.items():
            states = [inputs.motion.frame(i).hands.get(side) for i in range(len(inputs.motion))]
            seen = [projected_keypoints(model, s, inputs.camera) for s in states if s is not None]
            if len(seen) > 1:
                ranks = np.cumsum([state is not None for state in states]) + len(seen) // 2
                out[str(side)] = np.stack([seen[rank % len(seen)] for rank in ranks - 1])
        return out
