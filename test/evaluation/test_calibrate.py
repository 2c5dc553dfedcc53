"""`manivideo calibrate`: a recording becomes a scene folder, which nodes and commands take."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mounted_cameras import FRONT, record_mounted
from PIL import Image

from manivideo_ros.camera.light import Light
from manivideo_ros.camera.light_file import read_light, write_light
from manivideo_ros.cli import main
from manivideo_ros.data.recorded.background import median_background
from manivideo_ros.data.recorded.bag import DrawnLabels, chosen, read_bag_clip
from manivideo_ros.data.recorded.calibration import calibrated, exposures
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.estimation.scene_folder import (
    scene_background,
    scene_hand,
    scene_light,
    write_scene_folder,
)
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES

HANDS = {side: load_hand(side) for side in SIDES}
SKIN = np.array([205, 150, 120], np.uint8)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Twelve frames of a hand and an object before a fixed camera; its images are grey."""
    folder = tmp_path_factory.mktemp('recording') / 'take'
    record_mounted(folder, frames=12, cameras=(FRONT,), images=True)
    return folder


@pytest.fixture(scope='module')
def room():
    """A bluish background [240, 320, 3]."""
    y, x = np.mgrid[:240, :320]
    return np.stack([60 + x // 8, 80 + y // 8, 170 + 0 * x], -1).astype(np.uint8)


@pytest.fixture(scope='module')
def clip(bag, room):
    """The recording with hands of one skin colour in the room."""
    recorded = read_bag_clip(bag, HANDS)
    drawn = DrawnLabels(recorded.motion, HANDS)

    def image(index):
        labels = drawn(index)
        skin = np.isin(labels, [*recorded.hand_labels])[..., None]
        thing = (labels > 0)[..., None]
        return np.where(skin, SKIN, np.where(thing, np.uint8(20), room))

    return chosen(replace(recorded, read_image=image), range(0, 12, 3))


@pytest.fixture(scope='module')
def made(clip):
    return calibrated(clip, HANDS)


def test_the_background_is_what_hands_and_objects_leave_free(made, room):
    seen = made.background.seen
    assert 0.3 < seen.mean() < 1
    np.testing.assert_array_equal(made.background.image[seen], room[seen])


def test_the_hand_reference_shows_the_skin(made, clip):
    assert made.hand.shape == (256, 256, 3) and made.side in clip.motion.hands
    inside = made.hand[made.parts == 1]
    assert len(inside) > 500
    np.testing.assert_allclose(np.median(inside, 0), SKIN, atol=3)
    np.testing.assert_allclose(made.reference.mean_colours()[0], SKIN / 255, atol=0.06)


def test_a_drifting_exposure_and_white_balance_are_found(clip):
    drift = np.array([0.8, 1.0, 1.2, 0.9])[:, None] * [1.03, 1.0, 0.96]

    def image(index):
        linear = srgb_to_linear(clip.read_image(index) / 255)
        return encode_srgb(linear * drift[index]).round().astype(np.uint8)

    drifting = replace(clip, read_image=image)
    background = median_background(drifting)
    found = exposures(drifting, background)
    relative = found / found[1], drift / drift[1]
    np.testing.assert_allclose(*relative, rtol=0.02)


def test_a_hand_of_the_colour_of_its_background_is_masked_by_its_pose(bag):
    clip = chosen(read_bag_clip(bag, HANDS), range(0, 12, 4))
    made = calibrated(clip, HANDS)  # its images are one grey
    assert not made.by_colour and made.parts.any()


def test_without_a_whole_hand_it_is_an_error(clip):
    camera = replace(clip.camera, intrinsics=clip.camera.intrinsics * [[30], [30], [1]])
    close = replace(clip, motion=replace(clip.motion, camera=camera))
    with pytest.raises(RecordedError, match='no frame shows a whole hand'):
        calibrated(close, HANDS)


def test_the_command_writes_a_folder_that_nodes_and_commands_take(bag, tmp_path, capsys):
    out = tmp_path / 'scene'
    assert main(['calibrate', str(bag), '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert 'hand reference: the' in said and 'warning: the hand cannot be separated' in said
    report = json.loads((out / 'report.json').read_text())
    assert report['frames'] == 12 and report['hand_mask'] == 'pose'
    assert {f.name for f in out.iterdir()} == {
        'background.png', 'hand_reference.png', 'hand_reference.parts.png', 'hand_skin.png',
        'light.json', 'report.json', 'exposure.json',
        'report_frames.png', 'report_references.png',
    }  # fmt: skip
    assert scene_background(out, None).shape == (240, 320, 3)
    assert (scene_hand(out, None).parts == 1).any()


def test_a_given_file_replaces_the_folders_and_without_either_the_shipped_one_is_used(tmp_path):
    room = np.full((20, 30, 3), 50, np.uint8)
    hand, parts = np.full((16, 16, 3), 200, np.uint8), np.ones((16, 16), np.uint8)
    write_scene_folder(tmp_path / 'scene', room, hand, parts, None, None)
    Image.fromarray(room + 9).save(tmp_path / 'mine.png')
    assert (scene_background(tmp_path / 'scene', None) == 50).all()
    assert (scene_background(tmp_path / 'scene', tmp_path / 'mine.png') == 59).all()
    assert (scene_hand(tmp_path / 'scene', None).image == 200).all()
    assert scene_background(None, None).std() > 1
    with pytest.raises(ValueError, match=r'no background\.png: make a scene folder with'):
        scene_background(tmp_path, None)


def test_skin_and_light_belong_to_the_folders_hand_and_are_removed_with_it(tmp_path):
    room = np.full((20, 30, 3), 50, np.uint8)
    hand, parts = np.full((16, 16, 3), 200, np.uint8), np.ones((16, 16), np.uint8)
    skin = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    lamp = Light(np.array([0.0, 0.6, -0.8]), np.array([0.5, 0.4, 0.3]), np.full(3, 0.2))
    scene = tmp_path / 'scene'
    write_scene_folder(scene, room, hand, parts, skin, lamp)
    np.testing.assert_array_equal(scene_hand(scene, None).skin, skin)
    light = scene_light(scene, None)
    np.testing.assert_allclose(light.towards, lamp.towards)
    np.testing.assert_allclose(light.ball, lamp.ball)
    mine = scene / 'hand_reference.png'  # given by itself, it is but an image
    assert scene_hand(scene, mine).skin is None and scene_light(scene, mine) is None
    write_scene_folder(scene, room, hand, parts, None, None)
    assert scene_hand(scene, None).skin is None and scene_light(scene, None) is None


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ('{', 'is not the JSON of a light'),
        ('[1, 2]', 'is not the JSON of a light'),
        ({'ball': [[1, 2, 3]]}, 'ball: must be finite numbers of shape'),
        ({'lamp': [1, 'NaN', 2]}, 'lamp: must be finite numbers'),
        ({'lamp': [-1, 0, 0]}, 'lamp and ambient must not be negative'),
        ({'towards': [0, 0, 0]}, 'towards: must be a unit vector'),
        ({'size': 9}, 'size be 0 to 1.6 rad'),
    ],
)
def test_a_light_that_cannot_be_used_is_an_error_that_names_its_file(tmp_path, change, why):
    path = tmp_path / 'light.json'
    write_light(path, Light(np.array([0.0, 0.0, -1.0]), np.ones(3), np.ones(3)))
    text = (
        change
        if isinstance(change, str)
        else json.dumps({**json.loads(path.read_text()), **change})
    )
    path.write_text(text)
    with pytest.raises(ValueError, match=why) as error:
        read_light(path)
    assert str(path) in str(error.value)


def test_render_shows_the_scene(tmp_path, monkeypatch):
    from manivideo_ros.commands import render

    room = np.full((20, 30, 3), 50, np.uint8)
    hand, parts = np.full((16, 16, 3), 200, np.uint8), np.ones((16, 16), np.uint8)
    write_scene_folder(tmp_path / 'scene', room, hand, parts, None, None)
    seen = {}

    def scene_for(weights, objects, background, reference, light):
        seen.update(background=background, hand=reference)
        raise ValueError('enough')

    monkeypatch.setattr(render, 'scene_for', scene_for)
    arguments = ['render', 'pour', '--scene', str(tmp_path / 'scene')]
    assert main([*arguments, '--out', str(tmp_path / 'x.mp4')]) == 2
    assert (seen['background'] == 50).all() and (seen['hand'].image == 200).all()


def test_options_of_videos_are_refused_for_bags_and_the_other_way_round(bag, tmp_path, capsys):
    video = tmp_path / 'hand.avi'
    video.write_bytes(b'')
    out = ['--out', str(tmp_path / 'scene')]
    for arguments, why in (
        ([str(bag), '--fov-y', '0.9'], '--fov-y is for videos'),
        ([str(video), '--images', '/image_raw'], '--images is for bags'),
        ([], 'give a recording, or --webcam'),
    ):
        with pytest.raises(SystemExit):
            main(['calibrate', *arguments, *out])
        assert why in capsys.readouterr().err
