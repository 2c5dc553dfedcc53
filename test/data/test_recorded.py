"""Published recordings read as clips: round trips through the published layouts."""

import numpy as np
import pytest
import torch
from published_layouts import (
    ARCTIC,
    DEXYCB,
    DEXYCB_SERIALS,
    HO_CAP,
    HO_CAP_SERIALS,
    K_MATRIX,
    ORDER,
    project,
    write_arctic,
    write_dexycb,
    write_ho_cap,
    write_mano,
)

from manivideo_ros.data.recorded.datasets import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.geometry import axis_angle_to_matrix, invert_rigid, rigid, transform_points
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand

JOINTS = np.argsort(ORDER)[:16]  # the published keypoints of MANO's joints


@pytest.fixture(scope='module')
def mano_folder(tmp_path_factory):
    return write_mano(tmp_path_factory.mktemp('hands') / 'mano')


@pytest.fixture(scope='module')
def mano(mano_folder):
    return read_published_mano(mano_folder)


@pytest.fixture(scope='module')
def dex(tmp_path_factory):
    root = tmp_path_factory.mktemp('dexycb')
    return root, write_dexycb(root)


@pytest.fixture(scope='module')
def cap(tmp_path_factory):
    root = tmp_path_factory.mktemp('ho_cap')
    return root, write_ho_cap(root)


@pytest.fixture(scope='module')
def arc(tmp_path_factory):
    root = tmp_path_factory.mktemp('arctic')
    return root, write_arctic(root)


def joints_of(clip, side, folder, frames):
    """The clip's world joints [F, 16, 3], posed by this package's skinning."""
    track = clip.motion.hands[side]
    values = (track.theta, track.wrist_rotation, track.wrist_position)
    theta, turn, place = (torch.as_tensor(v[frames]) for v in values)
    betas = torch.as_tensor(track.betas).expand(len(theta), 10)
    return lbs(load_hand(side, folder / f'{side}.npz'), theta, betas, turn, place)[1].numpy()


def theta_of(hand, arrays, *, pca, mean):
    turned = hand.pose[:, 3:] @ arrays.components if pca else hand.pose[:, 3:]
    return turned + (arrays.mean if mean else 0)


@pytest.mark.parametrize('serial', DEXYCB_SERIALS)
def test_dexycb_joints_project_onto_joint_2d(serial, dex, mano, mano_folder):
    root, truth = dex
    clip = dexycb.read_clip(root, DEXYCB, serial, mano)
    assert clip.hand_model == 'mano'
    track = clip.motion.hands['right']
    np.testing.assert_array_equal(track.present, truth.hand.present)
    wanted = theta_of(truth.hand, mano['right'], pca=True, mean=True)
    present = np.flatnonzero(track.present)
    np.testing.assert_allclose(track.theta[present], wanted[present], atol=1e-5)
    np.testing.assert_allclose(track.betas, truth.hand.betas, atol=1e-6)
    joints = joints_of(clip, 'right', mano_folder, present)
    in_world = transform_points(invert_rigid(truth.tag), truth.hand.keypoints[present])
    np.testing.assert_allclose(joints, in_world[:, JOINTS], atol=1e-5)
    for k, index in enumerate(present):
        labels = np.load(root / DEXYCB / serial / f'labels_{index:06d}.npz')
        pixels, _ = clip.camera.project(joints[k])
        # Published pixel centres are at integers, those of this package at half-integers.
        np.testing.assert_allclose(pixels - 0.5, labels['joint_2d'][0, JOINTS], atol=0.02)


def test_dexycb_objects_have_their_poses_in_each_camera(dex):
    root, _ = dex
    for serial in DEXYCB_SERIALS:
        clip = dexycb.read_clip(root, DEXYCB, serial)
        assert list(clip.motion.objects) == ['004_sugar_box', '025_mug']
        np.testing.assert_array_equal(
            clip.motion.objects['025_mug'].present, [True, False, True, True, True]
        )
        seen = np.load(root / DEXYCB / serial / 'labels_000002.npz')['pose_y']
        for k, track in enumerate(clip.motion.objects.values()):
            pose = clip.camera.camera_from_world @ track.poses[2]
            np.testing.assert_allclose(pose[:3], seen[k], atol=1e-5)
        assert '025_mug' not in clip.motion.frame(1).objects


def test_dexycb_world_is_the_table(dex):
    root, _ = dex
    found = dexycb.Sequence(root, DEXYCB)
    eye = invert_rigid(found.camera(DEXYCB_SERIALS[0]).camera_from_world)[:3, 3]
    np.testing.assert_allclose(eye, [0.3, -0.8, 0.6], atol=1e-6)


@pytest.mark.parametrize('corrected', [True, False])
def test_left_wrists_are_those_of_the_genuine_left_hand(corrected, tmp_path):
    root = tmp_path / 'dexycb'
    root.mkdir()
    truth = write_dexycb(root, side='left')
    hands = read_published_mano(write_mano(tmp_path / 'mano', corrected))
    clip = dexycb.read_clip(root, DEXYCB, DEXYCB_SERIALS[0], hands)
    track = clip.motion.hands['left']
    wrist = transform_points(invert_rigid(truth.tag), truth.hand.keypoints[:, 0])
    np.testing.assert_allclose(track.wrist_position[track.present], wrist[track.present], atol=1e-5)


def test_without_mano_the_joints_are_fitted(dex):
    root, truth = dex
    clip = dexycb.read_clip(root, DEXYCB, DEXYCB_SERIALS[1])
    assert clip.hand_model == 'default'
    track = clip.motion.hands['right']
    np.testing.assert_array_equal(track.present, truth.hand.present)
    wrist = transform_points(invert_rigid(truth.tag), truth.hand.keypoints[:, 0])
    away = np.linalg.norm(track.wrist_position - wrist, axis=1)[track.present]
    assert away.max() < 0.02


def test_a_hand_absent_in_all_frames_has_an_absent_track(tmp_path, mano):
    write_dexycb(tmp_path, frames=2, absent=(0, 1))
    for hands in (None, mano):
        clip = dexycb.read_clip(tmp_path, DEXYCB, DEXYCB_SERIALS[0], hands)
        assert not clip.motion.hands['right'].present.any()
        assert clip.motion.frame(0).hands == {}


def test_images_and_labels_are_read_on_demand(tmp_path):
    write_dexycb(tmp_path, frames=2)
    clip = dexycb.read_clip(tmp_path, DEXYCB, DEXYCB_SERIALS[0])
    assert abs(int(clip.image(1)[10, 10, 0]) - 30) < 4
    labels = clip.segmentation(1)
    assert clip.hand_labels[int(labels[110, 90])] == 'right'
    assert clip.object_labels[int(labels[310, 310])] == '004_sugar_box'
    (tmp_path / DEXYCB / DEXYCB_SERIALS[0] / 'color_000001.jpg').unlink()
    with pytest.raises(ValueError, match=r'color_000001\.jpg: no such file'):
        clip.image(1)
    with pytest.raises(IndexError, match=r'not in 0\.\.1'):
        clip.image(2)


@pytest.mark.parametrize('serial', HO_CAP_SERIALS)
def test_ho_cap_round_trips(serial, cap, mano, mano_folder):
    root, truth = cap
    clip = ho_cap.read_clip(root, HO_CAP, serial, mano)
    for side, hand in truth.hands.items():
        track = clip.motion.hands[side]
        np.testing.assert_array_equal(track.present, hand.present)
        there = np.flatnonzero(hand.present)
        wanted = theta_of(hand, mano[side], pca=True, mean=False)
        np.testing.assert_allclose(track.theta[there], wanted[there], atol=1e-5)
        np.testing.assert_allclose(track.wrist_position[there], hand.keypoints[there, 0], atol=1e-5)
    joints = joints_of(clip, 'right', mano_folder, [0])[0]
    labels = np.load(root / HO_CAP / serial / 'label_000000.npz')
    pixels, _ = clip.camera.project(joints)
    # hand_joints_2d are whole pixels.
    assert np.abs(pixels - 0.5 - labels['hand_joints_2d'][0, JOINTS]).max() < 0.52
    for name, (poses, present) in truth.objects.items():
        track = clip.motion.objects[name]
        np.testing.assert_array_equal(track.present, present)
        np.testing.assert_allclose(track.poses[present], poses[present], atol=1e-5)


def test_ho_cap_without_mano_fits_the_labels_joints(tmp_path):
    truth = write_ho_cap(tmp_path, meta_name='meta.json')
    clip = ho_cap.read_clip(tmp_path, HO_CAP, HO_CAP_SERIALS[0])
    assert clip.hand_model == 'default'
    for side, hand in truth.hands.items():
        track = clip.motion.hands[side]
        np.testing.assert_array_equal(track.present, hand.present)
        away = np.linalg.norm(track.wrist_position - hand.keypoints[:, 0], axis=1)
        assert away[hand.present].max() < 0.02
    labels = clip.segmentation(0)
    assert clip.hand_labels[int(labels[110, 90])] == 'right'
    assert clip.object_labels[int(labels[310, 310])] == 'G01_1'


def test_arctic_fixed_view_round_trips(arc, mano, mano_folder):
    root, truth = arc
    clip = arctic.read_clip(root, ARCTIC, 1, mano)
    for side, hand in truth.hands.items():
        track = clip.motion.hands[side]
        np.testing.assert_array_equal(track.present, hand.present)
        there = np.flatnonzero(hand.present)
        wanted = theta_of(hand, mano[side], pca=False, mean=True)
        np.testing.assert_allclose(track.theta[there], wanted[there], atol=1e-5)
        np.testing.assert_allclose(track.wrist_position[there], hand.keypoints[there, 0], atol=1e-5)
    joints = joints_of(clip, 'right', mano_folder, [3])[0]
    keypoints = transform_points(truth.fixed[0], truth.hands['right'].keypoints[3])
    pixels, _ = clip.camera.project(joints)
    np.testing.assert_allclose(pixels - 0.5, project(K_MATRIX, keypoints)[JOINTS], atol=0.02)


def test_arctic_object_is_two_parts_in_metres(arc, mano):
    root, truth = arc
    tracks = arctic.read_clip(root, ARCTIC, 1, mano).motion.objects
    bottom, top = tracks['box_bottom'], tracks['box_top']
    assert bottom.scale == top.scale == 0.001  # the meshes are in millimetres
    assert top.mesh.endswith('object_vtemplates/box/top.obj')
    np.testing.assert_allclose(bottom.poses, truth.bottom, atol=1e-5)
    hinge = axis_angle_to_matrix(truth.articulation[:, None] * [0, 0, -1.0])
    wanted = truth.bottom @ rigid(hinge, np.zeros(3))
    np.testing.assert_allclose(top.poses, wanted, atol=1e-5)


def test_arctic_worn_view_is_in_the_camera_frame(arc, mano):
    root, truth = arc
    clip = arctic.read_clip(root, ARCTIC, 0, mano)
    np.testing.assert_array_equal(clip.camera.camera_from_world, np.eye(4))
    for index, camera_from_world in enumerate(truth.worn):
        hand = clip.motion.frame(index).hands['right']
        wrist = truth.hands['right'].keypoints[index, 0]
        seen = transform_points(camera_from_world, wrist[None])[0]
        np.testing.assert_allclose(hand.wrist_position, seen, atol=1e-5)
    pose = clip.motion.objects['box_bottom'].poses[2]
    np.testing.assert_allclose(pose, truth.worn[2] @ truth.bottom[2], atol=1e-5)
    # Images are undistorted: an edge of the corner's mark has moved.
    raw = arctic.read_image(root / 'images/s01/box_use_01/0/00003.jpg')
    assert np.abs(clip.image(1).astype(int) - raw).max() > 20


def test_arctic_reduced_images_have_reduced_intrinsics(tmp_path, mano):
    truth = write_arctic(tmp_path, images=('cropped_images',))
    clip = arctic.read_clip(tmp_path, ARCTIC, 0, mano)
    assert (clip.camera.width, clip.camera.height) == (84, 60)
    assert clip.image(0).shape == (60, 84, 3)
    centre = 0.3 * (truth.worn_k[:2, 2] + 0.5)
    np.testing.assert_allclose(np.asarray(clip.camera.intrinsics)[:2, 2], centre)


def test_arctic_clips_have_the_frames_with_images(tmp_path, mano):
    write_arctic(tmp_path)
    (tmp_path / 'images/s01/box_use_01/1/00002.jpg').unlink()  # of frame 0
    clip = arctic.read_clip(tmp_path, ARCTIC, 1, mano)
    assert len(clip) == 3
    assert clip.motion.stamps_ns[0] == round(1e9 / 30)
    assert abs(int(clip.image(0)[10, 10, 0]) - 30) < 4
    assert not arctic.read_clip(tmp_path, ARCTIC, 1, mano).motion.hands['left'].present[1]


def test_sequences_are_listed(dex, cap, arc):
    assert dexycb.sequences(dex[0]) == [DEXYCB]
    assert ho_cap.sequences(cap[0]) == [HO_CAP]
    assert arctic.sequences(arc[0]) == [ARCTIC]
