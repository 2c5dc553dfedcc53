"""Control videos for other generators: depth, segmentation, edges, keypoints and MLO layers.

Each video has one frame per frame of the episode, in its order and of its size. Layouts are those
of the documentation of Cosmos-Transfer2.5 (a JSON of `control_path` by modality) and of VACE
(`src_video`, `src_mask`).
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.drawing.colours import normal_colours
from manivideo_ros.drawing.labels import mosaic
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import shaped_for
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.recording.coco import SKELETON
from manivideo_ros.recording.episode import Episode, EpisodeError
from manivideo_ros.recording.options import TASK, Options
from manivideo_ros.recording.video import VideoWriter

Image = NDArray[np.uint8]
INDEX = 'episode.json'
FRAMES, DEPTH, SEGMENTATION, EDGES, KEYPOINTS, MASK = (
    'frames', 'depth', 'seg', 'edge', 'keypoints', 'mask'
)  # fmt: skip
NORMALS, CONFIDENCE = 'mlo_normals', 'mlo_confidence'
CANNY = (100, 200)
FARTHEST = 55
"""Grey of the farthest surface in a depth video; the nearest is 255, the background 0."""
GOLDEN = 0.618034


def write_controls(episode: Episode, folder: Path, options: Options) -> dict[str, Any]:
    """Write a video per control and the files that name them for a generator.

    Raises EpisodeError for an episode without mask, depth and keypoints.
    """
    _Controls(folder, options.task or TASK).write(episode)
    return {'name': episode.name}


class ControlsJoiner:
    """Collects `<episode>/` of each episode in an empty folder."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder

    def add(self, folder: Path, piece: dict[str, Any], name: str) -> None:
        """Take an episode's controls."""
        (folder / piece['name']).rename(self.folder / piece['name'])

    def close(self) -> None:
        """Do nothing: all files are complete."""


class _Controls:
    """Writes the controls of an episode."""

    def __init__(self, folder: Path, task: str) -> None:
        self.folder, self.task = folder, task

    def write(self, episode: Episode) -> None:
        """Write them into a folder of its name."""
        home = self.folder / episode.name
        masks, depths, keypoints = episode.masks(), episode.depths(), episode.keypoints()
        images = episode.images()
        first = next(images)
        height, width = first.shape[:2]
        for name, label in (('mask', masks[0]), ('depth', depths[0])):
            if label.shape != (height, width):
                raise EpisodeError(
                    f'{episode.part}: its {name} is {label.shape[1]}x{label.shape[0]} where its '
                    f'images are {width}x{height}: record labels of the same size'
                )
        home.mkdir()
        rate = max(1, round(episode.rate_hz))
        near, far = depth_range(depths)
        with ExitStack() as stack:
            videos: dict[str, VideoWriter] = {}

            def add(name: str, image: Image) -> None:
                if name not in videos:
                    size = image.shape[1], image.shape[0]
                    videos[name] = stack.enter_context(
                        VideoWriter(home / f'{name}.mp4', rate, size)
                    )
                videos[name].add(image)

            layers = layers_of(episode, width, height)
            for index, image in enumerate((first, *images)):
                add(FRAMES, image)
                add(DEPTH, depth_grey(depths[index], near, far))
                add(SEGMENTATION, coloured(masks[index]))
                add(EDGES, three(np.asarray(cv2.Canny(image, *CANNY), np.uint8)))
                add(KEYPOINTS, skeleton(keypoints[index], width, height))
                add(MASK, three(np.where(masks[index] > 0, 255, 0).astype(np.uint8)))
                normals, confidence = next(layers)
                add(NORMALS, normals)
                add(CONFIDENCE, confidence)
        self._write_index(home, episode, (width, height), rate, (near, far))

    def _write_index(
        self, home: Path, episode: Episode, size: tuple[int, int], rate: int,
        depth_m: tuple[float, float],
    ) -> None:  # fmt: skip
        def write(name: str, content: dict[str, Any]) -> None:
            (home / name).write_text(json.dumps(content, indent=1) + '\n')

        def control(name: str) -> dict[str, Any]:
            return {'control_path': f'{name}.mp4', 'control_weight': 1.0}

        write(
            INDEX,
            {
                'episode': episode.name,
                'frames': len(episode),
                'size': list(size),
                'rate_hz': rate,
                'stamps_ns': episode.stamps_ns.tolist(),
                'depth_m': [round(depth, 6) for depth in depth_m],
            },
        )
        modalities = {name: control(name) for name in (DEPTH, SEGMENTATION, EDGES)}
        video = f'{FRAMES}.mp4'
        cosmos = {'name': episode.name, 'prompt': self.task, 'video_path': video, **modalities}
        write('cosmos_transfer.json', cosmos)
        vace = {'prompt': self.task, 'src_video': f'{DEPTH}.mp4', 'src_mask': None}
        write('vace.json', {**vace, 'size': f'{size[0]}*{size[1]}', 'frame_num': len(episode)})


def depth_range(depths: list[NDArray[np.float32]]) -> tuple[float, float]:
    """The nearest and farthest depth (m) of surfaces in all frames; 1, 1 without any."""
    lowest = [float(depth[depth > 0].min()) for depth in depths if (depth > 0).any()]
    highest = [float(depth.max()) for depth in depths if (depth > 0).any()]
    return (min(lowest), max(highest)) if lowest else (1.0, 1.0)


def depth_grey(depth: NDArray[np.float32], near: float, far: float) -> Image:
    """Inverse depth as grey [H, W, 3]: 255 at `near`, FARTHEST at `far`, 0 for background (0)."""
    inverse = 1 / np.where(depth > 0, depth, 1)
    span = max(1 / near - 1 / far, 1e-9)
    grey = FARTHEST + (255 - FARTHEST) * np.clip((inverse - 1 / far) / span, 0, 1)
    return three(np.where(depth > 0, np.round(grey), 0).astype(np.uint8))


def coloured(mask: Image) -> Image:
    """A mask [H, W] with a colour [H, W, 3] for each grey; background is black."""
    palette = np.zeros((256, 3), np.uint8)
    for grey in range(1, 256):
        colour = colorsys.hsv_to_rgb(grey * GOLDEN % 1, 0.85, 1.0)
        palette[grey] = np.round(np.array(colour) * 255)
    return palette[mask]


def skeleton(keypoints: NDArray[np.void], width: int, height: int) -> Image:
    """The bones [H, W, 3] of hands before the camera on black, a hue for each finger and side."""
    image = np.zeros((height, width, 3), np.uint8)
    for side in np.unique(keypoints['side']).tolist():
        own = keypoints[keypoints['side'] == side]
        if not (own['z'] > 0).all():
            continue
        points = np.stack([own['u'], own['v']], 1)
        pixels = np.round(np.clip(points, -10_000, 10_000)).astype(int)
        for number, (a, b) in enumerate(SKELETON):
            hue = (number // 4 + 5 * side) / 10
            colour = [round(255 * c) for c in colorsys.hsv_to_rgb(hue, 1.0, 1.0)]
            ends = pixels[a - 1].tolist(), pixels[b - 1].tolist()
            cv2.line(image, *ends, colour, max(1, height // 120), cv2.LINE_AA)
    return image


def three(grey: Image) -> Image:
    """A grey image [H, W] as [H, W, 3]."""
    return np.repeat(grey[..., None], 3, -1)


def layers_of(episode: Episode, width: int, height: int) -> Iterator[tuple[Image, Image]]:
    """Normals and occlusion confidence of all MLO layers of each frame, side by side.

    They are drawn from the poses, hands as the default hand. Raises EpisodeError for an episode
    without the camera of its images.
    """
    recorded = load_motion(episode.reader, episode.camera_topic)
    motion = shaped_for(recorded, 'default')
    if motion is not recorded:
        episode.remarks.append(
            f'hands of {recorded.hand_model}: MLO layers show the default hand in their poses'
        )
    meshes = [load_mesh(track.mesh, track.scale) for track in motion.objects.values()]
    sides = [side for side in SIDES if side in motion.hands]
    surfaces = [*map(object_surface, meshes), *(hand_surface(load_hand(side)) for side in sides)]
    view = Rasterizer(surfaces, width, height, threads=1)
    for stamp in episode.stamps_ns.tolist():
        camera, sample = motion.camera_at(stamp), motion.interpolate_at(stamp)
        assert isinstance(camera, Camera)
        poses: list[SurfacePose] = [sample.objects.get(name) for name in motion.objects]
        poses += [sample.hands.get(side) for side in sides]
        drawn = view.render(camera, poses)
        confidence = (drawn.occlusion_confidence.numpy() * 255 + 0.5).astype(np.uint8)
        yield (
            even(mosaic(normal_colours(drawn.normal_map.numpy()))),
            even(three(mosaic(confidence))),
        )


def even(image: Image) -> Image:
    """An image with an even width and height, as H.264 needs it."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)))
