"""Episodes as mp4 files, or as PNG sequences with hand keypoints in COCO's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.recording.episode import Episode
from manivideo_ros.recording.options import Options
from manivideo_ros.recording.video import VideoWriter

NAMES = ('wrist', *(f'{finger}_{joint}' for finger in ('thumb', 'index', 'middle', 'ring', 'pinky')
                    for joint in range(1, 5)))  # fmt: skip
# COCO counts keypoints from 1.
SKELETON = [
    bone
    for first in range(2, 22, 4)
    for bone in ([1, first], *([joint, joint + 1] for joint in range(first, first + 3)))
]
SIDES = ('left_hand', 'right_hand')
PACKING = 1  # zlib level of 9: a fifth of the default's time, a seventh more bytes


VIDEO, FRAMES = 'video.mp4', 'frames'


def write_video(episode: Episode, folder: Path, options: Options) -> dict[str, Any]:
    """Write an episode's video."""
    images = episode.images()
    first = next(images)
    size = (first.shape[1], first.shape[0])
    with VideoWriter(folder / VIDEO, max(1, round(episode.rate_hz)), size) as video:
        for image in (first, *images):
            video.add(image)
    return {'name': episode.name}


class VideosJoiner:
    """Collects `<episode>.mp4` of each episode in an empty folder."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder

    def add(self, folder: Path, piece: dict[str, Any], name: str) -> None:
        """Take an episode's video."""
        (folder / VIDEO).rename(self.folder / f'{piece["name"]}.mp4')

    def close(self) -> None:
        """Do nothing: all files are complete."""


def write_frames(episode: Episode, folder: Path, options: Options) -> dict[str, Any]:
    """Write an episode's images; returns their descriptions and annotations.

    A keypoint's v is 2 if it is visible, 1 if it is occluded, 0 outside the image; a hand's bbox is
    that of its keypoints in the image.
    """
    keypoints = episode.keypoints()
    (folder / FRAMES).mkdir()
    images, hands = [], []
    for index, image in enumerate(episode.images()):
        file = f'{index:06d}.png'
        Image.fromarray(image).save(folder / FRAMES / file, compress_level=PACKING)
        height, width = image.shape[:2]
        images.append(
            {
                'file_name': f'{episode.name}/{file}',
                'width': width,
                'height': height,
                'stamp_ns': int(episode.stamps_ns[index]),
                'synthetic': episode.provenance['synthetic'],
            }
        )
        for side in np.unique(keypoints[index]['side']).tolist():
            own = keypoints[index][keypoints[index]['side'] == side]
            found = annotation(own, width, height)
            hands.append({'image': index, 'category_id': side + 1, **found})
    return {'name': episode.name, 'images': images, 'hands': hands}


class FramesJoiner:
    """Collects `<episode>/000000.png` and one annotations.json in an empty folder."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self._images: list[dict[str, Any]] = []
        self._hands: list[dict[str, Any]] = []

    def add(self, folder: Path, piece: dict[str, Any], name: str) -> None:
        """Take an episode's images."""
        (folder / FRAMES).rename(self.folder / piece['name'])
        first = len(self._images)
        self._images += [{'id': first + k, **image} for k, image in enumerate(piece['images'])]
        for hand in piece['hands']:
            own = {'id': len(self._hands), 'image_id': first + hand['image'], **hand}
            self._hands.append({k: v for k, v in own.items() if k != 'image'})

    def close(self) -> None:
        """Write the annotations."""
        categories = [
            {'id': i + 1, 'name': side, 'keypoints': list(NAMES), 'skeleton': SKELETON}
            for i, side in enumerate(SIDES)
        ]
        content = {'images': self._images, 'annotations': self._hands, 'categories': categories}
        (self.folder / 'annotations.json').write_text(json.dumps(content))


def annotation(keypoints: NDArray[np.void], width: int, height: int) -> dict[str, Any]:
    """COCO's fields of one hand's keypoints [21] of dtype KEYPOINT in an image of that size.

    keypoints_3d extends COCO: x, y, z of each in metres, in the camera's optical frame.
    """
    u, v = keypoints['u'].astype(float), keypoints['v'].astype(float)
    inside = (keypoints['z'] > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    state = np.where(inside, 1 + keypoints['visible'], 0)
    points = np.stack([np.where(inside, u, 0), np.where(inside, v, 0), state], 1)
    box = [0.0, 0.0, 0.0, 0.0]
    if inside.any():
        left, top = u[inside].min(), v[inside].min()
        box = [left, top, u[inside].max() - left, v[inside].max() - top]
    space = np.stack([keypoints['x'], keypoints['y'], keypoints['z']], 1)
    return {
        'keypoints': np.round(points, 2).reshape(-1).tolist(),
        'num_keypoints': int((state > 0).sum()),
        'bbox': np.round(box, 2).tolist(),
        'area': round(float(box[2] * box[3]), 2),
        'iscrowd': 0,
        'keypoints_3d': np.round(space.astype(float), 5).reshape(-1).tolist(),
    }
