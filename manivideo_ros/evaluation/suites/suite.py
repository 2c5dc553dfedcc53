"""The held-out suite: which clips a model is measured on. Fixed, seeded, never trained on.

Objects, skins, rooms, lights, cameras and motions are of the split 'test'. Every clip is measured
twice: methods are told its exact poses, and poses with a tracker's noise (pose_noise.py). The truth
is always rendered from the exact ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from manivideo_ros.data.scenes.scene import SIZE
from manivideo_ros.evaluation.measures.clip import Measured, Tools, evaluate_clip
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.suites.clips import FramesOf, RenderedTruth
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
from manivideo_ros.evaluation.suites.pose_noise import noisy
from manivideo_ros.geometry import Array
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import Side
from manivideo_ros.motion.motion import Motion

FRAMES = 24
EXACT, NOISE = 'exact', 'noise'
POSES = (EXACT, NOISE)
SUBSETS = {
    'unseen_objects': 'random grasps of shapes that were never trained on',
    'unseen_motions': 'authored motion that was never trained on, as it is and varied; reaches',
    'dense_contact': 'four or more fingers of one hand touch the object',
    'strong_occlusion': 'of what hands cover in the image, much lies behind something',
    'recorded': 'a real recording of two hands',
    'human': 'free hands, told by their skeleton alone; reported apart from all others',
}
HUMAN = 'human'
RECORDINGS = Path('..') / 'shared' / 'data' / 'motion'
"""Beside the checkout; the recording is no part of it."""
RECORDING = 'quest_bimanual_webxr.npz'
DENSE_FINGERS, DENSE_HIDDEN, STRONG_HIDDEN = 4.0, 0.22, 0.42
OTHER_FRAMES = (0, FRAMES // 2)
"""Of every other clip: hand poses that stand for 'another frame' in the hand error."""


@dataclass(frozen=True)
class Entry:
    """A clip as it is listed: its subsets, the seed of scene and noise, and how its motion is made.

    make takes a number of frames; the motion of fewer frames is the beginning of the longer one's.
    """

    name: str
    subsets: tuple[str, ...]
    seed: int
    make: Callable[[int], Motion]


@dataclass(frozen=True, eq=False)
class SuiteClip:
    """A clip of the suite. other_hands: keypoints [K, 21, 2] by side of other clips' frames."""

    name: str
    subsets: tuple[str, ...]
    seed: int
    motion: Motion
    other_hands: Mapping[str, Array]

    def told(self) -> dict[str, Motion]:
        """The poses that methods are told, by kind."""
        return {EXACT: self.motion, NOISE: noisy(self.motion, self.seed)}

    def cut(self, frames: int) -> SuiteClip:
        """Its first frames."""
        stamps = self.motion.stamps_ns[:frames]
        return replace(self, motion=self.motion.resampled(stamps))

    def truth(self, size: int = SIZE) -> RenderedTruth:
        """Its truth, images of size x size pixels."""
        scene = HeldOutScene.of(self.motion, self.seed)
        return RenderedTruth(self.motion, scene, size, HUMAN in self.subsets)


def dense(found: Crowding) -> bool:
    """Whether a clip is of the subset 'dense_contact'."""
    return found.fingers >= DENSE_FINGERS and found.hidden >= DENSE_HIDDEN


def strong(found: Crowding) -> bool:
    """Whether a clip is of the subset 'strong_occlusion'."""
    return found.hidden >= STRONG_HIDDEN


BOTH: tuple[Side, Side] = ('left', 'right')


def entries(recordings: Path | None = RECORDINGS) -> list[Entry]:
    """The clips of the suite; those of the recording where its folder is at hand.

    Subsets take turns, so that the first few clips already show every one of them.
    """
    objects, motions = ('unseen_objects',), ('unseen_motions',)
    contact, occluded = ('unseen_objects', 'dense_contact'), ('unseen_objects', 'strong_occlusion')
    out = [
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
    return out


def human_entries() -> list[Entry]:
    """The clips for models that take skeletons: beside the suite, as they know no layers."""
    return [Entry('human-hands', (HUMAN,), 650, lambda n: free_hands(650, n))]


def build(found: Sequence[Entry], motions: Sequence[Motion]) -> list[SuiteClip]:
    """The clips of entries and their motions; a hand's 'other frames' are those of other clips."""
    poses = [_keypoints(motion) for motion in motions]
    clips = []
    for i, (entry, motion) in enumerate(zip(found, motions, strict=True)):
        others: dict[str, Array] = {}
        for side in BOTH:
            lists = [
                points[side]
                for k, points in enumerate(poses)
                if k != i and side in points and HUMAN not in found[k].subsets
            ]
            if lists:
                others[side] = np.concatenate(lists)
        clips.append(SuiteClip(entry.name, entry.subsets, entry.seed, motion, others))
    return clips


def measure(
    clip: SuiteClip,
    methods: Mapping[str, FramesOf],
    size: int = SIZE,
    tools: Tools | None = None,
    poses: Sequence[str] = POSES,
) -> dict[str, Measured]:
    """Measure methods and the baselines on a clip, by kind of told poses."""
    told = {kind: motion for kind, motion in clip.told().items() if kind in poses}
    return evaluate_clip(clip.truth(size), methods, told, clip.other_hands, tools or Tools())


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
    """Windows of the recording, with a jar in the right hand and without."""
    if folder is None or not (folder / RECORDING).is_file():
        return []
    file = folder / RECORDING
    return [
        Entry('recorded-1s', ('recorded',), 520, lambda n: recorded(file, 1.0, n, 'jar')),
        Entry('recorded-5s', ('recorded',), 521, lambda n: recorded(file, 5.0, n)),
    ]


def _keypoints(motion: Motion) -> dict[str, Array]:
    """Keypoints [K, 21, 2] by side of a motion's OTHER_FRAMES, as its camera sees them."""
    assert motion.camera is not None
    points: dict[str, list[Array]] = {}
    for index in OTHER_FRAMES:
        hands = motion.frame(min(index, len(motion) - 1)).hands
        for side in (side for side in BOTH if side in hands):
            model, state = load_hand(side), hands[side]
            points.setdefault(side, []).append(projected_keypoints(model, state, motion.camera))
    return {side: np.stack(listed) for side, listed in points.items()}


def describe(clip: SuiteClip) -> dict[str, object]:
    """What a report says of a clip besides its figures."""
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
