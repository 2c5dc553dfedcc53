"""A clip to evaluate: the inputs of a method, and the ground truth of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.light import Light
from manivideo_ros.data.scenes.scene import SIZE
from manivideo_ros.evaluation.measures.baselines import COVERED
from manivideo_ros.evaluation.measures.order import SwappedLayers
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import Side
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.motion import Motion, MotionSample
from manivideo_ros.objects.mesh import ObjectMesh

RgbImage = NDArray[np.uint8]  # [S, S, 3] RGB
Mask = NDArray[np.bool_]  # [S, S]


@dataclass(frozen=True, eq=False)
class ClipInputs:
    """The inputs of a method for a clip; its frames must show the poses of the motion.

    camera: S x S pixels, the size of the expected images. objects by id, the manipulated one first;
    hands by side. background [S, S, 3]: the empty scene. by_skeleton: the method may use only the
    skeleton that the poses project to. support [4]: the support plane in the world; None: unknown.
    light: calibrated, in the camera's frame; None: unknown. skeletons: keypoints [134, 3] of each
    frame in pixels, where a person is given beside hands and objects.
    """

    motion: Motion
    camera: Camera
    objects: Mapping[str, ObjectMesh]
    hands: Mapping[Side, HandModel]
    background: RgbImage
    hand_reference: HandReference
    by_skeleton: bool = False
    support: Array | None = None
    light: Light | None = None
    skeletons: Sequence[NDArray[np.float32]] | None = None

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.camera.width

    def surfaces(self) -> list[Surface]:
        """Surfaces of the objects, then of the hands."""
        out = [object_surface(mesh) for mesh in self.objects.values()]
        return out + [hand_surface(hand) for hand in self.hands.values()]

    def poses(self, index: int) -> list[SurfacePose]:
        """Poses of `surfaces` in a frame, None where absent."""
        hands, objects = self.motion.frame(index)
        out: list[SurfacePose] = [objects.get(name) for name in self.objects]
        return out + [hands.get(side) for side in self.hands]

    def with_poses(self, motion: Motion) -> ClipInputs:
        """The same scene with other poses."""
        return replace(self, motion=motion)


FramesOf = Callable[[ClipInputs], Iterator[RgbImage]]
"""A method: yields the frames of its inputs in order, each valid until the next."""


class GroundTruthFrame(NamedTuple):
    """image: ground truth; mask: pixels of hands and objects, the only ones that are measured.

    swapped and competing: ground truth with the nearest two layers exchanged, and the mask of
    overlapping layers (order.py); None where unknown.
    """

    image: RgbImage
    mask: Mask
    swapped: RgbImage | None = None
    competing: Mask | None = None


class GroundTruth(Protocol):
    """The ground truth of a clip."""

    @property
    def inputs(self) -> ClipInputs:
        """The inputs of a method, with exact poses."""

    def frame(self, index: int) -> GroundTruthFrame:
        """The ground truth of a frame."""

    def true_light(self, sample: MotionSample) -> RgbImage | None:
        """The upper bound (true_light.py) for these poses, None where the light is unknown."""


class RenderedGroundTruth:
    """Rendered ground truth of a motion in a held-out scene.

    size: side of the images in pixels. Images smaller than SIZE are rendered at SIZE and reduced.
    """

    def __init__(
        self, motion: Motion, scene: HeldOutScene, size: int = SIZE, by_skeleton: bool = False
    ) -> None:
        side = max(size, SIZE)
        scene = replace(scene, camera=scene.camera.resized(side, side))
        self._truth = truth = HeldOutGroundTruth(scene)
        self.inputs = ClipInputs(
            motion,
            scene.camera.resized(size, size),
            scene.meshes,
            scene.hands,
            reduced(truth.background, size),
            truth.hand_reference(),
            by_skeleton,
            None if by_skeleton else scene.support,
        )
        surfaces = self.inputs.surfaces()
        self._view = Rasterizer(surfaces, 2 * size, 2 * size, threads=1, merge=True)

    def frame(self, index: int) -> GroundTruthFrame:
        """The ground truth of a frame."""
        hands, objects = self.inputs.motion.frame(index)
        size = self.inputs.size
        image = self._truth.image(hands, objects, index)
        swapped, competing = self._swapped.paint(self._truth.on_table(hands, objects))
        step = max(size, SIZE) // size
        whole = np.asarray(competing.reshape(size, step, size, step).all((1, 3)))
        seen = self._view.render(self.inputs.camera, self.inputs.poses(index)).face_index[0] >= 0
        covered = seen.numpy().reshape(size, 2, size, 2).mean((1, 3))
        return GroundTruthFrame(
            reduced(image, size), covered > COVERED, reduced(swapped, size), whole
        )

    def true_light(self, sample: MotionSample) -> RgbImage:
        """The upper bound for these poses."""
        return reduced(self._truth.under_true_light(*sample), self.inputs.size)

    @cached_property
    def _swapped(self) -> SwappedLayers:
        return SwappedLayers(self._truth.true_light)


def reduced(image: RgbImage, size: int) -> RgbImage:
    """An image [H, H, 3] downscaled to size x size; raises ValueError unless size divides H."""
    if len(image) == size:
        return image
    if len(image) % size:
        raise ValueError(f'images of {len(image)} pixels cannot be downscaled to {size}')
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
