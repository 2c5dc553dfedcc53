"""The estimated light, against the light of held-out rooms and of held-out HDR panoramas.

    python -m manivideo_ros.evaluation.suites.light [--scenes 60] [--panoramas DIR] [--checkpoint F]

For every scene a hand reference is rendered in a room. `ball` is the RMS error of the grey ball's
colours in that light, sRGB in 0..1; `direction` the median angle in degrees between the estimated
lamp and the one from which a surface that faces up receives most, over rooms in which that is at
least a quarter of its light.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.rendering.light_views import (
    ball_colours,
    ball_light,
    ball_normals,
    sample_light_scene,
)
from manivideo_ros.data.scenes.library import generator
from manivideo_ros.data.scenes.panoramas import panorama_files, panorama_room
from manivideo_ros.data.scenes.room import harmonic_basis
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.data.shards import image_tensor
from manivideo_ros.model.checkpoint import SHIPPED, load_light_net
from manivideo_ros.model.patch.light import LightNet, grey_at, lamp_and_ambient

SEED = 500_000
LEAST = 0.25  # share of the table's light that the main lamp must have
STREAM = 13  # number of the random stream


@dataclass
class Found:
    """Errors over scenes: squares of the ball's colours, and angles in degrees."""

    squares: list[float] = field(default_factory=list)
    angles: list[float] = field(default_factory=list)

    def line(self, name: str) -> str:
        """One line of the report."""
        ball = np.sqrt(np.mean(self.squares))
        angle = f'{np.median(self.angles):.0f}' if self.angles else '-'
        return (
            f'{name:>10}  ball {ball:.3f}  direction {angle} degrees '
            f'({len(self.angles)} of {len(self.squares)} scenes with a main lamp)'
        )


def measure(network: LightNet, renderer: GroundTruthRenderer, scene: Scene, found: Found) -> None:
    """Add the errors of the light that is estimated from a scene's hand reference."""
    reference = renderer.hand_reference(scene)
    rotation = np.asarray(scene.reference_pose.camera.camera_from_world)[:3, :3]
    place = np.asarray(scene.reference_pose.state.wrist_position)
    true = ball_light(scene.room, place, rotation.T)
    colours = ball_colours(true, scene.room.exposure, scene.response)
    with torch.no_grad():
        light = network(image_tensor(reference.image)[None])
        normals = torch.from_numpy(ball_normals().T.copy())[None]
        shown = grey_at(normals, light)[0].T.numpy()
    found.squares.append(float(np.mean((shown - colours) ** 2)))
    lamps = scene.room.lamps
    received = [
        float(lamp.intensity.mean() * lamp.position[2] / np.linalg.norm(lamp.position) ** 3)
        for lamp in lamps
    ]
    around = harmonic_basis(np.array([0, 0, 1], np.float32)) @ scene.room.harmonics
    main = int(np.argmax(received))
    if received[main] < LEAST * (sum(received) + float(np.mean(around))):
        return
    towards = rotation @ (lamps[main].position - place)
    cosine = lamp_and_ambient(light).towards @ towards / np.linalg.norm(towards)
    found.angles.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else '')
    parser.add_argument('--scenes', type=int, default=60)
    parser.add_argument('--panoramas', type=Path, help='folder of HDR panoramas, a third held out')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED)
    args = parser.parse_args(arguments)
    network = load_light_net(args.checkpoint)
    if network is None:
        parser.error(f'{args.checkpoint}: has no light estimator')
    try:
        files = panorama_files(args.panoramas, 'test') if args.panoramas else []
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    renderer, rooms, panoramas = GroundTruthRenderer(), Found(), Found()
    for seed in range(SEED, SEED + args.scenes):
        scene = sample_light_scene(seed, 'test')
        measure(network, renderer, scene, rooms)
        if files:
            room = panorama_room(generator('test', STREAM, seed), files)
            measure(network, renderer, replace(scene, room=room), panoramas)
    print(rooms.line('rooms'))
    if files:
        print(panoramas.line('panoramas'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
