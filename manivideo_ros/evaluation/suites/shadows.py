"""Shadows on the support plane, against ground truth.

    python -m manivideo_ros.evaluation.suites.shadows [--motions turn_mug pour] [--seeds 20 1 2 3 7]

The same network and poses three times: without a support plane, where the network alone darkens the
background; with the plane and the estimated light; and with the true main lamp, which shows what
the estimate costs. `there` is the share of the ground truth's shadow that is shown, `misplaced` the
share of the darkness that is shown where the ground truth has none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from manivideo_ros.camera.light import Light
from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.measures.shadows import ShadowShares
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.synthesizer import Synthesizer, scene_for


def true_light(scene: HeldOutScene, truth: HeldOutGroundTruth) -> Light:
    """The scene's main lamp over its table, and everything else as an even surrounding."""
    lamp, ambient = truth.main_light()
    camera_from_table = scene.camera.camera_from_world @ invert_rigid(scene.table_from_world)
    towards = lamp.position / np.linalg.norm(lamp.position)
    distance = float(np.linalg.norm(lamp.position))
    light = Light(towards, lamp.intensity / distance**2, ambient, lamp.radius / distance)
    return light.turned(camera_from_table[:3, :3])


def compare(
    session: StreamingSession,
    checkpoint: Path,
    motion: Motion,
    seed: int,
    frames: int,
    found: dict[str, ShadowShares],
) -> None:
    """Add frames of a motion in the held-out scene of a seed to what was found by method."""
    scene = HeldOutScene.of(motion, seed)
    truth = HeldOutGroundTruth(scene)
    reference = truth.hand_reference()
    hands = {str(side): hand for side, hand in scene.hands.items()}
    known = scene_for(checkpoint, scene.meshes, truth.background, reference)
    methods = {
        'network': (known, None),
        'estimated light': (known, scene.support),
        'true lamp': (replace(known, light=true_light(scene, truth)), scene.support),
    }
    chosen = np.linspace(10, len(motion) - 10, frames).astype(int).tolist()
    true = {i: truth.image((s := motion.frame(i)).hands, s.objects, i) for i in chosen}
    for name, (references, support) in methods.items():
        synthesizer = Synthesizer(session, hands, references, 1)
        for index in chosen:
            sample = motion.frame(index)
            snapshot = Snapshot.of(int(motion.stamps_ns[index]), sample.hands, sample.objects)
            frame = synthesizer.step(scene.camera, snapshot, plane=support)
            mask = frame.mask.numpy() > 0
            shares = found.setdefault(name, ShadowShares())
            shares.add(frame.image, true[index], truth.background, mask)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Measure shadows on the support plane.')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED)
    parser.add_argument('--motions', nargs='+', default=['turn_mug', 'pour', 'stack'])
    parser.add_argument('--seeds', type=int, nargs='+', default=[20, 1, 2, 3, 7])
    parser.add_argument('--frames', type=int, default=5, help='of each scene')
    args = parser.parse_args(arguments)
    try:
        session = StreamingSession(OnnxRunner(graph_of(args.checkpoint, 1), threads=1))
        motions = [load_motion(motion_path(name)) for name in args.motions]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    found: dict[str, ShadowShares] = {}
    for motion in motions:
        for seed in args.seeds:
            compare(session, args.checkpoint, motion, seed, args.frames, found)
    for name, shares in found.items():
        there, misplaced = shares.result()
        print(f'{name:<16} there {there:.3f}, misplaced {misplaced:.3f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
