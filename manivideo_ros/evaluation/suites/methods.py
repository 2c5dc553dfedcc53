"""The methods that are measured: a checkpoint's stream, as the node would run it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from manivideo_ros.data.human.hand_skeleton import hand_skeleton
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.suites.clips import FramesOf, RgbImage, Told
from manivideo_ros.motion.pose_buffer import SKELETON, Snapshot
from manivideo_ros.synthesizer import Scene, Synthesizer


def streamed(graph: Path) -> FramesOf:
    """The stream of an exported graph (engine.cache.graph_of) as a method; one thread."""

    def frames(told: Told) -> Iterator[RgbImage]:
        # Streams of one clip with several kinds of poses are asked in turn: each has a session.
        return stream(StreamingSession(OnnxRunner(graph, threads=1)), told)

    return frames


def stream(session: StreamingSession, told: Told) -> Iterator[RgbImage]:
    """A session's frames [S, S, 3] of what it is told; each valid until the next.

    Raises ValueError where the session makes images of another size, or takes no skeleton where
    nothing else is told.
    """
    if session.image_size != told.size:
        raise ValueError(
            f'the model makes images of {session.image_size} pixels, {told.size} are asked for'
        )
    if told.by_skeleton and not session.human:
        raise ValueError('the model takes no skeleton')
    scene = Scene({} if told.by_skeleton else told.objects, told.background, told.hand_reference)
    hands = {str(side): model for side, model in told.hands.items()}
    synthesizer = Synthesizer(session, hands, scene, threads=1)
    for index, stamp in enumerate(told.motion.stamps_ns.tolist()):
        yield synthesizer.step(told.camera, snapshot_of(told, index, stamp)).image


def snapshot_of(told: Told, index: int, stamp_ns: int) -> Snapshot:
    """What a stream knows at a frame: poses, or where nothing else is told the skeleton."""
    sample = told.motion.frame(index)
    if told.by_skeleton:
        hands = {side: sample.hands[side] for side in told.hands if side in sample.hands}
        skeleton = hand_skeleton(told.camera, hands)
        return Snapshot(stamp_ns, {}, {}, {SKELETON: 1.0}, skeleton=skeleton)
    return Snapshot.of(stamp_ns, sample.hands, sample.objects)
