"""`manivideo estimate`: a video file becomes a recording with the poses of its hands."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from manivideo_ros.cli import main
from manivideo_ros.estimation.video_poses import VideoError, VideoFile
from manivideo_ros.estimation.webcam_video import record_webcam
from manivideo_ros.geometry import Camera, pinhole
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES

CLIP = Path(__file__).parents[3] / 'shared' / 'data' / 'video' / 'human_hand.mp4'


@pytest.fixture(scope='module', autouse=True)
def _interpreter():
    pytest.importorskip('ai_edge_litert')


def write(path, frames):
    height, width = frames[0].shape[:2]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 30, (width, height))
    for frame in frames:
        video.write(frame)
    video.release()


@pytest.mark.skipif(not CLIP.is_file(), reason='the recording is not here')
def test_a_real_video_has_its_hand_where_the_image_shows_it(tmp_path, capsys):
    from manivideo_ros.data.recorded.bag import read_bag_clip

    video = cv2.VideoCapture(str(CLIP))
    write(tmp_path / 'hand.avi', [video.read()[1] for _ in range(16)])
    assert main(['estimate', str(tmp_path / 'hand.avi'), '--out', str(tmp_path / 'bag')]) == 0
    assert '15 of 16 frames show a hand' in capsys.readouterr().out
    clip = read_bag_clip(tmp_path / 'bag', {side: load_hand(side) for side in SIDES})
    assert (clip.camera.width, clip.camera.height) == (1280, 720)
    assert set(clip.motion.hands) == {'right'} and len(clip) == 15
    image, labels = clip.image(10), clip.segmentation(10)
    skin = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1] > 70  # the wall is grey
    assert skin[labels == 1].mean() > 0.85


def test_a_file_that_is_no_video_and_one_without_hands_are_errors(tmp_path, capsys):
    (tmp_path / 'text.mp4').write_text('no video')
    write(tmp_path / 'empty.avi', [np.full((120, 160, 3), 90, np.uint8)] * 4)
    for name, why in (
        ('text.mp4', 'no such video file, or none that can be read'),
        ('none.mp4', 'no such video file, or none that can be read'),
        ('empty.avi', 'no hand found in 4 frames'),
    ):
        out = tmp_path / f'{name}.bag'
        assert main(['estimate', str(tmp_path / name), '--out', str(out)]) == 2
        assert f'{name}: {why}' in capsys.readouterr().err
    assert not (tmp_path / 'empty.avi.bag').exists()


def test_frames_of_another_size_than_the_calibration_are_scaled_with_a_warning(tmp_path):
    write(tmp_path / 'small.avi', [np.full((120, 160, 3), 90, np.uint8)] * 3)
    camera = Camera(pinhole(320, 240, 0.8), np.eye(4), 320, 240)
    with pytest.warns(UserWarning, match=r'small\.avi: images are 160x120, .* of 320x240'):
        frames = list(VideoFile(tmp_path / 'small.avi', camera=camera).frames())
    assert frames[0][1].shape == (240, 320, 3)


def test_a_webcam_is_recorded_to_a_video_file(tmp_path):
    write(tmp_path / 'camera.avi', [np.full((48, 64, 3), 40 + i, np.uint8) for i in range(40)])
    record_webcam(str(tmp_path / 'camera.avi'), 30.0, tmp_path / 'scene' / 'webcam.avi')
    frames = list(VideoFile(tmp_path / 'scene' / 'webcam.avi').frames())
    assert len(frames) == 40
    assert abs(int(frames[30][1].mean()) - 70) < 4


@pytest.mark.parametrize('frames', [0, 3])
def test_a_webcam_without_images_is_an_error(tmp_path, frames):
    source = tmp_path / 'camera.avi'
    if frames:
        write(source, [np.full((48, 64, 3), 40, np.uint8)] * frames)
    with pytest.raises(VideoError, match='gives no images: is it connected, and free'):
        record_webcam(str(source), 1.0, tmp_path / 'webcam.avi')
    assert not (tmp_path / 'webcam.avi').exists()
