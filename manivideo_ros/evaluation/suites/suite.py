"""The held-out suite: a fixed, seeded list of clips that no training uses.

Objects, skins, rooms, lights, cameras and motions are of the split 'test'. Every clip is measured
twice: with exact poses as input, and with tracker noise (pose_noise.py). The ground truth always
shows the exact poses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from manivideo_ros.data.scenes.scene import SIZE
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.suites.clip_measures import Measured, Tools, evaluate_clip
from manivideo_ros.evaluation.suites.clips import FramesOf, GroundTruth, RenderedGroundTruth
from manivideo_ros.evaluation.suites.held_out import HeldOutScene
from manivideo_ros.evaluation.suites.motions import (
    Crowding,
    authored_window,
    crowding,
    free_hands,
    grasp,
    reach,
    recorded,
    varied,
)
from manivideo_ros.evaluation.suites.people import (
    SEEDS,
    PersonClip,
    PersonGroundTruth,
    person_motion,
)
from manivideo_ros.geometry import Array
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_noise import noisy

FRAMES = 24
EXACT, NOISE = 'exact', 'noise'
POSES = (EXACT, NOISE)
SUBSETS = {
    'unseen_objects': 'random grasps of held-out shapes',
    'unseen_motions': 'held-out authored motion, unchanged and varied; reaches',
    'dense_contact': 'four or more fingers of one hand touch the object',
    'strong_occlusion': 'a large part of the hands is occluded',
    'recorded': 'a real recording of two hands',
    'human': 'people: free hands given as skeletons, and hands, object and skeleton; '
    'reported separately',
}
HUMAN = 'human'
RECORDINGS = Path('..') / 'shared' / 'data' / 'motion'
"""Next to the checkout; the recording is not part of the repository."""
RECORDING = 'quest_bimanual_webxr.npz'
DENSE_FINGERS, DENSE_HIDDEN, STRONG_HIDDEN = 4.0, 0.22, 0.42
OTHER_FRAMES = (0, FRAMES // 2)
"""Frames of the other clips whose hand poses are the 'other pose' of the hand error."""


@dataclass(frozen=True)
class Entry:
    """An entry of the suite: subsets, the seed of scene and noise, and a motion factory.

    make: takes a number of frames; a shorter motion is a prefix of a longer one. person: which one
    is given by hands, object and skeleton, None for others.
    """

    name: str
    subsets: tuple[str, ...]
    seed: int
    make: Callable[[int], Motion]
    person: PersonClip | None = None


@dataclass(frozen=True, eq=False)
class SuiteClip:
    """A clip of the suite. other_hands: keypoints [K, 21, 2] by side from other clips."""

    name: str
    subsets: tuple[str, ...]
    seed: int
    motion: Motion
    other_hands: Mapping[str, Array]
    person: PersonClip | None = None

    def input_motions(self) -> dict[str, Motion]:
        """The motions that methods are given, by pose kind."""
        return {EXACT: self.motion, NOISE: noisy(self.motion, self.seed)}

    def cut(self, frames: int) -> SuiteClip:
        """The clip's first frames."""
        stamps = self.motion.stamps_ns[:frames]
        return replace(self, motion=self.motion.resampled(stamps))

    def truth(self, size: int = SIZE) -> GroundTruth:
        """Its ground truth, images of size x size pixels."""
        if self.person is not None:
            return PersonGroundTruth(self.person, self.motion, FRAMES, size)
        scene = HeldOutScene.of(self.motion, self.seed)
        return RenderedGroundTruth(self.motion, scene, size, HUMAN in self.subsets)


def dense(found: Crowding) -> bool:
    """Whether a clip belongs to the subset 'dense_contact'."""
    return found.fingers >= DENSE_FINGERS and found.hidden >= DENSE_HIDDEN


def strong(found: Crowding) -> bool:
    """Whether a clip belongs to the subset 'strong_occlusion'."""
    return found.hidden >= STRONG_HIDDEN


def entries(recordings: Path | None = RECORDINGS) -> list[Entry]:
    """The clips of the suite; those of the recording only where its folder exists.

    Subsets alternate, so that the first few clips cover all of them.
    """
    objects, motions = ('unseen_objects',), ('unseen_motions',)
    contact, occluded = ('unseen_objects', 'dense_contact'), ('unseen_objects', 'strong_occlusion')
    return [
        _grasp(objects, 501, 'spray_bottle', ['right']),
        Entry('turn_mug-5s', motions, 502, lambda n: authored_window('turn_mug', 5.0, n)),
        _grasp(contact, 607, 'jar', ['right'], dense),
        _grasp(occluded, 614, 'mug', ['left'], strong),
        *_recorded(recordings),
        _grasp(objects, 505, 'dice', ['left', 'right']),
        Entry('reach-jar', motions, 506, lambda n: reach(506, 'jar', 'right', n)),
        _grasp(contact, 615, 'mug', ['left', 'right'], dense),
        _grasp(occluded, 619, 'spray_bottle', ['left', 'right'], strong),
        _grasp(objects, 509, 'mug', ['right']),
        Entry('turn_mug-3.4s', motions, 510, lambda n: authored_window('turn_mug', 3.4, n)),
        _grasp(contact, 633, 'spray_bottle', ['right'], dense),
        _grasp(occluded, 636, 'jar', ['right'], strong),
        _grasp(objects, 513, 'jar', ['left', 'right']),
        Entry('varied-a', motions, 514, lambda n: varied(514, n)),
        _grasp(contact, 637, 'dice', ['left'], dense),
        Entry('reach-mug', motions, 516, lambda n: reach(516, 'mug', 'left', n)),
        _grasp(contact, 640, 'jar', ['left', 'right'], dense),
        _grasp(occluded, 641, 'spray_bottle', ['left'], strong),
        Entry('varied-b', motions, 519, lambda n: varied(519, n)),
    ]


def human_entries() -> list[Entry]:
    """The clips for models that take skeletons, which are reported separately."""
    return [
        Entry('human-hands', (HUMAN,), 650, lambda n: free_hands(650, n)),
        *(_person(clip) for clip in get_args(PersonClip)),
    ]


def _person(clip: PersonClip) -> Entry:
    make = partial(person_motion, clip)
    return Entry(f'person-{clip}', (HUMAN,), SEEDS[clip], make, clip)


def build(found: Sequence[Entry], motions: Sequence[Motion]) -> list[SuiteClip]:
    """The clips of entries and their motions; a hand's other poses come from other clips."""
    poses = [_keypoints(motion) for motion in motions]
    clips = []
    for i, (entry, motion) in enumerate(zip(found, motions, strict=True)):
        others: dict[str, Array] = {}
        for side in SIDES:
            lists = [
                points[side]
                for k, points in enumerate(poses)
                if k != i and side in points and HUMAN not in found[k].subsets
            ]
            if lists:
                others[side] = np.concatenate(lists)
        given = entry.name, entry.subsets, entry.seed, motion, others, entry.person
        clips.append(SuiteClip(*given))
    return clips


def measure(
    clip: SuiteClip,
    methods: Mapping[str, FramesOf],
    size: int = SIZE,
    tools: Tools | None = None,
    poses: Sequence[str] = POSES,
) -> dict[str, Measured]:
    """Measure methods and the baselines on a clip, by kind of input poses."""
    motions = {kind: motion for kind, motion in clip.input_motions().items() if kind in poses}
    return evaluate_clip(clip.truth(size), methods, motions, clip.other_hands, tools or Tools())


def _grasp(
    subsets: tuple[str, ...],
    seed: int,
    shape: str,
    sides: list[Side],
    accept: Callable[[Crowding], bool] | None = None,
) -> Entry:
    name = f'{subsets[-1].split("_")[0]}-{shape}-{len(sides)}'
    return Entry(name, subsets, seed, lambda n: grasp(seed, shape, sides, n, accept))


def _recorded(folder: Path | None) -> list[Entry]:
    """Windows of the recording, with and without a jar in the right hand."""
    if folder is None or not (folder / RECORDING).is_file():
        return []
    file = folder / RECORDING
    return [
        Entry('recorded-1s', ('recorded',), 520, lambda n: recorded(file, 1.0, n, 'jar')),
        Entry('recorded-5s', ('recorded',), 521, lambda n: recorded(file, 5.0, n)),
    ]


def _keypoints(motion: Motion) -> dict[str, Array]:
    """Keypoints [K, 21, 2] by side in a motion's OTHER_FRAMES, projected by its camera."""
    assert motion.camera is not None
    points: dict[str, list[Array]] = {}
    for index in OTHER_FRAMES:
        hands = motion.frame(min(index, len(motion) - 1)).hands
        for side in (side for side in SIDES if side in hands):
            model, state = load_hand(side), hands[side]
            points.setdefault(side, []).append(projected_keypoints(model, state, motion.camera))
    return {side: np.stack(listed) for side, listed in points.items()}


def describe(clip: SuiteClip) -> dict[str, object]:
    """The description of a clip in the report."""
    found = crowding(clip.motion)
    return {
        'name': clip.name,
        'subsets': list(clip.subsets),
        'seed': clip.seed,
        'frames': len(clip.motion),
        'hands': list(clip.motion.hands),
        'objects': [track.mesh for track in clip.motion.objects.values()],
        'touching_fingers': round(found.fingers, 2),
        'hidden_share': round(found.hidden, 3),
    }
