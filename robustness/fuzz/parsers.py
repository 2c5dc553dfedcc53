"""The parsers of untrusted data: a valid file for each, and its documented errors."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from robustness.fuzz import samples

# Parsers whose errors name no file, as their input is a message or text.
NAMELESS = (
    'hand_message', 'joints_message', 'object_message', 'camera_message', 'held_out', 'video'
)  # fmt: skip
MESHES = ('obj', 'ply', 'stl', 'off', 'glb', 'dae')


@dataclass(frozen=True)
class Parser:
    """make: writes a valid file into a folder and returns the one to corrupt. parse: reads it.

    errors: the documented errors of parse; any other is a defect.
    """

    make: Callable[[Path], Path]
    parse: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = (ValueError,)


def parsers() -> dict[str, Parser]:
    """All parsers by name; imports their modules."""
    return {**_files(), **_datasets(), **_live()}


def _files() -> dict[str, Parser]:
    """Files given by users: bags, hands, meshes, images, weights, configuration."""
    from manivideo_ros.bags.bag import BagError, BagReader
    from manivideo_ros.bags.repair import repair
    from manivideo_ros.camera.background import load_background
    from manivideo_ros.engine.spec import SpecError, load_spec
    from manivideo_ros.engine.tensorrt.plan_cache import PlanCache, PlanCacheError
    from manivideo_ros.evaluation.suites.stream import read_stream
    from manivideo_ros.hand.load import load_hand
    from manivideo_ros.hand.mano_file import convert_mano
    from manivideo_ros.hand.model import HandFileError
    from manivideo_ros.hand.reference import load_hand_reference
    from manivideo_ros.inputs.kinematics import Robot
    from manivideo_ros.model.checkpoint import CheckpointError, read_config
    from manivideo_ros.model.latent.load import WeightsError, read_weights
    from manivideo_ros.motion.convert import convert
    from manivideo_ros.motion.files import MotionError, load_motion
    from manivideo_ros.motion.recordings import RecordingError, read_recording
    from manivideo_ros.objects.mesh import MeshError, load_object
    from manivideo_ros.training.config import TrainConfig, TrainConfigError
    from manivideo_ros.video.decoder import VideoDecoder

    def mano(path: Path) -> None:
        convert_mano(path, path.with_name('out.npz'))

    def mesh(path: Path) -> None:
        load_object(path, 1)

    def repaired(path: Path) -> None:
        repair(path.parent)

    def unpacked(path: Path) -> None:
        tempfile.tempdir = str(path.parent)  # the only folder that may be written to
        for _ in BagReader(path).messages():
            pass

    def moved(path: Path) -> None:
        try:
            robot = Robot(path.read_bytes())
        except ValueError as error:  # the nodes add the file
            raise ValueError(f'{path}: {error}') from None
        robot.poses(dict.fromkeys(robot.joints(robot.links), 0.1), robot.links)

    def played(path: Path) -> None:
        convert(read_recording(path), path.name)

    return {
        'motion': Parser(samples.open_bag, load_motion, (MotionError,)),
        'bag': Parser(samples.bag, lambda p: list(BagReader(p).messages()), (BagError,)),
        'bag_metadata': Parser(
            samples.bag_metadata, lambda p: list(BagReader(p.parent).messages()), (BagError,)
        ),
        'bag_split': Parser(
            samples.bag_split, lambda p: list(BagReader(p.parent).messages()), (BagError,)
        ),
        'bag_packed': Parser(samples.bag_packed, unpacked, (BagError,)),
        'bag_messages': Parser(
            samples.bag_messages, lambda p: list(BagReader(p).messages()), (BagError,)
        ),
        'urdf': Parser(samples.urdf, moved),
        'repair': Parser(samples.episode, repaired, (BagError,)),
        'episode': Parser(samples.open_episode, _episode),
        'stream': Parser(samples.open_bag, read_stream),
        'video': Parser(samples.video, lambda p: VideoDecoder().decode(p.read_bytes())),
        'mano': Parser(samples.mano, mano, (HandFileError,)),
        'mano_npz': Parser(samples.mano_npz, mano, (HandFileError,)),
        'hand_npz': Parser(samples.hand_npz, lambda p: load_hand('right', p), (HandFileError,)),
        **{
            f'mesh_{suffix}': Parser(partial(samples.mesh, suffix=suffix), mesh, (MeshError,))
            for suffix in MESHES
        },
        'mesh_gltf': Parser(partial(samples.imaged_mesh, suffix='gltf'), mesh, (MeshError,)),
        'mesh_imaged': Parser(partial(samples.imaged_mesh, suffix='glb'), mesh, (MeshError,)),
        'material': Parser(samples.material, lambda p: mesh(p.with_name('box.obj')), (MeshError,)),
        'checkpoint': Parser(samples.checkpoint, read_config, (CheckpointError,)),
        'weights': Parser(samples.weights, read_weights, (WeightsError,)),
        'plan_manifest': Parser(
            samples.plan, lambda p: PlanCache(p.parent).load('x', {'a': 'b'}), (PlanCacheError,)
        ),
        'engine_spec': Parser(samples.spec, load_spec, (SpecError,)),
        'training': Parser(samples.training, TrainConfig.read, (TrainConfigError,)),
        'background': Parser(samples.image, load_background),
        'background_jpeg': Parser(partial(samples.image, suffix='jpg'), load_background),
        'hand_parts': Parser(
            samples.hand_parts, lambda p: load_hand_reference(p.with_name('hand.png'))
        ),
        'joints': Parser(samples.joints, read_recording, (RecordingError,)),
        'convert': Parser(samples.joints, played),
    }


def _datasets() -> dict[str, Parser]:
    """Files of datasets and of this package's commands: labels, lists, reports."""
    from manivideo_ros.data.human.keypoints import KeypointError, read_people
    from manivideo_ros.data.objaverse.catalogue import ObjaverseError, _read
    from manivideo_ros.data.recorded.datasets.pickled import read_pickled
    from manivideo_ros.data.recorded.files import RecordedError, read_npz, read_yaml
    from manivideo_ros.data.shards import ShardDataset, ShardError
    from manivideo_ros.evaluation.suites.held_out import HeldOutError, HeldOutScene
    from manivideo_ros.recording.dataset import passing

    people = partial(read_people, width=64, height=48)
    shapes = {'seg': (None, None), 'pose_y': (None, 3, 4)}
    return {
        'people_npz': Parser(samples.people_npz, people, (KeypointError,)),
        'people_json': Parser(samples.people_json, people, (KeypointError,)),
        'dexycb_meta': Parser(samples.dexycb_meta, read_yaml, (RecordedError,)),
        'labels_npz': Parser(samples.labels_npz, lambda p: read_npz(p, shapes), (RecordedError,)),
        'arctic': Parser(samples.arctic, read_pickled, (RecordedError,)),
        'scenes': Parser(samples.scenes, lambda p: ShardDataset(p.parent.parent), (ShardError,)),
        'catalogue': Parser(samples.catalogue, _read, (ObjaverseError,)),
        'held_out': Parser(
            samples.held_out,
            lambda p: HeldOutScene.from_json(p.read_text(errors='replace')),
            (HeldOutError,),
        ),
        'verdicts': Parser(samples.verdicts, lambda p: passing([Path('a')], p.parent)),
    }


def _live() -> dict[str, Parser]:
    """Input of running nodes: messages, HTTP requests."""
    from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion
    from manivideo_ros.msg import HandPose, HandPoses, ObjectPose, ObjectPoses
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CameraInfo

    from manivideo_ros.motion.pose_buffer import Timing
    from manivideo_ros.motion.sources.hand_intake import HandIntake
    from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
    from manivideo_ros.ros.message_types import RCLPY
    from manivideo_ros.ros.stream.pose_intake import PoseIntake

    stamped = RCLPY.header(10**9, 'world')
    pose = Pose(position=Point(x=0.1, y=0.2, z=0.3), orientation=Quaternion(w=1.0))
    intake = PoseIntake({'mug'}, 'default', (64, 64), Timing(0.05, 0.2, 0.3))
    source = HandIntake(HandSourceParameters())

    def taken(kind: type, take: Callable[[Any], Any]) -> Callable[[Path], Any]:
        def parse(path: Path) -> None:
            try:
                message = deserialize_message(path.read_bytes(), kind)
            except Exception:  # rejected by the middleware, which nodes never see
                return
            take(message)
            intake.view(2 * 10**9)

        return parse

    hand = HandPose(side=HandPose.RIGHT, hand_model='default', confidence=1.0, wrist=pose)
    made = {
        'hand_message': (
            HandPoses(header=stamped, hands=[hand]),
            lambda m: intake.take_hands(m, 10**9),
        ),
        'object_message': (
            ObjectPoses(header=stamped, objects=[ObjectPose(object_id='mug', pose=pose)]),
            lambda m: intake.take_objects(m, 10**9),
        ),
        'camera_message': (
            CameraInfo(header=stamped, width=64, height=48, k=[50.0, 0, 32, 0, 50, 24, 0, 0, 1]),
            intake.take_camera,
        ),
        'joints_message': (
            PoseArray(header=stamped, poses=[pose] * 25),
            lambda m: source.take(m, 'left', 10**9),
        ),
    }
    return {
        **{
            name: Parser(partial(samples.message, made=message), taken(type(message), take), ())
            for name, (message, take) in made.items()
        },
        'request': Parser(samples.request, Page(), ()),
    }


class Page:
    """Answers an HTTP request from a file as the viewer does, without a network."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._config: Any = None
        self._errors: list[Exception] = []

    def __call__(self, path: Path) -> None:
        """Answer the request. Raises the first error of the application."""
        if self._loop is None:
            self._start()
            self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._answer(path.read_bytes()[:100_000]))
        if self._errors:
            raise self._errors.pop()

    def _start(self) -> None:
        """Create the application from a server that is closed again."""
        from manivideo_ros.web.feed import Feed
        from manivideo_ros.web.server import PageServer

        server = PageServer(Feed(['box', 'mug']), self._choose, '127.0.0.1', 0)
        server.close()
        server.token = 'secret'
        self._config = server._server.config
        application = self._config.loaded_app

        async def watched(*arguments: Any) -> None:
            try:
                await application(*arguments)
            except Exception as error:  # otherwise answered with status 500
                self._errors.append(error)

        self._config.loaded_app = watched

    async def _choose(self, objects: Mapping[str, str], seed: int) -> tuple[bool, str]:
        assert set(objects.values()) <= {'box', 'mug'}, objects
        assert 0 <= seed < 2**32, seed
        return True, 'done'

    async def _answer(self, data: bytes) -> None:
        from uvicorn.server import ServerState

        state, loop = ServerState(), asyncio.get_running_loop()
        here, there = socket.socketpair()
        with there:
            make = partial(self._config.http_protocol_class, self._config, state, {})
            await loop.connect_accepted_socket(make, here)
            there.sendall(data)
            await asyncio.sleep(0.005)  # the request is parsed
            if tasks := set(state.tasks):
                await asyncio.wait(tasks, timeout=0.1)  # incomplete requests wait for the rest
        if tasks := set(state.tasks):
            await asyncio.wait(tasks, timeout=4)


def _episode(path: Path) -> None:
    """Read everything that an export reads of an episode."""
    from manivideo_ros.recording.episode import Episode, Topics

    found = Episode(path, Topics(state=('/arm',), action=('/arm',)))
    list(found.images())
    found.keypoints()
    found.masks()
    _ = found.state, found.action
