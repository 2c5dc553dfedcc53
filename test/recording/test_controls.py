"""Control videos for other generators, and their frames taken back as an episode."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
from episode_samples import shown, synthetic_episode
from PIL import Image

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.drawing.labels import layer_mask
from manivideo_ros.messages.names import IMAGE
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.episode import Episode
from manivideo_ros.recording.generators.adopt import main as adopt
from manivideo_ros.recording.generators.controls import coloured, depth_grey, skeleton

FRAMES = 4


def labelled(folder, provenance=''):
    """A synthetic episode with mask and depth: a square, one pixel farther in each frame."""
    plain = synthetic_episode(folder.parent / f'{folder.name}_plain', FRAMES, 40, provenance)
    reader, count = BagReader(plain), 0
    with BagWriter(folder, reader.custom_data) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        for topic in ('/mlo/mask', '/mlo/depth', '/background'):
            bag.add_topic(topic, IMAGE, latched=topic == '/background')
        for record in reader.messages():
            bag.write(record.topic, record.data, record.stamp_ns, record.published_ns)
            if record.topic != '/image_raw':
                continue
            stamp = stamp_ns(reader.decoded(record).header)
            square = np.zeros((48, 64), bool)
            square[10:20, 10 + count : 20 + count] = True
            mask = layer_mask(np.where(square, 0, -1), 7)
            depth = np.where(square, 0.5 + 0.1 * count, 0).astype(np.float32)
            for topic, image in (('/mlo/mask', mask), ('/mlo/depth', depth), ('/background', None)):
                if image is not None or count == 0:
                    shown_image = np.zeros((48, 64, 3), np.uint8) if image is None else image
                    header = ROSBAGS.header(stamp, 'camera')
                    bag.write(
                        topic, serialized(ROSBAGS.image(header, shown_image)), record.stamp_ns
                    )
            count += 1
    return folder


@pytest.fixture(scope='module')
def episode(tmp_path_factory):
    made = json.dumps({'synthetic': True, 'seed': 7})
    return labelled(tmp_path_factory.mktemp('controls') / 'grasp', made)


@pytest.fixture(scope='module')
def controls(episode):
    out = episode.parent / 'set'
    assert dataset(['controls', str(episode), '--out', str(out), '--task', 'lift it']) == 0
    return out / 'grasp'


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


def test_every_control_has_a_frame_of_the_same_size_for_each_frame(controls):
    names = ('frames', 'depth', 'seg', 'edge', 'keypoints', 'mask')
    videos = {name: frames_of(controls / f'{name}.mp4') for name in names}
    assert {len(video) for video in videos.values()} == {FRAMES}
    assert {image.shape for video in videos.values() for image in video} == {(48, 64, 3)}
    for k in range(FRAMES):  # synchronous: the square of frame k is at column 10 + k
        square = videos['mask'][k][..., 0] > 128
        assert square[15].nonzero()[0].tolist() == list(range(10 + k, 20 + k))
        assert abs(int(videos['frames'][k][0, 0, 1]) - 10 * k) < 8
    brightness = [video[15, 15, 0] for video in videos['depth']]
    assert brightness[0] > 245 and brightness == sorted(brightness, reverse=True)
    for name in ('mlo_normals', 'mlo_confidence'):
        layers = frames_of(controls / f'{name}.mp4')
        assert len(layers) == FRAMES and layers[0].shape == (96, 256, 3) and layers[0].max() > 128


def test_generators_find_the_controls_by_their_own_keys(controls):
    cosmos = json.loads((controls / 'cosmos_transfer.json').read_text())
    assert cosmos['prompt'] == 'lift it' and cosmos['video_path'] == 'frames.mp4'
    for name in ('depth', 'seg', 'edge'):
        assert (controls / cosmos[name]['control_path']).is_file()
    vace = json.loads((controls / 'vace.json').read_text())
    assert (controls / vace['src_video']).is_file() and vace['frame_num'] == FRAMES
    index = json.loads((controls / 'episode.json').read_text())
    assert index['frames'] == len(index['stamps_ns']) == FRAMES
    assert index['depth_m'] == pytest.approx([0.5, 0.8])


def test_controls_are_exact():
    depth = np.array([[0, 0.5], [1.0, 2.0]], np.float32)
    grey = depth_grey(depth, 0.5, 2.0)[..., 0]
    assert grey.tolist() == [[0, 255], [55 + round(200 / 3), 55]]
    colours = coloured(layer_mask(np.arange(-1, 13)[None], 13))[0]
    assert not colours[0].any() and len({tuple(colour) for colour in colours.tolist()}) == 14


def test_a_hand_behind_the_camera_has_no_keypoints(episode):
    (points, *_) = Episode(episode).keypoints()
    assert skeleton(points, 320, 240).any()
    behind = points.copy()
    behind['z'] *= -1
    assert not skeleton(behind, 320, 240).any()


def adopted(episode, frames, out):
    return adopt([str(episode), str(frames), '--out', str(out), '--generator', 'a model'])


def test_frames_come_back_as_an_episode_with_stamps_labels_and_provenance(episode, tmp_path):
    images = [255 - shown(k, 40) for k in range(FRAMES)]
    (tmp_path / 'frames').mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / 'frames' / f'{k:04d}.png')
    assert adopted(episode, tmp_path / 'frames', tmp_path / 'new') == 0
    before, after = Episode(episode), Episode(tmp_path / 'new')
    assert np.array_equal(list(after.images()), images)
    assert np.array_equal(after.stamps_ns, before.stamps_ns)
    assert np.array_equal(after.received_ns, before.received_ns)
    assert np.array_equal(after.masks(), before.masks())
    assert all(map(np.array_equal, after.keypoints(), before.keypoints()))
    assert not after.has_backgrounds and before.has_backgrounds
    made = after.provenance
    assert made['synthetic'] is True and made['seed'] == 7
    assert made['adopted']['generator'] == 'a model' and made['adopted']['episode'] == 'grasp'
    assert len(made['adopted']['frames_sha256']) == 64
    assert dataset(['video', str(tmp_path / 'new'), '--out', str(tmp_path / 'set')]) == 0


def test_videos_of_other_sizes_are_resized_and_of_other_aspects_refused(
    episode, controls, tmp_path, capsys
):
    assert adopted(episode, controls / 'frames.mp4', tmp_path / 'same') == 0
    for size, name in (((128, 96), 'double'), ((128, 72), 'wide'), ((64, 48), 'short')):
        (tmp_path / name).mkdir()
        for k in range(FRAMES - (name == 'short')):
            Image.fromarray(shown(k)).resize(size).save(tmp_path / name / f'{k}.png')
    assert adopted(episode, tmp_path / 'double', tmp_path / 'a') == 0
    made = Episode(tmp_path / 'a')
    assert (
        next(made.images()).shape == (48, 64, 3) and made.provenance['adopted']['size'] == '128x96'
    )
    for name, words in (('wide', '128x72 where the episode has 64x48'),
                        ('short', f'has 3 frames where {episode} has 4')):  # fmt: skip
        assert adopted(episode, tmp_path / name, tmp_path / 'b') == 2
        assert words in capsys.readouterr().err
    (tmp_path / 'empty').mkdir()
    assert adopted(episode, tmp_path / 'empty', tmp_path / 'b') == 2
    assert 'holds no images' in capsys.readouterr().err
    assert not (tmp_path / 'b').exists()
