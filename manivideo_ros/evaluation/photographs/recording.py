"""Evaluates a checkpoint on one recording, with its images as ground truth.

The last third is measured. Background, hand reference, skin, light and mean colour are taken from
the frames before it. Only the pixels that the poses cover with hands and objects are measured,
forearms not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manivideo_ros.data.recorded.bag import mean_colour, part, read_bag_and_hands
from manivideo_ros.data.recorded.calibration import calibrated
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.evaluation.photographs.fitted_light import fitted_light
from manivideo_ros.evaluation.photographs.recorded_truth import RecordedGroundTruth
from manivideo_ros.evaluation.reports.evaluation import Evaluation
from manivideo_ros.evaluation.run import Work, fid_of_all
from manivideo_ros.evaluation.suites.clip_measures import evaluate_clip
from manivideo_ros.evaluation.suites.clips import FramesOf
from manivideo_ros.evaluation.suites.methods import flat, lit_base
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side

RECORDED = 'recorded'
LEAST_FRAMES = 6


@dataclass(frozen=True)
class Recording:
    """A bag with images, CameraInfo and poses.

    images, camera: topics, '' for the only ones; mano: folder of the user's MANO, for poses of it;
    frames: how many of the last third are measured (None: all).
    """

    path: Path
    images: str = ''
    camera: str = ''
    mano: Path | None = None
    frames: int | None = None

    def clip(self) -> tuple[RecordedClip, dict[Side, HandModel]]:
        """The images with poses, and the hands. Raises ValueError that names the bag."""
        clip, hands = read_bag_and_hands(self.path, self.images, self.camera, self.mano)
        if len(clip) < LEAST_FRAMES:
            raise RecordedError(
                f'{self.path}: {len(clip)} images with poses, at least 6 are needed'
            )
        return clip, hands

    def truth(self, size: int) -> tuple[RecordedGroundTruth, dict[str, FramesOf]]:
        """The ground truth at size x size pixels, and methods that use only the frames before.

        Raises ValueError that names the bag.
        """
        clip, hands = self.clip()
        first = first_measured(clip)
        last = min(len(clip), first + (self.frames or len(clip)))
        before = part(clip, 0, first)
        made = calibrated(before, hands)
        frames, background = range(first, last), made.background.image
        truth = RecordedGroundTruth(
            clip, hands, size, frames, background, made.reference, light=made.light
        )
        return truth, {
            'fitted_light': fitted_light(before, hands),
            'flat': flat(mean_colour(before, truth.masked)),
        }


def first_measured(clip: RecordedClip) -> int:
    """The first frame of the last third, which is measured."""
    return len(clip) - len(clip) // 3


def evaluate(
    work: Work, inception: Path | None, recording: Recording, about: dict[str, Any]
) -> Evaluation:
    """Measure the methods of `work`, the lit base and a flat mean colour. Raises ValueError."""
    truth, methods = recording.truth(work.size)
    generated, *better = work.graphs
    lit = {'lit_base': lit_base(*work.graphs[generated])}
    motions = {RECORDED: truth.inputs.motion}
    measured = evaluate_clip(
        truth, work.methods() | lit | methods, motions, truth.other_hands(), work.tools()
    )
    work.store_frames(0, measured)
    result = Evaluation(about, generated, better[0] if better else None, judged=False)
    result.measured.append(measured)
    result.clips.append(
        {
            'name': recording.path.resolve().name,
            'subsets': [],
            'frames': len(truth.inputs.motion),
            'hands': [str(side) for side in truth.inputs.hands],
            'objects': list(truth.inputs.objects),
        }
    )
    candidates = list(measured[RECORDED].figures)
    result.fid = fid_of_all(work.keep, [RECORDED], candidates, inception)
    return result
