"""Plays a motion through the synthesizer without ROS and compares its frames with ground truth.

    python -m manivideo_ros.evaluation.suites.offline --checkpoint FILE [--motion NAME]
        [--seeds 20 1 2] [--frames 60] [--sheet PNG]

Each seed has another skin, room and light. Every frame of the motion is synthesized, as in a
stream; --frames of them are compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.measures.image import ClipQuality
from manivideo_ros.evaluation.sheets import contact_sheet, spread_indices
from manivideo_ros.evaluation.suites.held_out import HeldOutScene
from manivideo_ros.evaluation.suites.stream_quality import Comparison, figures
from manivideo_ros.hand.load import load_hand
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.synthesizer import Synthesizer, scene_for

SHEET_COLUMNS = 8


def synthesize(
    synthesizer: Synthesizer, scene: HeldOutScene, motion: Motion
) -> Iterator[NDArray[np.uint8]]:
    """The frames [H, W, 3] of a motion in order; each valid until the next."""
    for index, stamp in enumerate(motion.stamps_ns.tolist()):
        sample = motion.frame(index)
        snapshot = Snapshot.of(stamp, sample.hands, sample.objects)
        yield synthesizer.step(scene.camera, snapshot, plane=scene.support).image


def measure(
    session: StreamingSession, checkpoint: Path, motion: Motion, seed: int, frames: int
) -> tuple[ClipQuality, dict[str, list[NDArray[np.uint8]]]]:
    """Quality of a motion's frames in the held-out scene of a seed, and rows of a contact sheet."""
    comparison = Comparison(HeldOutScene.of(motion, seed))
    scene, truth = comparison.scene, comparison.truth
    synthesizer = Synthesizer(
        session,
        {side: load_hand(side) for side in scene.hands},
        scene_for(checkpoint, scene.meshes, truth.background, comparison.reference),
        threads=1,
    )
    count = min(frames, len(motion))
    compared = {*np.linspace(0, len(motion) - 1, count).round().astype(int).tolist()}
    shown = spread_indices(len(motion), SHEET_COLUMNS)
    rows: dict[str, list[NDArray[np.uint8]]] = {f'ground truth, seed {seed}': [], 'generated': []}
    for index, image in enumerate(synthesize(synthesizer, scene, motion)):
        sample = motion.frame(index)
        if index in compared:
            comparison.add(image, sample.hands, sample.objects, index)
        if index in shown:
            true = truth.image(sample.hands, sample.objects, index)
            for row, pixels in zip(rows.values(), (true, image), strict=True):
                row.append(pixels.copy())
    return comparison.quality, rows


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Measure a checkpoint on a motion, offline.')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED)
    parser.add_argument('--motion', default='', help='motion file, or name of a shipped motion')
    parser.add_argument('--seeds', type=int, nargs='+', default=[20], help='of the held-out scenes')
    parser.add_argument('--frames', type=int, default=60, help='frames to compare')
    parser.add_argument('--sheet', type=Path, help='contact sheet to write')
    args = parser.parse_args(arguments)
    try:
        motion = load_motion(motion_path(args.motion))
        session = StreamingSession(OnnxRunner(graph_of(args.checkpoint, 1), threads=1))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for seed in args.seeds:
        quality, rows = measure(session, args.checkpoint, motion, seed, args.frames)
        print(seed, figures(quality, args.frames), flush=True)
        if args.sheet is not None:
            name = f'{args.sheet.stem}_{seed}{args.sheet.suffix}'
            Image.fromarray(contact_sheet(rows)).save(args.sheet.with_name(name))
    return 0


if __name__ == '__main__':
    sys.exit(main())
