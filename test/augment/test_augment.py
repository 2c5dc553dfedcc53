"""Synthetic episodes of recorded ones: copied topics, new images, errors, resumption."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from augmenting import augment, hashes
from episode_samples import record_episode, synthetic_episode
from evaluation_samples import short_motion
from motion_messages import hands_message, objects_message
from pose_streams import one_by_one

from manivideo_ros.augment.choices import choose
from manivideo_ros.augment.cli import main
from manivideo_ros.augment.engine import engine_named
from manivideo_ros.augment.hands import warnings_of
from manivideo_ros.augment.jobs import plan
from manivideo_ros.augment.separate_process import FrameDone, Order, run_in_process
from manivideo_ros.augment.source import GapError, Source
from manivideo_ros.augment.variation import make_episode
from manivideo_ros.augment.working_copy import sha256_of
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.messages.images import DEPTH, read_image, read_keypoints
from manivideo_ros.messages.types import typestore
from manivideo_ros.motion.files import load_motion, save_motion
from manivideo_ros.objects.household.shapes import generate

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 4


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return record_episode(tmp_path_factory.mktemp('recorded') / 'grasp')


def decoded(message):
    return typestore().deserialize_cdr(message.data, message.type_name)


def stamp_of(message):
    stamp = decoded(message).header.stamp
    return stamp.sec * 10**9 + stamp.nanosec


@pytest.fixture(scope='module')
def episodes(recording, shipped, tmp_path_factory):
    """Two variations, made by one run."""
    out = tmp_path_factory.mktemp('augmented') / 'out'
    assert augment(recording, out, shipped, 2) == 0
    return out


def by_topic(reader: BagReader) -> dict[str, list]:
    found: dict[str, list] = {topic: [] for topic in reader.topics}
    for message in reader.messages():
        found[message.topic].append(message)
    return found


def test_states_actions_and_poses_are_copied_bit_for_bit(recording, episodes):
    recorded = BagReader(recording)
    made = BagReader(episodes / 'grasp_seed0')
    before, after = by_topic(recorded), by_topic(made)
    for topic in ('/arm/state', '/arm/action', '/hand_poses', '/object_poses', '/scene'):
        assert len(before[topic]) > 0
        assert after[topic] == before[topic]
        assert made.connections[topic] == recorded.connections[topic]
    assert after['/tf_static'][-1:] == before['/tf_static'] and len(after['/tf_static']) == 2
    assert made.custom_data['operator'] == 'somebody'


def test_frame_i_has_stamp_i_and_is_received_with_its_pose(recording, episodes):
    after = by_topic(BagReader(episodes / 'grasp_seed1'))
    poses = after['/hand_poses']
    assert len(poses) == FRAMES
    for topic in ('/image_raw', '/camera_info', '/mlo/mask', '/mlo/depth', '/hand_keypoints'):
        assert [stamp_of(m) for m in after[topic]] == [stamp_of(m) for m in poses]
        assert [m.stamp_ns for m in after[topic]] == [m.stamp_ns for m in poses]


def test_images_of_the_recorded_scene_are_replaced_and_named(episodes):
    reader = BagReader(episodes / 'grasp_seed0')
    assert '/front/image_raw' not in reader.topics
    provenance = provenance_of(reader)
    assert provenance['source']['replaced'] == ['/camera_info', '/front/image_raw']
    assert read_image(decoded(by_topic(reader)['/image_raw'][0])).shape == (240, 320, 3)


def test_labels_of_the_recorded_image_are_replaced(shipped, tmp_path):
    recording = synthetic_episode(tmp_path / 'labelled', frames=2)
    assert augment(recording, tmp_path / 'out', shipped, 1) == 0
    reader = BagReader(tmp_path / 'out' / 'labelled_seed0')
    assert '/hand_keypoints' in provenance_of(reader)['source']['replaced']
    assert len(by_topic(reader)['/hand_keypoints']) == 2


def test_every_choice_is_recorded(recording, shipped, episodes):
    provenance = provenance_of(BagReader(episodes / 'grasp_seed1'))
    assert provenance['synthetic'] is True and provenance['seed'] == 1
    assert provenance['source']['bag'] == 'grasp'
    assert provenance['source']['sha256'] == sha256_of(BagReader(recording).files)
    assert provenance['checkpoint_sha256'] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert len(provenance['engine_sha256']) == 64
    choices = provenance['choices']
    assert {'noise_seed', 'skin', 'hand_reference', 'objects', 'light', 'background', 'camera'} <= {
        *choices
    }
    other = provenance_of(BagReader(episodes / 'grasp_seed0'))['choices']
    for name in ('noise_seed', 'skin', 'objects', 'light', 'background', 'camera'):
        assert choices[name] != other[name], name


def test_the_new_camera_is_published_as_a_recorded_one(episodes):
    motion = load_motion(episodes / 'grasp_seed0')
    camera = provenance_of(BagReader(episodes / 'grasp_seed0'))['choices']['camera']
    np.testing.assert_allclose(motion.camera.camera_from_world, camera['camera_from_world'],
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(motion.camera.intrinsics, camera['intrinsics'], atol=1e-5)
    recorded = short_motion(FRAMES).camera.camera_from_world
    assert np.abs(motion.camera.camera_from_world - recorded).max() > 0.01


def test_labels_agree_with_each_other_and_with_the_poses(episodes):
    folder = episodes / 'grasp_seed0'
    topics, motion = by_topic(BagReader(folder)), load_motion(folder)
    mask = read_image(decoded(topics['/mlo/mask'][2]))
    depth = read_image(decoded(topics['/mlo/depth'][2]), (DEPTH,))
    keypoints = read_keypoints(decoded(topics['/hand_keypoints'][2]))
    assert ((mask > 0) == (depth > 0)).all() and 0.01 < (mask > 0).mean() < 0.5
    assert len(keypoints) == 42
    right = keypoints[keypoints['side'] == 1]
    world = world_keypoints(load_hand('right'), motion.frame(2).hands['right'])
    pixels, z = motion.camera.project(world)
    np.testing.assert_allclose(np.stack([right['u'], right['v']], 1), pixels, atol=0.01)
    np.testing.assert_allclose(right['z'], z, atol=1e-5)
    seen = right[right['visible'] == 1]
    assert len(seen) > 3
    assert (mask[seen['v'].astype(int), seen['u'].astype(int)] > 0).mean() > 0.9


def test_the_gate_finds_the_objects_of_an_episode(episodes):
    pytest.importorskip('ai_edge_litert')
    from manivideo_ros.augment.gate import judge
    from manivideo_ros.estimation.hands import HandEstimator

    verdict = judge(episodes / 'grasp_seed0', HandEstimator())
    assert verdict.silhouette > 0.5 and verdict.hand_silhouette > 0.5
    assert min(verdict.visible.values()) > 0.3 and verdict.unseen == verdict.inside == 0
    assert verdict.image.shape == (240, 640, 3)


def test_an_object_changes_colours_but_not_its_shape():
    motion = short_motion(2)
    look = choose(motion, 5, 0).objects['thing']
    mesh = generate('jar')
    changed = look.on(mesh)
    assert np.array_equal(changed.vertices, mesh.vertices)
    assert changed.texture.shape == mesh.texture.shape and changed.texture.dtype == np.uint8
    assert np.abs(changed.texture.astype(int) - mesh.texture).mean() > 3


@pytest.mark.parametrize('seed', range(12))
def test_a_moved_camera_stays_above_the_table_and_sees_the_action(seed):
    motion = short_motion(3)
    camera = choose(motion, seed, 1).camera
    eye = np.linalg.inv(camera.camera_from_world)[:3, 3]
    assert eye[2] > 0.04
    pixels, depth = camera.project(motion.objects['thing'].poses[:, :3, 3])
    assert (depth > 0.1).all() and (np.abs(pixels - 128) < 110).all()


def test_the_same_seed_gives_the_same_files_with_any_number_of_workers(
    recording, shipped, episodes, tmp_path
):
    assert augment(recording, tmp_path / 'out', shipped, 3, '--workers', 2) == 0
    found = hashes(tmp_path / 'out')
    assert {k: v for k, v in found.items() if 'seed2' not in k} == hashes(episodes)
    assert len(found) == 6


def test_existing_episodes_are_neither_made_again_nor_changed(recording, shipped, episodes, capsys):
    before = {f: f.stat().st_mtime_ns for f in episodes.glob('*/*')}
    assert augment(recording, episodes, shipped, 2) == 0
    assert '2 of 2 episodes exist already' in capsys.readouterr().out
    assert before == {f: f.stat().st_mtime_ns for f in episodes.glob('*/*')}


def test_a_killed_run_can_be_resumed_with_the_same_result(recording, shipped, episodes, tmp_path):
    command = [sys.executable, '-m', 'manivideo_ros.cli', 'augment', recording, '--variations', '2']
    command += ['--out', tmp_path / 'out', '--checkpoint', shipped]
    env = {**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    partial = tmp_path / 'out' / '.partial'
    for look_for in ('grasp_seed0', 'grasp_seed1'):  # in the middle of the first, of the second
        process = subprocess.Popen([str(c) for c in command], cwd=ROOT, env=env,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        deadline = time.monotonic() + 400
        while not list(partial.glob(f'*/{look_for}/*.mcap')) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list(partial.glob(f'*/{look_for}'))
        assert not (tmp_path / 'out' / look_for).exists()
    kept = {f: f.stat().st_mtime_ns for f in (tmp_path / 'out' / 'grasp_seed0').iterdir()}
    assert len(kept) == 2
    assert augment(recording, tmp_path / 'out', shipped, 2) == 0
    assert kept == {f: f.stat().st_mtime_ns for f in kept}
    assert hashes(tmp_path / 'out') == hashes(episodes)
    assert not partial.exists()


@pytest.mark.parametrize(
    ('without', 'named'),
    [(('/hand_poses', 3), r'topic /hand_poses, at 0\.067 s .*no poses for the next 67 ms'),
     (('/hand_poses', 0), None)],
)  # fmt: skip
def test_a_missing_pose_is_an_error_not_a_resample(tmp_path, without, named):
    folder = record_episode(tmp_path / 'gap', 8, without)
    if named is None:  # an episode may begin where it likes
        Source(folder)
        return
    with pytest.raises(GapError, match=named) as caught:
        Source(folder)
    assert str(folder) in str(caught.value) and '\n' not in str(caught.value)


def test_filled_frames_are_made_in_their_order_and_marked(shipped, tmp_path, capsys):
    recording = record_episode(tmp_path / 'gap', 5, ('/hand_poses', 2))
    out, motion = tmp_path / 'out', short_motion(5)
    assert augment(recording, out, shipped, 1, '--skip-bad') == 2
    assert 'no episode can be used: ' in capsys.readouterr().err
    assert augment(recording, out, shipped, 1, '--max-gap', '0.1') == 0
    reader = BagReader(out / 'gap_seed0')
    images = by_topic(reader)['/image_raw']
    np.testing.assert_allclose([stamp_of(m) for m in images], motion.stamps_ns, atol=10)
    np.testing.assert_allclose([m.stamp_ns for m in images], motion.stamps_ns + 3_000_000, atol=10)
    received = [m.stamp_ns for m in reader.messages()]
    assert received == sorted(received)
    (filled,) = provenance_of(reader)['source']['filled']
    assert filled['frame'] == 2 and 'left hand' in filled['interpolated']
    assert augment(recording, out, shipped, 1, '--max-gap', '0.1', '--rate', '10') == 2
    assert 'other frames of the source' in capsys.readouterr().err


def bag_of(folder: Path, hands: list[int], objects: list[int]):
    motion = short_motion(20)
    with BagWriter(folder) as bag:
        for topic, chosen, build in (
            ('/hand_poses', hands, hands_message),
            ('/object_poses', objects, objects_message),
        ):
            message = build(motion, 0)
            bag.add_topic(topic, message.__msgtype__)
            for index in chosen:
                message = build(motion, index)
                data = typestore().serialize_cdr(message, message.__msgtype__)
                bag.write(topic, data, int(motion.stamps_ns[index]))
    return folder


def test_missing_object_poses_are_a_gap(tmp_path):
    folder = bag_of(tmp_path / 'silent', [*range(20)], [*range(10), *range(15, 20)])
    with pytest.raises(GapError, match=r'topic /object_poses, at 0\.367 s .*within 50 ms'):
        Source(folder)


def test_stamps_that_do_not_increase_are_refused(tmp_path):
    folder = bag_of(tmp_path / 'twice', [0, 1, 2, 2, 3], [0, 1, 2, 3])
    with pytest.raises(GapError, match=r'topic /hand_poses, at 0\.067 s .*does not increase'):
        Source(folder)


def test_a_truncated_recording_has_to_be_repaired_first(recording, shipped, tmp_path):
    cut = tmp_path / 'cut'
    shutil.copytree(recording, cut)
    (file,) = cut.glob('*.mcap')
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(GapError, match='manivideo repair'):
        Source(cut)


def test_unusable_input_is_one_line_and_status_2(recording, shipped, episodes, tmp_path, capsys):
    def refused(*arguments):
        assert main([str(a) for a in arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith('error: ') and error.count('\n') == 1
        return error

    rest = ['--checkpoint', shipped, '--variations', 1, '--out', tmp_path / 'out']
    assert 'no such bag' in refused(tmp_path / 'absent', *rest)
    assert '--variations' in refused(recording, *rest, '--variations', 0)
    for option in (('--split-on', 'gaps'), ('--end', 0), ('--max-gap', 1), ('--hands', 'tf:')):
        words = f'{option[0]}: not with --lerobot'
        assert words in refused('--lerobot', tmp_path, *rest, *option)
    same = tmp_path / 'other' / 'grasp'
    shutil.copytree(recording, same)
    assert 'one name' in refused(recording, same, *rest)
    changed = record_episode(tmp_path / 'changed' / 'grasp', 5)
    assert 'another source' in refused(changed, *rest, '--out', episodes)
    assert not list((tmp_path / 'out').glob('grasp*'))


def test_two_runs_do_not_write_to_one_folder(recording, shipped, tmp_path, capsys):
    from manivideo_ros.augment.jobs import sole_writer

    with sole_writer(tmp_path / 'out'):
        assert augment(recording, tmp_path / 'out', shipped, 1) == 2
    assert 'another augment is writing to it' in capsys.readouterr().err


def test_without_ray_the_error_names_its_package(recording, shipped, tmp_path, capsys,
                                                   monkeypatch):  # fmt: skip
    monkeypatch.setitem(sys.modules, 'ray', None)
    assert augment(recording, tmp_path / 'out', shipped, 1, '--ray', 'auto') == 2
    assert "pip install 'manivideo_ros[ray]'" in capsys.readouterr().err


def test_a_full_disk_leaves_no_partial_episode(recording, shipped, tmp_path, capsys, monkeypatch):
    def full(self, *_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(BagWriter, 'write', full)
    assert augment(recording, tmp_path / 'out', shipped, 1) == 2
    assert 'No space left' in capsys.readouterr().err
    assert [f.name for f in (tmp_path / 'out').iterdir()] == ['.lock']


def test_a_killed_process_is_an_error_and_leaves_no_partial_episode(recording, shipped, tmp_path):
    order = Order(recording, tmp_path / 'out', range(1), engine_named('tiny_cpu', shipped))
    with run_in_process(order) as news:
        while not isinstance(next(news), FrameDone):
            pass
        (process,) = multiprocessing.active_children()
        process.kill()
        with pytest.raises(ValueError, match='ended with status -9'):
            list(news)
    assert [f.name for f in (tmp_path / 'out').iterdir()] == ['.lock']


def shaped(folder: Path, model: str) -> Path:
    """A recording of hands of a model, of another shape than the mean."""
    motion = replace(short_motion(2), hand_model=model)
    betas = np.linspace(-2, 2, 10, dtype=np.float32)
    tracks = {side: replace(track, betas=betas) for side, track in motion.hands.items()}
    save_motion(replace(motion, hands=tracks), folder)
    return folder


def seen_of(folder: Path):
    """Keypoints and the hands in the provenance of an episode."""
    reader = BagReader(folder)
    keypoints = read_keypoints(decoded(by_topic(reader)['/hand_keypoints'][0]))
    return keypoints, provenance_of(reader)['hands']


def test_the_shape_of_the_recorded_hands_is_used(shipped, tmp_path, capsys):
    from hand_files import mano_like, save_npz

    (tmp_path / 'mano').mkdir()
    for side in SIDES:
        save_npz(tmp_path / 'mano' / f'{side}.npz', mano_like(side))
    hands = ('--hand-folder', tmp_path / 'mano')
    for model, more in (('default', ()), ('mano', hands)):
        recorded = shaped(tmp_path / model / 'grasp', model)
        assert augment(recorded, tmp_path / f'{model}_out', shipped, 1, *more) == 0
        assert 'warning' not in capsys.readouterr().err
        keypoints, hands = seen_of(tmp_path / f'{model}_out' / 'grasp_seed0')
        motion = load_motion(tmp_path / f'{model}_out' / 'grasp_seed0')
        path = tmp_path / 'mano' / 'right.npz' if more else None
        pixels, _ = motion.camera.project(
            world_keypoints(load_hand('right', path), motion.frame(0).hands['right'])
        )
        right = keypoints[keypoints['side'] == 1]
        np.testing.assert_allclose(np.stack([right['u'], right['v']], 1), pixels, atol=0.01)
        assert (hands['recorded_model'], hands['model']) == (model, model)
        np.testing.assert_allclose(hands['betas']['left'], np.linspace(-2, 2, 10), atol=1e-5)
    assert augment(tmp_path / 'mano' / 'grasp', tmp_path / 'mano_out', shipped, 1) == 2
    assert 'made with another hands' in capsys.readouterr().err


def test_betas_of_another_hand_model_are_warned_about(shipped, tmp_path, capsys):
    recorded = shaped(tmp_path / 'grasp', 'mano')
    assert augment(recorded, tmp_path / 'out', shipped, 1) == 0
    error = capsys.readouterr().err
    assert error.startswith("warning: grasp: its betas are of the hand model 'mano'")
    assert '--hand-folder' in error and error.count('\n') == 1
    _, hands = seen_of(tmp_path / 'out' / 'grasp_seed0')
    assert hands == {
        'recorded_model': 'mano', 'model': 'default', 'betas': {s: [0.0] * 10 for s in SIDES}
    }  # fmt: skip


def test_changing_betas_are_warned_about(tmp_path):
    with BagWriter(tmp_path / 'grasp') as bag:
        bag.add_topic('/hand_poses', 'manivideo_ros/msg/HandPoses')
        for index, beta in enumerate((0, 0, 1)):
            motion = short_motion(3)
            betas = np.full(10, beta, np.float32)
            track = replace(motion.hands['left'], betas=betas)
            message = hands_message(replace(motion, hands={**motion.hands, 'left': track}), index)
            data = typestore().serialize_cdr(message, message.__msgtype__)
            bag.write('/hand_poses', data, int(motion.stamps_ns[index]))
    source = Source(tmp_path / 'grasp')
    (line,) = warnings_of('grasp', source.motion, source.reader, 'default')
    assert line.startswith('grasp: the betas of the left hand change')


def test_an_engine_without_a_fixed_backend_is_refused(recording, shipped, tmp_path, capsys):
    assert augment(recording, tmp_path / 'out', shipped, 1, '--engine', 'tiny') == 2
    error = capsys.readouterr().err
    assert 'engine tiny: has no fixed backend' in error and 'tiny_openvino' in error


def test_a_folder_has_episodes_of_one_engine(recording, shipped, episodes, tmp_path, capsys):
    pytest.importorskip('openvino')
    file = tmp_path / 'openvino.yaml'  # fp32: any processor computes in it
    text = (Path(__file__).parents[2] / 'engines' / 'tiny_cpu.yaml').read_text()
    file.write_text(text.replace('onnxruntime', 'openvino'))
    more = ('--engine', str(file))
    assert augment(recording, tmp_path / 'out', shipped, 1, *more) == 0
    provenance = provenance_of(BagReader(tmp_path / 'out' / 'grasp_seed0'))
    assert (provenance['backend'], provenance['precision'], provenance['steps']) == (
        'openvino',
        'fp32',
        '1',
    )
    assert augment(recording, episodes, shipped, 2, *more) == 2
    assert 'made with another backend' in capsys.readouterr().err


def test_variations_do_not_read_the_recording_again(recording, shipped, episodes, tmp_path):
    shutil.copytree(recording, tmp_path / 'grasp')
    engine = engine_named('tiny_cpu', shipped)
    (job,) = plan([str(tmp_path / 'grasp')], tmp_path / 'out', range(1), engine).jobs
    shutil.rmtree(tmp_path / 'grasp')
    made = Path(make_episode(job).folder)
    before = hashes(episodes)
    found = hashes(made.parent)
    assert len(found) > 1 and all(before[name] == digest for name, digest in found.items())


def test_an_episode_that_another_process_made_meanwhile_is_kept(recording, shipped, tmp_path):
    (tmp_path / 'out').mkdir()
    engine = engine_named('tiny_cpu', shipped)
    (job,) = plan([str(recording)], tmp_path / 'out', range(1), engine).jobs
    first = make_episode(job)
    before = {f: f.stat().st_mtime_ns for f in Path(first.folder).iterdir()}
    assert make_episode(job) == first
    assert before == {f: f.stat().st_mtime_ns for f in Path(first.folder).iterdir()}
    assert not list((tmp_path / 'out' / '.partial').glob('*/grasp_seed0'))


def test_the_provenance_is_json(episodes):
    text = BagReader(episodes / 'grasp_seed0').custom_data['provenance']
    assert json.dumps(json.loads(text), sort_keys=True) == text


def test_hands_in_separate_messages_are_one_frame(shipped, tmp_path):
    one_by_one(short_motion(3), tmp_path / 'apart')
    assert augment(tmp_path / 'apart', tmp_path / 'out', shipped, 1) == 0
    before, after = (
        by_topic(BagReader(path)) for path in (tmp_path / 'apart', tmp_path / 'out/apart_seed0')
    )
    assert after['/hand_poses'] == before['/hand_poses'] and len(before['/hand_poses']) == 6
    stamps = [stamp_of(m) for m in before['/hand_poses'][1::2]]
    assert [stamp_of(m) for m in after['/image_raw']] == stamps
    found = [read_keypoints(decoded(m)) for m in after['/hand_keypoints']]
    assert [len(points) for points in found] == [42] * 3
