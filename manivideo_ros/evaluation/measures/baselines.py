"""Baselines of a model: its own base image, and the same image in mean colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.drawing.base_image import Material, Painter, hand_material
from manivideo_ros.drawing.views import ObjectViews, object_material
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import Side
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.objects.mesh import ObjectMesh

COVERED = 0.5
"""Minimum coverage of a pixel that counts as hand or object."""


class Baselines:
    """Paints poses of one scene as the synthesizer does ('painted'), or in mean colours ('mean').

    painted: objects re-projected from their six views; mean: each object in the mean colour of
    its views. In both, hands have the mean colours of the hand reference.
    """

    def __init__(
        self,
        objects: Sequence[tuple[ObjectMesh, ObjectViews]],
        hands: Mapping[Side, HandModel],
        background: NDArray[np.uint8],  # [H, W, 3]
        references: Mapping[str, HandReference] | HandReference,
    ) -> None:
        """references: one for both images, or one by image name; other names are as 'painted'."""
        height, width = background.shape[:2]
        if isinstance(references, HandReference):
            references = {'painted': references, 'mean': references}
        surfaces = [object_surface(mesh) for mesh, _ in objects]
        surfaces += [hand_surface(hand) for hand in hands.values()]
        painted = [object_material(mesh, views) for mesh, views in objects]
        mean = [object_material(mesh, views, 'mean') for mesh, views in objects]
        self._materials: dict[str, list[Material]] = {
            name: [
                *(mean if name == 'mean' else painted),
                *(hand_material(hand, reference) for hand in hands.values()),
            ]
            for name, reference in references.items()
        }
        rasterizer = Rasterizer(surfaces, 2 * width, 2 * height, threads=1, merge=True)
        self._painter = Painter(rasterizer, next(iter(self._materials.values())), background)

    def paint(
        self, camera: Camera, poses: Sequence[SurfacePose]
    ) -> tuple[dict[str, torch.Tensor], NDArray[np.bool_]]:
        """Images [3, H, W] in 0..1 by name, and the mask [H, W]; poses of objects, then hands."""
        images, mask = {}, np.zeros(0, bool)
        for name, materials in self._materials.items():
            self._painter.set_materials(materials)
            base, coverage = self._painter.paint(camera, poses)
            images[name] = base.clone()
            mask = coverage.numpy() > COVERED
        return images, mask


def to_bytes(image: torch.Tensor) -> NDArray[np.uint8]:
    """An image [3, H, W] in 0..1 (values outside are clipped) as uint8 [H, W, 3]."""
    scaled = (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(1, 2, 0).numpy())
