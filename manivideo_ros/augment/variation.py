"""Makes one synthetic episode of a recorded one, complete or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from manivideo_ros.augment.cameras import BACKGROUND, EpisodeCamera, namespaces
from manivideo_ros.augment.choices import Choices, choose
from manivideo_ros.augment.engine import make_synthesizer, sessions_of
from manivideo_ros.augment.hands import hands_of, hands_provenance, shown_motion
from manivideo_ros.augment.kept_background import Plate
from manivideo_ros.augment.references import render_references
from manivideo_ros.augment.source import Selection, Source
from manivideo_ros.augment.working_copy import WorkingCopy
from manivideo_ros.bags.bag import BagFullError, BagWriter
from manivideo_ros.bags.part import FOREVER
from manivideo_ros.bags.provenance import KEY, text_of
from manivideo_ros.camera.light import Light
from manivideo_ros.camera.support import plane_moved, plane_of, plane_problem
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.estimation.scene_folder import (
    scene_hand,
    scene_light,
    scene_robot,
    scene_support,
)
from manivideo_ros.geometry import Array, invert_rigid
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.messages.names import IMAGE, TF
from manivideo_ros.messages.types import serialized
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.synthesizer import scene_for

PARTIAL = '.partial'
"""Folder beside the episodes in which each is written, in a folder of its own, until complete."""
NEVER_SEEN = 'background_never_seen.png'


@dataclass(frozen=True)
class Job:
    """One episode to make, with all that determines the result.

    source: the recording, or a part of it; seed: of the variation; hand_folder: for `hands_of`;
    made_by: engine, hands and background in the provenance. cameras: topics of their CameraInfo,
    none for the only one; plates: of each camera, the file of its background, none for generated
    ones; engine: of the first camera, others: of the others; selection: of the frames.
    """

    source: WorkingCopy
    out: str
    seed: int
    engine: EngineSpec
    hand_folder: str
    made_by: tuple[tuple[str, str], ...]
    cameras: tuple[str, ...] = ()
    plates: tuple[str, ...] = ()
    others: tuple[EngineSpec, ...] = ()
    selection: Selection = field(default_factory=Selection)
    scene: str = ''  # folder of `manivideo calibrate`
    robot: RecordedRobot | None = None  # shown in place of hands
    fixed_camera: bool = False  # cameras stay where they were recorded

    @property
    def engines(self) -> tuple[EngineSpec, ...]:
        """The engine of each camera."""
        return self.engine, *self.others


@dataclass(frozen=True)
class Made:
    """A complete episode: its folder and number of frames."""

    folder: str
    frames: int


def make_episode(job: Job, done: Callable[[int, int], None] = lambda frame, frames: None) -> Made:
    """Make one episode, which gets its name once it is complete.

    done: called after each frame with the number of finished frames and of all. An episode that
    another process has made meanwhile is kept. Raises ValueError (one line) for poses or objects
    that cannot be drawn, an engine that does not run and a full disk; OSError. No files are left
    then.
    """
    source = Source(job.source.open(), job.cameras, job.selection, job.robot)
    hands = hands_of(job.hand_folder)
    motions = [shown_motion(m, hands['right'].name, job.scene) for m in source.motions]
    shown = hands if job.robot is None else {}
    identity = int(job.source.sha256[:15], 16) + (source.part.number or 0)
    moves = not (job.plates or job.fixed_camera)
    chosen = [choose(motions[0], job.seed, identity, moves)]
    table = chosen[0].table_from_world
    chosen += [choose(motion, job.seed, identity, moves, table) for motion in motions[1:]]
    choices = chosen[0].to_json()
    if len(chosen) > 1:
        seen = zip(job.cameras, chosen, strict=True)
        choices['cameras'] = {topic: each.to_json()['camera'] for topic, each in seen}
    provenance = {
        'synthetic': True,
        'source': {**source.provenance, 'sha256': job.source.sha256},
        **dict(job.made_by),
        'hands': hands_provenance(source.motion, motions[0]),
        'seed': job.seed,
        'choices': choices,
    }
    final = Path(job.out) / episode_name(source.name, job.seed)
    home = Path(job.out) / PARTIAL
    home.mkdir(exist_ok=True)
    # A unique folder: a machine that was given up may still be writing to another one.
    work = Path(tempfile.mkdtemp(dir=home))
    try:
        bag = BagWriter(work / final.name, {**source.reader.custom_data, KEY: text_of(provenance)})
        with bag:
            _write(bag, source, _cameras(motions, shown, chosen, job, bag.folder), done)
        _keep(bag.folder, final)
    except BagFullError:
        raise ValueError(f'{final}: the disk is full: free space, then run it again') from None
    except EngineError as error:
        raise ValueError(str(error)) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Made(str(final), len(motions[0]))


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
    cameras: Sequence[EpisodeCamera],
    done: Callable[[int, int], None],
) -> None:
    """Write the copied topics, and each frame after its pose."""
    reader, due = source.reader, source.received_ns.tolist()
    for topic, connection in reader.connections.items():
        if topic not in source.replaced:
            bag.copy_topic(topic, connection)
    for topic, moving in (('/tf_static', False), ('/tf', True)):
        if topic not in reader.connections and any(c.moves == moving for c in cameras):
            bag.add_topic(topic, TF, latched=not moving)
    for camera in cameras:
        for topic, kind in camera.topics.items():
            bag.add_topic(topic, kind)
        bag.add_topic(camera.namespace + BACKGROUND, IMAGE, latched=not camera.follows)
    begun, count = False, 0

    def make_frames(before_ns: int) -> None:
        nonlocal count
        while count < len(due) and due[count] < before_ns:
            for camera in cameras:
                _put(bag, camera.frame(count), due[count])
            count += 1
            done(count, len(source.motion))

    kept = [topic for topic in reader.connections if topic not in source.replaced]
    for message in reader.messages(kept):
        if not begun:
            for camera in cameras:
                _put(bag, camera.begin(), message.stamp_ns)
            begun = True
        make_frames(message.stamp_ns)
        bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
    make_frames(FOREVER)


def _cameras(
    motions: Sequence[Motion],
    hands: Mapping[str, HandModel],
    choices: Sequence[Choices],
    job: Job,
    folder: Path,
) -> list[EpisodeCamera]:
    """The cameras of an episode; those after the first see the first one's hand reference."""
    reference: HandReference | None = None
    light: Light | None = None
    if job.scene:
        reference, light = scene_hand(Path(job.scene), None), scene_light(Path(job.scene), None)
    corrects = read_config(job.engine.weights).base != 'none'
    made = []
    names, sessions = namespaces(job.cameras), sessions_of(job.engines)
    for place, (name, motion, chosen) in enumerate(zip(names, motions, choices, strict=True)):
        background, own = render_references(chosen)
        reference = own if reference is None else reference
        meshes = {n: _mesh(track.mesh, track.scale) for n, track in motion.objects.items()}
        if job.plates:
            plate = Plate.load(Path(job.plates[place]))
            background = plate.image
            never_seen = Path(NEVER_SEEN).stem + name.replace('/', '_') + '.png'
            Image.fromarray(plate.never_seen).save(folder / never_seen)
        objects = {n: chosen.objects[n].on(mesh) for n, mesh in meshes.items()}
        scene = scene_for(job.engine.weights, objects, background, reference, light)
        plane = _support(motion, chosen, job)
        look = Path(job.scene) if job.scene else None
        robots = {n: scene_robot(look, track.model) for n, track in motion.robots.items()}
        synthesizer = make_synthesizer(sessions[place], hands, scene, chosen.noise, robots)
        follows = chosen.camera_track is not None and corrects and not job.plates
        made.append(EpisodeCamera(name, motion, chosen, synthesizer, background, follows, plane))
    return made


def _support(motion: Motion, chosen: Choices, job: Job) -> Array | None:
    """The support plane [4]; of a recorded scene that is kept, that of the scene folder, which is
    of one camera; None where it is unknown.
    """
    if not job.plates:
        return plane_of(invert_rigid(chosen.table_from_world))
    support = scene_support(Path(job.scene) if job.scene else None, None)
    if support is None or len(job.plates) > 1:
        return None
    plane = plane_moved(support, invert_rigid(chosen.camera.camera_from_world))
    return None if plane_problem(plane, chosen.camera) else plane


@lru_cache(maxsize=16)
def _mesh(name: str, scale: float) -> ObjectMesh:
    """A recording's object, cached because variations of one recording follow each other."""
    return load_mesh(name, scale)


def _put(bag: BagWriter, messages: Mapping[str, Any], stamp_ns: int) -> None:
    for topic, message in messages.items():
        bag.write(topic, serialized(message), stamp_ns)
