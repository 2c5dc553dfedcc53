"""Evaluates a checkpoint on DexYCB, with recorded images as ground truth.

Images are cropped to a square around the hand and objects. The mask is the labelled hand and the
object that it grasps. References come from the dataset: the median background outside the labels,
a hand reference from a frame that shows the whole hand, the published meshes. The light of these
images is unknown, so there is neither the true-light upper bound nor an occlusion order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.data.recorded.background import median_background
from manivideo_ros.data.recorded.datasets.dexycb import YCB, Sequence, read_clip
from manivideo_ros.data.recorded.datasets.dexycb_splits import SETUPS, SUBSETS, views
from manivideo_ros.data.recorded.files import RecordedError, field, numbers, read_yaml
from manivideo_ros.data.recorded.hand_reference import cropped_hand_reference
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.evaluation.photographs.recorded_truth import RecordedGroundTruth
from manivideo_ros.evaluation.reports.evaluation import Evaluation
from manivideo_ros.evaluation.run import Work, fid_of_all, in_workers
from manivideo_ros.evaluation.suites.clip_measures import Measured, evaluate_clip
from manivideo_ros.hand.load import load_hand, read_hand
from manivideo_ros.hand.state import SIDES

ANNOTATED = 'annotated'
NO_HAND_REFERENCE = 'no other frame shows the whole hand'


@dataclass(frozen=True)
class Views:
    """The views to evaluate, from a published split.

    clips: how many views, evenly spaced (None: all); frames: how many of each, from its middle
    (None: all). mano: folder of the user's MANO, None to fit hands to the published joints.
    """

    root: Path
    setup: str
    subset: str = 'test'
    mano: Path | None = None
    clips: int | None = None
    frames: int | None = None

    def chosen(self) -> list[tuple[str, str]]:
        """Pairs (sequence, serial). Raises ValueError if there are none."""
        if self.setup not in SETUPS or self.subset not in SUBSETS:
            raise ValueError(f'--split is one of {SETUPS}, --subset one of {SUBSETS}')
        found = views(self.root, self.setup, self.subset)
        if not found:
            raise ValueError(f'{self.root}: no view of {self.setup}, {self.subset}')
        count = min(self.clips or len(found), len(found))
        return [found[i] for i in np.linspace(0, len(found) - 1, count).round().astype(int)]


def read_truth(
    root: Path, sequence: str, serial: str, mano: Path | None, size: int, frames: int | None
) -> RecordedGroundTruth:
    """The ground truth of a view. Raises RecordedError."""
    published = None if mano is None else read_published_mano(mano)
    clip = read_clip(root, sequence, serial, published)
    hands = {s: load_hand(s) if mano is None else read_hand(s, mano / f'{s}.npz') for s in SIDES}
    grasped = grasped_object(Sequence(root, sequence))
    count = min(frames or len(clip), len(clip))
    first = (len(clip) - count) // 2
    side = next((side for side in SIDES if side in clip.motion.hands), None)
    reference = None if side is None else cropped_hand_reference(clip, side, first, hands[side])
    if reference is None:
        raise RecordedError(f'{clip.name}: {NO_HAND_REFERENCE}')
    background, measured = median_background(clip).image, range(first, first + count)
    return RecordedGroundTruth(clip, hands, size, measured, background, reference, grasped)


def grasped_object(sequence: Sequence) -> str:
    """Id of the object that the hand grasps. Raises RecordedError."""
    file = sequence.folder / 'meta.yml'
    place = int(numbers(field(read_yaml(file), file, 'ycb_grasp_ind'), (), file, 'ycb_grasp_ind'))
    if not 0 <= place < len(sequence.objects):
        raise RecordedError(f'{file}: ycb_grasp_ind {place} is out of range: get the file again')
    return YCB[sequence.objects[place] - 1]


def evaluate(
    work: Work, inception: Path | None, selection: Views, workers: int, about: dict[str, Any]
) -> Evaluation:
    """Measure the methods of `work` on views; unusable views are listed in `about`.

    Raises ValueError if no view is usable.
    """
    jobs = [(number, view, selection, work) for number, view in enumerate(selection.chosen())]
    done = in_workers(_measure, jobs, workers, 'measured')
    generated, *better = work.graphs
    result = Evaluation(about, generated, better[0] if better else None, judged=False)
    left_out = []
    for one in done:
        if isinstance(one, str):
            left_out.append(one)
        else:
            result.clips.append(one[0])
            result.measured.append(one[1])
    if not result.measured:
        raise ValueError(f'no view is usable; the first: {left_out[0]}')
    about['views'] = len(result.measured)
    about['left_out'] = left_out
    candidates = list(result.measured[0][ANNOTATED].figures)
    result.fid = fid_of_all(work.keep, [ANNOTATED], candidates, inception)
    return result


def _measure(
    job: tuple[int, tuple[str, str], Views, Work],
) -> tuple[dict[str, Any], dict[str, Measured]] | str:
    """The description of a view and its measures, or why it is not usable."""
    number, (sequence, serial), chosen, work = job
    try:
        truth = read_truth(chosen.root, sequence, serial, chosen.mano, work.size, chosen.frames)
        motions = {ANNOTATED: truth.inputs.motion}
        methods = work.methods()
        measured = evaluate_clip(truth, methods, motions, truth.other_hands(), work.tools())
    except RecordedError as error:
        return str(error)
    work.store_frames(number, measured)
    description = {
        'name': f'{sequence}/{serial}',
        'subsets': [],
        'frames': len(truth.inputs.motion),
        'hands': [str(side) for side in truth.inputs.hands],
        'objects': list(truth.inputs.objects),
    }
    return description, measured
