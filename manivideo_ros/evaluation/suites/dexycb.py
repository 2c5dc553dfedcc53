"""Evaluates a checkpoint on DexYCB: the same measures, held against recorded images.

Images are a square about the action. Measured is where the hand and the object that it grasps
are labelled. References are what the dataset gives: the median background outside of the labels,
the hand from a frame that is not measured where one shows it, the published meshes. Nobody knows
the light of these images: there is neither a true-light mark nor an occlusion order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.data.recorded.background import median_background
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.crop import clip_box, cropped, cropped_image
from manivideo_ros.data.recorded.datasets.dexycb import YCB, Sequence, read_clip
from manivideo_ros.data.recorded.datasets.dexycb_splits import SETUPS, SUBSETS, views
from manivideo_ros.data.recorded.files import RecordedError, field, numbers, read_yaml
from manivideo_ros.data.recorded.hand_reference import cropped_hand_reference
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.data.scenes.scene import SIZE
from manivideo_ros.evaluation.measures.clip import Measured, evaluate_clip
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.reports.evaluation import Evaluation
from manivideo_ros.evaluation.run import Work, fid_of_all, in_workers
from manivideo_ros.evaluation.suites.clips import Told, TrueFrame
from manivideo_ros.geometry import Array
from manivideo_ros.hand.load import load_hand, read_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import MotionSample
from manivideo_ros.objects.mesh import load_object

ANNOTATED = 'annotated'
NO_HAND_VIEW = 'no other frame shows the whole hand'


@dataclass(frozen=True)
class Views:
    """Which views: of a published split, all or so many evenly spread; of each, the middle frames.

    mano: folder with the user's MANO, None: hands fitted to the published joints.
    """

    root: Path
    setup: str
    subset: str = 'test'
    mano: Path | None = None
    clips: int | None = None
    frames: int | None = None

    def chosen(self) -> list[tuple[str, str]]:
        """Pairs (sequence, serial). Raises ValueError where there are none."""
        if self.setup not in SETUPS or self.subset not in SUBSETS:
            raise ValueError(f'--split is one of {SETUPS}, --subset one of {SUBSETS}')
        found = views(self.root, self.setup, self.subset)
        if not found:
            raise ValueError(f'{self.root}: holds no view of {self.setup}, {self.subset}')
        count = min(self.clips or len(found), len(found))
        return [found[i] for i in np.linspace(0, len(found) - 1, count).round().astype(int)]


class RecordedTruth:
    """The recorded images of a DexYCB view.

    grasped: id of the object that the hand grasps; frames: so many in the middle (None: all).
    Raises RecordedError for its files, and where no frame shows the whole hand.
    """

    def __init__(
        self,
        clip: RecordedClip,
        grasped: str,
        hands: Mapping[Side, HandModel],
        size: int = SIZE,
        frames: int | None = None,
    ) -> None:
        self._clip, self._box, count = clip, clip_box(clip.motion), len(clip)
        count = min(frames or count, count)
        self._first = (len(clip) - count) // 2
        tracks = clip.motion.objects
        order = [grasped, *(name for name in tracks if name != grasped)]
        used = {side: hands[side] for side in SIDES if side in clip.motion.hands}
        side = next(iter(used), None)
        reference = (
            None if side is None else cropped_hand_reference(clip, side, self._first, used[side])
        )
        if reference is None:
            raise RecordedError(f'{clip.name}: {NO_HAND_VIEW}')
        stamps = clip.motion.stamps_ns[self._first : self._first + count]
        self.told = Told(
            clip.motion.resampled(stamps),
            cropped(clip.camera, self._box, size),
            {name: load_object(tracks[name].mesh, tracks[name].scale) for name in order},
            used,
            cropped_image(median_background(clip).image, self._box, size),
            reference,
        )
        labels = [value for value, name in clip.object_labels.items() if name == grasped]
        self._measured = [*clip.hand_labels, *labels]

    def frame(self, index: int) -> TrueFrame:
        """The image of a frame and where the hand and its object are labelled."""
        image = self._clip.image(self._first + index)
        labels = self._clip.segmentation(self._first + index)
        assert labels is not None  # DexYCB has them for every frame
        mask = np.isin(labels, self._measured).astype(np.uint8)
        size = self.told.size
        return TrueFrame(
            cropped_image(image, self._box, size),
            cropped_image(mask, self._box, size) != 0,
        )

    def true_light(self, sample: MotionSample) -> None:
        """Not known."""

    def other_hands(self) -> dict[str, Array]:
        """Keypoints [F, 21, 2] by side: each frame's are those half of the clip away."""
        told, out = self.told, {}
        for side, model in told.hands.items():
            states = [told.motion.frame(i).hands.get(side) for i in range(len(told.motion))]
            seen = [projected_keypoints(model, s, told.camera) for s in states if s is not None]
            if len(seen) > 1:
                ranks = np.cumsum([state is not None for state in states]) + len(seen) // 2
                out[str(side)] = np.stack([seen[rank % len(seen)] for rank in ranks - 1])
        return out


def read_truth(
    root: Path, sequence: str, serial: str, mano: Path | None, size: int, frames: int | None
) -> RecordedTruth:
    """The truth of a view. Raises RecordedError."""
    published = None if mano is None else read_published_mano(mano)
    clip = read_clip(root, sequence, serial, published)
    hands = {s: load_hand(s) if mano is None else read_hand(s, mano / f'{s}.npz') for s in SIDES}
    return RecordedTruth(clip, grasped_object(Sequence(root, sequence)), hands, size, frames)


def grasped_object(sequence: Sequence) -> str:
    """Id of the object that the sequence's hand grasps."""
    file = sequence.folder / 'meta.yml'
    place = int(numbers(field(read_yaml(file), file, 'ycb_grasp_ind'), (), file, 'ycb_grasp_ind'))
    if not 0 <= place < len(sequence.objects):
        raise RecordedError(f'{file}: ycb_grasp_ind names no object: get the file again')
    return YCB[sequence.objects[place] - 1]


def evaluate(
    work: Work, inception: Path | None, asked: Views, workers: int, about: dict[str, Any]
) -> Evaluation:
    """Measure the methods of `work` on views; those that cannot be used are named in `about`.

    Raises ValueError where none can.
    """
    chosen = asked.chosen()
    jobs = [(number, view, asked, work) for number, view in enumerate(chosen)]
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
        raise ValueError(f'no view can be used; the first: {left_out[0]}')
    about['views'] = len(result.measured)
    about['left_out'] = left_out
    candidates = list(result.measured[0][ANNOTATED].figures)
    result.fid = fid_of_all(work.keep, [ANNOTATED], candidates, inception)
    return result


def _measure(
    job: tuple[int, tuple[str, str], Views, Work],
) -> tuple[dict[str, Any], dict[str, Measured]] | str:
    """What is said of a view and its measures, or why it cannot be used."""
    number, (sequence, serial), asked, work = job
    try:
        truth = read_truth(asked.root, sequence, serial, asked.mano, work.size, asked.frames)
        told = {ANNOTATED: truth.told.motion}
        methods = work.methods()
        measured = evaluate_clip(truth, methods, told, truth.other_hands(), work.tools())
    except RecordedError as error:
        return str(error)
    work.put_away(number, measured)
    objects = list(truth.told.objects)
    said = {
        'name': f'{sequence}/{serial}',
        'subsets': [],
        'frames': len(truth.told.motion),
        'hands': [str(side) for side in truth.told.hands],
        'objects': objects,
    }
    return said, measured
