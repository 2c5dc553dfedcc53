"""Evaluation of one recording, with its images as ground truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mounted_cameras import FRONT, WRIST, record_mounted

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.data.recorded.bag import ARM, DrawnLabels, mean_colour, part, read_bag_clip
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.evaluation.cli import main
from manivideo_ros.evaluation.photographs import recording
from manivideo_ros.evaluation.photographs.fitted_light import fitted_light
from manivideo_ros.evaluation.photographs.recording import Recording, evaluate
from manivideo_ros.evaluation.reports.evaluation import as_markdown, measured_figures
from manivideo_ros.evaluation.run import Work
from manivideo_ros.evaluation.suites.clip_measures import Tools
from manivideo_ros.evaluation.suites.methods import flat
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.messages.types import ROSBAGS, decoded, serialized

SIZE = 64
HANDS = {side: load_hand(side) for side in SIDES}
IMAGES = FRONT.replace('camera_info', 'image_raw')


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Twelve frames of a hand and an object before a fixed camera; its images are grey."""
    folder = tmp_path_factory.mktemp('recording') / 'take'
    record_mounted(folder, frames=12, cameras=(FRONT,), images=True)
    return folder


@pytest.fixture(scope='module')
def clip(bag):
    return read_bag_clip(bag, HANDS)


def changed(bag, out, change):
    """A copy of a bag; change(topic, time) returns the time, None to leave the message out."""
    reader = BagReader(bag)
    with BagWriter(out) as copy:
        for topic, kind in reader.topics.items():
            copy.add_topic(topic, kind)
        for record in reader.messages():
            if change(record.topic, record.stamp_ns) is not None:
                copy.write(record.topic, record.data, record.stamp_ns)
    return out


def test_a_clip_has_the_images_that_poses_cover(clip, bag):
    assert len(clip) == 12 and clip.camera.width == 320
    np.testing.assert_array_equal(clip.image(3), np.full((240, 320, 3), 90))
    # Read in any order, images stay those of their frames.
    assert all((clip.image(i) == 90).all() for i in (7, 2, 11))


def test_labels_are_drawn_from_the_poses_without_forearms(clip):
    labels = clip.segmentation(5)
    values = set(np.unique(labels).tolist())
    assert set(clip.hand_labels.values()) == set(clip.motion.hands)
    assert set(clip.object_labels.values()) == set(clip.motion.objects)
    assert values <= {0, ARM, *clip.hand_labels, *clip.object_labels}
    for value in clip.hand_labels:
        assert (labels == value).any()


def test_a_part_of_a_clip_is_its_frames(clip):
    later = part(clip, 8, 12)
    assert len(later) == 4
    np.testing.assert_array_equal(later.segmentation(1), clip.segmentation(9))


def test_the_mean_colour_is_of_the_labelled_pixels(clip):
    np.testing.assert_allclose(mean_colour(clip, [*clip.hand_labels]), [90, 90, 90])
    with pytest.raises(RecordedError, match='no hand or object is in view'):
        mean_colour(clip, [77])


def test_the_last_third_is_measured_against_the_images(bag, monkeypatch):
    monkeypatch.setattr(Work, 'methods', lambda _: {'generated': grey_frames})
    monkeypatch.setattr(Work, 'tools', lambda _: Tools())
    monkeypatch.setattr(recording, 'lit_base', lambda *_: grey_frames)
    work = Work({'generated': (bag, bag)}, SIZE)
    result = evaluate(work, None, Recording(bag), {'title': 'take'})
    assert result.clips[0]['frames'] == 4
    rows = result.summary('all', 'recorded')
    assert {*rows} == {'generated', 'lit_base', 'fitted_light', 'flat', 'painted', 'textured'}
    # The images are of one colour, which the flat hands have too.
    assert rows['flat']['psnr_db'].mean > 45 > rows['painted']['psnr_db'].mean
    assert 'flat' in measured_figures(result) and 'recorded poses' in as_markdown(result)


@pytest.fixture(scope='module')
def truth(bag):
    return Recording(bag).truth(SIZE)[0]


def test_flat_hands_are_before_the_background(truth):
    frame = next(flat(np.array([200.0, 10.0, 10.0]))(truth.inputs))
    red = (frame == (200, 10, 10)).all(-1)
    assert red.any() and (frame[~red] == truth.inputs.background[~red]).all()


def test_images_of_another_size_than_their_camera_are_refused(bag, tmp_path):
    reader = BagReader(bag)
    with BagWriter(tmp_path / 'half') as half:
        for topic, kind in reader.topics.items():
            half.add_topic(topic, kind)
        for record in reader.messages():
            data = record.data
            if record.topic == IMAGES:
                header = ROSBAGS.header(record.stamp_ns, 'front_optical')
                data = serialized(ROSBAGS.image(header, np.full((120, 160, 3), 90, np.uint8)))
            half.write(record.topic, data, record.stamp_ns)
    with pytest.raises(RecordedError, match='images are 160x120, its CameraInfo has 320x240'):
        read_bag_clip(tmp_path / 'half', HANDS)


def test_the_command_reports_what_is_missing(bag, tmp_path, capsys):
    record_mounted(tmp_path / 'two', frames=8, cameras=(FRONT, WRIST), images=True)
    two = ['--recording', str(tmp_path / 'two'), '--out', str(tmp_path / 'out')]
    blind = changed(bag, tmp_path / 'blind', lambda topic, _: None if topic == FRONT else 0)
    short, none = tmp_path / 'short', tmp_path / 'none'
    record_mounted(short, frames=4, cameras=(FRONT,), images=True)
    for arguments, why in (
        (two, 'holds several cameras'),
        ([*two, '--camera', FRONT], 'needs the topic of the images'),
        ([*two, '--camera', FRONT, '--images', '/x'], '--images /x: no such topic'),
        (['--recording', str(blind)], 'CameraInfo'),
        (['--recording', str(short)], 'at least 6 are needed'),
        (['--recording', str(none)], str(none)),
    ):
        assert main([*arguments, '--steps', '1']) == 2
        error = capsys.readouterr().err
        assert why in error and error.count('\n') == 1, error


def test_images_without_poses_near_are_left_out(bag, tmp_path):
    reader = BagReader(bag)
    stamps = [r.stamp_ns for r in reader.messages(['/hand_poses'])]
    middle = stamps[3:9]
    gone = changed(
        bag,
        tmp_path / 'gap',
        lambda topic, time: None if topic == '/hand_poses' and time in middle else 0,
    )
    few = read_bag_clip(gone, HANDS)
    assert 6 <= len(few) < 12
    message = decoded(next(reader.messages([IMAGES])).data, reader.topics[IMAGES])
    assert message.width == 320 and json.dumps(few.name)


def grey_frames(inputs):
    while True:
        yield np.full((inputs.size, inputs.size, 3), 128, np.uint8)


def test_the_light_of_recorded_images_is_found_again(clip, truth):
    """Images of matt hands under one lamp and ambient light, by the normals of their poses."""
    drawn = DrawnLabels(clip.motion, HANDS)
    lamp = np.array([0.3, -0.6, -0.74])

    def lit(normals):
        shade = 0.15 + 0.25 * (1 + normals @ lamp)[..., None]
        return encode_srgb(shade * np.array([1.0, 0.7, 0.6]))

    def image(index):
        labels, normals, _ = drawn.view(index)
        return np.where((labels > 0)[..., None], lit(normals), np.uint8(90))

    frame = next(fitted_light(replace(clip, read_image=image), HANDS)(truth.inputs))
    seen = DrawnLabels(replace(truth.inputs.motion, camera=truth.inputs.camera), HANDS)
    labels, normals, _ = seen.view(0)
    hands = np.isin(labels, [*clip.hand_labels])
    assert hands.any()
    assert np.abs(frame[hands].astype(int) - lit(normals)[hands]).mean() < 4
    np.testing.assert_array_equal(frame[labels == 0], truth.inputs.background[labels == 0])
