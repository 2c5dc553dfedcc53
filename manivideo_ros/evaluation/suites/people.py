"""Held-out clips of people: hand poses, an object and a skeleton, and their ground truth.

Their scenes are those of the training data's kind 'person', of the split 'test', recorded ideally.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.support import plane_of
from manivideo_ros.data.human.generated import sample_hand_scene
from manivideo_ros.data.people.scenes import with_person
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.rows import skeletons_at
from manivideo_ros.data.scenes.scene import SIZE, Scene, sample_scene
from manivideo_ros.drawing.skeleton import LEFT_HAND, RIGHT_HAND, seen
from manivideo_ros.evaluation.measures.baselines import COVERED
from manivideo_ros.evaluation.measures.hand_error import hand_size
from manivideo_ros.evaluation.suites.clips import ClipInputs, GroundTruthFrame, RgbImage, reduced
from manivideo_ros.evaluation.suites.motions import motion_of
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.motion.motion import Motion, MotionSample

PersonClip = Literal['mug', 'grasp', 'free']
"""A person who turns a mug, one who holds another object, and one with empty hands."""
SEEDS: dict[PersonClip, int] = {'mug': 661, 'grasp': 662, 'free': 663}
LEAST_HAND = 32.0
"""Pixels of an image of SIZE: a smaller hand is not found in the ground truth either."""
LEAST_OBJECT = 0.08  # metres
_SCENES: dict[PersonClip, Callable[[int, int], Scene]] = {
    'mug': lambda seed, frames: sample_scene(seed, 'test', frames, 1.0, 1.0),
    'grasp': lambda seed, frames: sample_scene(seed, 'test', frames, 0.0, 1.0),
    'free': lambda seed, frames: sample_hand_scene(seed, 'test', frames, 1.0),
}


@lru_cache(maxsize=4)
def person_scene(clip: PersonClip, frames: int) -> Scene:
    """The scene of a clip: the first after its seed whose hands are large enough to be measured.

    Both are given, the shoulders are seen, and only the clip with empty hands has no object, which
    is too large to be hidden in a hand.
    """
    seed = SEEDS[clip]
    while True:
        scene = with_person(_SCENES[clip](seed, frames))
        assert scene.labels is not None and scene.skeletons is not None
        whole = all((s[[2, 5], 2] > 0).all() and _large(s) for s in scene.skeletons)
        given = all(list(action.hands) == list(SIDES) for action in scene.labels)
        size = 0.0 if scene.asset is None else float(scene.asset.mesh.extents.max())
        if whole and given and (clip == 'free' or size > LEAST_OBJECT):
            return scene
        seed += 1000


def _large(skeleton: NDArray[np.float32]) -> bool:
    """Whether both hands lie in the image, and their boxes' diagonals are LEAST_HAND or longer."""
    for hand in (LEFT_HAND, RIGHT_HAND):
        if not seen(skeleton[hand]).all() or hand_size(skeleton[hand, :2]) < LEAST_HAND:
            return False
    return True


def person_motion(clip: PersonClip, frames: int) -> Motion:
    """The hands and objects of a clip, without their arms: the skeleton has those."""
    scene = person_scene(clip, frames)
    assert scene.labels is not None
    things = [(scene.object_name, scene.object_seed)] if scene.asset is not None else []
    things += [(name, number) for name, number, _ in scene.others]
    return motion_of(scene.labels, things, scene.camera, f'person-{clip}')


class PersonGroundTruth:
    """Rendered ground truth of a person; the mask covers person, hands and objects.

    motion: `person_motion` or its first frames. frames: of the whole clip. size: side of the
    images, which are rendered at SIZE or larger and reduced.
    """

    def __init__(self, clip: PersonClip, motion: Motion, frames: int, size: int = SIZE) -> None:
        self._scene = scene = person_scene(clip, frames)
        side = max(size, SIZE)
        self._renderer = GroundTruthRenderer(side)
        background = self._renderer.start(scene)
        meshes = [scene.asset.mesh] if scene.asset is not None else []
        meshes += [asset.mesh for _, _, asset in scene.others]
        skeletons = skeletons_at(scene, (size, size))
        assert skeletons is not None
        self.inputs = ClipInputs(
            motion,
            scene.camera.resized(size, size),
            dict(zip(motion.objects, meshes, strict=True)),
            {side: load_hand(side) for side in SIDES},
            reduced(background, size),
            self._renderer.hand_reference(scene),
            support=plane_of(np.eye(4)),
            skeletons=skeletons,
        )

    def frame(self, index: int) -> GroundTruthFrame:
        """The ground truth of a frame."""
        size, scene = self.inputs.size, self._scene
        image = self._renderer.frame(index)
        covered = self._renderer.coverage(scene.poses(index))
        step = len(covered) // size
        mask = covered.reshape(size, step, size, step).mean((1, 3)) > COVERED
        return GroundTruthFrame(reduced(image, size), np.asarray(mask))

    def true_light(self, sample: MotionSample) -> RgbImage | None:
        """None: no upper bound is known of a body."""
        return None


def without_person(inputs: ClipInputs) -> ClipInputs:
    """The inputs without skeletons, to compare with."""
    return replace(inputs, skeletons=None)
