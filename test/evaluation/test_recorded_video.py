"""A recorded stream is evaluated from its video as from its raw images."""

import numpy as np
import pytest
from episode_samples import synthetic_episode
from mounted_cameras import FRONT as MOUNTED
from mounted_cameras import WRIST, record_mounted
from videos import as_video, psnr

from manivideo_ros.augment.source import Source
from manivideo_ros.evaluation.suites.recorded import RecordedStream
from manivideo_ros.recording.episode import Episode

FRONT = ('/front/image_raw',)  # of another camera


def test_a_stream_is_read_from_its_video(tmp_path):
    raw = Episode(synthetic_episode(tmp_path / 'grasp', 8, 40))
    images = list(raw.images())
    late = as_video(raw.path, tmp_path / 'late', lead=27, leave_out=FRONT)
    whole = as_video(raw.path, tmp_path / 'whole', leave_out=FRONT)
    for bag, first in ((whole, 0), (late, 3)):
        stream = RecordedStream(bag)
        assert stream.timing.images == ('/image_raw/foxglove',)
        np.testing.assert_array_equal(stream.stamps_ns, raw.stamps_ns[first:])
        for image, other in zip(stream.images(), images[first:], strict=True):
            assert psnr(image, other) > 31
        (chosen,) = stream.images({4})
        assert psnr(chosen, images[4 + first]) > 31


def test_a_stream_without_a_key_frame_has_no_frames(tmp_path):
    raw = synthetic_episode(tmp_path / 'grasp', 4)

    def begun(number, message):
        return message if number else None

    stream = RecordedStream(as_video(raw, tmp_path / 'begun', change=begun, leave_out=FRONT))
    assert len(stream) == 0 and list(stream.images()) == []


def test_one_of_several_cameras_is_evaluated_frame_by_frame(tmp_path):
    record_mounted(tmp_path / 'take', cameras=(MOUNTED, WRIST), images=True)
    with pytest.raises(ValueError, match=r'--images: /front/camera/image_raw, /wrist/camera/image'):
        RecordedStream(tmp_path / 'take', camera=WRIST)
    stream = RecordedStream(tmp_path / 'take', '/wrist/camera/image_raw', WRIST)
    assert len(stream) == len(stream.motion) == 6
    for index in range(6):
        placed = stream.camera(index).camera_from_world
        np.testing.assert_allclose(placed, stream.motion.camera_track[index], atol=1e-9)


def test_augmentation_replaces_videos(tmp_path):
    synthetic_episode(tmp_path / 'grasp', 4)
    source = Source(as_video(tmp_path / 'grasp', tmp_path / 'video'))
    assert {'/image_raw/foxglove', '/front/image_raw/foxglove'} <= set(source.replaced)
