"""Writes small recordings in the layouts of DexYCB, HO-Cap and ARCTIC; returns their ground truth.

Hands are posed by smplx with random MANO-like files, whose left hand has the genuine one's error;
the files for our readers are those that `convert-mano` writes from them, corrected.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from hand_files import mano_like
from PIL import Image

from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    invert_rigid,
    look_at,
    matrix_to_quaternion,
    rigid,
    transform_points,
)
from manivideo_ros.hand.load import read_hand

# From joints and tips to the published 21: wrist, thumb, index, middle, ring, pinky, four each.
ORDER = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
FLIP_X = np.array([-1.0, 1.0, 1.0])[:, None]


def write_mano(folder, corrected=True):
    """left.npz and right.npz as convert-mano writes them (corrected), or with MANO's error."""
    folder.mkdir(exist_ok=True)
    for side in ('left', 'right'):
        arrays = mano_like(side)
        if side == 'left' and not corrected:
            arrays['shapedirs'] = arrays['shapedirs'] * FLIP_X
        np.savez(folder / f'{side}.npz', **arrays)
    return folder


def published_keypoints(side, pose, translation, betas, *, pca, flat_hand_mean):
    """Keypoints [F, 21, 3] that smplx computes from published parameters and genuine MANO."""
    smplx = pytest.importorskip('smplx')
    arrays = mano_like(side)
    if side == 'left':
        arrays['shapedirs'] = arrays['shapedirs'] * FLIP_X
    frames = len(pose)
    # smplx treats all 45 components as axis-angles, independent of use_pca.
    fingers = pose[:, 3:] @ arrays['hands_components'] if pca else pose[:, 3:]
    layer = smplx.MANO(
        model_path='',
        is_rhand=side == 'right',
        data_struct=SimpleNamespace(**arrays),
        use_pca=False,
        flat_hand_mean=flat_hand_mean,
        batch_size=frames,
        dtype=torch.float64,
    )
    tensors = {
        'global_orient': pose[:, :3],
        'hand_pose': fingers,
        'transl': translation,
        'betas': np.tile(betas, (frames, 1)),
    }
    with torch.no_grad():
        out = layer(**{key: torch.tensor(value) for key, value in tensors.items()})
    tips = out.vertices[:, read_hand(side).tip_vertices]
    return torch.cat([out.joints[:, :16], tips], 1)[:, ORDER].numpy()


@dataclass
class Hand:
    """Published parameters of a hand over F frames, and its keypoints (in their frame)."""

    present: np.ndarray
    pose: np.ndarray  # [F, 48]
    translation: np.ndarray  # [F, 3]
    betas: np.ndarray  # [10]
    keypoints: np.ndarray  # [F, 21, 3]


def make_hand(side, frames, absent, seed, *, pca, flat_hand_mean, centre=(0.0, 0.0, 0.0)):
    """A hand that moves slightly near a position."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(0, 0.6, 3) + np.linspace(0, 0.2, frames)[:, None]
    fingers = 0.25 * rng.normal(size=45) + 0.02 * rng.normal(size=(frames, 45))
    pose = np.concatenate([turn, fingers], 1).astype(np.float32).astype(np.float64)
    place = np.array(centre) + np.linspace(0, 0.03, frames)[:, None] * [1, 0.5, 0.2]
    place = place.astype(np.float32).astype(np.float64)
    betas = rng.normal(0, 0.6, 10)
    keypoints = published_keypoints(
        side, pose, place, betas, pca=pca, flat_hand_mean=flat_hand_mean
    )
    present = ~np.isin(np.arange(frames), absent)
    return Hand(present, pose, place, betas, keypoints)


def make_poses(frames, absent, seed, centre=(0.0, 0.0, 0.0)):
    """world_from_object [F, 4, 4] and presence [F] of a rotating object."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(0, 1, 3) + np.linspace(0, 0.3, frames)[:, None]
    places = np.array(centre) + rng.normal(0, 0.05, (frames, 3))
    return rigid(axis_angle_to_matrix(turns), places), ~np.isin(np.arange(frames), absent)


def seven(poses):
    """Quaternion xyzw and translation [F, 7] of poses [F, 4, 4]."""
    return np.concatenate([matrix_to_quaternion(poses[:, :3, :3]), poses[:, :3, 3]], 1)


def frame_image(index, width=640, height=480):
    """An image whose brightness encodes its frame."""
    image = np.full((height, width, 3), 100, np.uint8)
    image[:40, :40] = 20 + 10 * index
    return Image.fromarray(image)


def project(k, points):
    """Pixels [N, 2] as published: pixel centres at integers."""
    seen = points @ np.asarray(k).T
    return seen[..., :2] / seen[..., 2:]


def labels_of(box_hand, box_object, hand, thing):
    """A segmentation with one square for the hand and one for the object."""
    labels = np.zeros((480, 640), np.uint8)
    for (row, column), value in ((box_hand, hand), (box_object, thing)):
        labels[row : row + 60, column : column + 60] = value
    return labels


K = {'fx': 612.0, 'fy': 611.0, 'ppx': 320.4, 'ppy': 241.7}
K_MATRIX = np.array([[K['fx'], 0, K['ppx']], [0, K['fy'], K['ppy']], [0, 0, 1]])
DEXYCB = '20200709-subject-01/20200709_141754'
DEXYCB_SERIALS = ['836212060125', '839512060362']
HO_CAP = 'subject_1/20231025_165502'
HO_CAP_SERIALS = ['105322251564', '037522251142']
ARCTIC = 's01/box_use_01'


def tuples(values):
    """YAML with DexYCB's tuple tags."""
    return '!!python/tuple\n' + ''.join(f'  - {float(v)!r}\n' for v in np.ravel(values))


def write_dexycb(root, frames=5, side='right', absent=(0,)):
    """One sequence, two cameras, two objects of which the second is absent in frame 1."""
    tag = look_at([0.3, -0.8, 0.6], [0, 0, 0.05])  # master_from_tag
    second = invert_rigid(tag @ invert_rigid(look_at([-0.6, -0.5, 0.5], [0, 0, 0.05])))
    master_from = {DEXYCB_SERIALS[0]: np.eye(4), DEXYCB_SERIALS[1]: invert_rigid(second)}
    centre = transform_points(tag, np.array([[0.05, 0, 0.1]]))[0]
    hand = make_hand(side, frames, absent, 1, pca=True, flat_hand_mean=False, centre=centre)
    objects = {3: make_poses(frames, (), 2, centre), 14: make_poses(frames, (1,), 3, centre)}
    calibration = root / 'calibration'
    folder = root / DEXYCB
    for name in ('intrinsics', 'extrinsics_20200702_151821', 'mano_calib_right'):
        (calibration / name).mkdir(parents=True)
    lines = "master: '836212060125'\nextrinsics:\n"
    for name, pose in {**master_from, 'apriltag': tag}.items():
        lines += f"  '{name}': {tuples(pose[:3])}"
    (calibration / 'extrinsics_20200702_151821' / 'extrinsics.yml').write_text(lines)
    (calibration / 'mano_calib_right' / 'mano.yml').write_text(
        yaml.safe_dump({'betas': hand.betas.tolist()})
    )
    meta = {
        'serials': DEXYCB_SERIALS,
        'num_frames': frames,
        'extrinsics': '20200702_151821',
        'ycb_ids': list(objects),
        'ycb_grasp_ind': 0,
        'mano_sides': [side],
        'mano_calib': ['calib_right'],
    }
    pose_y = np.stack([seven(poses) for poses, _ in objects.values()], 1)
    there = np.stack([present for _, present in objects.values()], 1)
    pose_y[~there] = [0, 0, 0, 1, 0, 0, 0]
    pose_m = np.concatenate([hand.pose, hand.translation], 1)[:, None]
    pose_m[~hand.present] = 0
    for serial in DEXYCB_SERIALS:
        intrinsics = calibration / 'intrinsics' / f'{serial}_640x480.yml'
        intrinsics.write_text(yaml.safe_dump({'color': K, 'depth': K}))
        camera_from_master = invert_rigid(master_from[serial])
        (folder / serial).mkdir(parents=True)
        for index in range(frames):
            frame_image(index).save(folder / serial / f'color_{index:06d}.jpg')
            joints = transform_points(camera_from_master, hand.keypoints[index])
            joints_2d = project(K_MATRIX, joints)
            if not hand.present[index]:
                joints, joints_2d = np.full((21, 3), -1.0), np.full((21, 2), -1.0)
            np.savez_compressed(
                folder / serial / f'labels_{index:06d}.npz',
                seg=labels_of((100, 60 + 20 * index), (300, 300), 255, 3),
                pose_y=np.stack([camera_from_master @ p[index] for p, _ in objects.values()])[
                    :, :3
                ].astype(np.float32),
                pose_m=pose_m[index].astype(np.float32),
                joint_3d=joints[None].astype(np.float32),
                joint_2d=joints_2d[None].astype(np.float32),
            )
    (folder / 'meta.yml').write_text(yaml.safe_dump(meta))
    np.savez(folder / 'pose.npz', pose_y=pose_y.astype('f4'), pose_m=pose_m.astype('f4'))
    for name in ('004_sugar_box', '025_mug'):
        write_box(root / 'models' / name / 'textured_simple.obj', 0.05)
    return SimpleNamespace(hand=hand, objects=objects, tag=tag, master_from=master_from)


def write_ho_cap(root, frames=4, meta_name='meta.yaml'):
    """One sequence, two cameras, both hands (the left absent in frame 1), two objects."""
    tag = look_at([0.2, -0.7, 0.7], [0, 0, 0.05])  # master_from_tag
    world_from = {
        name: invert_rigid(look_at(eye, [0, 0, 0.05]))
        for name, eye in zip(HO_CAP_SERIALS, ([0.2, -0.7, 0.7], [-0.5, -0.6, 0.6]), strict=True)
    }
    options = {'pca': True, 'flat_hand_mean': True}
    hands = {
        'right': make_hand('right', frames, (), 5, centre=(0.1, 0, 0.05), **options),
        'left': make_hand('left', frames, (1,), 6, centre=(-0.1, 0, 0.05), **options),
    }
    hands['left'].betas = hands['right'].betas  # one person
    hands['left'].keypoints = published_keypoints(
        'left', hands['left'].pose, hands['left'].translation, hands['left'].betas, **options
    )
    objects = {'G01_1': make_poses(frames, (), 7), 'G01_2': make_poses(frames, (2,), 8)}
    calibration, folder = root / 'calibration', root / HO_CAP
    for name in ('intrinsics', 'extrinsics', 'mano'):
        (calibration / name).mkdir(parents=True)
    extrinsics = {s: (tag @ pose)[:3].ravel().tolist() for s, pose in world_from.items()}
    extrinsics |= {'tag_0': tag[:3].ravel().tolist(), 'tag_1': tag[:3].ravel().tolist()}
    content = {'rs_master': HO_CAP_SERIALS[0], 'extrinsics': extrinsics}
    (calibration / 'extrinsics' / 'extrinsics_20231014.yaml').write_text(yaml.safe_dump(content))
    betas = hands['right'].betas
    (calibration / 'mano' / 'subject_1.yaml').write_text(yaml.safe_dump({'betas': betas.tolist()}))
    poses_o = np.stack([seven(poses) for poses, _ in objects.values()])
    poses_m = np.stack([np.concatenate([h.pose, h.translation], 1) for h in hands.values()])
    for k, (_, present) in enumerate(objects.values()):
        poses_o[k, ~present] = -1
    for k, hand in enumerate(hands.values()):
        poses_m[k, ~hand.present] = -1
    for serial, world_from_camera in world_from.items():
        size = {'width': 640, 'height': 480}
        (calibration / 'intrinsics' / f'{serial}.yaml').write_text(
            yaml.safe_dump({'serial': serial, 'color': {**size, **K}})
        )
        (folder / serial).mkdir(parents=True)
        for index in range(frames):
            frame_image(index).save(folder / serial / f'color_{index:06d}.jpg')
            joints = np.full((2, 21, 3), -1.0)
            joint_pixels = np.full((2, 21, 2), -1)
            for k, hand in enumerate(hands.values()):
                if hand.present[index]:
                    seen = transform_points(invert_rigid(world_from_camera), hand.keypoints[index])
                    joints[k], joint_pixels[k] = seen, np.round(project(K_MATRIX, seen))
            np.savez_compressed(
                folder / serial / f'label_{index:06d}.npz',
                cam_K=K_MATRIX.astype('f4'),
                hand_joints_3d=joints.astype('f4'),
                hand_joints_2d=joint_pixels,
                seg_mask=labels_of((100, 60), (300, 300), 5, 1),
                obj_class_inds=np.array([0, 1]),
                obj_class_names=np.array(list(objects)),
            )
    np.save(folder / 'poses_o.npy', poses_o.astype('f4'))
    np.save(folder / 'poses_m.npy', poses_m.astype('f4'))
    meta = {
        'num_frames': frames,
        'object_ids': list(objects),
        'mano_sides': ['left', 'right'],
        'realsense': {'serials': HO_CAP_SERIALS, 'width': 640, 'height': 480},
        'extrinsics': 'extrinsics_20231014.yaml',
        'subject_id': 'subject_1',
        'task_id': 1,
    }
    text = json.dumps(meta) if meta_name.endswith('json') else yaml.safe_dump(meta)
    (folder / meta_name).write_text(text)
    for name in objects:
        write_box(root / 'models' / name / 'textured_mesh.obj', 0.05)
    return SimpleNamespace(hands=hands, objects=objects, world_from=world_from)


def write_arctic(root, frames=4, offset=2, images=('images',)):
    """One sequence; images of the worn view (small) and of the first fixed one."""
    options = {'pca': False, 'flat_hand_mean': False}
    hands = {
        'right': make_hand('right', frames, (), 11, centre=(0.1, 0, 1.0), **options),
        'left': make_hand('left', frames, (2,), 12, centre=(-0.1, 0, 1.0), **options),
    }
    poses, _ = make_poses(frames, (), 13, (0, 0, 1.0))
    articulation = np.linspace(0, 1.5, frames)
    rng = np.random.default_rng(13)
    turns = rng.normal(0, 1, 3) + np.linspace(0, 0.3, frames)[:, None]
    raw = root / 'raw_seqs' / 's01'
    raw.mkdir(parents=True)
    mano = {}
    for side, hand in hands.items():
        rot, pose = hand.pose[:, :3].astype('f4'), hand.pose[:, 3:].astype('f4')
        rot[~hand.present] = np.nan
        mano[side] = {
            'rot': rot,
            'pose': pose,
            'trans': hand.translation.astype('f4'),
            'shape': hand.betas,
            'fitting_err': np.zeros(frames),
        }
    np.save(raw / 'box_use_01.mano.npy', mano, allow_pickle=True)
    values = np.concatenate([articulation[:, None], turns, 1000 * poses[:, :3, 3]], 1)
    np.save(raw / 'box_use_01.object.npy', values)
    worn = np.stack([look_at([0.02 * i, -0.5, 1.3], [0, 0, 1]) for i in range(frames)])
    worn_k = np.array([[300.0, 0, 140], [0, 300.0, 100], [0, 0, 1]])
    np.save(
        raw / 'box_use_01.egocam.dist.npy',
        {
            'R_k_cam_np': worn[:, :3, :3],
            'T_k_cam_np': worn[:, :3, 3:],
            'intrinsics': worn_k,
            'ego_markers.ref': np.zeros((5, 3)),
            'ego_markers.label': ['a', 'b', 'c', 'd', 'e'],
            'R0': np.eye(3),
            'T0': np.zeros((3, 1)),
            'dist8': np.array([0.1, -0.02, 0, 0, 0, 0, 0, 0]),
        },
        allow_pickle=True,
    )
    fixed = np.stack([look_at([0.3 * i - 1, -1.5, 1.5], [0, 0, 1]) for i in range(8)])
    (root / 'meta').mkdir()
    misc = {
        's01': {
            'gender': 'neutral',
            'ioi_offset': offset,
            'image_size': [[280, 200]] + [[640, 480]] * 8,
            'intris_mat': [K_MATRIX.tolist()] * 8,
            'world2cam': fixed.tolist(),
        }
    }
    (root / 'meta' / 'misc.json').write_text(json.dumps(misc))
    for kind in images:
        scale = 0.3 if kind == 'cropped_images' else 1.0
        for view, (width, height) in (('0', (280, 200)), ('1', (640, 480))):
            folder = root / kind / 's01' / 'box_use_01' / view
            folder.mkdir(parents=True)
            for index in range(frames):
                image = frame_image(index, round(scale * width), round(scale * height))
                image.save(folder / f'{index + offset:05d}.jpg')
    for part in ('top', 'bottom'):
        write_box(root / 'meta' / 'object_vtemplates' / 'box' / f'{part}.obj', 50)
    bottom = rigid(axis_angle_to_matrix(turns), poses[:, :3, 3])
    return SimpleNamespace(
        hands=hands, bottom=bottom, articulation=articulation, worn=worn, worn_k=worn_k, fixed=fixed
    )


def write_box(file, size):
    """A tetrahedron, for a mesh."""
    file.parent.mkdir(parents=True, exist_ok=True)
    corners = size * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    lines = [f'v {x} {y} {z}' for x, y, z in corners]
    file.write_text('\n'.join([*lines, 'f 1 3 2', 'f 1 2 4', 'f 2 3 4', 'f 1 4 3']) + '\n')
