"""Episodes whose images are video: exported like those with raw images."""

import shutil

import av
import numpy as np
import pytest
from episode_samples import shown, synthetic_episode
from videos import as_video, psnr

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.messages.names import PACKET, VIDEO
from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics

FRAMES = 8


@pytest.fixture(scope='module')
def raw(tmp_path_factory):
    return synthetic_episode(tmp_path_factory.mktemp('episodes') / 'grasp', FRAMES, 40)


@pytest.mark.parametrize('kind', [VIDEO, PACKET])
def test_frames_are_those_of_the_raw_topic(raw, tmp_path, kind):
    episode, before = Episode(as_video(raw, tmp_path / 'video', kind)), Episode(raw)
    assert episode.images_topic.startswith('/image_raw/')
    np.testing.assert_array_equal(episode.stamps_ns, before.stamps_ns)
    np.testing.assert_array_equal(episode.received_ns, before.received_ns)
    for image, other in zip(episode.images(), before.images(), strict=True):
        assert psnr(image, other) > 31
    assert len(episode.keypoints()) == FRAMES
    named = Episode(episode.path, Topics(images=episode.images_topic))
    assert len(named) == FRAMES


def test_a_dataset_is_made_of_it(raw, tmp_path):
    video = as_video(raw, tmp_path / 'grasp')
    assert main(['video', str(video), '--out', str(tmp_path / 'set')]) == 0
    with av.open(str(tmp_path / 'set' / 'grasp.mp4')) as container:
        frames = [f.to_ndarray(format='rgb24') for f in container.decode(video=0)]
    assert len(frames) == FRAMES and psnr(frames[3], shown(3, 40)) > 30


def test_messages_before_the_first_key_frame_are_left_out_with_a_warning(raw, tmp_path, caplog):
    late = as_video(raw, tmp_path / 'late', lead=27)  # a key frame is the 30th
    episode = Episode(late)
    assert len(episode) == FRAMES - 3 == len(list(episode.images())) == len(episode.keypoints())
    assert episode.stamps_ns.tolist() == Episode(raw).stamps_ns[3:].tolist()
    (warning,) = caplog.messages
    assert 'topic /image_raw/foxglove: 3 messages before its first key frame' in warning


def test_a_video_without_a_key_frame_is_refused(raw, tmp_path):
    begun = as_video(raw, tmp_path / 'begun', change=lambda n, m: m if n else None)
    with pytest.raises(EpisodeError, match='topic /image_raw/foxglove has no key frame: record'):
        Episode(begun)


def test_lost_and_damaged_messages_are_errors_that_name_the_topic(raw, tmp_path, capsys):
    def cut(number, message):
        if number == 4:
            message.data = message.data[:9]
        return message

    def foreign(number, message):
        message.format = 'h265'
        return message

    for name, change, text in (
        ('lost', lambda n, m: None if n == 4 else m, 'after frame 3: frames between them are'),
        ('cut', cut, 'data: is cut off or damaged: record it again'),
        ('foreign', foreign, "format: 'h265' is not read: publish or convert it as h264"),
    ):
        bag = as_video(raw, tmp_path / name, change=change)
        assert main(['video', str(bag), '--out', str(tmp_path / f'{name}_set')]) == 2
        error = capsys.readouterr().err
        assert f'{bag}: /image_raw/foxglove: ' in error and text in error
        assert not (tmp_path / f'{name}_set').exists()


def test_a_topic_without_images_names_those_that_have_them(raw, tmp_path):
    video = as_video(raw, tmp_path / 'video')
    with pytest.raises(EpisodeError, match=r'choose one of /front\S+, /image_raw/foxglove'):
        Episode(video, Topics(images='/side/image_raw'))
    assert '/image_raw/foxglove' in BagReader(video).topics
    shutil.rmtree(video)
