"""What the network gains over the painted base on robots and on people, of the same motion.

`python -m tools.robot_gain` renders ground truth of shipped motions in held-out rooms, once with
the default hands and once with a robot that follows them, streams the shipped network on both, and
prints PSNR and occlusion order in the pixels of hands and objects. Where both layers are of one
material, a shadow can make an image in the right order look like the exchanged one, or the reverse.
A second figure of the order counts the pixels in which it cannot: the right order without shadows
is nearer to the ground truth there, and the exchanged one with shadows to its counter-example. A
third one counts those in which a hand and an object overlap.
Robots of others:
`--robot right.urdf` (a hand without an arm, which follows the right hand). `--sheet out.png` shows
frames: ground truth, base and network of people, then of the robot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.data.rendering.ground_truth import (
    object_surface_material,
    robot_surface_material,
    scene_materials,
)
from manivideo_ros.data.rendering.renderer import SHADOW_SIZE, Renderer, SurfaceMaterial
from manivideo_ros.data.scenes.camera_response import develop
from manivideo_ros.data.scenes.library import generator
from manivideo_ros.data.scenes.robots import prepare_robot
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.measures.image import ClipQuality
from manivideo_ros.evaluation.measures.order import ClipOrder, SwappedRasterizer, colour_distance
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.hand.load import load_hand
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import (
    Surface,
    SurfacePose,
    hand_surface,
    object_surface,
    robot_surface,
)
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.motion.motion import MotionSample
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.robot.demo_robot import demo_robot
from manivideo_ros.robot.model import RobotModel, load_robot_file
from manivideo_ros.robot.retarget import Retargeting
from manivideo_ros.robot.state import RobotState
from manivideo_ros.synthesizer import Synthesizer, scene_for

SIZE = 256
Rgb = NDArray[np.uint8]


class _Unshadowed(Renderer):
    """Renders the layer that is hidden as it looks in the light."""

    def _cast_shadows(self, shadow, poses, world) -> None:
        super()._cast_shadows(shadow, poses, world)
        self.shadow_map.zero_()


@dataclass
class Kind:
    """Results of people or of the robot."""

    quality: ClipQuality = field(default_factory=ClipQuality)
    order: ClipOrder = field(default_factory=ClipOrder)
    unshaded: ClipOrder = field(default_factory=ClipOrder)
    mixed: ClipOrder = field(default_factory=ClipOrder)
    rows: list[Rgb] = field(default_factory=list)


class Truth:
    """Ground truth of surfaces in a held-out scene, and of the nearest two layers exchanged."""

    def __init__(
        self, truth: HeldOutGroundTruth, surfaces: list[Surface], materials: list[SurfaceMaterial]
    ) -> None:
        self._stage, self._view = truth._stage, truth._stage.camera
        fine = self._view.resized(2 * SIZE, 2 * SIZE)
        self._shadow = Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)
        self._seen = Rasterizer(surfaces, 2 * SIZE, 2 * SIZE, threads=1, merge=True)
        self._swapped = SwappedRasterizer(surfaces, 2 * SIZE, 2 * SIZE)
        self._renderers = Renderer(2 * SIZE, 2 * SIZE), _Unshadowed(2 * SIZE, 2 * SIZE)
        for renderer in self._renderers:
            renderer.set_view(self._stage.room, fine)
            renderer.set_surfaces(surfaces, materials)

    def image(
        self, poses: list[SurfacePose], index: int
    ) -> tuple[Rgb, Rgb, NDArray, NDArray, NDArray, NDArray]:
        """Image, that with exchanged layers; masks of surfaces, of overlapping ones, of those in
        which shadows do not make the difference, and of a hand and an object that overlap."""
        true, unshadowed = self._renderers
        exposed = true.frame(self._seen, self._shadow, poses, index)
        rng = generator('test', 3, self._stage.seed, index)
        image = develop(exposed, self._stage.response, (SIZE, SIZE), rng)
        face = self._seen.buffers.face_index[0].numpy().reshape(SIZE, 2, SIZE, 2)
        other = unshadowed.frame(self._swapped, self._shadow, poses)
        swapped = develop(other, self._stage.response, (SIZE, SIZE), None)
        competing = self._swapped.competing.reshape(SIZE, 2, SIZE, 2).all((1, 3))
        objects = self._swapped.nearest.reshape(2, SIZE, 2, SIZE, 2) == 0
        mixed = competing & (objects[0] != objects[1]).all((1, 3))
        unshaded = competing.copy()
        for renderer, view, near, far in (
            (unshadowed, self._seen, image, swapped),
            (true, self._swapped, swapped, image),
        ):
            exposed = renderer.frame(view, self._shadow, poses, index)
            shown = develop(exposed, self._stage.response, (SIZE, SIZE), None)
            unshaded &= colour_distance(shown, near) < colour_distance(shown, far)
        return image, swapped, (face >= 0).all((1, 3)), competing, unshaded, mixed


def corrected(synthesizer: Synthesizer) -> Rgb:
    """The base image of the last frame, painted in a fixed light, uncorrected."""
    composer = synthesizer.drawing.image.composer
    nothing = torch.zeros_like(composer.made)
    nothing[:3] = 1
    return composer.compose(nothing).numpy().copy()


def measure(
    motion_name: str, seed: int, frames: int, robot: RobotModel, sides: tuple[str, ...],
    results: Mapping[str, Kind], checkpoint: Path,
) -> None:  # fmt: skip
    """Add the frames of a motion in a scene."""
    motion = motion_named(motion_name)
    scene = HeldOutScene.of(motion, seed)
    truth = HeldOutGroundTruth(scene)
    reference, table = truth.hand_reference(), scene.table_from_world
    hands = {side: load_hand(side) for side in ('left', 'right')}
    retargeting = Retargeting(robot)
    samples = []
    for index in np.linspace(0, len(motion) - 1, frames).astype(int).tolist():
        sample = motion.frame(index)
        points = {s: world_keypoints(hands[s], h) for s, h in sample.hands.items() if s in sides}
        samples.append((index, sample, retargeting.follow(points)))
    shown_robot = prepare_robot('robot', robot)
    objects = [object_surface(mesh) for mesh in scene.meshes.values()]
    of_objects = [object_surface_material(asset) for asset in truth._assets]
    people = [hand_surface(hand) for hand in scene.hands.values()]
    truths = {
        'people': Truth(truth, [*people, *objects], [*scene_materials(truth._stage), *of_objects]),
        'robot': Truth(truth, [robot_surface(robot), *objects],
                       [robot_surface_material(shown_robot), *of_objects]),
    }  # fmt: skip
    look = scene_for(checkpoint, scene.meshes, truth.background, reference)
    graph = graph_of(checkpoint, 1)
    for kind, result in results.items():
        shown, robots = ({}, {'robot': robot}) if kind == 'robot' else (scene.hands, {})
        synthesizer, painted = (
            Synthesizer(
                StreamingSession(OnnxRunner(graph, threads=2)), shown, used, 2, robots=robots
            )
            for used in (look, replace(look, lit=False, light=None))
        )
        for index, sample, state in samples:
            if state is None:
                continue
            poses, snapshot = posed(kind, sample, state, scene, table, index)
            image, swapped, mask, competing, unshaded, mixed = truths[kind].image(poses, index)
            made = synthesizer.step(scene.camera, snapshot, plane=scene.support).image.copy()
            painted.step(scene.camera, snapshot)
            images = {'base': corrected(painted), 'network': made}
            result.quality.add(images, image, mask)
            result.order.add(images, image, swapped, competing)
            result.unshaded.add(images, image, swapped, unshaded)
            result.mixed.add(images, image, swapped, mixed)
            result.rows.append(np.concatenate([image, images['base'], made], 0))


def posed(
    kind: str, sample: MotionSample, state: RobotState, scene: HeldOutScene, table: NDArray,
    index: int,
) -> tuple[list[SurfacePose], Snapshot]:  # fmt: skip
    """Poses of the surfaces on the table, and the snapshot of a frame."""
    objects = [table @ sample.objects[i] if i in sample.objects else None for i in scene.objects]
    if kind == 'robot':
        return [state.moved(table), *objects], Snapshot.of(
            index, {}, sample.objects, {'robot': state}
        )
    hands = [sample.hands[s].moved(table) if s in sample.hands else None for s in scene.hands]
    return [*hands, *objects], Snapshot.of(index, sample.hands, sample.objects)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--motions', nargs='+', default=['turn_mug', 'lift_can', 'pour'])
    parser.add_argument('--seeds', nargs='+', type=int, default=[20, 21])
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--robot', type=Path, help='URDF of a right hand')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED, help='weights (safetensors)')
    parser.add_argument('--sheet', type=Path)
    given = parser.parse_args()
    torch.set_num_threads(2)
    results = {'people': Kind(), 'robot': Kind()}
    robot = (
        demo_robot() if given.robot is None else load_robot_file(given.robot, outer=outer_faces)[0]
    )
    sides = ('left', 'right') if given.robot is None else ('right',)
    for motion in given.motions:
        for seed in given.seeds:
            measure(motion, seed, given.frames, robot, sides, results, given.checkpoint)
    gains = {}
    for kind, result in results.items():
        (base, _), (made, ssim) = (result.quality.result()[name] for name in ('base', 'network'))
        order, counted = result.order.result()['network']
        gains[kind] = made - base
        quality = f'base {base:.2f} dB, network {made:.2f} dB (SSIM {ssim:.3f})'
        unshaded, rest = result.unshaded.result()['network']
        mixed, _ = result.mixed.result()['network']
        share = f'occlusion order {100 * order:.1f} % of {counted} pixels'
        share += f', {100 * unshaded:.1f} % of {rest} where shadows do not decide'
        share += f', {100 * mixed:.1f} % between hand and object'
        print(f'{kind}: {quality}, gain {made - base:.2f} dB; {share}')
    share = 100 * gains['robot'] / gains['people']
    print(f'gain on {robot.name}: {share:.0f} % of that on people')
    if given.sheet is not None:
        rows = [np.concatenate(results[kind].rows[:6], 1) for kind in results]
        Image.fromarray(np.concatenate(rows, 0)).save(given.sheet)
    return 0


if __name__ == '__main__':
    sys.exit(main())
