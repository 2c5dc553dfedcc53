"""The trained rows as methods of the held-out suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.ablation.inputs import BASE, WARPED, FrameInputs, small
from experiments.ablation.network import RowNet
from manivideo_ros.data.shards import NO_OBJECT_VIEW, image_tensor
from manivideo_ros.drawing.views import six_views
from manivideo_ros.evaluation.measures.baselines import to_bytes
from manivideo_ros.evaluation.suites.clip_measures import painter_of
from manivideo_ros.evaluation.suites.clips import ClipInputs, FramesOf, RgbImage
from manivideo_ros.evaluation.suites.suite import SuiteClip
from manivideo_ros.mlo.surfaces import SurfacePose
from manivideo_ros.motion.pose_noise import noisy
from manivideo_ros.objects.mesh import surface_points

NOISE_SEED = 0  # one noise for all frames, as in a stream


@dataclass(frozen=True, eq=False)
class Source:
    """The ground-truth image that a warping method starts from: the last frame of a clip.

    Only the clip's first frames are measured, so that the source is not one of them.
    """

    clip: SuiteClip
    seen: RgbImage
    measured: SuiteClip

    @classmethod
    def of(cls, clip: SuiteClip, frames: int, size: int) -> tuple[SuiteClip, Source]:
        """The clip cut to its measured frames, and the source.

        Raises ValueError if no frame is left for the source.
        """
        last = len(clip.motion) - 1
        if frames > last:
            raise ValueError(f'{clip.name}: measuring {frames} frames leaves none to warp from')
        measured = clip.cut(frames)
        return measured, cls(clip, clip.truth(size).frame(last).image, measured)

    def poses(self, clip: ClipInputs) -> list[SurfacePose]:
        """The source's poses, with the same noise as those of the method's inputs."""
        exact = clip.motion is self.measured.motion
        whole = self.clip.motion if exact else noisy(self.clip.motion, self.clip.seed)
        return clip.with_poses(whole).poses(len(whole) - 1)


def method_of(network: RowNet, source: Source) -> FramesOf:
    """A row's network as a method; the source is used only by networks that warp it."""

    def frames(clip: ClipInputs) -> Iterator[RgbImage]:
        needs = network.needs
        sides = [*[None] * len(clip.objects), *clip.hands]
        inputs = FrameInputs(clip.surfaces(), sides, needs, clip.background, clip.size)
        painter = painter_of(clip) if BASE in needs else None
        from_source = (source.seen, source.poses(clip)) if WARPED in needs else None
        config = network.config
        generator = torch.Generator().manual_seed(NOISE_SEED)
        shape = (1, config.latent_channels, *config.latent_size)
        noise = torch.randn(shape, generator=generator)
        with torch.no_grad():
            scene = network.scene(references_of(clip, config.reference_size, config.num_points))
        for index in range(len(clip.motion)):
            given = inputs.of(clip.camera, clip.poses(index), from_source)
            if painter is not None:
                images, _ = painter.paint(clip.camera, clip.poses(index))
                given[BASE] = images['painted']
            batch = {name: value[None] for name, value in given.items()}
            with torch.no_grad():
                image = network.image(scene, batch, noise)[0]
            yield to_bytes(image)

    return frames


def references_of(clip: ClipInputs, size: int, points: int) -> dict[str, Tensor]:
    """views [1, 6, 3, R, R], background and hand_reference [1, 3, R, R], points [1, P, 3] of a
    clip."""
    meshes = list(clip.objects.values())
    views = torch.full((6, 3, size, size), NO_OBJECT_VIEW / 255)
    surface = torch.zeros(points, 3)
    if meshes:
        views = image_tensor(six_views(meshes[0], size).rgb)
        surface = torch.from_numpy(surface_points(meshes[0], points))
    return {
        'views': views[None],
        'background': image_tensor(small(clip.background, size))[None],
        'hand_reference': image_tensor(small(clip.hand_reference.image, size))[None],
        'points': surface[None].float(),
    }
