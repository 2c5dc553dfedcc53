"""`manivideo render`: the video of a motion file, as a stream and in windows."""

import warnings
from dataclasses import replace

import av
import numpy as np
import pytest
from evaluation_samples import short_motion
from mounted_cameras import FRONT, WRIST, record_mounted

from manivideo_ros import cli
from manivideo_ros.camera.support import plane_moved
from manivideo_ros.commands import render
from manivideo_ros.estimation.scene_folder import write_scene_folder
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.motion.files import load_motion, save_motion


@pytest.fixture(scope='module')
def motion(tmp_path_factory):
    path = tmp_path_factory.mktemp('motion') / 'short'
    save_motion(short_motion(3), path)
    return path


def frames_of(video) -> np.ndarray:
    with av.open(str(video)) as container:
        return np.stack([f.to_ndarray(format='rgb24') for f in container.decode(video=0)])


def test_a_motion_becomes_a_video_and_windows_show_what_the_stream_shows(
    motion, images, tmp_path, capsys
):
    # The default network depends only on past frames, in a window as in a stream.
    made = []
    for name, more in (('stream', ['--engine', 'tiny_torch']), ('windows', ['--quality'])):
        out = tmp_path / f'{name}.mp4'
        given = ['--background', images['background'], '--threads', '1', *more]
        assert cli.main(['render', str(motion), '--out', str(out), *given]) == 0
        assert capsys.readouterr().out.strip() == str(out)
        made.append(frames_of(out).astype(float))
    assert made[0].shape == (3, 240, 320, 3)
    assert np.abs(made[0] - made[1]).mean() < 1
    assert made[0].std() > 10


def test_each_frame_is_seen_by_the_camera_of_its_stamp(images, tmp_path, capsys):
    record_mounted(tmp_path / 'take', 8, cameras=(FRONT, WRIST))
    video, given = tmp_path / 'out.mp4', ['--background', images['background'], '--threads', '1']
    assert cli.main(['render', str(tmp_path / 'take'), '--out', str(video), *given]) == 2
    assert f'--camera, or record one only: {FRONT}, {WRIST}' in capsys.readouterr().err
    assert not video.exists()
    given += ['--camera', WRIST]
    assert cli.main(['render', str(tmp_path / 'take'), '--out', str(video), *given]) == 0
    assert 'the background stands still' in capsys.readouterr().err
    assert len(frames_of(video)) == 8
    motion = load_motion(tmp_path / 'take', WRIST)
    for index in range(8):
        camera, _ = render.view(motion, index)
        np.testing.assert_array_equal(camera.camera_from_world, motion.camera_track[index])


def test_the_recorded_scene_of_a_moving_camera_is_refused(tmp_path, capsys):
    record_mounted(tmp_path / 'take', 2, images=True)
    given = ['--out', str(tmp_path / 'out.mp4'), '--background', 'keep']
    assert cli.main(['render', str(tmp_path / 'take'), *given]) == 2
    assert '--background keep needs a fixed camera' in capsys.readouterr().err


def test_the_old_name_of_an_option_works_with_a_warning(motion, tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr(render, 'run', lambda job: jobs.append(job) or 0)
    for option in ('--hand-reference', '--hand-appearance'):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            assert cli.main(['render', str(motion), option, 'hand.png']) == 0
        messages = [str(warning.message) for warning in caught]
        assert len(messages) == (option == '--hand-appearance')
        assert all('--hand-appearance is now called --hand-reference' in text for text in messages)
    assert [job.hand_reference for job in jobs] == ['hand.png', 'hand.png']


def test_unusable_input_ends_with_one_line_and_no_file(motion, tmp_path, capsys):
    for given, expected in (
        ([str(tmp_path / 'absent')], 'absent'),
        ([str(motion), '--engine', 'paper_cuda'], 'no weights ship for the preset paper'),
        ([str(motion), '--background', str(tmp_path / 'none.png')], 'none.png'),
    ):
        assert cli.main(['render', *given, '--out', str(tmp_path / 'out.mp4')]) == 2
        output = capsys.readouterr().err
        assert expected in output and output.count('\n') == 1
    assert not list(tmp_path.glob('out*'))


def test_a_calibrated_shape_and_plane_are_shown_where_nothing_else_is_given(
    motion, tmp_path, capsys
):
    motion = load_motion(motion)
    scene, betas = tmp_path / 'scene', np.linspace(-1, 1, 10).astype(np.float32)
    plane = np.array([0.0, 0.0, 1.0, -0.02])
    support = plane_moved(plane, motion.camera.camera_from_world)
    image = np.full((16, 16, 3), 180, np.uint8)
    shape = HandShape('default', {'right': betas})
    parts = np.ones((16, 16), np.uint8)
    write_scene_folder(scene, image, image, parts, None, None, shape, support)
    shown = render.shown_in_shape(motion, scene, None)
    np.testing.assert_allclose(shown.hands['right'].betas, betas, atol=1e-6)
    assert not shown.hands['left'].betas.any()
    assert f'hands in the shape of {scene}: right' in capsys.readouterr().err
    assert not render.shown_in_shape(motion, scene, tmp_path).hands['right'].betas.any()
    mano = replace(motion, hands=shown.hands, hand_model='mano')  # its betas are other shapes
    again = render.shown_in_shape(mano, scene, None)
    np.testing.assert_allclose(again.hands['right'].betas, betas, atol=1e-6)
    job = render.Render(tmp_path / 'x.mp4', scene=str(scene))
    np.testing.assert_allclose(render.support_of(job, motion), plane, atol=1e-5)
    given = replace(job, support_plane=(0, 0, 1, 0.1))
    np.testing.assert_allclose(render.support_of(given, motion), [0, 0, 1, 0.1])
    assert render.support_of(replace(job, background='room.png'), motion) is None
