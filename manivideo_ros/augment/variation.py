"""One synthetic episode: the recorded one with new images, whole or not there at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from manivideo_ros.augment.choices import Choices, choose
from manivideo_ros.augment.engine import make_synthesizer
from manivideo_ros.augment.hands import hands_of, shaped_for, told
from manivideo_ros.augment.references import render_references
from manivideo_ros.augment.source import Source
from manivideo_ros.bags.bag import BagFullError, BagWriter
from manivideo_ros.bags.provenance import KEY, text_of
from manivideo_ros.drawing.labels import label
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.hand.model import HandModel
from manivideo_ros.messages.names import CAMERA, IMAGE, POINTS, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import camera_transform
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.synthesizer import Scene, Synthesizer

CAMERA_FRAME = 'synthetic_camera_optical'
"""Not a frame that a recording has: its own transforms stay as they are."""
PARTIAL = '.partial'
"""Folder beside the episodes in which each is written, in one of its own, until it is whole."""
BACKGROUND = '/background'
FRAME_TOPICS = {
    '/camera_info': CAMERA,
    '/image_raw': IMAGE,
    '/mlo/mask': IMAGE,
    '/mlo/depth': IMAGE,
    '/hand_keypoints': POINTS,
}


@dataclass(frozen=True)
class Job:
    """One episode to make; it says all that decides the result.

    source: path of the recording, and sha256 of its files; seed: of the variation; hand_folder: of
    `hands_of`; made_by: what the provenance tells of engine and hands.
    """

    source: str
    sha256: str
    out: str
    seed: int
    engine: EngineSpec
    hand_folder: str
    made_by: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Made:
    """An episode that is there: its folder and how many frames it has."""

    folder: str
    frames: int


def make_episode(job: Job, done: Callable[[int, int], None] = lambda frame, frames: None) -> Made:
    """Make one episode, under a name that only a whole one bears.

    done: told after each frame how many are done, and of how many.

    Where somebody else has made it meanwhile, theirs is kept. Raises ValueError (one line) for
    poses or objects that cannot be drawn, a recording that is no longer what it was and an engine
    that does not run; OSError as for a full disk. Nothing is left of it then.
    """
    source = Source(job.source)
    if source.sha256 != job.sha256:
        raise ValueError(f'{source.path}: is not what it was when the work was planned: start anew')
    hands = hands_of(job.hand_folder)
    motion = shaped_for(source.motion, hands['right'].name)
    choices = choose(motion, job.seed, int(job.sha256[:15], 16), job.engine.resolution)
    provenance = {
        'synthetic': True,
        'source': {'bag': source.name, 'sha256': job.sha256, 'replaced': source.replaced},
        **dict(job.made_by),
        'hands': told(source.motion, motion),
        'seed': job.seed,
        'choices': choices.told(),
    }
    final = Path(job.out) / episode_name(source.name, job.seed)
    home = Path(job.out) / PARTIAL
    home.mkdir(exist_ok=True)
    # A folder that nobody else has: a machine that was given up for lost may still be writing.
    work = Path(tempfile.mkdtemp(dir=home))
    try:
        bag = BagWriter(work / final.name, {**source.reader.custom_data, KEY: text_of(provenance)})
        with bag:
            _write(bag, source, motion, hands, choices, job.engine, done)
        _keep(bag.folder, final)
    except BagFullError:
        raise ValueError(f'{final}: the disk is full: free some space, then go on') from None
    except EngineError as error:
        raise ValueError(str(error)) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Made(str(final), len(motion))


def episode_name(source: str, seed: int) -> str:
    """What the episode of a recording and a seed is called."""
    return f'{source}_seed{seed}'


def _keep(folder: Path, final: Path) -> None:
    """Give an episode its name, unless it is there already."""
    try:
        folder.replace(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _write(
    bag: BagWriter,
    source: Source,
    motion: Motion,
    hands: Mapping[str, HandModel],
    choices: Choices,
    engine: EngineSpec,
    done: Callable[[int, int], None],
) -> None:
    """Everything that was recorded, and after each pose its frame."""
    reader, complete = source.reader, iter(source.frames_after)
    for topic, connection in reader.connections.items():
        if topic not in source.replaced:
            bag.copy_topic(topic, connection)
    if '/tf_static' not in reader.connections:
        bag.add_topic('/tf_static', TF, latched=True)
    for topic, kind in FRAME_TOPICS.items():
        bag.add_topic(topic, kind)
    bag.add_topic(BACKGROUND, IMAGE, latched=True)
    synthesizer = _synthesizer(motion, hands, choices, engine)
    frames = _frames(synthesizer, motion, choices)
    empty = ROSBAGS.image(
        ROSBAGS.header(int(motion.stamps_ns[0]), CAMERA_FRAME), synthesizer.scene.background
    )
    placed, count = False, 0
    kept = [topic for topic in reader.connections if topic not in source.replaced]
    for message in reader.messages(kept):
        if not placed:
            _put(bag, '/tf_static', camera_transform(motion, choices.camera, CAMERA_FRAME),
                 message.stamp_ns)  # fmt: skip
            _put(bag, BACKGROUND, empty, message.stamp_ns)
            placed = True
        bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
        for _ in range(next(complete) if message.topic == source.pace else 0):
            for topic, made in next(frames).items():
                _put(bag, topic, made, message.stamp_ns)
            count += 1
            done(count, len(motion))


def _synthesizer(
    motion: Motion, hands: Mapping[str, HandModel], choices: Choices, engine: EngineSpec
) -> Synthesizer:
    background, reference = render_references(choices)
    objects = {
        name: choices.objects[name].on(_mesh(track.mesh, track.scale))
        for name, track in motion.objects.items()
    }
    scene = Scene(objects, background, reference)
    return make_synthesizer(engine, hands, scene, choices.noise)


@lru_cache(maxsize=16)
def _mesh(name: str, scale: float) -> ObjectMesh:
    """The object of a recording; its variations follow one another."""
    return load_mesh(name, scale)


def _frames(synthesizer: Synthesizer, motion: Motion, choices: Choices) -> Iterator[dict[str, Any]]:
    """The messages of each frame by topic, in the order of the poses."""
    camera = choices.camera
    for index, stamp in enumerate(motion.stamps_ns.tolist()):
        sample = motion.frame(index)
        frame = synthesizer.step(camera, Snapshot.of(stamp, sample.hands, sample.objects))
        labels = label(frame.layers, camera, synthesizer.hands, sample.hands)
        yield {
            '/camera_info': ROSBAGS.camera(ROSBAGS.header(stamp, CAMERA_FRAME), camera),
            '/image_raw': ROSBAGS.image(ROSBAGS.header(stamp, CAMERA_FRAME), frame.image),
            '/mlo/mask': ROSBAGS.image(ROSBAGS.header(stamp, CAMERA_FRAME), labels.mask),
            '/mlo/depth': ROSBAGS.image(ROSBAGS.header(stamp, CAMERA_FRAME), labels.depth),
            '/hand_keypoints': ROSBAGS.points(
                ROSBAGS.header(stamp, CAMERA_FRAME), labels.keypoints
            ),
        }


def _put(bag: BagWriter, topic: str, message: Any, stamp_ns: int) -> None:
    bag.write(topic, serialized(message), stamp_ns)
