"""The trained rows as methods of the held-out suite: told poses in, images out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.ablation.inputs import BASE, WARPED, FrameInputs, small
from experiments.ablation.network import RowNet
from manivideo_ros.data.shards import NO_OBJECT_VIEW, image_tensor
from manivideo_ros.drawing.views import six_views
from manivideo_ros.evaluation.measures.baselines import Baselines, to_bytes
from manivideo_ros.evaluation.suites.clips import ClipInputs, FramesOf, RgbImage
from manivideo_ros.evaluation.suites.pose_noise import noisy
from manivideo_ros.evaluation.suites.suite import SuiteClip
from manivideo_ros.mlo.surfaces import SurfacePose
from manivideo_ros.objects.mesh import surface_points

NOISE_SEED = 0  # one noise for all frames, as a stream has it


@dataclass(frozen=True, eq=False)
class Source:
    """The photograph that a warping method starts from: the last frame of a whole clip.

    Only the clip's first frames are measured, so that no measured frame is given away.
    """

    clip: SuiteClip
    seen: RgbImage
    measured: SuiteClip

    @classmethod
    def of(cls, clip: SuiteClip, frames: int, size: int) -> tuple[SuiteClip, Source]:
        """The clip cut to its measured frames, and the source. Raises ValueError for all frames."""
        last = len(clip.motion) - 1
        if frames > last:
            raise ValueError(f'{frames} frames of {clip.name} to measure leave none to warp from')
        measured = clip.cut(frames)
        return measured, cls(clip, clip.truth(size).frame(last).image, measured)

    def poses(self, told: ClipInputs) -> list[SurfacePose]:
        """The source's poses, as exact as those that a method is told."""
        exact = told.motion is self.measured.motion
        whole = self.clip.motion if exact else noisy(self.clip.motion, self.clip.seed)
        return told.with_poses(whole).poses(len(whole) - 1)


def method_of(network: RowNet, source: Source) -> FramesOf:
    """A row's network as a method; the source is shown to those alone that warp it."""

    def frames(told: ClipInputs) -> Iterator[RgbImage]:
        needs = network.needs
        sides = [*[None] * len(told.objects), *told.hands]
        inputs = FrameInputs(told.surfaces(), sides, needs, told.background, told.size)
        painter = _painter(told) if BASE in needs else None
        from_source = (source.seen, source.poses(told)) if WARPED in needs else None
        config = network.config
        generator = torch.Generator().manual_seed(NOISE_SEED)
        shape = (1, config.latent_channels, config.trunk_size, config.trunk_size)
        noise = torch.randn(shape, generator=generator)
        with torch.no_grad():
            scene = network.scene(references_of(told, config.reference_size, config.num_points))
        for index in range(len(told.motion)):
            given = inputs.of(told.camera, told.poses(index), from_source)
            if painter is not None:
                images, _ = painter.paint(told.camera, told.poses(index))
                given[BASE] = images['painted']
            batch = {name: value[None] for name, value in given.items()}
            with torch.no_grad():
                image = network.image(scene, batch, noise)[0]
            yield to_bytes(image)

    return frames


def references_of(told: ClipInputs, size: int, points: int) -> dict[str, Tensor]:
    """views [1, 6, 3, R, R], background and hand_reference [1, 3, R, R], points [1, P, 3] of a
    clip."""
    meshes = list(told.objects.values())
    views = torch.full((6, 3, size, size), NO_OBJECT_VIEW / 255)
    surface = torch.zeros(points, 3)
    if meshes:
        views = image_tensor(six_views(meshes[0], size).rgb)
        surface = torch.from_numpy(surface_points(meshes[0], points))
    return {
        'views': views[None],
        'background': image_tensor(small(told.background, size))[None],
        'hand_reference': image_tensor(small(told.hand_reference.image, size))[None],
        'points': surface[None].float(),
    }


def _painter(told: ClipInputs) -> Baselines:
    objects = [(mesh, six_views(mesh)) for mesh in told.objects.values()]
    return Baselines(objects, told.hands, told.background, told.hand_reference)
