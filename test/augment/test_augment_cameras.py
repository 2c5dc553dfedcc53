"""Variations of episodes with a moving camera, and with several cameras."""

import numpy as np
import pytest
from augmenting import augment
from mounted_cameras import FRONT, WRIST, record_mounted

from manivideo_ros.augment.cameras import namespaces
from manivideo_ros.augment.choices import LOWEST_EYE, choose
from manivideo_ros.augment.kept_background import images_topics
from manivideo_ros.augment.source import Source
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.messages.images import DEPTH, read_image, read_keypoints
from manivideo_ros.messages.names import IMAGE
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.files import load_motion
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics

FRAMES = 4
TOPICS = ('image_raw', 'camera_info', 'mlo/mask', 'mlo/depth', 'hand_keypoints')


@pytest.fixture(scope='module')
def wrist(tmp_path_factory, shipped):
    """A recording of a wrist camera, and the episode made of it."""
    folder = tmp_path_factory.mktemp('wrist')
    record_mounted(folder / 'take', FRAMES)
    assert augment(folder / 'take', folder / 'out', shipped, 1) == 0
    return folder / 'take', folder / 'out' / 'take_seed0'


@pytest.fixture(scope='module')
def both(tmp_path_factory, shipped):
    """A recording of two cameras, and the episode that shows both."""
    folder = tmp_path_factory.mktemp('both')
    record_mounted(folder / 'take', FRAMES, cameras=(FRONT, WRIST))
    cameras = ('--camera', FRONT, '--camera', WRIST)
    assert augment(folder / 'take', folder / 'out', shipped, 1, *cameras) == 0
    return folder / 'take', folder / 'out' / 'take_seed0'


def messages(bag, topic):
    reader = BagReader(bag)
    return [reader.decoded(record) for record in reader.messages([topic])]


def check_labels(episode, motion, prefix=''):
    """Keypoints are where the frame's camera sees the joints; mask and depth are of one shape."""
    for index, points in enumerate(messages(episode, f'{prefix}/hand_keypoints')):
        keypoints = read_keypoints(points)
        right = keypoints[keypoints['side'] == 1]
        world = world_keypoints(load_hand('right'), motion.frame(index).hands['right'])
        pixels, _ = motion.camera_in(index).project(world)
        np.testing.assert_allclose(np.stack([right['u'], right['v']], 1), pixels, atol=0.05)
        mask = read_image(messages(episode, f'{prefix}/mlo/mask')[index])
        depth = read_image(messages(episode, f'{prefix}/mlo/depth')[index], (DEPTH,))
        assert ((mask > 0) == (depth > 0)).all() and (mask > 0).mean() > 0.01


def test_the_moved_camera_keeps_its_mount(wrist):
    """The variation's camera has one pose in the recorded camera's frame, in all frames."""
    take, episode = wrist
    recorded, made = load_motion(take), load_motion(episode)
    offsets = made.camera_track @ invert_rigid(recorded.camera_track)
    np.testing.assert_allclose(offsets, np.tile(offsets[0], (FRAMES, 1, 1)), atol=1e-5)
    assert np.abs(offsets[0] - np.eye(4)).max() > 0.01
    assert provenance_of(BagReader(episode))['choices']['camera']['moving'] is True


def test_labels_agree_with_the_camera_of_their_frame(wrist):
    _, episode = wrist
    check_labels(episode, load_motion(episode))


def test_recorded_transforms_are_copied_and_the_new_camera_is_added(wrist):
    take, episode = wrist
    before, after = BagReader(take), BagReader(episode)
    recorded = list(before.messages(['/tf']))
    made = list(after.messages(['/tf']))
    assert [m for m in made if m in recorded] == recorded
    own = [m for m in messages(episode, '/tf') if 'synthetic' in m.transforms[0].child_frame_id]
    infos = messages(episode, '/camera_info')
    assert len(made) == len(recorded) + FRAMES == len(recorded) + len(own)
    for transforms, info in zip(own, infos, strict=True):
        assert transforms.transforms[0].header.stamp == info.header.stamp
        assert transforms.transforms[0].child_frame_id == info.header.frame_id
    assert [*before.messages(['/tf_static'])] == [*after.messages(['/tf_static'])]


def test_the_generated_room_moves_past_a_moving_camera(wrist):
    """Each frame has a background of its own."""
    _, episode = wrist
    backgrounds = list(Episode(episode).backgrounds())
    assert len(backgrounds) == FRAMES == len(messages(episode, '/background'))
    for index, image in enumerate(Episode(episode).images()):
        mask = read_image(messages(episode, '/mlo/mask')[index])
        far = np.abs(image.astype(int) - backgrounds[index])[mask == 0]
        assert np.median(far) <= 4
    assert np.abs(backgrounds[0].astype(int) - backgrounds[-1]).mean() > 1


def test_a_clean_plate_of_a_moving_camera_is_refused(tmp_path, shipped, capsys):
    record_mounted(tmp_path / 'take', 2, images=True)
    assert augment(tmp_path / 'take', tmp_path / 'out', shipped, 1, '--background', 'keep') == 2
    assert '--background keep needs a fixed camera' in capsys.readouterr().err


@pytest.mark.parametrize('seed', range(6))
def test_a_moved_mount_stays_above_the_table_and_sees_the_action(tmp_path, seed):
    record_mounted(tmp_path / 'take')
    motion = Source(tmp_path / 'take').motion
    choices = choose(motion, seed, 1)
    for index in range(len(motion)):
        camera = choices.camera_in(index)
        assert invert_rigid(camera.camera_from_world)[2, 3] > LOWEST_EYE
        pixels, depth = camera.project(motion.objects['thing'].poses[index][None, :3, 3])
        assert (depth > 0.1).all() and (pixels > 0).all() and (pixels < (320, 240)).all()


def test_several_cameras_must_be_named(tmp_path, shipped, capsys):
    record_mounted(tmp_path / 'take', 2, cameras=(FRONT, WRIST))
    assert augment(tmp_path / 'take', tmp_path / 'out', shipped, 1) == 2
    assert f'record one only: {FRONT}, {WRIST}' in capsys.readouterr().err


def test_each_camera_has_a_namespace_and_all_have_the_same_stamps(both):
    _, episode = both
    poses = [stamp_ns(m.header) for m in messages(episode, '/hand_poses')]
    topics = BagReader(episode).topics
    for camera in ('/front', '/wrist'):
        for topic in TOPICS:
            found = messages(episode, f'{camera}/{topic}')
            assert [stamp_ns(m.header) for m in found] == poses
    assert '/image_raw' not in topics and '/camera_info' not in topics
    assert FRONT not in topics and WRIST not in topics


def test_all_cameras_see_one_variation(both):
    take, episode = both
    source = Source(take, (FRONT, WRIST))
    front, wrist = source.motions
    one = choose(front, 0, 5)
    other = choose(wrist, 0, 5, table=one.table_from_world)
    assert one.skin_index == other.skin_index and one.noise == other.noise
    assert one.objects == other.objects and one.side == other.side
    assert one.to_json()['light'] == other.to_json()['light']
    np.testing.assert_array_equal(one.table_from_world, other.table_from_world)
    provenance = provenance_of(BagReader(episode))
    assert provenance['cameras'] == f'{FRONT}, {WRIST}'
    assert set(provenance['choices']['cameras']) == {FRONT, WRIST}


def test_the_labels_of_each_camera_agree_with_its_view(both):
    _, episode = both
    for camera in ('/front', '/wrist'):
        motion = load_motion(episode, f'{camera}/camera_info')
        assert (motion.camera_track is None) == (camera == '/front')
        check_labels(episode, motion, camera)


def test_a_dataset_of_several_cameras_needs_the_choice_of_one(both):
    _, episode = both
    with pytest.raises(EpisodeError, match=r'/front/image_raw, /wrist/image_raw .*--images'):
        Episode(episode)
    chosen = Episode(episode, Topics('/wrist/image_raw'))
    assert len(chosen) == len(chosen.keypoints()) == len(chosen.masks()) == FRAMES


def test_other_cameras_are_not_added_to_a_folder_of_episodes(both, shipped, capsys):
    take, episode = both
    assert augment(take, episode.parent, shipped, 1, '--camera', FRONT) == 2
    assert 'was made with another cameras' in capsys.readouterr().err


def test_names_of_cameras_become_namespaces():
    assert namespaces([]) == namespaces(['/any/camera_info']) == ['']
    assert namespaces([FRONT, '/side/camera_info', '/camera/color/camera_info']) == [
        '/front', '/side', '/camera/color',
    ]  # fmt: skip
    with pytest.raises(ValueError, match="one namespace, '/front'"):
        namespaces([FRONT, '/front/camera_info'])


def test_kept_backgrounds_are_the_images_beside_each_camera(tmp_path):
    topics = {'/front/camera/image_raw': IMAGE, '/wrist/camera/image_raw': IMAGE}
    found = images_topics(tmp_path, topics, (), (WRIST, FRONT))
    assert found == ('/wrist/camera/image_raw', '/front/camera/image_raw')
    with pytest.raises(ValueError, match='1 topics for 2 cameras'):
        images_topics(tmp_path, topics, ('/front/camera/image_raw',), (WRIST, FRONT))


def test_a_camera_without_a_transform_is_warned_about_once(tmp_path, shipped, capsys):
    record_mounted(tmp_path / 'take', 2, static=False)
    assert augment(tmp_path / 'take', tmp_path / 'out', shipped, 2) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if 'no transform' in line]
    (line,) = lines
    assert line.startswith('warning: ') and WRIST in line and 'Record /tf and /tf_static' in line
