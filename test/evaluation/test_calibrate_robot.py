"""A lab's own images of a robot: its background, colours and light, for nodes and commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from augmenting import augment
from PIL import Image
from state_bags import STATE, joints
from urdfs import joint, link, robot

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.commands import render
from manivideo_ros.commands.calibrate import main
from manivideo_ros.drawing.base_image import Lighting, Painter, robot_material
from manivideo_ros.estimation.scene_folder import scene_hand, scene_robot
from manivideo_ros.geometry import Camera, invert_rigid, look_at, pinhole
from manivideo_ros.messages.names import CAMERA, IMAGE, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import robot_surface
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot
from manivideo_ros.robot.recolouring import face_colours, read_colours, recoloured, write_colours
from manivideo_ros.robot.state import RobotState

START, STEP, FRAMES = 1_795_880_000 * 10**9, 50_000_000, 24
EYE = Camera(pinhole(192, 144, 0.7), look_at((0.5, -0.4, 0.5), (0, 0, 0.15)), 192, 144)
LAMP = Lighting(sky=0.7, ground=0.3, sun=0.7, direction=(0.8, -0.5, -0.5))
URDF_COLOURS = {'arm': (0.8, 0.8, 0.8), 'left_pad': (0.5, 0.5, 0.5), 'right_pad': (0.5, 0.5, 0.5)}
TRUE = {'arm': (200, 90, 50), 'left_pad': (60, 120, 170), 'right_pad': (90, 90, 90)}


def urdf():
    """An arm that turns and slides, with two pads; its colours are not those of the images."""
    shapes = {
        'arm': '<sphere radius="0.09"/>',
        'left_pad': '<cylinder radius="0.045" length="0.16"/>',
        'right_pad': '<sphere radius="0.06"/>',
    }
    links = ''.join(
        link(name, shape, material=f'<material name="{name}"><color rgba="'
             f'{" ".join(map(str, URDF_COLOURS[name]))} 1"/></material>')
        for name, shape in shapes.items()
    )  # fmt: skip
    return robot(
        link('base'), links,
        joint('turn', 'base', 'arm', (0, 0, 0.15), axis=(0, 0, 1)),
        joint('left_j', 'arm', 'left_pad', (0, 0.16, 0), axis=(0, 1, 0)),
        joint('right_j', 'arm', 'right_pad', (0, -0.16, 0), axis=(0, 1, 0)),
        name='painted',
    )  # fmt: skip


def room():
    rows, columns = np.indices((EYE.height, EYE.width))
    return np.stack([120 + rows // 3, 130 + columns // 4, 140 + rows // 4], -1).astype(np.uint8)


@pytest.fixture(scope='module')
def model():
    return load_robot(urdf(), MeshFiles())[0]


@pytest.fixture(scope='module')
def lab(model, tmp_path_factory):
    """A recording of the robot in other colours, and its URDF."""
    folder = tmp_path_factory.mktemp('lab')
    (folder / 'robot.urdf').write_text(urdf())
    true = recoloured(model, {key: TRUE[key[0]] for key in face_colours(model).keys})
    view = Rasterizer([robot_surface(true)], 2 * EYE.width, 2 * EYE.height, merge=True)
    painter = Painter(view, [robot_material(true)], room(), LAMP)
    with BagWriter(folder / 'bag') as bag:
        for topic, kind in (
            ('/joint_states', STATE), ('/camera_info', CAMERA), ('/image_raw', IMAGE)
        ):  # fmt: skip
            bag.add_topic(topic, kind)
        bag.add_topic('/tf_static', TF, latched=True)
        header = ROSBAGS.header(START, 'base')
        placed = ROSBAGS.transform(header, 'cam', invert_rigid(EYE.camera_from_world))
        bag.write('/tf_static', serialized(ROSBAGS.message(TF)(transforms=[placed])), START)
        for n in range(FRAMES):
            at = START + n * STEP
            named = {'turn': 2.6 * np.sin(0.4 * n), 'left_j': 0.8 * np.sin(0.3 * n), 'right_j': 0.3}
            state = RobotState(true, true.kinematics.positions(named), np.eye(4))
            image = painter.paint(EYE, [state])[0].permute(1, 2, 0).numpy()
            stamped = ROSBAGS.header(at, 'cam')
            pixels = (255 * image).round().astype(np.uint8)
            bag.write('/joint_states', serialized(joints(at, **named)), at)
            bag.write('/camera_info', serialized(ROSBAGS.camera(stamped, EYE)), at)
            bag.write('/image_raw', serialized(ROSBAGS.image(stamped, pixels)), at)
    return folder


@pytest.fixture(scope='module')
def scene(lab):
    out = lab / 'scene'
    assert main([str(lab / 'bag'), '--robot', str(lab / 'robot.urdf'), '--out', str(out)]) == 0
    return out


def test_background_and_colours_are_those_of_the_images(scene, model):
    plate = np.array(Image.open(scene / 'background.png')).astype(int)
    assert np.abs(plate - room())[40:].mean() < 4
    report = json.loads((scene / 'report.json').read_text())
    psnr = report['psnr_of_unused_frames_db']
    assert psnr['calibrated'] > psnr['urdf'] + 6 and psnr['calibrated'] > 20
    name, colours = read_colours(scene / 'robot.json')
    assert name == 'painted' and report['colours_seen'] == 3
    shown = {link: np.array(rgb, float) for (link, _), rgb in colours.items()}
    for link_name, true in TRUE.items():  # brightness is the light's
        ratio = shown[link_name] / shown[link_name].mean()
        np.testing.assert_allclose(ratio, np.array(true) / np.mean(true), atol=0.12)
    assert shown['arm'].mean() > shown['right_pad'].mean()


def test_the_light_comes_from_where_the_lamp_is(scene):
    from manivideo_ros.camera.light_file import read_light

    towards = read_light(scene / 'light.json').towards
    lamp = np.array(LAMP.direction) / np.linalg.norm(LAMP.direction)
    assert towards @ lamp > 0.8


def test_a_scene_of_a_robot_has_the_shipped_hand_and_is_of_that_robot_alone(scene, model):
    assert scene_hand(scene, None).image.shape[-1] in (3, 4)
    painted = scene_robot(scene, model)
    assert {c for _, c in face_colours(painted).keys} != {c for _, c in face_colours(model).keys}
    other = load_robot(urdf().replace('"painted"', '"other"'), MeshFiles())[0]
    with pytest.raises(ValueError, match=r"robot\.json: of the robot 'painted', shown is 'other'"):
        scene_robot(scene, other)


def test_commands_take_the_scene(scene, lab, shipped, tmp_path):
    given = '--robot', lab / 'robot.urdf', '--engine', 'tiny_cpu'
    arguments = [lab / 'bag', *given, '--scene', scene, '--out', tmp_path / 'video.mp4']
    assert render.main([str(a) for a in [*arguments, '--checkpoint', shipped]]) == 0
    assert augment(lab / 'bag', tmp_path / 'out', shipped, 1, *given, '--scene', scene) == 0
    made = BagReader(tmp_path / 'out' / 'bag_seed0')
    assert provenance_of(made)['scene_sha256']


def test_the_node_takes_the_scene(scene, lab, shipped):
    from manivideo_ros.ros.parameters import NodeParameters
    from manivideo_ros.ros.stream.scene import scene_from_parameters

    given = {'embodiment': 'robot', 'robot': str(lab / 'robot.urdf'), 'scene': str(scene)}
    live = scene_from_parameters(
        NodeParameters(checkpoint=str(shipped), engine='tiny_cpu', **given)
    )
    shown = {key[1] for key in face_colours(live.robot).keys}
    _, colours = read_colours(scene / 'robot.json')
    assert shown == {'#{:02x}{:02x}{:02x}'.format(*rgb) for rgb in colours.values()}
    assert live.synthesizer.scene.calibrated
    live.engine.close()
    with pytest.raises(ValueError, match='scene: /nowhere: no such folder'):
        scene_from_parameters(NodeParameters(checkpoint=str(shipped), scene='/nowhere'))


def test_colours_are_read_back_and_what_is_none_is_named(model, tmp_path):
    colours = {('arm', '#cccccc'): (10, 20, 30)}
    write_colours(tmp_path / 'robot.json', 'painted', colours)
    assert read_colours(tmp_path / 'robot.json') == ('painted', colours)
    painted = recoloured(model, colours)
    assert ('arm', '#0a141e') in face_colours(painted).keys
    kept = {key for key in face_colours(model).keys if key[0] != 'arm'}
    assert kept <= set(face_colours(painted).keys)
    for broken in ('{', '[]', '{"robot": "a", "materials": [{"link": "arm"}]}', '{"materials": 3}'):
        (tmp_path / 'robot.json').write_text(broken)
        with pytest.raises(ValueError, match=r'robot\.json: does not have the colours of a robot'):
            read_colours(tmp_path / 'robot.json')


def test_a_recording_without_the_robot_in_view_is_one_line(lab, tmp_path):
    far = tmp_path / 'far.urdf'
    far.write_text(urdf().replace('xyz="0 0 0.15"', 'xyz="0 0 50"'))
    with pytest.raises(ValueError, match='too little of the robot is seen in /image_raw'):
        main([str(lab / 'bag'), '--robot', str(far), '--out', str(tmp_path / 'out')])
