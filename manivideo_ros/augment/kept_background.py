"""The recorded scene without the recorded hands and objects: a clean plate of an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.part import Bag, part_of
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import (
    SurfacePose,
    hand_surface,
    object_surface,
    robot_surface,
)
from manivideo_ros.motion.files import camera_topics
from manivideo_ros.motion.motion import Motion
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.recording.episode import Episode, Topics
from manivideo_ros.recording.image_topics import images_topic, require_rectified

SAMPLES = 48
"""Images of an episode from which the plate is made."""
GROWN = 0.035
"""Outline around hands and objects that is left out too, in image heights: poses are not exact."""
FILL_RADIUS = 5
KEEP = '--background keep'


@dataclass(frozen=True, eq=False)
class Plate:
    """image uint8 [H, W, 3]: the empty scene; never_seen bool [H, W]: pixels that were filled in.

    Filled-in pixels were hidden by hands or objects in every sampled image.
    """

    image: NDArray[np.uint8]
    never_seen: NDArray[np.bool_]

    def save(self, file: Path) -> None:
        """Write it as npz. Raises OSError."""
        np.savez(file, image=self.image, never_seen=self.never_seen)

    @classmethod
    def load(cls, file: Path) -> Plate:
        """What `save` wrote. Raises OSError."""
        with np.load(file) as arrays:
            return cls(arrays['image'], arrays['never_seen'])


def images_topics(
    path: Path, types: Mapping[str, str], names: Sequence[str], cameras: Sequence[str]
) -> tuple[str, ...]:
    """The topic of images of each camera, in their order.

    names: given for each; none: the one beside the topic of each CameraInfo, without named cameras
    the only one. Raises ValueError.
    """
    if names and len(names) != max(len(cameras), 1):
        raise ValueError(
            f'{path}: --images: {len(names)} topics for {max(len(cameras), 1)} cameras: give one '
            'for each --camera, in their order'
        )
    if names or not cameras:
        return tuple(images_topic(path, types, name, KEEP) for name in names or ('',))
    found = []
    for camera in cameras:
        home = camera.rpartition('/')[0] + '/'
        beside = {topic: kind for topic, kind in types.items() if topic.startswith(home)}
        found.append(images_topic(path, beside, '', KEEP))
    return tuple(found)


def recorded_plate(
    bag: Bag,
    topic: str,
    motion: Motion,
    camera: Camera,
    hands: Mapping[str, HandModel],  # by side
    meshes: Mapping[str, ObjectMesh],  # by id
    camera_info: str = '',
) -> Plate:
    """The median over an episode's images, each without the outlines of hands, robots and objects.

    camera_info: topic of the camera's CameraInfo, '' for the only one.

    Raises ValueError, BagError or EpisodeError for images that cannot be read or are of another
    size than the camera.
    """
    path, episode = part_of(bag), Episode(bag, Topics(topic))
    infos = camera_info or next(iter(camera_topics(episode.reader)), '')
    require_rectified(path, episode.reader, topic, infos, KEEP)
    chosen = {*np.linspace(0, len(episode) - 1, SAMPLES).round().astype(int).tolist()}
    size = camera.width, camera.height
    surfaces = [*(object_surface(m) for m in meshes.values())]
    surfaces += [hand_surface(hand) for hand in hands.values()]
    surfaces += [robot_surface(track.model) for track in motion.robots.values()]
    view = Rasterizer(surfaces, *size, threads=1, merge=True)
    grown = max(1, round(GROWN * camera.height))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
    images, hidden = [], []
    for index, image in enumerate(episode.images()):
        if index not in chosen:
            continue
        if image.shape[1::-1] != size:
            raise ValueError(
                f'{path}: topic {topic}: images are {image.shape[1]}x{image.shape[0]}, camera_info '
                f'has {size[0]}x{size[1]}: give --images, the topic of that camera'
            )
        stamp = int(episode.stamps_ns[index])
        sample, robots = motion.interpolate_at(stamp), motion.robots_at(stamp)
        poses: list[SurfacePose] = [sample.objects.get(name) for name in meshes]
        poses += [sample.hands.get(side) for side in hands]
        poses += [robots.get(name) for name in motion.robots]
        seen = view.render(camera, poses).face_index[0].numpy() >= 0
        images.append(image.copy())
        hidden.append(cv2.dilate(seen.astype(np.uint8), kernel).astype(bool))
    if not images:
        raise ValueError(f'{path}: topic {topic}: no image can be shown')
    return _median(np.stack(images), np.stack(hidden))


def _median(
    images: NDArray[np.uint8],  # [N, H, W, 3]
    hidden: NDArray[np.bool_],  # [N, H, W]
) -> Plate:
    never: NDArray[np.bool_] = np.asarray(hidden.all(0))
    out = np.zeros(images.shape[1:], np.uint8)
    for row in range(len(out)):  # a whole episode of floats would not fit into memory
        values = np.where(hidden[:, row, :, None], np.nan, images[:, row].astype(np.float32))
        some = ~never[row]
        out[row, some] = np.nanmedian(values[:, some], axis=0).round().astype(np.uint8)
    if never.any() and not never.all():
        filled = cv2.inpaint(out, never.astype(np.uint8), FILL_RADIUS, cv2.INPAINT_TELEA)
        out = np.asarray(filled, np.uint8)
    return Plate(out, never)
