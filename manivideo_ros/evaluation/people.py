"""Measures a checkpoint on the held-out clips of people, and draws a sheet of them.

python -m manivideo_ros.evaluation.people [--checkpoint FILE] [--frames 24] [--size 256]
    [--out out/people]

Prints PSNR inside the person (person, hands and objects) and how often the shipped detector finds
the hands whose keypoints lie in the image, in the generated frames and in the ground truth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from PIL import Image

from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.estimation.crops import crop_of_keypoints
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.measures.image import masked_squared_error, psnr_db
from manivideo_ros.evaluation.run import hand_estimator
from manivideo_ros.evaluation.sheets import contact_sheet, spread_indices
from manivideo_ros.evaluation.suites.clips import ClipInputs, RgbImage
from manivideo_ros.evaluation.suites.methods import lit_base, streamed
from manivideo_ros.evaluation.suites.people import PersonClip, PersonGroundTruth, person_motion
from manivideo_ros.evaluation.suites.suite import FRAMES
from manivideo_ros.geometry import Array
from manivideo_ros.model.checkpoint import SHIPPED

COLUMNS = 2  # frames of a clip on the sheet
LEAST_DB, LEAST_FOUND = 17.0, 0.8


class PersonFigures(NamedTuple):
    """Mean squared errors [F] of generated frames and of the base image, inside the person; found:
    hands that the detector finds in generated frames, true_found: in the ground truth; of hands."""

    generated: list[float]
    base: list[float]
    found: int
    true_found: int
    hands: int


def measure(
    clip: PersonClip, checkpoint: Path, frames: int, size: int
) -> tuple[PersonFigures, dict[str, list[RgbImage]]]:
    """The figures of a clip's first frames, and rows of images for a sheet.

    Raises ValueError where the checkpoint takes no skeleton, or the hand detector cannot run.
    """
    motion = person_motion(clip, FRAMES)
    motion = motion.resampled(motion.stamps_ns[:frames])
    truth = PersonGroundTruth(clip, motion, FRAMES, size)
    graph = graph_of(checkpoint, 1)
    made = streamed(graph, checkpoint)(truth.inputs)
    bases = lit_base(graph, checkpoint)(truth.inputs)
    estimator = hand_estimator()
    if estimator is None:
        raise ValueError('the hand detector cannot run here: install ai-edge-litert')
    rows: dict[str, list[RgbImage]] = {'truth': [], 'base': [], 'generated': []}
    generated, base, counts = [], [], np.zeros(3, int)
    shown = spread_indices(frames, COLUMNS)
    for index in range(frames):
        true = truth.frame(index)
        images = {'truth': true.image, 'base': next(bases), 'generated': next(made).copy()}
        generated.append(masked_squared_error(images['generated'], true.image, true.mask))
        base.append(masked_squared_error(images['base'], true.image, true.mask))
        for keypoints in _hands(truth.inputs, index):
            crop = crop_of_keypoints(keypoints)
            counts[0] += estimator.on_crop(images['generated'], crop).found
            counts[1] += estimator.on_crop(true.image, crop).found
            counts[2] += 1
        if index in shown:
            for name, image in images.items():
                rows[name].append(image)
    found, true_found, hands = counts.tolist()
    return PersonFigures(generated, base, found, true_found, hands), rows


def _hands(inputs: ClipInputs, index: int) -> Iterator[Array]:
    """Keypoints [21, 2] of the hands that lie in the image."""
    states = inputs.motion.frame(index).hands
    for side, model in inputs.hands.items():
        if side in states:
            keypoints = projected_keypoints(model, states[side], inputs.camera)
            if np.all((keypoints >= 0) & (keypoints <= inputs.size)):
                yield keypoints


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Measure a model on held-out clips of people.')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED, help='weights (safetensors)')
    parser.add_argument('--frames', type=int, default=FRAMES, help='first frames of each clip')
    parser.add_argument('--size', type=int, default=256, help='side of the images, pixels')
    parser.add_argument('--out', type=Path, default=Path('out') / 'people', help='of the sheet')
    args = parser.parse_args(arguments)
    if not 1 <= args.frames <= FRAMES:
        parser.error(f'--frames: must be 1 to {FRAMES}, got {args.frames}')
    every: list[PersonFigures] = []
    sheet: dict[str, list[RgbImage]] = {}
    print('clip      generated   base    hands found   in the ground truth')
    try:
        for clip in get_args(PersonClip):
            figures, rows = measure(clip, args.checkpoint, args.frames, args.size)
            every.append(figures)
            print(_line(clip, figures))
            for name, images in rows.items():
                sheet.setdefault(name, []).extend(images)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    total = PersonFigures(
        [v for f in every for v in f.generated],
        [v for f in every for v in f.base],
        *(sum(column) for column in zip(*(f[2:] for f in every), strict=True)),
    )
    print(_line('all', total))
    print(f'required: {LEAST_DB:g} dB, {LEAST_FOUND:.0%}')
    args.out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(contact_sheet(sheet, columns=len(sheet['truth']))).save(args.out / 'people.png')
    print(args.out / 'people.png')
    return 0


def _line(name: str, f: PersonFigures) -> str:
    share = [f'{n} of {f.hands} ({n / max(f.hands, 1):.0%})' for n in (f.found, f.true_found)]
    made, base = psnr_db(f.generated), psnr_db(f.base)
    return f'{name:<8} {made:6.2f} dB {base:6.2f} dB   {share[0]:<18} {share[1]}'


if __name__ == '__main__':
    sys.exit(main())
