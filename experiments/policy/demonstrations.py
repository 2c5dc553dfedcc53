"""Demonstrations, recorded in bags as a lab records them, each once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.policy.expert import expert_actions
from experiments.policy.gripper import COMMANDS, JOINTS, ROOT, gripper_urdf
from experiments.policy.looks import recorded_look
from experiments.policy.simulator import CUBE, RATE_HZ, Array, Simulator, camera, random_start
from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.messages.names import CAMERA, IMAGE, OBJECTS, STRING, TF
from manivideo_ros.messages.names import JOINTS as JOINT_STATE
from manivideo_ros.messages.types import ROSBAGS, serialized, typestore
from manivideo_ros.motion.motion import scene_json

STATE, ACTION, IMAGES = '/joint_states', '/command', '/image_raw'
URDF, MESH = 'gripper.urdf', 'cube.ply'
START_NS = 1_795_880_000 * 10**9
OPTICAL = 'camera_optical_frame'
TOPICS = {STATE: JOINT_STATE, ACTION: JOINT_STATE, IMAGES: IMAGE, '/camera_info': CAMERA,
          '/object_poses': OBJECTS}  # fmt: skip


def write_demonstrations(folder: Path, count: int, size: int) -> list[Path]:
    """The bags of so many demonstrations, the gripper's URDF and the cube's mesh beside them.

    size: pixels of a side of the images.

    Existing ones are kept. Raises RuntimeError if the expert fails.
    """
    bags = [folder / 'bags' / f'lift_{n:03d}' for n in range(count)]
    missing = [n for n, bag in enumerate(bags) if not (bag / 'metadata.yaml').exists()]
    if not missing:
        return bags
    (folder / 'bags').mkdir(parents=True, exist_ok=True)
    (folder / URDF).write_text(gripper_urdf())
    red = np.round(255 * np.array(recorded_look().cube)).astype(int)
    write_cube(folder / MESH, tuple(red.tolist()))
    simulator = Simulator(size)
    simulator.look(recorded_look())
    for number in tqdm(missing, desc='demonstrations', mininterval=5):
        partial = folder / f'{bags[number].name}'
        shutil.rmtree(partial, ignore_errors=True)
        record(simulator, number, partial, (folder / MESH).resolve(), size)
        partial.replace(bags[number])
    return bags


def record(simulator: Simulator, seed: int, bag_folder: Path, mesh: Path, size: int) -> None:
    """Record one demonstration. Raises RuntimeError if the cube is not lifted."""
    start, view = random_start(seed), camera(size)
    simulator.reset(start)
    with BagWriter(bag_folder) as bag:
        for topic, kind in TOPICS.items():
            bag.add_topic(topic, kind)
        for topic, kind in (('/tf_static', TF), ('/scene', STRING)):
            bag.add_topic(topic, kind, latched=True)
        head = ROSBAGS.header(START_NS, ROOT)
        placed = ROSBAGS.transform(head, OPTICAL, invert_rigid(view.camera_from_world))
        bag.write('/tf_static', serialized(ROSBAGS.message(TF)(transforms=[placed])), START_NS)
        scene = ROSBAGS.message(STRING)(data=scene_json({'cube': (str(mesh), 1.0)}))
        bag.write('/scene', serialized(scene), START_NS)
        for n, action in enumerate(expert_actions(start)):
            at = START_NS + n * (10**9 // RATE_HZ)
            head, eye = ROSBAGS.header(at, ROOT), ROSBAGS.header(at, OPTICAL)
            messages = {
                STATE: joint_state(at, JOINTS, simulator.state),
                ACTION: joint_state(at, COMMANDS, action),
                '/object_poses': ROSBAGS.objects(head, {'cube': simulator.cube}),
                '/camera_info': ROSBAGS.camera(eye, view),
                IMAGES: ROSBAGS.image(eye, simulator.image()),
            }
            for topic, message in messages.items():
                bag.write(topic, serialized(message), at)
            simulator.step(action)
    if not simulator.lifted:
        raise RuntimeError(f'demonstration {seed}: the cube was not lifted')


def joint_state(stamp_ns: int, names: tuple[str, ...], positions: Array) -> object:
    """A JointState with positions [len(names)]."""
    return typestore().types[JOINT_STATE](
        header=ROSBAGS.header(stamp_ns, ROOT), name=list(names),
        position=np.asarray(positions, np.float64), velocity=np.zeros(0), effort=np.zeros(0),
    )  # fmt: skip


def write_cube(file: Path, colour: tuple[int, ...]) -> None:
    """A PLY of the cube in one sRGB colour 0..255."""
    import trimesh

    mesh = trimesh.creation.box((CUBE,) * 3)
    mesh.visual.vertex_colors = np.tile((*colour, 255), (len(mesh.vertices), 1)).astype(np.uint8)
    mesh.export(file)
