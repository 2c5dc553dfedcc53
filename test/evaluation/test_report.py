"""The report and the images of a recorded stream, from its bag."""

import json

import av
import numpy as np
import pytest
from evaluation_samples import record, short_motion
from PIL import Image

from manivideo_ros.drawing.views import six_views
from manivideo_ros.evaluation.measures.baselines import Baselines, to_bytes
from manivideo_ros.evaluation.reports.recorded import evaluate, illustrate, main
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.evaluation.suites.stream_quality import MAX_FRAMES, measured_frames

FRAMES = 6


@pytest.fixture(scope='module')
def motion():
    return short_motion(FRAMES)


@pytest.fixture(scope='module')
def scene(motion):
    return HeldOutScene.of(motion, 3)


@pytest.fixture(scope='module')
def base(motion, scene):
    """The frames of an untrained synthesizer: its base images."""
    truth = HeldOutGroundTruth(scene)
    objects = [(mesh, six_views(mesh)) for mesh in scene.meshes.values()]
    painter = Baselines(objects, scene.hands, truth.background, truth.hand_reference())
    frames = []
    for i in range(FRAMES):
        sample = motion.frame(i)
        poses = [*sample.objects.values(), *(sample.hands[side] for side in scene.hands)]
        frames.append(to_bytes(painter.paint(scene.camera, poses)[0]['painted']))
    return frames


@pytest.fixture(scope='module')
def bag(tmp_path_factory, motion, scene, base):
    folder = tmp_path_factory.mktemp('recorded') / 'bag'
    record(folder, motion, base, {'held_out': scene.to_json()})
    return folder


@pytest.fixture(scope='module')
def report(bag):
    return evaluate(bag, workers=1)


def test_report_describes_the_stream(report):
    assert report['frames_in'] == report['frames_out'] == FRAMES
    assert report['rate_hz'] == pytest.approx(30, abs=0.1)
    assert report['latency_ms'] == {'p50': 40.0, 'p95': 40.0, 'p99': 40.0}
    assert report['stages_ms'] == {'denoise': 12.5}
    assert (report['backend'], report['preset']) == ('onnxruntime', 'tiny')
    assert json.loads(json.dumps(report)) == report


def test_a_stream_of_base_images_equals_the_baseline(report):
    quality = report['quality']
    assert quality['frames'] == FRAMES
    assert quality['psnr_db'] == pytest.approx(quality['painted_psnr_db'], abs=1e-3)
    assert quality['ssim'] == pytest.approx(quality['painted_ssim'], abs=1e-3)


def test_true_light_is_closest_and_mean_colours_have_the_lowest_ssim(report):
    quality = report['quality']
    for name in ('painted', 'mean'):
        assert quality[f'{name}_psnr_db'] < quality['true_light_psnr_db']
    assert quality['mean_ssim'] < quality['painted_ssim'] < quality['true_light_ssim']


def test_images_of_the_recording(bag, tmp_path):
    illustrate(bag, tmp_path, clip=True)
    sheet = np.asarray(Image.open(tmp_path / 'sheet.png'))
    assert sheet.shape[0] > 4 * 256 and sheet.shape[1] > FRAMES * 256
    with av.open(str(tmp_path / 'video.mp4')) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ('h264', 1280, 720)
        assert sum(1 for _ in video.decode(stream)) == FRAMES
    with Image.open(tmp_path / 'clip.webp') as clip:
        assert clip.is_animated
    assert sorted(p.name for p in tmp_path.iterdir()) == ['clip.webp', 'sheet.png', 'video.mp4']


def test_without_a_held_out_scene_the_report_has_no_quality(motion, base, tmp_path):
    record(tmp_path / 'bag', motion, base, {})
    assert evaluate(tmp_path / 'bag')['quality'] is None
    illustrate(tmp_path / 'bag', tmp_path / 'out')
    sheet = np.asarray(Image.open(tmp_path / 'out' / 'sheet.png'))
    assert 3 * 256 < sheet.shape[0] < 4 * 256


@pytest.mark.parametrize('kind', ['absent', 'no video', 'wrong scene'])
def test_an_invalid_bag_gives_one_line_and_status_2(kind, motion, base, tmp_path, capsys):
    folder = tmp_path / 'bag'
    if kind == 'no video':
        record(folder, motion, [], {})
    elif kind == 'wrong scene':
        record(folder, motion, base[:1], {'held_out': '{}'})
    assert main([str(folder)]) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_a_long_recording_is_sampled_evenly():
    assert measured_frames(5) == [0, 1, 2, 3, 4]
    chosen = measured_frames(3000)
    assert len(chosen) == MAX_FRAMES and (chosen[0], chosen[-1]) == (0, 2999)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1
