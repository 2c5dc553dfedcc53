"""The synthesizer with its scene, from the node's parameters and as SetScene changes it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from manivideo_ros.engine.cache import graph_of
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import load_spec
from manivideo_ros.hand.model import SIDES, HandModel, load_hand
from manivideo_ros.model.checkpoint import SHIPPED, checkpoint_sha256, read_config
from manivideo_ros.objects.mesh import ObjectMesh, load_object
from manivideo_ros.objects.shapes import SHAPES, generate
from manivideo_ros.references import BACKGROUND, HAND, load_background, load_hand_reference
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.scene_files import resolve
from manivideo_ros.srv import SetScene
from manivideo_ros.synthesizer import Scene, Synthesizer


class LiveScene:
    """The synthesizer, what its objects are called, and what it runs on.

    description: backend, preset, steps, hashes of checkpoint and engine, the noise's seed, for
    diagnostics and recordings.
    """

    def __init__(
        self, synthesizer: Synthesizer, hand_model: str, description: dict[str, str]
    ) -> None:
        self.synthesizer = synthesizer
        self.hand_model = hand_model
        self.description = description

    @property
    def object_ids(self) -> Collection[str]:
        """The ids that poses may name."""
        return self.synthesizer.scene.objects.keys()

    @property
    def human(self) -> bool:
        """Whether the network knows what to do with skeletons."""
        return self.synthesizer.session.human

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, pixels."""
        return self.synthesizer.session.image_size, self.synthesizer.session.image_size

    def change(self, request: SetScene.Request, folders: Iterable[str]) -> str:
        """Do what a request asks; what was done. Raises ValueError, and then changes nothing."""
        folders, old = list(folders), self.synthesizer.scene
        ids = [item.id for item in request.objects]
        if '' in ids or len(set(ids)) != len(ids):
            raise ValueError('objects: every object needs an id of its own')
        objects = {
            item.id: load_mesh(item.mesh, item.scale or 1.0, folders) for item in request.objects
        }
        background, hand = old.background, old.hand_reference
        if request.background:
            background = load_background(_file(request.background, folders))
        if request.hand_appearance:
            hand = load_hand_reference(_file(request.hand_appearance, folders))
        try:
            self.synthesizer.set_scene(Scene(objects, background, hand))
        except ValueError:
            self.synthesizer.set_scene(old)
            raise
        self.synthesizer.session.set_seed(request.appearance_seed)
        self.description['appearance_seed'] = str(request.appearance_seed)
        return f'the scene has {", ".join(ids) or "no object"}'


def scene_from_parameters(parameters: NodeParameters) -> LiveScene:
    """Load the engine and the first scene. Raises ValueError, one line, for what is amiss."""
    ids, meshes = parameters.object_ids, parameters.object_meshes
    # Without objects there is no scale, but ROS has no empty list to say so.
    scales = parameters.object_scales if ids else ()
    if not len(ids) == len(meshes) == len(scales):
        raise ValueError('object_ids, object_meshes and object_scales must be of one length')
    checkpoint = Path(parameters.checkpoint).expanduser() if parameters.checkpoint else SHIPPED
    spec = load_spec(engine_file(parameters.engine))
    config = read_config(checkpoint)
    spec.check(config)
    hands: dict[str, HandModel] = {
        side: load_hand(
            side,
            Path(parameters.hand_folder).expanduser() / f'{side}.npz'
            if parameters.hand_folder
            else None,
        )
        for side in SIDES
    }
    scene = Scene(
        {i: load_mesh(m, s, None) for i, m, s in zip(ids, meshes, scales, strict=True)},
        load_background(_file(parameters.background, None, BACKGROUND)),
        load_hand_reference(_file(parameters.hand_appearance, None, HAND)),
    )
    graph = graph_of(checkpoint, spec.steps)
    session = StreamingSession(graph, parameters.threads, parameters.appearance_seed)
    return LiveScene(
        Synthesizer(session, hands, scene, parameters.threads),
        hands['right'].name,
        {
            'backend': spec.backend,
            'preset': config.preset,
            'steps': str(spec.steps),
            'checkpoint_sha256': checkpoint_sha256(checkpoint),
            'engine_sha256': hashlib.sha256(graph.read_bytes()).hexdigest(),
            'appearance_seed': str(parameters.appearance_seed),
        },
    )


def load_mesh(name: str, scale: float, folders: Iterable[str] | None) -> ObjectMesh:
    """A generated shape or a mesh file in metres; folders as for `resolve`."""
    found = resolve(name, SHAPES, folders)
    return generate(found) if isinstance(found, str) else load_object(found, scale)


def engine_file(name: str) -> Path:
    """The file of an engine specification: a path, or a name in engines/."""
    if name.endswith(('.yaml', '.yml')):
        return Path(name).expanduser()
    checkout = Path(__file__).resolve().parents[2] / 'engines' / f'{name}.yaml'
    try:
        share = Path(get_package_share_directory('manivideo_ros')) / 'engines' / f'{name}.yaml'
    except PackageNotFoundError:
        return checkout
    return share if share.is_file() else checkout


def _file(name: str, folders: Iterable[str] | None, default: Path | None = None) -> Path:
    if not name and default is not None:
        return default
    return Path(resolve(name, (), folders))
