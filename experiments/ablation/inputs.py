"""Inputs of the ablation's rows: all maps of a frame, rendered from its poses."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.data.shards import image_tensor, resized
from manivideo_ros.drawing.people.hand_skeleton import hand_skeleton
from manivideo_ros.drawing.skeleton import skeleton_map
from manivideo_ros.evaluation.measures.temporal import SurfaceFlow
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.state import HandState, Side
from manivideo_ros.mlo.rasterizer import DEPTH_RANGE, Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.model.patch.network import NO_BASE

SIZE = 128  # side of the ablation's images in pixels

NORMALS, CONFIDENCE, DEPTH = 'normal_map', 'confidence', 'depth'
SKELETON, BASE, WARPED = 'skeleton', 'base', 'warped'


class FrameInputs:
    """Renders the inputs of one scene's frames.

    surfaces: hands and objects; sides: side of each hand surface, None for objects. needs: which
    inputs. background [SIZE, SIZE, 3]: shown by WARPED where there is no surface.
    """

    def __init__(
        self,
        surfaces: Sequence[Surface],
        sides: Sequence[Side | None],
        needs: Collection[str],
        background: NDArray[np.uint8],
        size: int = SIZE,
    ) -> None:
        self.sides, self.needs, self.size = list(sides), set(needs), size
        self.background = background
        layered = self.needs & {NORMALS, CONFIDENCE, DEPTH}
        self._layers = Rasterizer(surfaces, size, size, threads=1) if layered else None
        self._flow = SurfaceFlow(surfaces, size) if WARPED in self.needs else None

    def of(
        self,
        camera: Camera,
        poses: Sequence[SurfacePose],
        source: tuple[NDArray[np.uint8], Sequence[SurfacePose]] | None = None,
    ) -> dict[str, Tensor]:
        """normal_map [7, 3, S, S], confidence (D, graded) and depth (D, mode 'depth') [7, S, S],
        skeleton and warped [3, S, S]; only the needed ones.

        source: another image [S, S, 3] of the scene by this camera with its poses, for WARPED.
        """
        out = {}
        if self._layers is not None:
            layers = self._layers.render(camera, poses)
            out[NORMALS] = layers.normal_map.clone()
            out[CONFIDENCE] = layers.occlusion_confidence.clone()
            out[DEPTH] = depth_confidence(layers.depth)
        if SKELETON in self.needs:
            hands = {
                side: pose
                for side, pose in zip(self.sides, poses, strict=True)
                if side is not None and isinstance(pose, HandState)
            }
            points = hand_skeleton(camera.resized(self.size, self.size), hands)
            out[SKELETON] = torch.from_numpy(skeleton_map(points, self.size, self.size)) / 255
        if self._flow is not None and source is not None:
            out[WARPED] = self._warped(self._flow, camera, poses, *source)
        return out

    def _warped(
        self,
        flow: SurfaceFlow,
        camera: Camera,
        poses: Sequence[SurfacePose],
        image: NDArray[np.uint8],
        before: Sequence[SurfacePose],
    ) -> Tensor:
        """The source warped to the poses [3, S, S]; NO_BASE where it does not show the visible
        surface, the background where there is no surface."""
        was, now = flow.see(camera, before), flow.see(camera, poses)
        points = flow.between(was, now)
        out = np.where((now.face < 0)[..., None], self.background / 255, NO_BASE)
        if len(points.rows):
            x, y = np.ascontiguousarray(points.before.T)[:, None]
            colours = cv2.remap(image, x, y, cv2.INTER_LINEAR)[0]
            out[points.rows, points.columns] = colours / 255
        return torch.from_numpy(out.astype(np.float32)).permute(2, 0, 1)


def depth_confidence(depth: Tensor) -> Tensor:
    """D in mode 'depth' from depths [L, H, W] in metres, 0 where a layer is absent."""
    near, far = DEPTH_RANGE
    return ((far - depth) / (far - near)).clamp(0, 1) * (depth > 0)


def small(image: NDArray[np.uint8], size: int = SIZE) -> NDArray[np.uint8]:
    """A stored image [H, W, 3] resized to the ablation's size."""
    return resized(np.ascontiguousarray(image), size)


def small_tensor(image: NDArray[np.uint8], size: int = SIZE) -> Tensor:
    """A stored image [H, W, 3] resized, as float32 [3, S, S] in 0..1."""
    return image_tensor(small(image, size))
