"""What composition at the image's size is worth: against ground truth rendered at that size.

    python -m manivideo_ros.evaluation.suites.image_size [--size 512] [--seeds 20 1 2 3 7]

The same network and poses three times: `base` is the image before the network, `enlarged` the frame
at the size of the network's grid, enlarged bicubically, and `composed` the synthesizer's image.
PSNR and SSIM count the pixels of hands and objects. The halo is the mean absolute error, in grey
levels, in the band of BAND pixels outside of them, beside the error inside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.runner import at_grid_size
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.synthesizer import Synthesizer, scene_for

BAND = 3
MEASURES = ('psnr_db', 'ssim', 'error_inside', 'error_band')


def measured(
    image: NDArray[np.uint8],  # [H, W, 3]
    truth: NDArray[np.uint8],  # [H, W, 3]
    coverage: NDArray[np.float32],  # [H, W] of hands and objects in 0..1
) -> tuple[float, float, float, float]:
    """MEASURES of an image."""
    inside = coverage > 0.5
    kernel = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    band = (cv2.dilate(inside.astype(np.uint8), kernel) > 0) & (coverage == 0)
    error = np.abs(image.astype(np.float64) - truth)
    square = float((error[inside] ** 2).mean())
    _, similar = structural_similarity(
        image, truth, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    psnr = 10 * np.log10(255**2 / max(square, 1e-9))
    return psnr, float(similar[inside].mean()), error[inside].mean(), error[band].mean()


def compare(
    session: StreamingSession, checkpoint: Path, motion: Motion, seed: int, size: int, frames: int
) -> dict[str, list[tuple[float, ...]]]:
    """MEASURES of each method on frames of a motion in the held-out scene of a seed."""
    scene = HeldOutScene.of(motion, seed, size, size)
    truth = HeldOutGroundTruth(scene)
    hands = {str(side): hand for side, hand in scene.hands.items()}
    reference = truth.hand_reference()
    references = scene_for(checkpoint, scene.meshes, truth.background, reference)
    synthesizer = Synthesizer(session, hands, references, 1, (size, size))
    found: dict[str, list[tuple[float, ...]]] = {'base': [], 'enlarged': [], 'composed': []}
    for index in np.linspace(10, len(motion) - 10, frames).astype(int).tolist():
        sample = motion.frame(index)
        snapshot = Snapshot.of(int(motion.stamps_ns[index]), sample.hands, sample.objects)
        frame = synthesizer.step(scene.camera, snapshot, plane=scene.support)
        true = truth.image(sample.hands, sample.objects, index)
        made, base = synthesizer.drawing.image.composer.made, synthesizer.drawing.drawn()
        small = at_grid_size(made.numpy(), base.maps['base'].numpy())
        coverage = frame.foreground.coverage.numpy()
        behind = (1 - coverage[..., None]) * (truth.background / np.float32(255))
        painted = frame.foreground.colour.numpy() + behind
        images = {
            'base': (painted.clip(0, 1) * 255 + 0.5).astype(np.uint8),
            'enlarged': cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC),
            'composed': frame.image,
        }
        for name, image in images.items():
            found[name].append(measured(np.asarray(image, np.uint8), true, coverage))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Measure composition at the image size.')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED)
    parser.add_argument('--motion', default='', help='motion file, or name of a shipped motion')
    parser.add_argument('--seeds', type=int, nargs='+', default=[20, 1, 2, 3, 7])
    parser.add_argument('--frames', type=int, default=8, help='of each scene')
    parser.add_argument('--size', type=int, default=512, help='side of the images, pixels')
    args = parser.parse_args(arguments)
    try:
        motion = load_motion(motion_path(args.motion))
        session = StreamingSession(OnnxRunner(graph_of(args.checkpoint, 1), threads=1))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in args.seeds:
        rows_of = compare(session, args.checkpoint, motion, seed, args.size, args.frames)
        for name, rows in rows_of.items():
            found.setdefault(name, []).extend(rows)
    for name, rows in found.items():
        means = np.mean(rows, 0)
        listed = zip(MEASURES, means, strict=True)
        print(f'{name:<9}', ', '.join(f'{measure} {value:.3f}' for measure, value in listed))
    return 0


if __name__ == '__main__':
    sys.exit(main())
