"""Plans which episodes are to be made, and makes them in several processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manivideo_ros.augment.cameras import namespaces
from manivideo_ros.augment.engine import prepare_engine
from manivideo_ros.augment.hands import files_sha256, hands_of, shown_motion, warnings_of
from manivideo_ros.augment.kept_background import images_topics, recorded_plate
from manivideo_ros.augment.source import Selection, Source
from manivideo_ros.augment.variation import PARTIAL, Job, Made, episode_name, make_episode
from manivideo_ros.augment.working_copy import WorkingCopy, working_copy
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.part import Part, open_part, part_of
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.estimation.scene_folder import scene_sha256
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.motion.view import camera_of, require_fixed_camera
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.process.pool import in_processes, locked
from manivideo_ros.recording.cutting.cut_options import Skipped

SAME = (
    'checkpoint_sha256',
    'backend',
    'precision',
    'steps',
    'hands_sha256',
    'background',
    'cameras',
    'hands_from',
    'robot',
    'robot_urdf_sha256',
    'scene_sha256',
    'fixed_camera',
)
"""Provenance that is the same for all episodes of a folder."""
GENERATED = 'generated'
"""The background in the provenance, if it is not a topic."""
NO_ROBOT = {'robot': '', 'robot_urdf_sha256': ''}
ABSENT = {'background': GENERATED, 'cameras': '', 'hands_from': '', 'scene_sha256': '',
          'fixed_camera': '', **NO_ROBOT}  # fmt: skip
"""Values of episodes that were made before there were these keys."""
OTHERWISE = 'choose another output folder, or remove it'


@dataclass(frozen=True)
class Plan:
    """Jobs, and the folders of all episodes, existing ones included; warnings: one line each."""

    jobs: list[Job]
    folders: list[Path]
    warnings: tuple[str, ...]


def plan(
    bags: Sequence[str | Path | Part],
    out: Path,
    seeds: Sequence[int],
    engine: EngineSpec,
    hand_folder: str = '',
    keep_background: bool = False,
    images: Sequence[str] = (),
    cameras: Sequence[str] = (),
    selection: Selection | None = None,
    skipped: Skipped | None = None,
    hands: str = '',
    scene: str = '',
    robot: RecordedRobot | None = None,
    fixed_camera: bool = False,
) -> Plan:
    """Plan a variation of each bag, or part of one, and seed, and export the engine's files.

    cameras: topics of CameraInfo, all of which see one scene; none: the bag's only camera.
    keep_background: show the recorded scene, cleaned of hands and objects; images: of each camera,
    the topic that shows it, none: the only one, of several cameras that beside their CameraInfo.
    selection: of the frames, None: all; skipped: takes recordings that cannot be used. hands: what
    hands are read from (motion/sources/hand_option.py), '' for HandPoses. scene: folder of
    `manivideo calibrate` that has the skin and the light of the hands, '' for generated ones.
    robot: shown in place of hands. fixed_camera: cameras stay where they were recorded.

    Raises ValueError for an unusable bag, two bags of one name, and an episode in `out` that was
    made from another source or by other means; EngineError, OSError.
    """
    config = read_config(engine.weights)
    model = hands_of(hand_folder)['right'].name
    namespaces(cameras)
    opened = _sources(
        [part_of(bag) for bag in bags], out, hands, cameras, selection or Selection(),
        Skipped(False) if skipped is None else skipped, robot,
    )  # fmt: skip
    sources = [source for _, source in opened]
    by_name: dict[str, Source] = {}
    for source in sources:
        other = by_name.setdefault(source.name, source)
        if other is not source:
            raise ValueError(f'{other.path} and {source.path} have one name: rename one of them')
    todo: list[Job] = []
    prepared: dict[tuple[EngineSpec, ...], dict[str, str]] = {}
    folders: list[Path] = []
    for copy, source in opened:
        views = [camera_of(motion) for motion in source.motions]
        engines = tuple(engine.seen_by(config, view.width, view.height) for view in views)
        topics: tuple[str, ...] = ()
        if keep_background:
            if source.motion.camera is None:
                raise ValueError(f'{source.path}: --background keep: no camera_info was recorded')
            for motion in source.motions:
                require_fixed_camera(motion, '--background keep')
            topics = images_topics(source.path, source.reader.topics, images, source.cameras)
        if engines not in prepared:
            prepared[engines] = prepare(engines, hand_folder, scene)
        made_by = prepared[engines] | {
            'background': ', '.join(topics) or GENERATED,
            'cameras': ', '.join(source.cameras),
            'hands_from': hands,
            'fixed_camera': 'yes' if fixed_camera else '',
            **(NO_ROBOT if robot is None else robot.provenance),
        }
        lacking: list[int] = []
        for seed in seeds:
            folder = out / episode_name(source.name, seed)
            folders.append(folder)
            if folder.exists():
                _check_same(folder, {**source.provenance, 'sha256': copy.sha256}, made_by)
            else:
                lacking.append(seed)
        plates = _plates(copy, source, topics, hand_folder, scene) if lacking else ()
        todo += [
            Job(copy, str(out), seed, engines[0], hand_folder, tuple(made_by.items()),
                source.cameras, plates, engines[1:], source.selection, scene, robot, fixed_camera)
            for seed in lacking
        ]  # fmt: skip
    warnings = [
        [*s.warnings, *warnings_of(s.name, s.motion, s.reader, model, scene), *_still(s, config)]
        for s in sources
    ]
    return Plan(todo, folders, tuple(line for lines in warnings for line in lines))


def _sources(
    parts: Sequence[Part],
    out: Path,
    hands: str,
    cameras: Sequence[str],
    selection: Selection,
    skipped: Skipped,
    robot: RecordedRobot | None = None,
) -> list[tuple[WorkingCopy, Source]]:
    """The recordings without those that are skipped, and the copies that they are read from.

    Parts of one bag share its copy. Raises ValueError if no recording is left.
    """
    copies: dict[Path, WorkingCopy] = {}
    found = []
    for part in parts:
        path = part.path.resolve()
        try:
            if path not in copies:
                copies[path] = working_copy(open_bag(part.path, hands), out / PARTIAL)
            copy = replace(copies[path], part=replace(part, path=path))
            source = Source(copy.open(), cameras, selection, robot)
            if skipped.skips:
                for mesh, scale in source.motion.meshes.values():
                    load_mesh(mesh, scale)
        except ValueError as error:
            skipped.or_raise(error)
            continue
        found.append((copy, source))
    skipped.require_some(len(found))
    return found


def _plates(
    copy: WorkingCopy, source: Source, topics: Sequence[str], hand_folder: str, scene: str
) -> tuple[str, ...]:
    """The files of the backgrounds that the images on `topics` show, one of each camera.

    Raises as `recorded_plate`.
    """
    hands, files, reader = hands_of(hand_folder), list[Path](), open_part(copy.part)
    for place, topic in enumerate(topics):
        motion = shown_motion(source.motions[place], hands['right'].name, scene)
        people = {} if motion.robots else hands
        meshes = {name: load_mesh(*mesh) for name, mesh in motion.meshes.items()}
        infos = source.cameras[place] if source.cameras else ''
        plate = recorded_plate(reader, topic, motion, camera_of(motion), people, meshes, infos)
        files.append(Path(copy.folder).with_name(f'{source.name}_plate_{place}.npz'))
        plate.save(files[-1])
    return tuple(str(file) for file in files)


def _still(source: Source, config: ModelConfig) -> list[str]:
    """A warning, in a list, if the background does not move with a camera that does."""
    moving = any(motion.camera_track is not None for motion in source.motions)
    return [
        f'{source.name}: the camera moves, and the generated background stands still in its image: '
        f'the preset {config.preset} has no base image; use tiny, whose backgrounds follow'
    ] * (moving and config.base == 'none')


def prepare(engines: Sequence[EngineSpec], hand_folder: str, scene: str = '') -> dict[str, str]:
    """Export the engines' files; returns engine, hands and scene for the provenance.

    The engines differ by the sizes of the cameras only; engine_sha256: of each that differs.
    Raises as `plan`.
    """
    made = [prepare_engine(engine) for engine in engines]
    hashes = ' '.join(dict.fromkeys(each['engine_sha256'] for each in made))
    return {
        **made[0],
        'engine_sha256': hashes,
        'hands_sha256': files_sha256(hand_folder),
        'scene_sha256': scene_sha256(Path(scene)) if scene else '',
    }


def run_here(jobs: Sequence[Job], workers: int) -> Iterator[Made]:
    """Make episodes in several processes; yields them in order of completion."""
    return in_processes(make_episode, jobs, workers)


@contextmanager
def sole_writer(out: Path) -> Iterator[None]:
    """Lock a folder, and remove partial episodes before and after.

    Raises ValueError if another process has the lock, which ends with its process.
    """
    with locked(out, 'augment'):
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(out / PARTIAL, ignore_errors=True)


def _check_same(folder: Path, source: dict[str, Any], made_by: dict[str, str]) -> None:
    found = provenance_of(BagReader(folder))
    made_of = found.get('source', {})
    if made_of.get('sha256') != source['sha256']:
        raise ValueError(f'{folder}: was made from another source: {OTHERWISE}')
    for name in ('part', 'rate_hz', 'filled'):
        if made_of.get(name) != source.get(name):
            raise ValueError(
                f'{folder}: was made from another part or other frames of the source: {OTHERWISE}'
            )
    for name in SAME:
        if found.get(name, ABSENT.get(name)) != made_by[name]:
            what = name.removesuffix('_sha256')
            raise ValueError(f'{folder}: was made with another {what}: {OTHERWISE}')
