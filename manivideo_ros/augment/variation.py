"""Makes one synthetic episode of a recorded one, complete or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.augment.choices import Choices, choose
from manivideo_ros.augment.engine import make_synthesizer
from manivideo_ros.augment.hands import hands_of, hands_provenance, shaped_for
from manivideo_ros.augment.kept_background import recorded_plate
from manivideo_ros.augment.references import render_references
from manivideo_ros.augment.source import Source
from manivideo_ros.augment.views import View, views_of
from manivideo_ros.bags.bag import BagFullError, BagWriter
from manivideo_ros.bags.provenance import KEY, text_of
from manivideo_ros.camera.support import plane_of
from manivideo_ros.drawing.labels import label
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.geometry import Array, invert_rigid
from manivideo_ros.hand.model import HandModel
from manivideo_ros.messages.names import CAMERA, IMAGE, POINTS, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import camera_transform
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.synthesizer import Synthesizer, scene_for

PARTIAL = '.partial'
"""Folder beside the episodes in which each is written, in a folder of its own, until complete."""
BACKGROUND = '/background'
NEVER_SEEN = 'background_never_seen.png'
FRAME_TOPICS = {
    '/camera_info': CAMERA,
    '/image_raw': IMAGE,
    '/mlo/mask': IMAGE,
    '/mlo/depth': IMAGE,
    '/hand_keypoints': POINTS,
}


@dataclass(frozen=True)
class Job:
    """One episode to make, with all that determines the result.

    source: path of the recording; sha256: of its files; seed: of the variation; hand_folder: for
    `hands_of`; made_by: engine, hands and background in the provenance. images: topic whose images
    give the background, '' for a generated one. cameras: topics of the CameraInfos that see it;
    empty: the only one.
    """

    source: str
    sha256: str
    out: str
    seed: int
    engine: EngineSpec
    hand_folder: str
    made_by: tuple[tuple[str, str], ...]
    images: str = ''
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """A complete episode: its folder and number of frames."""

    folder: str
    frames: int


def make_episode(job: Job, done: Callable[[int, int], None] = lambda frame, frames: None) -> Made:
    """Make one episode, which gets its name once it is complete.

    done: called after each frame with the number of finished frames and of all. An episode that
    another process has made meanwhile is kept. Raises ValueError (one line) for poses or objects
    that cannot be drawn, a changed recording, an engine that does not run and a full disk; OSError.
    No files are left then.
    """
    source = Source(job.source, next(iter(job.cameras), ''))
    if source.sha256 != job.sha256:
        raise ValueError(f'{source.path}: has changed since the work was planned: start again')
    hands = hands_of(job.hand_folder)
    motion = shaped_for(source.motion, hands['right'].name)
    choices = choose(motion, job.seed, int(job.sha256[:15], 16), moves=not job.images)
    provenance = {
        'synthetic': True,
        'source': {'bag': source.name, 'sha256': job.sha256, 'replaced': source.replaced},
        **dict(job.made_by),
        'hands': hands_provenance(source.motion, motion),
        'seed': job.seed,
        'choices': choices.to_json(),
    }
    final = Path(job.out) / episode_name(source.name, job.seed)
    home = Path(job.out) / PARTIAL
    home.mkdir(exist_ok=True)
    # A unique folder: a machine that was given up may still be writing to another one.
    work = Path(tempfile.mkdtemp(dir=home))
    try:
        bag = BagWriter(work / final.name, {**source.reader.custom_data, KEY: text_of(provenance)})
        with bag:
            _write(bag, source, motion, hands, choices, job, done)
        _keep(bag.folder, final)
    except BagFullError:
        raise ValueError(f'{final}: the disk is full: free space, then run it again') from None
    except EngineError as error:
        raise ValueError(str(error)) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Made(str(final), len(motion))


def episode_name(source: str, seed: int) -> str:
    """The name of the episode of a recording and a seed."""
    return f'{source}_seed{seed}'


def _keep(folder: Path, final: Path) -> None:
    """Rename an episode, unless it exists already."""
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
    job: Job,
    done: Callable[[int, int], None],
) -> None:
    """Write the copied topics, and each frame of every view after its pose."""
    reader, complete = source.reader, iter(source.frames_after)
    for topic, connection in reader.connections.items():
        if topic not in source.replaced:
            bag.copy_topic(topic, connection)
    views = views_of(source.path, motion, choices, job.cameras)
    for topic in {'/tf' if view.moves else '/tf_static' for view in views}:
        if topic not in reader.connections:
            bag.add_topic(topic, TF, latched=topic == '/tf_static')
    frames, empty = [], {}
    for view in views:
        for topic, kind in FRAME_TOPICS.items():
            bag.add_topic(view.prefix + topic, kind)
        bag.add_topic(view.prefix + BACKGROUND, IMAGE, latched=True)
        synthesizer, never_seen = _synthesizer(motion, hands, choices, view, job)
        if never_seen is not None:
            Image.fromarray(never_seen).save(bag.folder / NEVER_SEEN)
        # Where the recorded scene is kept, its support is unknown.
        plane = None if job.images else plane_of(invert_rigid(choices.table_from_world))
        frames.append(_frames(synthesizer, motion, view, plane))
        header = ROSBAGS.header(int(motion.stamps_ns[0]), view.frame)
        empty[view.prefix + BACKGROUND] = ROSBAGS.image(header, synthesizer.scene.background)
    placed, count = False, 0
    kept = [topic for topic in reader.connections if topic not in source.replaced]
    for message in reader.messages(kept):
        if not placed:
            for view in views:
                if not view.moves:
                    place = camera_transform(motion, view.cameras[0], view.frame)
                    _put(bag, '/tf_static', place, message.stamp_ns)
            for topic, image in empty.items():
                _put(bag, topic, image, message.stamp_ns)
            placed = True
        bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
        for _ in range(next(complete) if message.topic == source.frames_topic else 0):
            for made in frames:
                for topic, part in next(made).items():
                    _put(bag, topic, part, message.stamp_ns)
            count += 1
            done(count, len(motion))


def _synthesizer(
    motion: Motion, hands: Mapping[str, HandModel], choices: Choices, view: View, job: Job
) -> tuple[Synthesizer, NDArray[np.bool_] | None]:
    """The synthesizer of a view, and the pixels of a kept background that are filled in."""
    seen = replace(choices, camera=view.cameras[0])
    background, reference = render_references(seen)
    never_seen = None
    if job.images:
        meshes = {n: _mesh(track.mesh, track.scale) for n, track in motion.objects.items()}
        path = Path(job.source)
        plate = recorded_plate(path, job.images, motion, seen.camera, hands, meshes)
        background, never_seen = plate.image, plate.never_seen
    objects = {
        name: choices.objects[name].on(_mesh(track.mesh, track.scale))
        for name, track in motion.objects.items()
    }
    scene = scene_for(job.engine.weights, objects, background, reference)
    return make_synthesizer(job.engine, hands, scene, choices.noise, view.number), never_seen


@lru_cache(maxsize=16)
def _mesh(name: str, scale: float) -> ObjectMesh:
    """A recording's object, cached because variations of one recording follow each other."""
    return load_mesh(name, scale)


def _frames(
    synthesizer: Synthesizer, motion: Motion, view: View, plane: Array | None
) -> Iterator[dict[str, Any]]:
    """The messages of each frame by topic, in the order of the poses."""
    for index, stamp in enumerate(motion.stamps_ns.tolist()):
        sample, camera = motion.frame(index), view.cameras[index if view.moves else 0]
        snapshot = Snapshot.of(stamp, sample.hands, sample.objects)
        frame = synthesizer.step(camera, snapshot, plane=plane)
        layers = len(frame.layers.normal_map)
        labels = label(
            frame.foreground, frame.mask, layers, camera, synthesizer.hands, sample.hands
        )
        header = ROSBAGS.header(stamp, view.frame)
        made = {
            '/camera_info': ROSBAGS.camera(header, camera),
            '/image_raw': ROSBAGS.image(header, frame.image),
            '/mlo/mask': ROSBAGS.image(header, labels.mask),
            '/mlo/depth': ROSBAGS.image(header, labels.depth),
            '/hand_keypoints': ROSBAGS.points(header, labels.keypoints),
        }
        out = {view.prefix + topic: message for topic, message in made.items()}
        if view.moves:
            out['/tf'] = camera_transform(motion, camera, view.frame, stamp)
        yield out


def _put(bag: BagWriter, topic: str, message: Any, stamp_ns: int) -> None:
    bag.write(topic, serialized(message), stamp_ns)
