"""Occlusion order: whether an image shows the layer in front where two layers compete.

The counter-example is rendered: the same poses under the scene's true light, with the nearest two
layers changing places in every pixel that both of them cover. The hidden layer is lit as if nothing
lay in light's way (true_light.py): a model that mistakes the order paints it in its lit colours,
not as dark as it truly lies there. Only pixels in which truth and counter-example are clearly
apart tell anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.rendering.photograph import develop
from manivideo_ros.evaluation.measures.true_light import TrueLight
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.mlo.rasterizer import LayerBuffers, Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose

CLEARLY_APART = 20.0
"""Grey levels between truth and counter-example from which on a pixel counts."""


class SwappedRasterizer(Rasterizer):
    """Stands for a merged rasterizer: it sees the second nearest layer where there are two.

    competing bool [H, W]: where two layers of the last render compete.
    """

    def __init__(self, surfaces: Sequence[Surface], size: int) -> None:
        super().__init__(surfaces, size, size, threads=1)
        self.competing = np.zeros((size, size), bool)

    def render(self, camera: Camera, poses: Sequence[SurfacePose]) -> LayerBuffers:
        """One layer as Rasterizer.render has them."""
        all_layers = super().render(camera, poses)
        present = all_layers.face_index >= 0  # [L, H, W]
        depth = torch.where(present, all_layers.depth, torch.inf)
        two = depth.topk(2, dim=0, largest=False)
        self.competing = torch.isfinite(two.values[1]).numpy()
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
    """Paints what `light` paints with the nearest two layers exchanged; light's surfaces."""

    def __init__(self, light: TrueLight) -> None:
        self._light = light
        self._view = SwappedRasterizer(light.view.surfaces, 2 * light.size)

    def paint(self, poses: Sequence[SurfacePose]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The image [S, S, 3] of poses as TrueLight.paint takes them, and where layers compete.

        A pixel [S, S] competes where all of its four samples do.
        """
        light, size = self._light, self._light.size
        exposed = light.renderer.frame(self._view, light.shadow, poses)
        image = develop(exposed, light.scene.response, size, None)
        competing = self._view.competing.reshape(size, 2, size, 2)
        return image, np.asarray(competing.all((1, 3)))


def colour_distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Array:
    """Root mean square difference over the channels of colours [..., 3], grey levels [...]."""
    return np.sqrt(((first.astype(np.float64) - second) ** 2).mean(-1))


def order_counts(
    image: NDArray[np.uint8],  # [H, W, 3]
    truth: NDArray[np.uint8],  # [H, W, 3]
    swapped: NDArray[np.uint8],  # [H, W, 3]
    competing: NDArray[np.bool_],  # [H, W]
) -> tuple[int, int]:
    """How many pixels are nearer to the truth than to the swapped layers, and out of how many."""
    right, wrong, shown = truth[competing], swapped[competing], image[competing]
    telling = colour_distance(right, wrong) >= CLEARLY_APART
    nearer = colour_distance(shown, right) < colour_distance(shown, wrong)
    return int((nearer & telling).sum()), int(telling.sum())


class ClipOrder:
    """Share of competing pixels in the right order, of several candidates, frame by frame.

    1: the truth's order; 0: the layers exchanged; one half: an image that shows neither.
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
        """Take one frame; swapped and competing as SwappedLayers.paint returns them."""
        for name, image in candidates.items():
            counts = order_counts(image, truth, swapped, competing)
            self._counts.setdefault(name, []).append(counts)

    def result(self) -> dict[str, tuple[float, int]]:
        """Each candidate's share (NaN without a telling pixel) and the number of such pixels."""
        out = {}
        for name, counts in self._counts.items():
            nearer, telling = np.sum(counts, axis=0).tolist()
            out[name] = (nearer / telling if telling else float('nan'), telling)
        return out
