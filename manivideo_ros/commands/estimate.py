"""`manivideo estimate`: a video file becomes a recording with the poses of its hands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from manivideo_ros.estimation.video_poses import VideoFile, record_poses


def main(arguments: Sequence[str]) -> int:
    """The command line. Raises ValueError (one line)."""
    parser = argparse.ArgumentParser(
        prog='manivideo estimate',
        description='Estimate the hands in a video file; write them with its images to a bag.',
    )
    parser.add_argument('video', type=Path, help='video file of a camera that is not mirrored')
    parser.add_argument('--out', type=Path, required=True, help='folder of the bag')
    parser.add_argument('--fov-y', type=float, default=0.79, help='vertical field of view, rad')
    parser.add_argument('--calibration', type=Path, help='YAML of camera_calibration, not --fov-y')
    parser.add_argument(
        '--no-outlines',
        dest='outlines',
        action='store_false',
        help='do not fit poses and shape to the outlines of the hands; 3 times as fast',
    )
    args = parser.parse_args(arguments)
    video = VideoFile.calibrated(args.video, args.fov_y, args.calibration)
    with tqdm(unit='frame', mininterval=1) as bar:

        def progress(stage: str) -> None:
            bar.set_description(stage, refresh=False)
            bar.update()

        made = record_poses(video, args.out, args.outlines, progress)
    print(f'{args.out}: {made.posed} of {made.frames} frames show a hand')
    for line in made.outlines.lines() if made.outlines else ():
        print(line)
    return 0
