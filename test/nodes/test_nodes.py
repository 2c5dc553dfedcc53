"""The nodes as processes of their own, over DDS: what they answer, refuse and survive."""

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from foxglove_msgs.msg import CompressedVideo
from graphs import save_small
from image_samples import shown_by
from labs import READY_S, lab_in, running
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from manivideo_ros.msg import (
    FrameTimes,
    SceneObject,
    SkeletonPose,
    SkeletonPoses,
)
from manivideo_ros.srv import SetScene
from packages import WEDGE
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import String
from streams import spec_of
from videos import psnr
from visualization_msgs.msg import MarkerArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.commands.demo import Demo, synthesizer_parameters
from manivideo_ros.engine.rate_limit import WINDOW
from manivideo_ros.engine.spec import ON_CPU
from manivideo_ros.evaluation.suites.stream import read_stream, summary
from manivideo_ros.messages.images import DEPTH, read_image, read_keypoints
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import typestore
from manivideo_ros.messages.video import ImageReader, image_stamp_ns
from manivideo_ros.motion.files import load_motion
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.process.node_processes import NodeError, environment, free_domain
from manivideo_ros.recording.episode import Episode
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY


@pytest.fixture(scope='module')
def synthesizer(shipped, images, node_environment, tmp_path_factory):
    allowed = tmp_path_factory.mktemp('allowed')
    parameters = {'checkpoint': str(shipped), 'scene_folders': [str(allowed)], **images}
    with running('synthesizer_node', parameters, node_environment) as process:
        process.allowed = allowed
        process.wait_for('active', READY_S)
        yield process


@pytest.fixture
def lab(motion):
    with lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as node:
        yield node


def test_poses_make_video(synthesizer, lab):
    for kind, topic in ((Image, 'image_raw'), (CameraInfo, 'camera_info')):
        lab.listen(kind, topic)
    lab.listen(CompressedImage, 'image_raw/compressed')
    lab.play(20, lambda: len(lab.got['image_raw/compressed']) >= 10)
    images, infos = lab.got['image_raw'], lab.got['camera_info']
    stamps = [stamp_ns(m.header) for m in images]
    assert len(stamps) >= 9 and stamps == sorted(set(stamps))
    assert len(set(stamps) & set(lab.sent)) > 0.8 * len(stamps), "frames carry the poses' stamps"
    assert set(stamps) <= {stamp_ns(m.header) for m in infos}
    assert {m.header.frame_id for m in [*images, *infos]} == {'cam'}
    assert read_image(images[-1]).shape == (240, 320, 3)
    np.testing.assert_allclose(infos[-1].k, lab.motion.camera.intrinsics.ravel())
    compressed = lab.got['image_raw/compressed'][-1]
    assert compressed.format == 'rgb8; jpeg compressed bgr8'
    assert shown_by(compressed.data).shape == (240, 320, 3)


def printed(process, text):
    return any(text in line for line in process.lines)


def test_the_video_can_be_joined_late_and_recorded(synthesizer, lab, node_environment, tmp_path):
    lab.listen(Image, 'image_raw')
    lab.listen(CompressedVideo, 'image_raw/foxglove', qos.VIDEO)
    first = lab.got['image_raw/foxglove']
    lab.play(20, lambda: len(first) >= 3)
    parameters = {'bag': str(tmp_path / 'bag'), 'video': 'h264', 'topics': ['image_raw']}
    with running('recorder', parameters, node_environment) as recorder:
        recorder.wait_for('recording /image_raw/foxglove', 20)
        lab.play(20, lambda: printed(recorder, 'first message of /image_raw/foxglove'))
        before = len(first)
        lab.play(20, lambda: len(first) >= before + 8)
        assert recorder.stop() == 0
    raw = {stamp_ns(m.header): read_image(m) for m in lab.got['image_raw']}
    reader = ImageReader()
    shown = [(image_stamp_ns(m), reader.read(m)) for m in first]
    assert reader.before == 0 and {m.frame_id for m in first} == {'cam'}
    both = [(image, raw[stamp]) for stamp, image in shown if stamp in raw]
    assert len(both) > 5 and min(psnr(*pair) for pair in both) > 33
    episode = Episode(tmp_path / 'bag')
    assert episode.images_topic == '/image_raw/foxglove'
    assert len(episode) == len(list(BagReader(episode.path).messages())), 'a key frame is first'
    for stamp, image in zip(episode.stamps_ns.tolist(), episode.images(), strict=True):
        if stamp in raw:
            assert psnr(image, raw[stamp]) > 33


def test_layers_are_published_while_subscribed_to(synthesizer, lab):
    # Layers on the network's grid, which is that of the first camera until another one is ready.
    topics = {'mlo/normals': 3, 'mlo/confidence': 2, 'mlo/mask': 2}
    for topic in topics:
        lab.listen(Image, topic)

    def answers(topic):
        return [m for m in lab.got[topic] if stamp_ns(m.header) in lab.sent]

    lab.play(20, lambda: all(len(answers(t)) >= 2 for t in topics))
    for topic, dimensions in topics.items():
        image = read_image(answers(topic)[-1])
        assert image.ndim == dimensions
        if topic == 'mlo/mask':
            assert image.shape == (240, 320), 'that of the camera'
        else:
            assert image.shape[0] % 2 == image.shape[1] % 4 == 0, 'seven layers, four in a row'
        assert image.any(), f'{topic} shows the hands'


def test_a_lens_distorts_image_and_labels_and_is_in_the_camera_info(synthesizer, lab):
    """Where the camera_info's own K and D put a joint, by OpenCV, the mask shows a hand."""
    d = [-0.3, 0.1, 0.002, -0.001, 0.0]
    for kind, topic in ((Image, 'mlo/mask'), (CameraInfo, 'camera_info'), (Image, 'image_raw')):
        lab.listen(kind, topic)
    lab.listen(PointCloud2, 'hand_keypoints')
    lab.lens = 'plumb_bob', d

    def answers():
        """Keypoints, camera and mask of each frame of the distorted camera that has a mask."""
        infos = {stamp_ns(m.header): m for m in lab.got['camera_info'] if list(m.d) == d}
        masks = {stamp_ns(m.header): m for m in lab.got['mlo/mask']}
        clouds = {stamp_ns(m.header): m for m in lab.got['hand_keypoints']}
        return [(clouds[s], infos[s], masks[s]) for s in clouds if s in infos and s in masks]

    lab.play(20, lambda: len(answers()) >= 2)
    cloud, info, mask = answers()[-1]
    assert info.distortion_model == 'plumb_bob'
    joints = read_keypoints(cloud)
    points = np.stack([joints[axis] for axis in 'xyz'], -1).astype(float)
    k, nothing = np.reshape(info.k, (3, 3)), np.zeros(3)
    expected = cv2.projectPoints(points, nothing, nothing, k, np.array(d))[0].reshape(-1, 2)
    found = np.stack([joints['u'], joints['v']], -1)
    np.testing.assert_allclose(found, expected, atol=1e-2)
    straight = points[:, :2] / points[:, 2:] @ k[:2, :2] + k[:2, 2]
    assert np.abs(found - straight).max() > 2, 'the distortion affects the tested points'
    column, row = found[joints['visible'] == 1].astype(int).T
    assert len(column) > 5 and np.mean(read_image(mask)[row, column] > 0) > 0.8


def test_markers_and_latency_are_published_while_subscribed_to(synthesizer, lab):
    lab.listen(MarkerArray, 'markers')
    lab.listen(FrameTimes, 'frame_times')

    def answers():
        """The markers of frames by poses of this lab; others show hands that wait for poses."""
        arrays = [{m.ns: m for m in array.markers} for array in lab.got['markers']]
        return [a for a in arrays if 'mug' in a and stamp_ns(a['mug'].header) in lab.sent]

    lab.play(20, lambda: len(answers()) >= 3 and len(lab.got['frame_times']) >= 3)
    markers = answers()[-1]
    assert markers.keys() >= {'left bones', 'right joints', 'mug', 'latency'}
    assert {m.header.frame_id for m in markers.values()} == {'world'}
    assert re.fullmatch(r'\d+ ms', markers['latency'].text)
    times = lab.got['frame_times'][-1]
    ended = times.published.sec * 10**9 + times.published.nanosec
    assert times.latency == pytest.approx(1e-9 * (ended - stamp_ns(times.header)), abs=1e-6)


def test_set_scene_accepts_shapes_in_the_message(synthesizer, lab):
    item = SceneObject(
        id='tetra',
        vertices=np.vstack([np.zeros(3), 0.1 * np.eye(3)]).ravel(),
        triangles=[0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3],
    )
    answer = set_scene(lab, objects=[item], keep_noise_seed=True)
    assert answer.success, answer.message
    item.mesh = 'mug'
    assert 'give mesh or triangles' in set_scene(lab, objects=[item]).message
    item.mesh, item.triangles = '', [0, 1, 9]
    assert 'tetra: a triangle has a corner' in set_scene(lab, objects=[item]).message
    assert set_scene(lab, objects=[SceneObject(id='mug', mesh='mug')]).success


def nan_theta(hands, objects):
    hands.hands[0].theta[3] = float('nan')


def zero_quaternion(hands, objects):
    objects.objects[0].pose.orientation.w = 0.0
    objects.objects[0].pose.orientation.x = 0.0


def unknown_object(hands, objects):
    objects.objects[0].object_id = 'teapot_of_russell'


def three_hands(hands, objects):
    hands.hands = [*hands.hands, hands.hands[0]]


def seven_betas(hands, objects):
    hands.hands[0].betas = [0.0] * 7


@pytest.mark.parametrize(
    ('spoil', 'warning'),
    [
        (nan_theta, r'hand_poses: hands\[0\]\.theta'),
        (zero_quaternion, r'object_poses: objects\[0\]\.pose\.orientation'),
        (unknown_object, r'object_poses: objects\[0\]\.object_id.*teapot_of_russell'),
        (three_hands, r'hand_poses: hands: 3'),
        (seven_betas, r'hand_poses: hands\[0\]\.betas: 7'),
    ],
)
def test_the_stream_continues_after_invalid_input(spoil, warning, synthesizer, lab):
    lab.listen(Image, 'image_raw')
    lab.play(20, lambda: len(lab.got['image_raw']) >= 2)
    before = len(synthesizer.lines)
    count = len(lab.got['image_raw'])

    def warned_and_continuing():
        """The first images may answer poses of before, where the machine is slow."""
        warned = any(re.search(warning, line) for line in synthesizer.lines)
        return warned and len(lab.got['image_raw']) >= count + 3

    lab.play(10, warned_and_continuing, spoil)
    assert len(lab.got['image_raw']) >= count + 3
    synthesizer.wait_for(warning, 5)
    warnings = [
        line for line in synthesizer.lines[before:] if 'hands[' in line or 'objects[' in line
    ]
    assert len(warnings) <= 3, 'warnings are rate-limited'


def test_silent_hands_fade_out_and_are_reported_as_missing(synthesizer, lab):
    lab.listen(Image, 'image_raw')
    lab.listen(DiagnosticArray, '/diagnostics')
    lab.play(20, lambda: len(lab.got['image_raw']) >= 3)
    lab.spin(2.5)
    last = stamp_ns(lab.got['image_raw'][-1].header)
    assert last > lab.sent[-1] + 4e8, 'the stream continues after the last pose'
    for side in ('left', 'right'):
        synthesizer.wait_for(f'{side}: no valid pose for 0.[56] s', 1)
    status = lab.got['/diagnostics'][-1].status[0]
    assert 'missing: left' in status.message and status.level == b'\x01'
    values = {v.key: v.value for v in status.values}
    assert values['backend'] == ON_CPU[0] and len(values['checkpoint_sha256']) == 64
    assert float(values['age of right (s)']) > 0.5


def set_scene(lab, **request):
    return lab.call(SetScene, 'set_scene', SetScene.Request(**request))


def test_a_bag_played_without_a_clock_is_detected_and_does_not_lower_the_rate(synthesizer, lab):
    """Its stamps are days old: the latency that is held counts from receipt."""

    def hold(seconds):
        request = SetParameters.Request(
            parameters=[Parameter('hold_latency', value=seconds).to_parameter_msg()]
        )
        assert lab.call(SetParameters, 'synthesizer/set_parameters', request).results[0].successful

    def recorded(*messages):
        for message in messages:
            message.header.stamp.sec -= 3 * 86_400

    for kind, topic in ((Image, 'image_raw'), (DiagnosticArray, '/diagnostics')):
        lab.listen(kind, topic)
    hold(5.0)
    images, reports, before = lab.got['image_raw'], lab.got['/diagnostics'], len(synthesizer.lines)
    lab.play(60, lambda: len(images) > 2 * WINDOW, recorded)
    assert len(images) > 2 * WINDOW
    shown = len(reports)
    lab.play(10, lambda: len(reports) > shown + 1, recorded)
    values = {v.key: v.value for v in reports[-1].status[0].values}
    assert values['rate limit (Hz)'] == '0.0'
    assert float(values['total p95 (ms)']) < 10_000
    named = "hand_poses: stamps are 3 days behind this machine's clock: to play a bag, use --clock"
    assert named in reports[-1].status[0].message
    assert sum(named in line for line in synthesizer.lines[before:]) == 1
    hold(0.0)


def test_the_scene_changes_at_run_time(synthesizer, lab):
    lab.listen(Image, 'image_raw')
    answer = set_scene(lab, objects=[SceneObject(id='thing', mesh='box')])
    assert answer.success, answer.message
    before = len(synthesizer.lines)

    def thing(hands, objects):
        objects.objects[0].object_id = 'thing'

    lab.play(20, lambda: len(lab.got['image_raw']) >= 3, thing)
    assert len(lab.got['image_raw']) >= 3
    assert not [line for line in synthesizer.lines[before:] if "'thing' is not" in line]
    assert set_scene(lab, objects=[SceneObject(id='mug', mesh='mug')]).success


def test_set_scene_keeps_what_it_does_not_name(synthesizer, lab):
    def answer(**request):
        return set_scene(lab, keep_noise_seed=True, **request).message

    mug, box = (SceneObject(id=name, mesh=name) for name in ('mug', 'box'))
    assert answer(objects=[mug]) == 'the scene has mug'
    assert answer(keep_objects=True) == 'the scene has mug'
    assert answer(keep_objects=True, objects=[box]) == 'the scene has mug, box'
    other = SceneObject(id='mug', mesh='teapot')
    assert answer(keep_objects=True, objects=[other]) == 'the scene has mug, box'
    lab.got['scene'] = []
    lab.create_subscription(String, 'scene', lab.got['scene'].append, qos.STATE)
    lab.spin(10, lambda: lab.got['scene'])
    listed = json.loads(lab.got['scene'][-1].data)['objects']
    assert {item['id']: item['mesh'] for item in listed} == {'mug': 'teapot', 'box': 'box'}
    assert answer(objects=[mug]) == 'the scene has mug', 'without it the others are removed'


def test_set_scene_reads_deprecated_fields_with_a_warning(synthesizer, lab, images):
    lab.listen(DiagnosticArray, '/diagnostics')

    def seed():
        values = [v for m in lab.got['/diagnostics'] for s in m.status for v in s.values]
        return [v.value for v in values if v.key == 'noise_seed'][-1:]

    hand = shutil.copy(images['hand_reference'], synthesizer.allowed)
    answer = set_scene(lab, keep_objects=True, appearance_seed=3, hand_appearance=str(hand))
    assert answer.success, answer.message
    for renamed in (
        'appearance_seed is now called noise_seed',
        'hand_appearance is now called hand_reference',
    ):
        assert renamed in answer.message
        synthesizer.wait_for(f'set_scene: {renamed}', 5)
    lab.spin(10, lambda: seed() == ['3'])
    assert seed() == ['3']
    answer = set_scene(lab, keep_objects=True, keep_appearance_seed=True)
    assert 'keep_appearance_seed is now called keep_noise_seed' in answer.message
    lab.got['/diagnostics'].clear()
    lab.spin(10, seed)
    assert seed() == ['3']
    answer = set_scene(lab, keep_objects=True, noise_seed=0)
    assert answer.success and 'is now called' not in answer.message


def test_engine_first_frame_and_silence_are_logged_once(synthesizer, lab):
    def back():
        return sum('hand_poses: received again after' in line for line in synthesizer.lines)

    lab.listen(Image, 'image_raw')
    lab.play(20, lambda: len(lab.got['image_raw']) >= 2)
    before = back()
    lab.spin(7)
    lab.play(20, lambda: back() > before)
    log = '\n'.join(synthesizer.lines)
    assert len(re.findall(rf'engine: {ON_CPU[0]} \(not ', log)) == 1
    assert len(re.findall(r'first frame, \d+ ms after its poses', log)) == 1
    silent = r'hand_poses: no message for 5 s: check that its publisher runs'
    assert (
        len(re.findall(silent, log)) == len(re.findall('hand_poses: received again after', log)) > 0
    )


def test_scenes_are_read_from_allowed_folders_only(synthesizer, lab, tmp_path):
    for folder in (tmp_path, synthesizer.allowed):
        (folder / 'thing.obj').write_text(WEDGE)
    (synthesizer.allowed / 'leak.obj').symlink_to(tmp_path / 'thing.obj')
    (synthesizer.allowed / 'empty.obj').write_text('')
    refused = {
        str(tmp_path / 'thing.obj'): 'scene_folders',
        str(synthesizer.allowed / 'leak.obj'): 'scene_folders',
        f'{synthesizer.allowed}/../{tmp_path.name}/thing.obj': 'scene_folders',
        'package://manivideo_ros/../../../etc/passwd': 'package',
        'package://no_such_package/mug.obj': 'no_such_package',
        str(synthesizer.allowed / 'none.obj'): 'none.obj',
        str(synthesizer.allowed / 'empty.obj'): 'empty.obj',
        f'file://{synthesizer.allowed}/thing.obj': 'scene_folders',
        'thing.obj': 'scene_folders',
        '~/thing.obj': 'scene_folders',
        '~nobody_of_this_name/thing.obj': 'cannot be the name',
        '/dev/zero': 'scene_folders',
        f'{synthesizer.allowed}/{"x" * 5000}.obj': 'xxx',
        f'{synthesizer.allowed}/{"x/" * 4000}.obj': 'x/x',
        f'package://{"x" * 5000}/a.obj': 'package',
        'package://manivideo_ros//etc/passwd': 'package',
        f'{synthesizer.allowed}/circle.obj': 'cannot be the name',
        f'{synthesizer.allowed}/pipe.obj': 'no such file',
        f'{synthesizer.allowed}/zero.obj': 'scene_folders',
        f'{synthesizer.allowed}/thing.zip': 'export it as OBJ',
    }
    (synthesizer.allowed / 'circle.obj').symlink_to(synthesizer.allowed / 'circle.obj')
    (synthesizer.allowed / 'zero.obj').symlink_to('/dev/zero')
    (synthesizer.allowed / 'thing.zip').write_bytes(b'PK')
    os.mkfifo(synthesizer.allowed / 'pipe.obj')
    for path, why in refused.items():
        answer = set_scene(lab, objects=[SceneObject(id='mug', mesh=path)])
        assert not answer.success and why in answer.message and '\n' not in answer.message
    for name in ('background', 'hand_reference'):
        answer = set_scene(lab, **{name: '/etc/passwd'})
        assert not answer.success and 'scene_folders' in answer.message
    crowd = [SceneObject(id=str(i), mesh='box') for i in range(65)]
    assert 'at most 64 are allowed' in set_scene(lab, objects=crowd).message
    objects = [SceneObject(id='mug', mesh=str(synthesizer.allowed / 'thing.obj'), scale=1.0)]
    answer = set_scene(lab, objects=objects)
    assert answer.success, answer.message
    assert set_scene(lab, objects=[SceneObject(id='mug', mesh='mug')]).success


def test_a_recording_contains_the_meshes_of_the_scene(synthesizer, lab, node_environment, tmp_path):
    file = synthesizer.allowed / 'cup.obj'
    file.write_text(WEDGE)
    cup = SceneObject(id='cup', mesh=f'{synthesizer.allowed}/./cup.obj', scale=0.5)
    wedge = SceneObject(id='wedge', vertices=[0, 0, 0, 1, 0, 0, 0, 1, 0], triangles=[0, 1, 2])
    assert set_scene(lab, objects=[cup, wedge]).success

    def of_the_cup(hands, objects):
        objects.objects[0].object_id = 'cup'

    with running('recorder', {'bag': str(tmp_path / 'bag')}, node_environment) as recorder:
        recorder.wait_for('recording', 20)
        lab.play(20, lambda: printed(recorder, 'first message of /object_poses'), of_the_cup)
        lab.play(1, spoil=of_the_cup)
        assert recorder.stop() == 0
    assert set_scene(lab, objects=[SceneObject(id='mug', mesh='mug')]).success
    track = load_motion(tmp_path / 'bag').objects['cup']
    assert (track.mesh, track.scale) == (str(file), 0.5)
    scenes = [m for m in BagReader(tmp_path / 'bag').messages() if m.topic == '/scene']
    assert len(scenes) == 1, 'the scene at the start of the recording'
    text = typestore().deserialize_cdr(scenes[0].data, scenes[0].type_name).data
    meshes = {item['id']: item['mesh'] for item in json.loads(text)['objects']}
    assert meshes.keys() == {'cup', 'wedge'}
    assert load_mesh(meshes['wedge'], 1.0).extents.tolist() == [1.0, 1.0, 0.0]


def test_parameters_change_live_within_their_range(synthesizer, lab):
    def change(value):
        request = SetParameters.Request(
            parameters=[Parameter('hold_s', value=value).to_parameter_msg()]
        )
        return lab.call(SetParameters, 'synthesizer/set_parameters', request).results[0]

    assert change(0.25).successful
    answer = change(99.0)
    assert not answer.successful and 'hold_s' in answer.reason
    assert change(0.2).successful


def test_the_lifecycle_by_hand(shipped, images, motion):
    parameters = {'autostart': False, 'checkpoint': str(shipped), **images}
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    with (
        running('synthesizer_node', parameters, environment(domain)) as process,
        lab_in(domain, motion) as lab,
    ):
        steps = [
            (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
            (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
            (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
            (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
            (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
            (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
        ]
        for transition, state in steps:
            request = ChangeState.Request(transition=Transition(id=transition))
            answer = lab.call(ChangeState, 'synthesizer/change_state', request, READY_S)
            assert answer.success
            now = lab.call(GetState, 'synthesizer/get_state', GetState.Request())
            assert now.current_state.id == state
        request = ChangeState.Request(
            transition=Transition(id=Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        )
        assert lab.call(ChangeState, 'synthesizer/change_state', request).success
        assert process.wait(10) == 0


def test_a_motion_without_objects_makes_frames(shipped, images, motion, tmp_path):
    hands_alone = replace(motion, objects={})
    plan = Demo(tmp_path, 'hands_alone', '', checkpoint=str(shipped))
    parameters = {**synthesizer_parameters(plan, hands_alone, tmp_path), **images}
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    with (
        running('synthesizer_node', parameters, environment(domain)) as process,
        lab_in(domain, hands_alone) as lab,
    ):
        process.wait_for('active', READY_S)
        lab.listen(Image, 'image_raw')
        lab.play(20, lambda: len(lab.got['image_raw']) >= 3)
        assert len(lab.got['image_raw']) >= 3


def person(stamp, x):
    keypoints = np.zeros((134, 3), np.float32)
    keypoints[:18] = np.column_stack([np.full(18, x), np.linspace(40, 440, 18), np.ones(18)])
    return SkeletonPoses(
        header=RCLPY.header(stamp, 'webcam'),
        image_width=640,
        image_height=480,
        people=[SkeletonPose(keypoints=keypoints.ravel())],
    )


def test_skeletons_alone_make_video_and_invalid_ones_are_reported(human, images, motion):
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    with (
        running('synthesizer_node', {**human, **images}, environment(domain)) as process,
        lab_in(domain, motion) as lab,
    ):
        process.wait_for('active', READY_S)
        lab.listen(Image, 'image_raw')
        publisher = lab.create_publisher(SkeletonPoses, 'skeleton_poses', qos.POSES_OUT)
        end = time.monotonic() + 20
        while time.monotonic() < end and len(lab.got['image_raw']) < 5:
            lab.sent.append(lab.get_clock().now().nanoseconds)
            publisher.publish(person(lab.sent[-1], 200 + 4 * len(lab.sent)))
            lab.spin(0.033)
        frames = lab.got['image_raw']
        assert len(frames) >= 5
        assert {stamp_ns(m.header) for m in frames} <= set(lab.sent)
        assert {m.header.frame_id for m in frames} == {'webcam'}
        first, last = (read_image(m).astype(int) for m in (frames[0], frames[-1]))
        assert np.any(first != last), 'the image follows the person'
        broken = person(lab.get_clock().now().nanoseconds, 200)
        broken.people[0].keypoints[3] = float('nan')
        publisher.publish(broken)
        lab.spin(0.5)
        process.wait_for(r'skeleton_poses: people\[0\]\.keypoints: not finite', 5)


def test_a_checkpoint_without_people_reports_ignored_skeletons_once(images, motion, tmp_path):
    spec = spec_of(save_small(tmp_path), 'onnxruntime')
    (tmp_path / 'small.yaml').write_text(yaml.safe_dump(spec.as_dict()))
    parameters = {'engine': str(tmp_path / 'small.yaml'), **images}
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    with (
        running('synthesizer_node', parameters, environment(domain)) as synthesizer,
        lab_in(domain, motion) as lab,
    ):
        synthesizer.wait_for('active', READY_S)
        publisher = lab.create_publisher(SkeletonPoses, 'skeleton_poses', qos.POSES_OUT)
        for _ in range(30):
            publisher.publish(person(lab.get_clock().now().nanoseconds, 200))
            lab.spin(0.05)
        warnings = [line for line in synthesizer.lines if '[WARN]' in line]
        warnings = [line for line in warnings if 'skeleton_poses' in line]
        assert len(warnings) == 1 and 'ignored: ' in warnings[0]


def test_unusable_weights_are_reported(shipped, images, node_environment, tmp_path):
    weights = tmp_path / 'weights.safetensors'
    weights.write_bytes(shipped.read_bytes()[:5000])
    parameters = {'checkpoint': str(weights), **images}
    with running('synthesizer_node', parameters, node_environment) as process:
        with pytest.raises(NodeError, match=r'weights\.safetensors'):
            process.wait_for('active', READY_S)
        assert process.wait(10) == 2
        assert not [line for line in process.lines if 'Traceback' in line]


def test_unreadable_motions_are_reported(node_environment, tmp_path):
    path = tmp_path / 'motion.mcap'
    path.write_bytes(b'\x89MCAP0\r\nnothing')
    with running('motion_player', {'motion': str(path)}, node_environment) as process:
        with pytest.raises(NodeError, match=r'motion\.mcap'):
            process.wait_for('frames', 30)
        assert process.wait(10) == 2
        assert not [line for line in process.lines if 'Traceback' in line]


def test_three_processes_leave_a_complete_bag(
    synthesizer, motion, motion_file, node_environment, tmp_path
):
    bag = tmp_path / 'bag'
    with running('recorder', {'bag': str(bag)}, node_environment) as recorder:
        recorder.wait_for('recording', 20)
        play = {'motion': str(motion_file), 'seconds': 2.0, 'wait_for': 2}
        with running('motion_player', play, node_environment) as player:
            assert player.wait(40) == 0
        time.sleep(1.5)
        assert recorder.stop() == 0
    log = '\n'.join(recorder.lines)
    assert log.count('recording /hand_poses (manivideo_ros/msg/HandPoses)') == 1
    assert log.count('recorded: /') == 1, 'at the end, not every second'
    reader = BagReader(bag)
    assert not reader.truncated
    expected = {'/hand_poses', '/object_poses', '/camera/camera_info', '/tf_static', '/scene'}
    assert expected | {'/image_raw', '/camera_info', '/diagnostics'} == set(reader.topics)
    report = summary(read_stream(bag))
    assert report['frames_in'] == 60 and report['frames_out'] >= 3
    assert 0 < report['latency_ms']['p50'] <= report['latency_ms']['p95']
    assert {'sampled', 'denoise', 'published', 'total'} <= set(report['stages_ms'])
    recorded = load_motion(bag)
    assert len(recorded) == 60 and set(recorded.hands) == {'left', 'right'}
    np.testing.assert_allclose(
        recorded.camera.camera_from_world, motion.camera.camera_from_world, atol=1e-6
    )


def test_labels_are_recorded_on_request_and_the_bag_has_its_provenance(
    synthesizer, motion_file, shipped, node_environment, tmp_path
):
    bag = tmp_path / 'bag'
    labels = ['layers', 'mask', 'depth', 'keypoints']
    recording = {'bag': str(bag), 'labels': labels}
    with running('recorder', recording, node_environment) as recorder:
        recorder.wait_for('recording', READY_S)
        play = {'motion': str(motion_file), 'seconds': 3.0, 'wait_for': 2}
        with running('motion_player', play, node_environment) as player:
            assert player.wait(READY_S) == 0
        time.sleep(1.5)
        assert recorder.stop() == 0
    topics = {'/mlo/normals', '/mlo/confidence', '/mlo/mask', '/mlo/depth', '/hand_keypoints'}
    assert topics <= BagReader(bag).topics.keys()
    provenance = provenance_of(BagReader(bag))
    assert provenance['synthetic'] and provenance['noise_seed'].isdecimal()
    assert provenance['checkpoint_sha256'] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert len(provenance['engine_sha256']) == 64
    wanted = ['/hand_poses', '/mlo/depth', '/hand_keypoints']
    found = {topic: {} for topic in wanted}  # message by stamp
    for record in BagReader(bag).messages(wanted):
        message = typestore().deserialize_cdr(record.data, record.type_name)
        stamp = message.header.stamp
        found[record.topic][stamp.sec, stamp.nanosec] = message
    # After the last pose hands fade: those frames carry stamps of their own.
    answers = set.intersection(*(set(messages) for messages in found.values()))
    assert answers
    depth = read_image(found['/mlo/depth'][max(answers)], (DEPTH,))
    keypoints = read_keypoints(found['/hand_keypoints'][max(answers)])
    assert depth.shape == (240, 320) and keypoints.shape == (42,)
    assert abs(depth[depth > 0].mean() - keypoints['z'].mean()) < 0.2


def test_an_unknown_label_is_reported(node_environment, tmp_path):
    parameters = {'bag': str(tmp_path / 'bag'), 'labels': ['mask', 'smell']}
    with running('recorder', parameters, node_environment) as process:
        with pytest.raises(NodeError, match='labels: smell: is not one of layers, mask'):
            process.wait_for('recording', READY_S)
        assert process.wait(10) == 2
