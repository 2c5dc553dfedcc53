"""`manivideo render`: the video of a motion file, without ROS, as a stream or in windows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.camera.support import checked_plane, plane_moved, plane_of, plane_problem
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, find_spec
from manivideo_ros.estimation.scene_folder import (
    scene_background,
    scene_hand,
    scene_light,
    scene_robot,
    scene_shape,
    scene_support,
)
from manivideo_ros.evaluation.sheets import steady, write_video
from manivideo_ros.evaluation.suites.held_out import table_under
from manivideo_ros.geometry import Array, Camera, invert_rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import SIDES
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.model.grid import on_grid
from manivideo_ros.motion.motion import Motion, in_shape, shaped_for
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.robots.options import ROBOT_OPTIONS, add_robot_options, robot_given
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.motion.shipped import motion_named, motion_path
from manivideo_ros.motion.sources.hand_option import HELP as HANDS_HELP
from manivideo_ros.motion.view import camera_of, require_fixed_camera
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.process.folders import expanded
from manivideo_ros.process.renamed import RenamedOption
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.synthesizer import Scene, Synthesizer, scene_for

KEEP = 'keep'
Images = Iterator[NDArray[np.uint8]]
VIDEO_HZ = 30
STILL = 'warning: the camera moves, and the background stands still in its image'


@dataclass(frozen=True)
class Render:
    """What is rendered, and how.

    motion: '' for that of the demo; background, hand_reference: '' for the shipped images, 'keep'
    for the scene in the motion's own images (of the topic `images`, '' for the only one); camera:
    topic of its CameraInfo, '' for the only one; hands: what its hands are read from. scene: folder
    of background and hand reference, '' for none. quality: in windows of 24 frames on torch; else
    as a stream, on the backends of the engine. robot: shown in place of hands. support_plane [4]:
    in the frame of the poses; empty: under the motion, none with a background.
    """

    out: Path
    motion: str = ''
    engine: str = 'tiny'
    checkpoint: str = ''
    background: str = ''
    images: str = ''
    camera: str = ''
    hands: str = ''
    hand_reference: str = ''
    scene: str = ''
    seed: int = 0
    threads: int = 2
    support_plane: Sequence[float] = ()
    quality: bool = False
    robot: RecordedRobot | None = None


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='manivideo render', description='Make the video of a motion file, without ROS.'
    )
    parser.add_argument('motion', nargs='?', default='', help='motion file, or name of one')
    parser.add_argument('--out', type=Path, default=Path('video.mp4'), help='the video to write')
    parser.add_argument('--engine', default='tiny', help='engine specification: name or file')
    parser.add_argument('--checkpoint', default='', help='weights (safetensors)')
    parser.add_argument(
        '--background', default='', help="background image; keep: the motion's recorded scene"
    )
    parser.add_argument(
        '--support-plane',
        type=float,
        nargs=4,
        default=(),
        metavar=('X', 'Y', 'Z', 'D'),
        help='the plane with shadows and what is below it hidden: unit normal towards the hands '
        'and offset, in the frame of the poses; default: under the motion, or none with a '
        '--background',
    )
    parser.add_argument('--images', default='', help='images for --background keep (topic)')
    parser.add_argument('--camera', default='', help='topic of its CameraInfo (the only one)')
    parser.add_argument('--hands', default='', metavar='FROM', help=HANDS_HELP)
    add_robot_options(parser)
    parser.add_argument('--hand-reference', default='', help='image of an open hand')
    parser.add_argument('--scene', default='', help='folder of `manivideo calibrate`')
    parser.add_argument('--hand-appearance', dest='hand_reference', action=RenamedOption)
    parser.add_argument('--seed', type=int, default=0, help='seed of the generative noise')
    parser.add_argument('--threads', type=int, default=2, help='threads of the synthesizer')
    parser.add_argument(
        '--quality', action='store_true', help='in windows of 24 frames on torch, not as a stream'
    )
    given = parser.parse_args(arguments)
    robot = robot_given(given)
    fields = {name: value for name, value in vars(given).items() if name not in ROBOT_OPTIONS}
    return run(Render(**fields, robot=robot))


def run(job: Render) -> int:
    """Write the video and return the exit status. Raises ValueError for unusable input."""
    motion = motion_named(job.motion, job.camera, job.hands, job.robot)
    motion = shown_in_shape(motion, _given(job.scene), _given(job.hand_reference))
    spec = find_spec(job.engine)
    if job.checkpoint:
        spec = replace(spec, checkpoint=job.checkpoint)
    config = read_config(spec.weights)
    spec.check(config)
    camera, _ = view(motion, 0)
    spec = spec.seen_by(config, camera.width, camera.height)
    folder, hand = _given(job.scene), _given(job.hand_reference)
    scene = scene_for(
        spec.weights,
        {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()},
        background_of(job, motion),
        scene_hand(folder, hand),
        scene_light(folder, hand),
    )
    job.out.parent.mkdir(parents=True, exist_ok=True)
    make = in_windows if job.quality else as_a_stream
    try:
        images = tqdm(make(job, spec, config, scene, motion), total=len(motion), unit='frame')
        write_video(job.out, steady(images, motion.stamps_ns.tolist(), VIDEO_HZ), VIDEO_HZ)
    except EngineError as error:
        raise ValueError(str(error)) from None
    print(job.out)
    return 0


def shown_in_shape(motion: Motion, scene: Path | None, hand: Path | None) -> Motion:
    """The motion of the default hand, in the shape of the scene folder where it has none.

    Raises ValueError.
    """
    motion = shaped_for(motion, 'default')  # betas of another model mean other shapes
    shape = scene_shape(scene, hand)
    if shape is None or not motion.hands:
        return motion
    if shape.model != motion.hand_model:
        print(f"warning: {scene}: its hand shape is of the model {shape.model!r}: not used",
              file=sys.stderr)  # fmt: skip
        return motion
    shaped = in_shape(motion, shape)
    changed = [s for s, t in motion.hands.items() if shaped.hands[s] is not t]
    if changed:
        print(f'hands in the shape of {scene}: {", ".join(changed)}', file=sys.stderr)
    return shaped


def background_of(job: Render, motion: Motion) -> NDArray[np.uint8]:
    """The background [H, W, 3]. Raises ValueError for images or a topic that cannot be used."""
    if job.background != KEEP:
        if motion.camera_track is not None:
            print(STILL, file=sys.stderr)
        return scene_background(_given(job.scene), _given(job.background))
    from manivideo_ros.augment.kept_background import images_topics, recorded_plate
    from manivideo_ros.bags.bag import BagReader

    path = motion_path(job.motion)
    if motion.camera is None:
        raise ValueError(f'{path}: --background keep: no camera_info was recorded')
    require_fixed_camera(motion, '--background keep')
    meshes = {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()}
    named = [[name] if name else [] for name in (job.images, job.camera)]
    reader = BagReader(path)
    (topic,) = images_topics(path, reader.topics, *named)
    hands, camera = hands_of(motion), camera_of(motion)
    return recorded_plate(reader, topic, motion, camera, hands, meshes, job.camera).image


def _given(name: str) -> Path | None:
    """The file or folder of an option, None for ''."""
    return expanded(name) if name else None


def as_a_stream(
    job: Render, spec: EngineSpec, config: ModelConfig, scene: Scene, motion: Motion
) -> Images:
    """The images of the motion, as a stream generates them."""
    session = StreamingSession(Engine(spec, job.threads), job.seed)
    synthesizer = Synthesizer(
        session, hands_of(motion), scene, job.threads, robots=robots_of(motion, job)
    )
    # A frame overwrites the last one, which `steady` may still show: copy it.
    plane = support_of(job, motion)
    return (step(synthesizer, motion, index, plane).copy() for index in range(len(motion)))


def support_of(job: Render, motion: Motion) -> Array | None:
    """The support plane [4]; None where it is unknown. Raises ValueError for an unusable one."""
    camera = camera_of(motion)
    if job.support_plane:
        try:
            given = checked_plane(job.support_plane)
        except ValueError as error:
            raise ValueError(f'--support-plane: {error}') from None
        if problem := plane_problem(given, camera):
            raise ValueError(f'--support-plane: {problem}')
        return given
    support = scene_support(_given(job.scene), _given(job.background))
    if support is not None:
        seen = plane_moved(support, invert_rigid(camera.camera_from_world))
        return None if plane_problem(seen, camera) else seen
    if job.background:
        return None
    plane = plane_of(invert_rigid(table_under(motion, camera)))
    return None if plane_problem(plane, camera) else plane


def in_windows(
    job: Render, spec: EngineSpec, config: ModelConfig, scene: Scene, motion: Motion
) -> Images:
    """The images of the motion, generated in windows."""
    import torch

    from manivideo_ros.engine.pytorch.windowed import Collector, open_windows, windowed

    model = open_windows(spec, 'cuda' if torch.cuda.is_available() else 'cpu')
    collector = Collector(config if spec.grid is None else on_grid(config, spec.grid))
    session = StreamingSession(collector, job.seed)
    synthesizer = Synthesizer(
        session, hands_of(motion), scene, job.threads, robots=robots_of(motion, job)
    )
    plane = support_of(job, motion)

    def given() -> Iterator[Mapping[str, NDArray[Any]]]:
        for index in range(len(motion)):
            if isinstance(config.trunk, LatentTrunk):
                # These are trained on noise of each frame's own, those over pixels on the clip's.
                session.set_seed((job.seed, index))
            step(synthesizer, motion, index, plane)
            yield collector.collected

    for index, made in enumerate(windowed(model, given())):
        yield synthesizer.composed(*view(motion, index), made, plane).copy()  # as in a stream


def hands_of(motion: Motion) -> dict[str, HandModel]:
    """The default hands of the sides that the motion has."""
    return {side: load_hand(side) for side in SIDES if side in motion.hands}


def robots_of(motion: Motion, job: Render) -> dict[str, RobotModel]:
    """The robots of a motion by name, in the colours of the scene. Raises ValueError."""
    folder = _given(job.scene)
    return {name: scene_robot(folder, track.model) for name, track in motion.robots.items()}


def step(
    synthesizer: Synthesizer, motion: Motion, index: int, plane: Array | None
) -> NDArray[np.uint8]:
    """The image of one frame of a motion, valid until the next step."""
    return synthesizer.step(*view(motion, index), plane=plane).image


def view(motion: Motion, index: int) -> tuple[Camera, Snapshot]:
    """The camera and the poses of one frame of a motion."""
    sample = motion.frame(index)
    stamp, robots = int(motion.stamps_ns[index]), motion.robots_in(index)
    snapshot = Snapshot.of(stamp, sample.hands, sample.objects, robots)
    return camera_of(motion, index), snapshot
