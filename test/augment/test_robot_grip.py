"""The gate drops an episode whose gripper holds nothing, and shows the frame."""

from __future__ import annotations

import numpy as np
import pytest
from augmenting import augment
from PIL import Image
from state_bags import STATE, joints
from urdfs import OPENS, gripper

from manivideo_ros.augment.gate_report import main
from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.geometry import Camera, invert_rigid, look_at, pinhole, rigid
from manivideo_ros.messages.names import CAMERA, OBJECTS, STRING, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.motion import scene_json

START, STEP, FRAMES = 1_795_880_000 * 10**9, 50_000_000, 24
EYE = Camera(pinhole(256, 192, 0.9), look_at((0.6, -0.25, 0.45), (0, 0, 0.27)), 256, 192)
BALL = 0.052  # metres: its radius


def record(folder, beside):
    """A gripper closes on the place of a ball, lifts it, and opens; the ball is beside it."""
    with BagWriter(folder) as bag:
        for topic, kind in (
            ('/joint_states', STATE),
            ('/camera_info', CAMERA),
            ('/object_poses', OBJECTS),
        ):
            bag.add_topic(topic, kind)
        for topic, kind in (('/tf_static', TF), ('/scene', STRING)):
            bag.add_topic(topic, kind, latched=True)
        header = ROSBAGS.header(START, 'world')
        placed = ROSBAGS.transform(header, 'cam', invert_rigid(EYE.camera_from_world))
        bag.write('/tf_static', serialized(ROSBAGS.message(TF)(transforms=[placed])), START)
        scene = scene_json({'ball': ('ball', 1.0)})
        bag.write('/scene', serialized(ROSBAGS.message(STRING)(data=scene)), START)
        for n in range(FRAMES):
            at = START + n * STEP
            opening = np.interp(n, (2, 5, 19, 22), (OPENS, BALL, BALL, OPENS))
            up = np.interp(n, (7, 18), (0, 0.1))
            state = joints(at, left_pad_j=opening, right_pad_j=opening, mast=up)
            bag.write('/joint_states', serialized(state), at)
            pose = rigid(np.eye(3), [beside, 0, 0.22 + up])
            message = ROSBAGS.objects(ROSBAGS.header(at, 'world'), {'ball': pose})
            bag.write('/object_poses', serialized(message), at)
            info = ROSBAGS.camera(ROSBAGS.header(at, 'cam'), EYE)
            bag.write('/camera_info', serialized(info), at)
    return folder


@pytest.mark.parametrize('beside', [0.0, 0.14])
def test_a_gripper_that_holds_nothing_is_a_reason_with_an_image(beside, shipped, tmp_path):
    urdf = tmp_path / 'gripper.urdf'
    urdf.write_text(gripper())
    bag = record(tmp_path / 'grip', beside)
    options = '--robot', urdf, '--robot-topic', '/joint_states'
    made = tmp_path / 'made'
    assert augment(bag, made, shipped, 1, *options, '--engine', 'tiny_cpu') == 0
    lenient = '--silhouette', '0', '--hand-silhouette', '0', '--untouched', '1', '--visible', '0'
    report = tmp_path / 'gate'
    assert (
        main([str(a) for a in (made, '--out', report, *options, *lenient, '--workers', '1')]) == 0
    )
    page, image = (report / 'report.html').read_text(), report / 'dropped' / 'grip_seed0.png'
    if not beside:
        assert '1 of 1 episodes pass' in page and not image.exists()
        return
    assert '<p>empty 1.000 is above 0.5</p>' in page
    plain, drawn = np.split(np.array(Image.open(image)).astype(int), 2, axis=1)
    red = (drawn == (255, 40, 40)).all(-1) & (plain != (255, 40, 40)).any(-1)
    assert red.sum() > 20  # the line between the gripper's tips
