"""The methods to evaluate: a checkpoint, streamed as the node streams it, and its rivals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from manivideo_ros.drawing.people.hand_skeleton import hand_skeleton
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.suites.clips import ClipInputs, FramesOf, RgbImage
from manivideo_ros.geometry import Array
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.motion.pose_buffer import SKELETON, Snapshot
from manivideo_ros.synthesizer import Synthesizer, scene_for


def streamed(graph: Path, checkpoint: Path) -> FramesOf:
    """The stream of a checkpoint's graph (engine.graph.cache.graph_of) as a method; one thread."""

    def frames(inputs: ClipInputs) -> Iterator[RgbImage]:
        # A clip is streamed once for each kind of poses, interleaved: each needs its own session.
        return stream(StreamingSession(OnnxRunner(graph, threads=1)), inputs, checkpoint)

    return frames


def stream(session: StreamingSession, inputs: ClipInputs, checkpoint: Path) -> Iterator[RgbImage]:
    """A session's frames [S, S, 3] of the inputs; each valid until the next.

    Raises ValueError if the session takes no skeleton for inputs that have one.
    """
    if (inputs.by_skeleton or inputs.skeletons) and not session.human:
        raise ValueError('the model takes no skeleton')
    objects = {} if inputs.by_skeleton else inputs.objects
    references = inputs.background, inputs.hand_reference, inputs.light
    scene = scene_for(checkpoint, objects, *references)
    hands = {str(side): model for side, model in inputs.hands.items()}
    size = inputs.size, inputs.size
    synthesizer = Synthesizer(session, hands, scene, threads=1, size=size)
    for index, stamp in enumerate(inputs.motion.stamps_ns.tolist()):
        snapshot = snapshot_of(inputs, index, stamp)
        yield synthesizer.step(inputs.camera, snapshot, plane=inputs.support).image


def lit_base(graph: Path, checkpoint: Path) -> FramesOf:
    """The lit base image in the light of a checkpoint's light net, uncorrected by the network."""

    def frames(inputs: ClipInputs) -> Iterator[RgbImage]:
        references = inputs.background, inputs.hand_reference, inputs.light
        scene = scene_for(checkpoint, inputs.objects, *references)
        hands = {str(side): model for side, model in inputs.hands.items()}
        session = StreamingSession(OnnxRunner(graph, threads=1))
        size = inputs.size, inputs.size
        synthesizer = Synthesizer(session, hands, replace(scene, lit=True), 1, size)
        for index, stamp in enumerate(inputs.motion.stamps_ns.tolist()):
            synthesizer.step(inputs.camera, snapshot_of(inputs, index, stamp), plane=inputs.support)
            composer = synthesizer.drawing.image.composer
            correction = torch.zeros_like(composer.made)  # gain [3] and residual [3]
            correction[:3] = 1
            yield composer.compose(correction).numpy().copy()

    return frames


def flat(colour: Array) -> FramesOf:  # [3] in 0..255
    """Hands and objects in one colour before the background."""

    def frames(inputs: ClipInputs) -> Iterator[RgbImage]:
        view = Rasterizer(inputs.surfaces(), inputs.size, inputs.size, threads=1, merge=True)
        for index in range(len(inputs.motion)):
            face = view.render(inputs.camera, inputs.poses(index)).face_index[0].numpy()
            image = np.where((face >= 0)[..., None], colour.round(), inputs.background)
            yield np.asarray(image, np.uint8)

    return frames


def snapshot_of(inputs: ClipInputs, index: int, stamp_ns: int) -> Snapshot:
    """The snapshot of a frame: its poses, or only the skeleton for inputs by skeleton."""
    sample = inputs.motion.frame(index)
    if inputs.by_skeleton:
        hands = {side: sample.hands[side] for side in inputs.hands if side in sample.hands}
        skeleton = hand_skeleton(inputs.camera, hands)
        return Snapshot(stamp_ns, {}, {}, {SKELETON: 1.0}, skeleton=skeleton)
    snapshot = Snapshot.of(stamp_ns, sample.hands, sample.objects)
    if inputs.skeletons is None:
        return snapshot
    presence = {**snapshot.presence, SKELETON: 1.0}
    return replace(snapshot, presence=presence, skeleton=inputs.skeletons[index])
