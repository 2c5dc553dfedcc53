"""What a recorded frame of 640x480 costs: raw, JPEG and H.264, with and without labels.

`python -m benchmarks.video [--frames N]` prints the table and writes benchmarks/results/video.json.
The frames are ground truth of the demo's motion at 30 Hz, the middle rows of a square rendering,
with the camera's noise; mask and depth are those of the rasterizer. Each bag is written as the
recorder writes it. Labels are read back and compared bit for bit, the video by PSNR.

The threshold is one of video and mask. Depth is left out of it: float32 cannot be stored in that
without loss (2 bytes a pixel of hands and objects with a predictor, 3.4 as it is recorded).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import RESULTS, check, machine, write_results
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.drawing.labels import layer_mask, visible_depth
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.messages.images import DEPTH, read_image
from manivideo_ros.messages.names import COMPRESSED, IMAGE, VIDEO
from manivideo_ros.messages.types import ROSBAGS, decoded, serialized
from manivideo_ros.messages.video import ImageReader
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import hand_surface, object_surface
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.video.encoder import VideoEncoder

WIDTH, HEIGHT = 640, 480
THRESHOLD = 15_000  # bytes a frame
SEED = 3


@dataclass(frozen=True, eq=False)
class Made:
    """A frame: image uint8 [H, W, 3], mask uint8 [H, W], depth float32 [H, W]."""

    stamp_ns: int
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    depth: NDArray[np.float32]


def sequence(count: int) -> Iterator[Made]:
    """The first frames of the demo's motion once its hands are in view."""
    motion = load_motion(motion_path(''))
    truth = HeldOutGroundTruth(HeldOutScene.of(motion, SEED))
    truth._renderer = GroundTruthRenderer(WIDTH)
    truth._renderer.start(truth._stage, truth._assets)
    top = (WIDTH - HEIGHT) // 2
    square = truth.scene.camera.resized(WIDTH, WIDTH)
    down = np.array([[0, 0, 0], [0, 0, top], [0, 0, 0]])
    camera = replace(square, intrinsics=square.intrinsics - down, height=HEIGHT)
    surfaces = [object_surface(mesh) for mesh in truth.scene.meshes.values()]
    surfaces += [hand_surface(load_hand(side)) for side in SIDES]
    rasterizer = Rasterizer(surfaces, WIDTH, HEIGHT, threads=1)
    first = len(motion) // 4
    for index in range(first, first + count):
        sample = motion.frame(index)
        poses: list[Any] = [sample.objects.get(name) for name in truth.scene.meshes]
        poses += [sample.hands.get(side) for side in SIDES]
        layers = rasterizer.render(camera, poses)
        mask = layer_mask(layers.nearest_layer.cpu().numpy(), len(layers.normal_map))
        image = truth.image(sample.hands, sample.objects, index)[top : top + HEIGHT]
        stamp_ns = int(motion.stamps_ns[index])
        yield Made(stamp_ns, np.ascontiguousarray(image), mask, visible_depth(layers))


def written(folder: Path, frames: list[Made], topics: dict[str, str]) -> tuple[int, float]:
    """Write a bag of topics by type; returns its bytes and the CPU seconds of making it."""
    encoder, started = VideoEncoder(), time.process_time()
    with BagWriter(folder) as bag:
        for topic, kind in topics.items():
            bag.add_topic(topic, kind)
        for frame in frames:
            header = ROSBAGS.header(frame.stamp_ns, 'camera')
            for topic, kind in topics.items():
                if kind == VIDEO:
                    packet = encoder.encode(frame.image, frame.stamp_ns)
                    message = ROSBAGS.video(header, packet)
                elif kind == COMPRESSED:
                    message = ROSBAGS.jpeg(header, frame.image)
                else:
                    pixels = {'image_raw': frame.image, 'mask': frame.mask, 'depth': frame.depth}
                    message = ROSBAGS.image(header, pixels[topic.rpartition('/')[2]])
                bag.write(topic, serialized(message), frame.stamp_ns)
    seconds = time.process_time() - started
    return sum(file.stat().st_size for file in folder.iterdir()), seconds


def worst_psnr(folder: Path, frames: list[Made]) -> float:
    """The lowest PSNR (dB) of a bag's images; raises AssertionError if a label differs."""
    worst, readers = float('inf'), {}
    by_stamp = {frame.stamp_ns: frame for frame in frames}
    for record in BagReader(folder).messages():
        message = decoded(record.data, record.type_name)
        frame, name = by_stamp[record.stamp_ns], record.topic.rpartition('/')[2]
        if name in ('mask', 'depth'):
            same = read_image(message, ('mono8', DEPTH)) == getattr(frame, name)
            assert same.all(), f'{name} was changed'
            continue
        image = readers.setdefault(record.topic, ImageReader()).read(message)
        assert image is not None
        error = np.mean((image.astype(float) - frame.image) ** 2)
        worst = min(worst, float(10 * np.log10(255**2 / max(error, 1e-9))))
    return worst


def main() -> int:
    """Print the table; 1 if a threshold is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=60)
    frames = list(sequence(parser.parse_args().frames))
    mask, depth = {'/mlo/mask': IMAGE}, {'/mlo/depth': IMAGE}
    video = {'/image_raw/foxglove': VIDEO}
    bags = {
        'raw': {'/image_raw': IMAGE},
        'jpeg': {'/image_raw/compressed': COMPRESSED},
        'h264': video,
        'mask': mask,
        'depth': depth,
        'h264 + mask': {**video, **mask},
        'h264 + mask + depth': {**video, **mask, **depth},
    }
    covered = float(np.mean([np.mean(frame.mask > 0) for frame in frames]))
    print(f'{len(frames)} frames, of which hands and object cover {100 * covered:.1f} %')
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, topics in bags.items():
            place = Path(folder) / name.replace(' + ', '_')
            size, seconds = written(place, frames, topics)
            row = {
                'bytes_per_frame': round(size / len(frames)),
                'cpu_ms_per_frame': round(1e3 * seconds / len(frames), 2),
            }
            worst = worst_psnr(place, frames)
            if name in ('raw', 'jpeg', 'h264'):
                row['worst_psnr_db'] = round(min(worst, 99.0), 2)
            rows[name] = row
            print(f'{name:20} ' + ', '.join(f'{k} {v}' for k, v in row.items()))
    labelled = rows['h264 + mask']['bytes_per_frame']
    passed = check(
        'a 640x480 frame with its mask', f'{labelled} of {THRESHOLD} bytes', labelled < THRESHOLD
    )
    content = {'machine': machine(), 'frames': len(frames), 'covered': round(covered, 4)}
    write_results(RESULTS / 'video.json', {**content, 'rows': rows})
    return int(not passed)


if __name__ == '__main__':
    raise SystemExit(main())
