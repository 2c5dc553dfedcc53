"""A clip to be measured: what a method is told of it, and what its images are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.scene import SIZE
from manivideo_ros.evaluation.measures.baselines import COVERED
from manivideo_ros.evaluation.measures.order import SwappedLayers
from manivideo_ros.evaluation.suites.held_out import HeldOutScene, HeldOutTruth
from manivideo_ros.geometry import Camera
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
class Told:
    """All that a method may know of a clip: its frames must show the motion's poses.

    camera: S x S pixels, S being the size of the images that are wanted. objects by id, the one
    that is handled first; hands by side. background [S, S, 3]: the empty scene.
    by_skeleton: of the poses, only the skeleton that they project to may be used.
    """

    motion: Motion
    camera: Camera
    objects: Mapping[str, ObjectMesh]
    hands: Mapping[Side, HandModel]
    background: RgbImage
    hand_reference: HandReference
    by_skeleton: bool = False

    @property
    def size(self) -> int:
        """Pixels to a side of the images."""
        return self.camera.width

    def surfaces(self) -> list[Surface]:
        """Surfaces of the objects, then of the hands."""
        out = [object_surface(mesh) for mesh in self.objects.values()]
        return out + [hand_surface(hand) for hand in self.hands.values()]

    def poses(self, index: int) -> list[SurfacePose]:
        """Poses of `surfaces` in a frame."""
        hands, objects = self.motion.frame(index)
        out: list[SurfacePose] = [objects.get(name) for name in self.objects]
        return out + [hands.get(side) for side in self.hands]

    def with_poses(self, motion: Motion) -> Told:
        """The same scene in which a method is told other poses."""
        return replace(self, motion=motion)


FramesOf = Callable[[Told], Iterator[RgbImage]]
"""A method: the frames of what it was told, one after the other, each valid until the next."""


class TrueFrame(NamedTuple):
    """image: the truth; mask: where hands and objects are, all that is measured.

    swapped and competing: the truth with the nearest two layers exchanged and where they compete
    (order.py), None where nobody knows.
    """

    image: RgbImage
    mask: Mask
    swapped: RgbImage | None = None
    competing: Mask | None = None


class ClipTruth(Protocol):
    """What a clip's images are held against."""

    @property
    def told(self) -> Told:
        """What a method is told, with the true poses."""

    def frame(self, index: int) -> TrueFrame:
        """The truth of a frame."""

    def true_light(self, sample: MotionSample) -> RgbImage | None:
        """These poses under the true light (true_light.py), None where that is not known."""


class RenderedTruth:
    """The truth of a motion in a held-out scene, rendered.

    Images of another size than SIZE are the same photographs, reduced.
    """

    def __init__(
        self, motion: Motion, scene: HeldOutScene, size: int = SIZE, by_skeleton: bool = False
    ) -> None:
        self._truth = truth = HeldOutTruth(scene)
        self.told = Told(
            motion,
            scene.camera.resized(size, size),
            scene.meshes,
            scene.hands,
            reduced(truth.background, size),
            truth.hand_reference(),
            by_skeleton,
        )
        surfaces = self.told.surfaces()
        self._view = Rasterizer(surfaces, 2 * size, 2 * size, threads=1, merge=True)

    def frame(self, index: int) -> TrueFrame:
        """The truth of a frame."""
        hands, objects = self.told.motion.frame(index)
        size = self.told.size
        photograph = self._truth.photograph(hands, objects, index)
        swapped, competing = self._swapped.paint(self._truth.on_table(hands, objects))
        step = SIZE // size
        whole = np.asarray(competing.reshape(size, step, size, step).all((1, 3)))
        seen = self._view.render(self.told.camera, self.told.poses(index)).face_index[0] >= 0
        covered = seen.numpy().reshape(size, 2, size, 2).mean((1, 3))
        return TrueFrame(
            reduced(photograph, size), covered > COVERED, reduced(swapped, size), whole
        )

    def true_light(self, sample: MotionSample) -> RgbImage:
        """These poses under the scene's light."""
        return reduced(self._truth.under_true_light(*sample), self.told.size)

    @cached_property
    def _swapped(self) -> SwappedLayers:
        return SwappedLayers(self._truth.true_light)


def reduced(image: RgbImage, size: int) -> RgbImage:
    """An image [H, H, 3] at size x size pixels, which must divide it."""
    if len(image) == size:
        return image
    if len(image) % size:
        raise ValueError(f'images of {len(image)} pixels cannot be reduced to {size}')
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
