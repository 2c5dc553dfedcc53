"""Occlusion order: whether an image shows the front layer where two layers overlap.

The counter-example is rendered: the same poses under the scene's true light, with the nearest two
layers exchanged in every pixel that both cover. The hidden layer is lit without shadows
(true_light.py): a model that confuses the order paints it in its lit colours, not in the dark ones
that it has in the shadow of the front layer. Only pixels in which ground truth and counter-example
differ clearly are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.scenes.camera_response import develop
from manivideo_ros.evaluation.measures.true_light import TrueLight
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.mlo.rasterizer import LayerBuffers, Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose

CLEARLY_APART = 20.0
"""Minimum difference of ground truth and counter-example in grey levels for a pixel to count."""


class SwappedRasterizer(Rasterizer):
    """Drop-in for a merged rasterizer that shows the second nearest layer where there are two.

    competing bool [H, W]: where at least two layers of the last render overlap. nearest int
    [2, H, W]: the layers that are nearest and second nearest there.
    """

    def __init__(self, surfaces: Sequence[Surface], width: int, height: int) -> None:
        super().__init__(surfaces, width, height, threads=1)
        self.competing = np.zeros((height, width), bool)
        self.nearest = np.zeros((2, height, width), np.int64)

    def render(self, camera: Camera, poses: Sequence[SurfacePose]) -> LayerBuffers:
        """Render as Rasterizer.render does, as one layer."""
        all_layers = super().render(camera, poses)
        present = all_layers.face_index >= 0  # [L, H, W]
        depth = torch.where(present, all_layers.depth, torch.inf)
        two = depth.topk(2, dim=0, largest=False)
        self.competing = torch.isfinite(two.values[1]).numpy()
        self.nearest = two.indices.numpy()
        seen = torch.where(torch.isfinite(two.values[1]), two.indices[1], two.indices[0])[None]
        normal = all_layers.normal_map.gather(0, seen[:, None].expand(-1, 3, -1, -1))
        face = all_layers.face_index.gather(0, seen).contiguous()
        return LayerBuffers(
            normal_map=normal.contiguous(),
            depth=all_layers.depth.gather(0, seen).contiguous(),
            occlusion_confidence=(face >= 0).float(),
            face_index=face,
            nearest_layer=torch.where(face[0] >= 0, 0, -1).int(),
            visible_normal=normal[0].contiguous(),
        )


class SwappedLayers:
    """Paints the surfaces of `light` as it does, with the nearest two layers exchanged."""

    def __init__(self, light: TrueLight) -> None:
        self._light = light
        self._view = SwappedRasterizer(light.view.surfaces, 2 * light.size[0], 2 * light.size[1])

    def paint(self, poses: Sequence[SurfacePose]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The image [S, S, 3] of poses as for TrueLight.paint, and the overlap mask [S, S].

        A pixel is in the mask if all of its four samples have at least two layers.
        """
        light, size = self._light, self._light.size
        exposed = light.renderer.frame(self._view, light.shadow, poses)
        image = develop(exposed, light.scene.response, size, None)
        width, height = size
        competing = self._view.competing.reshape(height, 2, width, 2)
        return image, np.asarray(competing.all((1, 3)))


def colour_distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Array:
    """RMS difference over the channels of colours [..., 3], in grey levels [...]."""
    return np.sqrt(((first.astype(np.float64) - second) ** 2).mean(-1))


def order_counts(
    image: NDArray[np.uint8],  # [H, W, 3]
    truth: NDArray[np.uint8],  # [H, W, 3]
    swapped: NDArray[np.uint8],  # [H, W, 3]
    competing: NDArray[np.bool_],  # [H, W]
) -> tuple[int, int]:
    """Number of pixels closer to the ground truth than to the swapped layers, and the total."""
    right, wrong, shown = truth[competing], swapped[competing], image[competing]
    counted = colour_distance(right, wrong) >= CLEARLY_APART
    nearer = colour_distance(shown, right) < colour_distance(shown, wrong)
    return int((nearer & counted).sum()), int(counted.sum())


class ClipOrder:
    """Share of pixels in the right occlusion order, of several candidates, frame by frame.

    1: the correct order; 0: the layers exchanged; 0.5: an image that shows neither.
    """

    def __init__(self) -> None:
        self._counts: dict[str, list[tuple[int, int]]] = {}

    def add(
        self,
        candidates: Mapping[str, NDArray[np.uint8]],  # name -> [H, W, 3]
        truth: NDArray[np.uint8],  # [H, W, 3]
        swapped: NDArray[np.uint8],  # [H, W, 3]
        competing: NDArray[np.bool_],  # [H, W]
    ) -> None:
        """Add one frame; swapped and competing as SwappedLayers.paint returns them."""
        for name, image in candidates.items():
            counts = order_counts(image, truth, swapped, competing)
            self._counts.setdefault(name, []).append(counts)

    def result(self) -> dict[str, tuple[float, int]]:
        """The share (NaN without counted pixels) and the number of counted pixels by candidate."""
        out = {}
        for name, counts in self._counts.items():
            nearer, counted = np.sum(counts, axis=0).tolist()
            out[name] = (nearer / counted if counted else float('nan'), counted)
        return out
