"""The scene of the running synthesizer: created from parameters, changed by SetScene."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from manivideo_ros.camera.light import Light
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.graph.cache import engine_sha256
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
from manivideo_ros.files.package_uri import SCHEME
from manivideo_ros.geometry import Array
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.hand.state import SIDES
from manivideo_ros.model.checkpoint import checkpoint_sha256, read_config
from manivideo_ros.motion.motion import scene_json
from manivideo_ros.msg import SceneObject
from manivideo_ros.objects import named
from manivideo_ros.objects.household.shapes import SHAPES
from manivideo_ros.objects.mesh import ObjectMesh, object_of
from manivideo_ros.process.folders import expanded
from manivideo_ros.process.renamed import renamed
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.ros.allowed_files import resolve
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream.robot import ROBOT, robot_of
from manivideo_ros.srv import SetScene
from manivideo_ros.synthesizer import Scene, Synthesizer, scene_for

log = logging.getLogger(__name__)
_engine_sha256 = lru_cache(maxsize=4)(engine_sha256)
MOST_OBJECTS = 64  # of a scene
MOST_DESCRIBED = 20_000  # triangles of a mesh in the scene's JSON: a megabyte of text
RENAMED = {  # deprecated fields of SetScene
    'appearance_seed': 'noise_seed',
    'keep_appearance_seed': 'keep_noise_seed',
    'hand_appearance': 'hand_reference',
}


class LiveScene:
    """The synthesizer, the names of its meshes, and its engine.

    hand_model: its name. robot: shown in place of hands; None for hands. shape, support: those of a
    scene folder, of hands whose poses have none, and as a plane in the camera's frame.
    """

    def __init__(
        self,
        engine: Engine,
        hands: dict[str, HandModel],
        scene: Scene,
        meshes: Mapping[str, tuple[str, float]],
        parameters: NodeParameters,
        robot: RobotModel | None = None,
        shape: HandShape | None = None,
        support: Array | None = None,
    ) -> None:
        self.engine, self._meshes, self.robot = engine, meshes, robot
        self.hand_model = hands['right'].name
        self.shape, self.support = self._fitting(shape), support
        self._report()
        self.engine_named = engine_names(parameters)
        threads, seed = parameters.threads, parameters.noise_seed
        self._threads, self._seed = threads, seed
        session = StreamingSession(engine, seed)
        size = parameters.image_width, parameters.image_height
        # Absent hands would be posed for nothing.
        shown, robots = (hands, {}) if robot is None else ({}, {ROBOT: robot})
        self.synthesizer = Synthesizer(session, shown, scene, threads, size, robots)
        self._describe(engine)

    def _describe(self, engine: Engine) -> None:
        """Read the checkpoint's hash, and whether its network corrects a base image."""
        self._sha256 = checkpoint_sha256(engine.spec.weights)
        self.corrects = read_config(engine.spec.weights).base != 'none'

    def _fitting(self, shape: HandShape | None) -> HandShape | None:
        """A shape of the hand model that is shown; None for another's, with a warning."""
        if shape is None or shape.model == self.hand_model or self.robot is not None:
            return shape
        log.warning(
            'scene: its hand shape is of the model %r, shown is %r: not used',
            shape.model, self.hand_model,
        )  # fmt: skip
        return None

    def _report(self) -> None:
        """Say what of the scene folder replaces what messages and parameters lack."""
        used = []
        if self.shape is not None and self.robot is None:
            sides = ' and '.join(self.shape.betas)
            used.append(f'the shape of {sides} hand where poses have no betas')
        if self.support is not None:
            used.append('the support plane where no parameter gives one')
        if used:
            log.info('scene: calibrated: %s', '; '.join(used))

    @property
    def description(self) -> dict[str, str]:
        """Engine, checkpoint and seed, for diagnostics and recordings."""
        spec, backend = self.engine.spec, self.engine.backend
        reason = spec.precision_reason(backend)
        return {
            'backend': backend,
            'engine': f'{self.engine.why}; {reason}' if reason else self.engine.why,
            'preset': spec.preset,
            'steps': str(spec.steps),
            'precision': spec.precision_on(backend),
            'checkpoint_sha256': self._sha256,
            'engine_sha256': _engine_sha256(spec, backend),
            'noise_seed': str(self._seed),
        }

    @property
    def objects_json(self) -> str:
        """Id, mesh and scale of each object, for recordings."""
        return scene_json(self._meshes)

    @property
    def object_ids(self) -> Collection[str]:
        """The ids of the objects in the scene."""
        return self.synthesizer.scene.objects.keys()

    @property
    def human(self) -> bool:
        """Whether the network uses skeletons."""
        return self.synthesizer.session.human

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, pixels."""
        return self.synthesizer.size

    def change(self, request: SetScene.Request, folders: Iterable[str]) -> str:
        """Apply a request and describe the result. Raises ValueError, and then changes nothing."""
        warnings = _rename_fields(request)
        folders, old = list(folders), self.synthesizer.scene
        ids = [item.id for item in request.objects]
        if '' in ids or len(set(ids)) != len(ids):
            raise ValueError('objects: every object needs a unique id')
        kept = old.objects if request.keep_objects else {}
        if (count := len(kept.keys() | set(ids))) > MOST_OBJECTS:
            raise ValueError(f'objects: {count}, at most {MOST_OBJECTS} are allowed')
        given = [(item, *_named(item, folders)) for item in request.objects]
        objects = {**kept, **{item.id: mesh for item, _, mesh in given}}
        meshes = {i: mesh for i, mesh in self._meshes.items() if i in kept and i not in ids}
        meshes |= {item.id: (name, item.scale or 1.0) for item, name, _ in given if name}
        background, hand, light = old.background, old.hand_reference, _calibrated(old)
        shape, support = self.shape, self.support
        if request.background:
            folder, file = _folder_or_file(request.background, folders)
            background, support = scene_background(folder, file), scene_support(folder, file)
        if request.hand_reference:
            folder, file = _folder_or_file(request.hand_reference, folders)
            hand, light = scene_hand(folder, file), scene_light(folder, file)
            shape = scene_shape(folder, file)
        try:
            weights = self.engine.spec.weights
            self.synthesizer.set_scene(scene_for(weights, objects, background, hand, light))
        except ValueError:
            self.synthesizer.set_scene(old)
            raise
        self._meshes = meshes
        self.shape, self.support = self._fitting(shape), support
        if request.background or request.hand_reference:
            self._report()
        if not request.keep_noise_seed:
            self._seed = request.noise_seed
            self.synthesizer.session.set_seed(self._seed)
        return '; '.join([f'the scene has {", ".join(objects) or "no object"}', *warnings])

    def exchange(self, engine: Engine, named: dict[str, str]) -> str:
        """Switch to another engine from the next frame on, and describe it.

        named: `engine_names` of the parameters that requested it.
        """
        old = self.synthesizer
        if engine.spec.weights != self.engine.spec.weights:
            kept = old.scene
            look = kept.background, kept.hand_reference, _calibrated(kept)
            old.set_scene(scene_for(engine.spec.weights, kept.objects, *look))
        if engine.shapes == old.session.runner.shapes:
            old.session.exchange(engine)
        else:
            session = StreamingSession(engine, self._seed)
            self.synthesizer = Synthesizer(
                session, old.hands, old.scene, self._threads, old.size, old.robots
            )
        self.engine.close()
        self.engine = engine
        self._describe(engine)
        self.engine_named = named
        return f'{engine.spec.steps} steps on {engine.why}'


def _calibrated(scene: Scene) -> Light | None:
    """The light of a scene folder; None where the light net estimates it."""
    return scene.light if scene.calibrated else None


def scene_from_parameters(parameters: NodeParameters, description: str = '') -> LiveScene:
    """Load the engine and the first scene; description: a URDF, for `robot_of`.

    Raises ValueError, one line, for unusable values.
    """
    ids, meshes = parameters.object_ids, parameters.object_meshes
    # Without objects there are no scales, but ROS cannot declare an empty list.
    scales = parameters.object_scales if ids else ()
    if not len(ids) == len(meshes) == len(scales):
        raise ValueError('object_ids, object_meshes and object_scales must have the same length')
    spec = spec_of(parameters)
    hands: dict[str, HandModel] = {
        side: load_hand(
            side,
            expanded(parameters.hand_folder) / f'{side}.npz' if parameters.hand_folder else None,
        )
        for side in SIDES
    }
    given = [(i, mesh_name(m, None), s) for i, m, s in zip(ids, meshes, scales, strict=True)]
    folder, hand = _folder(parameters.scene), _given(parameters.hand_reference)
    scene = scene_for(
        spec.weights,
        {i: named.load_mesh(m, s) for i, m, s in given},
        scene_background(folder, _given(parameters.background)),
        scene_hand(folder, hand),
        scene_light(folder, hand),
    )
    robot = robot_of(parameters, description)
    robot = None if robot is None else scene_robot(folder, robot)
    engine = engine_of(spec, parameters)
    return LiveScene(
        engine, hands, scene, {i: (m, s) for i, m, s in given}, parameters, robot,
        scene_shape(folder, hand), scene_support(folder, _given(parameters.background)),
    )  # fmt: skip


def engine_names(parameters: NodeParameters) -> dict[str, str]:
    """The parameters that select an engine."""
    return {'engine': parameters.engine, 'checkpoint': parameters.checkpoint}


def spec_of(parameters: NodeParameters, size: tuple[int, int] | None = None) -> EngineSpec:
    """The engine specification of the parameters. Raises ValueError for an unusable one.

    size: width and height of the camera's images; None for those of the parameters.
    """
    spec = find_spec(parameters.engine)
    if parameters.checkpoint:
        spec = replace(spec, checkpoint=parameters.checkpoint)
    config = read_config(spec.weights)
    spec.check(config)
    return spec.seen_by(config, *(size or (parameters.image_width, parameters.image_height)))


def engine_of(spec: EngineSpec, parameters: NodeParameters) -> Engine:
    """Load an engine. Raises ValueError, one line, if none of its backends can run it."""
    try:
        return Engine(spec, parameters.threads, parameters.require_backend)
    except EngineError as error:
        raise ValueError(str(error)) from None


def mesh_name(name: str, folders: Iterable[str] | None) -> str:
    """The name of a mesh, independent of the working directory: files by their real path.

    folders: as for `resolve`. Raises ValueError, one line, for a missing or refused file.
    """
    if name.startswith(named.TRIANGLES):
        return name
    found = str(resolve(name, SHAPES, folders))
    return name if name.startswith(SCHEME) else found


def _named(item: SceneObject, folders: Iterable[str]) -> tuple[str, ObjectMesh]:
    """The name of an object's mesh for recordings, '' for one with too many triangles; its mesh."""
    if not len(item.triangles):
        name = mesh_name(item.mesh, folders)
        return name, named.load_mesh(name, item.scale or 1.0)
    if item.mesh:
        raise ValueError(f'objects: {item.id}: give mesh or triangles, not both')
    if len(item.triangles) % 3 or len(item.vertices) % 3:
        raise ValueError(f'objects: {item.id}: vertices, triangles: must have three numbers each')
    vertices, faces = (np.reshape(np.asarray(a), (-1, 3)) for a in (item.vertices, item.triangles))
    mesh = object_of(item.id, vertices, faces)
    return named.triangles_uri(vertices, faces) if len(faces) <= MOST_DESCRIBED else '', mesh


def _rename_fields(request: SetScene.Request) -> list[str]:
    """Move deprecated fields to those that replace them; a warning of each, which is logged too."""
    found = []
    for old, new in RENAMED.items():
        if value := getattr(request, old):
            setattr(request, new, getattr(request, new) or value)
            found.append(renamed(old, new))
            log.warning('set_scene: %s', found[-1])
    return found


def _file(name: str, folders: Iterable[str] | None) -> Path:
    return Path(resolve(name, (), folders))


def _folder_or_file(name: str, folders: Iterable[str]) -> tuple[Path | None, Path | None]:
    """A scene folder and a file, of which a request names one. Raises ValueError for neither."""
    path = Path(resolve(name, (), folders, folder=True))
    return (path, None) if path.is_dir() else (None, path)


def _given(name: str) -> Path | None:
    """The file of a parameter, None for ''."""
    return _file(name, None) if name else None


def _folder(name: str) -> Path | None:
    """The folder of a parameter that is set at startup, None for ''. Raises ValueError."""
    if not name:
        return None
    folder = expanded(name)
    if not folder.is_dir():
        raise ValueError(f'scene: {name}: no such folder')
    return folder
