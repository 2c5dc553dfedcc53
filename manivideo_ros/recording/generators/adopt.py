"""`manivideo adopt`: takes frames that another generator made of an episode back as an episode."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.store import Typestore

from manivideo_ros.bags.bag import BagMessage, BagWriter
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.bags.part import part_of
from manivideo_ros.bags.provenance import KEY, text_of
from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.image_file import load_image, opaque
from manivideo_ros.messages.names import FRAMES, IMAGE
from manivideo_ros.messages.types import ROSBAGS, decoded, serialized
from manivideo_ros.process.folders import expanded
from manivideo_ros.recording.episode import BACKGROUND, IMAGES, Episode, EpisodeError, Topics

ABOUT = """Make an episode of frames that another generator made with the controls of an episode
(`manivideo dataset controls`): poses, states, labels and stamps are the episode's, frame i is image
i. The result is judged by `manivideo gate` and exported by `manivideo dataset` as any other."""
ENDINGS = ('.png', '.jpg', '.jpeg')
ASPECT = 0.01
"""Relative difference of aspects up to which frames are resized to the episode's size."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for frames that do not fit."""
    parser = argparse.ArgumentParser(prog='manivideo adopt', description=ABOUT)
    parser.add_argument('episode', type=Path, help='bag whose controls were used')
    parser.add_argument('frames', type=Path, help='video file, or folder of PNG or JPEG images')
    parser.add_argument('--out', type=Path, required=True, help='bag to write')
    parser.add_argument('--generator', required=True, help='name of the model, for the provenance')
    parser.add_argument('--images', default=IMAGES, help='topic of the frames to replace')
    args = parser.parse_args(arguments)
    try:
        count = adopt(
            args.episode, expanded(str(args.frames)), args.out, args.generator, args.images
        )
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.out}: {count} frames')
    return 0


def adopt(path: Path, frames: Path, out: Path, generator: str, images: str = IMAGES) -> int:
    """Write an episode with other frames; returns their number.

    Frames of another size are resized to the episode's if they have its aspect. The background of
    the episode's own frames is left out. Raises ValueError (one line) for frames of another number
    or aspect, BagError, OSError.
    """
    episode = Episode(path, Topics(images))
    shown = next(episode.images()).shape
    digest, total, own_size = hashlib.sha256(), 0, ''
    for image in read_frames(frames):
        total += 1
        own_size = own_size or f'{image.shape[1]}x{image.shape[0]}'
        digest.update(np.ascontiguousarray(_fitted(image, shown, frames)).tobytes())
    if total != len(episode):
        raise EpisodeError(
            f'{frames}: has {total} frames where {path} has {len(episode)}: generate one for each '
            'frame of the controls'
        )
    reader, made = episode.reader, iter(read_frames(frames))
    home = images.rpartition('/')[0]
    left_out = {
        topic
        for topic, kind in reader.topics.items()
        if topic in (home + BACKGROUND, BACKGROUND)
        or (kind in FRAMES and topic in _transports(episode.images_topic, images))
    }
    provenance = {
        **episode.provenance,
        'synthetic': True,
        'adopted': {
            'generator': generator,
            'frames': frames.name,
            'frames_sha256': digest.hexdigest(),
            'size': own_size,
            'episode': part_of(path).name,
            'topic': images,
        },
    }
    types = typestore_of(reader)
    received, count = episode.received_ns.tolist(), 0
    with BagWriter(out, {**reader.custom_data, KEY: text_of(provenance)}) as bag:
        for topic, connection in reader.connections.items():
            if topic not in left_out:
                bag.copy_topic(topic, connection)
        bag.add_topic(images, IMAGE)
        for record in reader.messages():
            if record.topic == episode.images_topic:
                if record.stamp_ns not in received[count : count + 1]:
                    continue  # of a video, before its first key frame
                header = ROSBAGS.header(int(episode.stamps_ns[count]), _frame_id(record, types))
                message = ROSBAGS.image(header, _fitted(next(made), shown, frames))
                bag.write(images, serialized(message), record.stamp_ns)
                count += 1
            elif record.topic not in left_out:
                bag.write(record.topic, record.data, record.stamp_ns, record.published_ns)
    return count


def read_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The images [H, W, 3] of a video file, or of a folder in the order of their names.

    Raises ValueError for other files.
    """
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in ENDINGS)
        if not files:
            raise ValueError(
                f'{path}: holds no images ({", ".join(ENDINGS)}): give a folder of them'
            )
        for file in files:
            yield opaque(load_image(file))
        return
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format='rgb24'), np.uint8)
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f'{path}: is no readable video ({reason_of(error)})') from None


def _frame_id(record: BagMessage, types: Typestore) -> str:
    message = decoded(record.data, record.type_name, types)
    return str(message.header.frame_id if hasattr(message, 'header') else message.frame_id)


def _transports(used: str, images: str) -> tuple[str, ...]:
    """The topics of the same images."""
    return used, images, *(images + end for end in ('/foxglove', '/ffmpeg', '/compressed'))


def _fitted(image: NDArray[np.uint8], shape: tuple[int, ...], path: Path) -> NDArray[np.uint8]:
    """An image at the episode's size."""
    height, width = shape[:2]
    if image.shape[:2] == (height, width):
        return image
    aspect = image.shape[1] / image.shape[0]
    if abs(aspect * height / width - 1) > ASPECT:
        raise ValueError(
            f'{path}: images are {image.shape[1]}x{image.shape[0]} where the episode has '
            f'{width}x{height}: labels would not lie on them; generate images of its aspect'
        )
    smaller = image.shape[0] > height
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
