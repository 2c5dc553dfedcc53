"""Masks of instances: each hand and each object has a value of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import shaped_for
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.recording.episode import Episode, EpisodeError

BACKGROUND = 'background'


class InstanceMasks:
    """Masks of an episode's frames, drawn from its poses; hands as the default hand.

    instances: what each value is: 0 the background, 1 and 2 the left and the right hand, then the
    objects by name. Where the episode has a mask of layers, what is background there is background.
    Raises EpisodeError for an episode without the camera of its images.
    """

    def __init__(self, episode: Episode, size: tuple[int, int]) -> None:
        self._episode, self._size = episode, size
        recorded = load_motion(episode.reader, episode.camera_topic)
        self._motion = shaped_for(recorded, 'default')
        if self._motion is not recorded:
            episode.remarks.append(
                f'hands of {recorded.hand_model}: masks show the default hand in their poses'
            )
        self._objects = sorted(self._motion.objects)
        self.instances = dict(enumerate([BACKGROUND, *SIDES, *self._objects]))

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """The masks [H, W] of the frames."""
        motion, episode = self._motion, self._episode
        tracks = [motion.objects[name] for name in self._objects]
        sides = [side for side in SIDES if side in motion.hands]
        surfaces = [
            *(hand_surface(load_hand(side)) for side in sides),
            *(object_surface(load_mesh(track.mesh, track.scale)) for track in tracks),
        ]
        width, height = self._size
        view = Rasterizer(surfaces, width, height, threads=1, merge=True)
        values = np.array(
            [*(1 + SIDES.index(side) for side in sides), *range(3, 3 + len(tracks))], np.uint8
        )
        of_face = np.append(values[view.face_surface], np.uint8(0))  # the last: no face
        try:
            layers = iter(episode.masks())
        except EpisodeError:
            layers = iter(())
        for stamp in episode.stamps_ns.tolist():
            camera, sample = motion.camera_at(stamp), motion.interpolate_at(stamp)
            assert camera is not None
            poses: list[SurfacePose] = [sample.hands.get(side) for side in sides]
            poses += [sample.objects.get(name) for name in self._objects]
            drawn = view.render(camera.resized(width, height), poses)
            mask = of_face[drawn.face_index[0].numpy()]
            visible = next(layers, None)
            if visible is not None and visible.shape == mask.shape:
                mask[visible == 0] = 0
            yield mask
