"""PSNR and SSIM of a recorded stream's frames against ground truth of the same poses."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.rendering.ground_truth import one_thread
from manivideo_ros.drawing.views import six_views
from manivideo_ros.evaluation.measures.baselines import Baselines, to_bytes
from manivideo_ros.evaluation.measures.image import ClipQuality
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.evaluation.suites.recorded import RecordedStream
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.surfaces import SurfacePose

MAX_FRAMES = 80
"""Maximum number of compared frames, evenly spaced: neighbouring frames are redundant."""


def measured_frames(count: int) -> list[int]:
    """Indices of the frames of a recording that are compared."""
    return sorted({*np.linspace(0, count - 1, min(count, MAX_FRAMES)).round().astype(int).tolist()})


class Comparison:
    """Compares generated images and the baselines with the ground truth of a held-out scene.

    Only pixels of hands and objects count.
    """

    def __init__(self, scene: HeldOutScene) -> None:
        self.scene, self.truth, self.quality = scene, HeldOutGroundTruth(scene), ClipQuality()
        self.reference = self.truth.hand_reference()
        self._baselines = Baselines(
            [(mesh, six_views(mesh)) for mesh in scene.meshes.values()],
            scene.hands,
            self.truth.background,
            self.reference,
        )

    def add(
        self,
        image: NDArray[np.uint8],  # [H, W, 3]
        hands: Mapping[str, HandState],
        objects: Mapping[str, NDArray[np.floating]],
        index: int,
    ) -> None:
        """Add the generated image of poses in the world; index: seeds the ground truth's noise."""
        poses: list[SurfacePose] = [objects.get(name) for name in self.scene.objects]
        poses += [hands.get(side) for side in self.scene.hands]
        painted, mask = self._baselines.paint(self.scene.camera, poses)
        images = {name: to_bytes(pixels) for name, pixels in painted.items()}
        images['generated'] = image
        images['true_light'] = self.truth.under_true_light(hands, objects)
        self.quality.add(images, self.truth.image(hands, objects, index), mask)


def compare(path: str | Path, indices: list[int], *topics: str) -> ClipQuality:
    """Compare frames of a recording; topics: of RecordedStream. Raises ValueError if it holds no
    held-out scene.
    """
    stream = RecordedStream(path, *topics)
    if stream.scene is None:
        raise ValueError(f'{path}: no held-out scene was recorded: ground truth is not available')
    comparison = Comparison(stream.scene)
    for index, image in zip(indices, stream.images(set(indices)), strict=True):
        comparison.add(image, *stream.poses(index), index)
    return comparison.quality


def stream_quality(
    path: str | Path, count: int, workers: int = 2, *topics: str
) -> dict[str, float]:
    """PSNR (dB) and SSIM of a recording of `count` frames, in report.json's format.

    topics: of RecordedStream.
    """
    indices = measured_frames(count)
    shares = [indices[i::workers] for i in range(workers) if indices[i::workers]]
    if len(shares) == 1:
        parts = [compare(path, shares[0], *topics)]
    else:
        with multiprocessing.get_context('spawn').Pool(len(shares), one_thread) as pool:
            parts = pool.starmap(compare, [(path, share, *topics) for share in shares])
    quality = ClipQuality()
    for part in parts:
        quality.extend(part)
    return figures(quality, len(indices))


def figures(quality: ClipQuality, frames: int) -> dict[str, float]:
    """The measures in report.json's format; frames: how many were compared."""
    result = quality.result()
    out: dict[str, float] = {'frames': frames}
    for name in ('generated', 'painted', 'mean', 'true_light'):
        psnr, ssim = result[name]
        prefix = '' if name == 'generated' else f'{name}_'
        out |= {f'{prefix}psnr_db': round(psnr, 3), f'{prefix}ssim': round(ssim, 4)}
    return out
