"""Evaluates a recorded stream from its bag: figures and images.

    manivideo evaluate BAG [--out DIR]

Prints the figures, which have the format of the demo's report.json. With --out, writes them
to report.json in that folder, with video.mp4, sheet.png and clip.webp.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from manivideo_ros.evaluation.sheets import (
    RgbImage,
    ShownFrame,
    clip_frame,
    contact_sheet,
    spread_indices,
    steady,
    video_frame,
    write_clip,
    write_video,
)
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth
from manivideo_ros.evaluation.suites.recorded import RecordedStream
from manivideo_ros.evaluation.suites.stream import summary
from manivideo_ros.evaluation.suites.stream_quality import stream_quality
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.objects.named import load_mesh

SHEET_COLUMNS = 8
VIDEO_HZ = 30
CLIP_HZ, CLIP_SECONDS = 15.0, 6.0


class EvaluationError(ValueError):
    """A recording cannot be evaluated; the message is one line."""


def evaluate(bag: str | Path, workers: int = 2, *topics: str) -> dict[str, Any]:
    """The report of a recorded stream; `quality` is None without ground truth.

    topics: those of images and CameraInfo, '' for the only ones.
    Ground truth exists if a held-out scene was recorded and the hands are the default model's.
    Raises ValueError (one line) if the bag cannot be read or holds no video.
    """
    stream = _open(bag, *topics)
    known = stream.scene is not None and stream.motion.hand_model == 'default'
    quality = stream_quality(bag, len(stream), workers, *topics) if known else None
    return {**summary(stream.timing), 'quality': quality}


def illustrate(bag: str | Path, out: str | Path, clip: bool = False, *topics: str) -> None:
    """Write video.mp4 and sheet.png, and clip.webp if `clip`. Raises as evaluate does."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    stream = _open(bag, *topics)
    shower = Shower(stream)
    Image.fromarray(shower.sheet()).save(out / 'sheet.png')
    stamps = stream.stamps_ns.tolist()
    images = enumerate(stream.images())
    caption = f'{len(stream)} frames from {len(stream.timing.poses_ns)} poses'
    frames = (video_frame(shower.show(i, image), caption) for i, image in images)
    write_video(out / 'video.mp4', steady(frames, stamps, VIDEO_HZ), VIDEO_HZ)
    if clip:
        short = [i for i, stamp in enumerate(stamps) if stamp - stamps[0] < CLIP_SECONDS * 1e9]
        pieces = (
            clip_frame(shower.show(i, image))
            for i, image in zip(short, stream.images(set(short)), strict=True)
        )
        kept = list(steady(pieces, [stamps[i] for i in short], CLIP_HZ))
        write_clip(out / 'clip.webp', kept, CLIP_HZ)


class Shower:
    """Re-renders the layers from which a recorded stream's frames were generated."""

    def __init__(self, stream: RecordedStream) -> None:
        self.stream, camera = stream, stream.camera()
        meshes = {
            name: load_mesh(track.mesh, track.scale)
            for name, track in stream.motion.objects.items()
        }
        self.objects = list(meshes)
        surfaces = [object_surface(mesh) for mesh in meshes.values()]
        surfaces += [hand_surface(load_hand(side)) for side in SIDES]
        self.rasterizer = Rasterizer(surfaces, camera.width, camera.height, threads=1)

    def show(self, index: int, image: RgbImage) -> ShownFrame:
        """A frame with its layers."""
        hands, objects = self.stream.poses(index)
        poses: list[SurfacePose] = [objects.get(name) for name in self.objects]
        poses += [hands.get(side) for side in SIDES]
        return ShownFrame.of(image, self.rasterizer.render(self.stream.camera(index), poses))

    def sheet(self) -> RgbImage:
        """The contact sheet: ground truth (for a known scene), generated, normals, confidence."""
        stream, stamps = self.stream, self.stream.stamps_ns
        # A motion begins and ends with hands at rest: the columns lie in between.
        indices = spread_indices(len(stream), min(SHEET_COLUMNS, len(stream)))
        shown = [
            self.show(i, image)
            for i, image in zip(indices, stream.images(set(indices)), strict=True)
        ]
        rows: dict[str, list[RgbImage]] = {}
        if stream.scene is not None:
            truth = HeldOutGroundTruth(stream.scene)
            rows['ground truth'] = [truth.image(*stream.poses(i), i) for i in indices]
        rows |= {
            'generated': [frame.image for frame in shown],
            'normals': [frame.normals for frame in shown],
            'confidence': [frame.confidence for frame in shown],
        }
        titles = [f'{(stamps[i] - stamps[0]) * 1e-9:.1f} s' for i in indices]
        return contact_sheet(rows, SHEET_COLUMNS, titles)


def _open(bag: str | Path, *topics: str) -> RecordedStream:
    stream = RecordedStream(bag, *topics)
    if len(stream) == 0:
        raise EvaluationError(
            f'{bag}: no frame has the stamp of a pose: record the pose topics and image_raw'
        )
    return stream


def main(arguments: list[str] | None = None) -> int:
    """The command line; prints one line and returns 2 for a bag that cannot be evaluated."""
    parser = argparse.ArgumentParser(
        prog='manivideo evaluate', description='Measure a recorded stream against ground truth.'
    )
    parser.add_argument('bag', type=Path, help='folder of the recording')
    parser.add_argument('--out', type=Path, help='folder for report.json and images')
    parser.add_argument('--images', default='', help='topic of the frames (the only image_raw)')
    parser.add_argument('--camera', default='', help='topic of its CameraInfo (the only one)')
    args = parser.parse_args(arguments)
    topics = args.images, args.camera
    try:
        text = json.dumps(evaluate(args.bag, 2, *topics), indent=2)
        if args.out is not None:
            illustrate(args.bag, args.out, True, *topics)
            (args.out / 'report.json').write_text(text + '\n')
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
