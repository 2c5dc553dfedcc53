"""A recorded motion as a video file, without ROS: as a stream, or in windows for quality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.camera.background import BACKGROUND, load_background
from manivideo_ros.camera.viewing import default_camera, fitted
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, find_spec
from manivideo_ros.evaluation.reports.sheets import steady, write_video
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HAND_REFERENCE, load_hand_reference
from manivideo_ros.hand.state import SIDES
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.process.folders import expanded
from manivideo_ros.synthesizer import Scene, Synthesizer

Images = Iterator[NDArray[np.uint8]]
VIDEO_HZ = 30


@dataclass(frozen=True)
class Render:
    """What is rendered, and how. motion: '' for the demo's; background and hand: '' for what ships.

    quality: in windows of 24 frames on torch; else as a stream, on the engine's own backends.
    """

    out: Path
    motion: str = ''
    engine: str = 'tiny'
    checkpoint: str = ''
    background: str = ''
    hand: str = ''
    seed: int = 0
    threads: int = 2
    quality: bool = False


def run(job: Render) -> int:
    """Write the video; the exit status. Raises ValueError, one line, for what cannot be used."""
    motion = load_motion(motion_path(job.motion))
    spec = find_spec(job.engine)
    if job.checkpoint:
        spec = replace(spec, checkpoint=job.checkpoint)
    config = read_config(spec.weights)
    spec.check(config)
    scene = Scene(
        {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()},
        load_background(expanded(job.background) if job.background else BACKGROUND),
        load_hand_reference(expanded(job.hand) if job.hand else HAND_REFERENCE),
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


def as_a_stream(
    job: Render, spec: EngineSpec, config: ModelConfig, scene: Scene, motion: Motion
) -> Images:
    """The images that a stream would show of the motion's frames."""
    session = StreamingSession(Engine(spec, job.threads), job.seed)
    synthesizer = Synthesizer(session, hands_of(motion), scene, job.threads)
    # A frame is made where the last one lies, which `steady` may still show.
    return (step(synthesizer, motion, index).copy() for index in range(len(motion)))


def in_windows(
    job: Render, spec: EngineSpec, config: ModelConfig, scene: Scene, motion: Motion
) -> Images:
    """The images of the windowed model."""
    import torch

    from manivideo_ros.engine.pytorch.windowed import Collector, open_windows, windowed

    model = open_windows(spec, 'cuda' if torch.cuda.is_available() else 'cpu')
    collector = Collector(config)
    session = StreamingSession(collector, job.seed)
    synthesizer = Synthesizer(session, hands_of(motion), scene, job.threads)

    def given() -> Iterator[Mapping[str, NDArray[Any]]]:
        for index in range(len(motion)):
            if isinstance(config.trunk, LatentTrunk):
                # These are trained on noise of each frame's own, those over pixels on the clip's.
                session.set_seed((job.seed, index))
            step(synthesizer, motion, index)
            yield collector.given

    return windowed(model, given())


def hands_of(motion: Motion) -> dict[str, HandModel]:
    """The default hands of a motion's sides."""
    return {side: load_hand(side) for side in SIDES if side in motion.hands}


def step(synthesizer: Synthesizer, motion: Motion, index: int) -> NDArray[np.uint8]:
    """A frame of a motion; valid until the next."""
    size = synthesizer.session.image_size
    first, sample = motion.frame(0), motion.frame(index)
    camera = motion.camera or default_camera(first.hands, first.objects.values(), size, size)
    hands = sample.hands
    if motion.hand_model != 'default':  # another model's betas mean other shapes
        hands = {s: replace(hand, betas=np.zeros_like(hand.betas)) for s, hand in hands.items()}
    snapshot = Snapshot.of(int(motion.stamps_ns[index]), hands, sample.objects)
    return synthesizer.step(fitted(camera, size, size), snapshot).image
