"""DexYCB (Chao et al., CVPR 2021): one hand grasps one of several YCB objects, 8 fixed cameras.

Layout, as published: `<date>-subject-NN/<date_time>/` with meta.yml, pose.npz and a folder per
camera serial of color_%06d.jpg and labels_%06d.npz; `calibration/` and `models/` beside the
subjects. pose.npz holds pose_y [F, n, 7] (quaternion xyzw, translation; absent: the identity) and
pose_m [F, h, 51] (global axis-angle, 45 principal components about the mean pose, translation;
absent: zeros), in the frame of the master camera, to which the extrinsics lead from each camera.

The motion's world is the table's AprilTag where it was calibrated (z up), else the master camera.
Without the genuine MANO its principal components say nothing: the labels' joint_3d are fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.files import (
    RecordedError,
    field,
    folders,
    numbers,
    plain_name,
    read_image,
    read_npz,
    read_yaml,
)
from manivideo_ros.data.recorded.hands import (
    PublishedMano,
    keypoints_in_world,
    track_of_mano,
    tracks_of_keypoints,
)
from manivideo_ros.data.recorded.objects import (
    color_intrinsics,
    master_from,
    stamps,
    track_of_poses,
)
from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.hand.state import Side
from manivideo_ros.motion.motion import HandTrack, Motion

FPS = 30.0
WIDTH, HEIGHT = 640, 480
HAND_LABEL = 255
# Classes 1 to 21 of seg and ycb_ids: the YCB-Video objects.
YCB = (
    '002_master_chef_can',
    '003_cracker_box',
    '004_sugar_box',
    '005_tomato_soup_can',
    '006_mustard_bottle',
    '007_tuna_fish_can',
    '008_pudding_box',
    '009_gelatin_box',
    '010_potted_meat_can',
    '011_banana',
    '019_pitcher_base',
    '021_bleach_cleanser',
    '024_bowl',
    '025_mug',
    '035_power_drill',
    '036_wood_block',
    '037_scissors',
    '040_large_marker',
    '051_large_clamp',
    '052_extra_large_clamp',
    '061_foam_brick',
)


class Sequence:
    """What meta.yml and the calibration say of a sequence ('<subject>/<date_time>').

    frames; serials; objects: class (1-21) in the order of pose_y; sides: in the order of pose_m;
    betas: [10] by side. Raises RecordedError for a missing or damaged file.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        self.root, self.name = Path(root), name
        for part in name.split('/'):
            plain_name(part, self.root, 'the sequence')
        self.folder = self.root / name
        file = self.folder / 'meta.yml'
        meta = read_yaml(file)
        self.frames = int(numbers(field(meta, file, 'num_frames'), (), file, 'num_frames'))
        self.serials = [plain_name(s, file, 'serials') for s in _list(meta, file, 'serials')]
        self.objects = numbers(_list(meta, file, 'ycb_ids'), (None,), file, 'ycb_ids').astype(int)
        if not np.all((self.objects >= 1) & (self.objects <= len(YCB))):
            raise RecordedError(f'{file}: ycb_ids must be 1 to {len(YCB)}: get the file again')
        self.sides: list[Side] = list(_list(meta, file, 'mano_sides'))
        if not set(self.sides) <= {'left', 'right'}:
            raise RecordedError(f'{file}: mano_sides must be left or right: get the file again')
        calibrations = _list(meta, file, 'mano_calib')
        self.betas = {
            side: self._betas(plain_name(name, file, 'mano_calib'))
            for side, name in zip(self.sides, calibrations, strict=False)
        }
        self._extrinsics = plain_name(field(meta, file, 'extrinsics'), file, 'extrinsics')

    def camera(self, serial: str) -> Camera:
        """The camera of a serial in the motion's world."""
        file = self.root / 'calibration' / 'intrinsics' / f'{serial}_{WIDTH}x{HEIGHT}.yml'
        intrinsics = color_intrinsics(file)
        world_from_camera = self.world_from_master() @ self._transform(serial)
        return Camera(intrinsics, invert_rigid(world_from_camera), WIDTH, HEIGHT)

    def world_from_master(self) -> NDArray[np.floating]:
        """The motion's world from the master camera's frame [4, 4]."""
        file, extrinsics = self._calibration
        tagged = 'apriltag' in field(extrinsics, file, 'extrinsics')
        return invert_rigid(self._transform('apriltag')) if tagged else np.eye(4)

    def poses(self) -> dict[str, NDArray]:
        """pose_y [F, n, 7] and pose_m [F, h, 51] as published."""
        shapes = {
            'pose_y': (self.frames, len(self.objects), 7),
            'pose_m': (self.frames, len(self.sides), 51),
        }
        return read_npz(self.folder / 'pose.npz', shapes)

    def labels_file(self, serial: str, index: int) -> Path:
        """The labels of a frame."""
        return self.folder / serial / f'labels_{index:06d}.npz'

    def image_file(self, serial: str, index: int) -> Path:
        """The image of a frame."""
        return self.folder / serial / f'color_{index:06d}.jpg'

    def mesh(self, label: int) -> Path:
        """The mesh file of a class, metres."""
        return self.root / 'models' / YCB[label - 1] / 'textured_simple.obj'

    def _betas(self, name: str) -> NDArray[np.float64]:
        file = self.root / 'calibration' / f'mano_{name}' / 'mano.yml'
        return numbers(field(read_yaml(file), file, 'betas'), (10,), file, 'betas')

    @cached_property
    def _calibration(self) -> tuple[Path, Mapping[str, Any]]:
        folder = self.root / 'calibration' / f'extrinsics_{self._extrinsics}'
        file = folder / 'extrinsics.yml'
        return file, read_yaml(file)

    def _transform(self, name: str) -> NDArray[np.floating]:
        """master from a camera or the tag [4, 4]."""
        file, extrinsics = self._calibration
        return master_from(extrinsics, file, name)


def sequences(root: str | Path) -> list[str]:
    """Names '<subject>/<date_time>' of the sequences in a dataset's folder, sorted."""
    root = Path(root)
    subjects = [name for name in folders(root) if '-subject-' in name]
    return [f'{subject}/{name}' for subject in subjects for name in folders(root / subject)]


def read_clip(
    root: str | Path,
    sequence: str,
    serial: str,
    mano: Mapping[Side, PublishedMano] | None = None,
) -> RecordedClip:
    """One camera's view of a sequence; with the user's MANO its poses, else hands fitted to joints.

    Raises RecordedError for what is missing or damaged of the calibration, poses and labels.
    """
    found = Sequence(root, sequence)
    if serial not in found.serials:
        raise RecordedError(
            f'{found.folder / "meta.yml"}: serials has no camera {serial!r}:'
            f' give one of {", ".join(found.serials)}'
        )
    camera, world = found.camera(serial), found.world_from_master()
    poses = found.poses()
    times = stamps(np.arange(found.frames), FPS)
    hands = _hands(found, poses['pose_m'], world, mano) if mano else None
    if hands is None:
        hands = tracks_of_keypoints(times, _joints(found, serial, camera, poses['pose_m']))
    objects = {
        YCB[label - 1]: track_of_poses(found.mesh(label), poses['pose_y'][:, k], world)
        for k, label in enumerate(found.objects)
    }
    name = f'{sequence}/{serial}'
    model = 'mano' if mano else 'default'
    return RecordedClip(
        name,
        Motion(times, hands, objects, camera, model, 'world', name),
        FPS,
        lambda index: read_image(found.image_file(serial, index)),
        lambda index: read_npz(found.labels_file(serial, index), {'seg': (None, None)})['seg'],
        {HAND_LABEL: found.sides[0]} if found.sides else {},
        {int(label): YCB[label - 1] for label in found.objects},
    )


def _hands(
    found: Sequence, pose_m: NDArray, world: NDArray, mano: Mapping[Side, PublishedMano]
) -> dict[str, HandTrack]:
    """The published poses: 45 principal components about the mean pose (not the flat hand)."""
    hands: dict[str, HandTrack] = {}
    for k, side in enumerate(found.sides):
        if side not in found.betas:
            file = found.folder / 'meta.yml'
            raise RecordedError(f'{file}: mano_calib names no {side} hand: get the file again')
        values = pose_m[:, k].astype(np.float64)
        hands[side] = track_of_mano(
            mano[side],
            values[:, :48],
            values[:, 48:],
            found.betas[side],
            _present(values),
            world,
            pca=True,
            flat_hand_mean=False,
        )
    return hands


def _joints(found: Sequence, serial: str, camera: Camera, pose_m: NDArray) -> dict[str, NDArray]:
    """joint_3d [F, 21, 3] of the labels by side, in the world; NaN where the hand is absent."""
    points: dict[str, NDArray] = {s: np.full((found.frames, 21, 3), np.nan) for s in found.sides}
    shapes = {'joint_3d': (len(found.sides), 21, 3)}
    for index in range(found.frames):
        present = [bool(_present(pose_m[index, k][None])[0]) for k in range(len(found.sides))]
        if any(present):
            joints = read_npz(found.labels_file(serial, index), shapes)['joint_3d']
            for k, side in enumerate(found.sides):
                if present[k]:
                    points[side][index] = keypoints_in_world(joints[k], camera.camera_from_world)
    return points


def _present(pose: NDArray) -> NDArray[np.bool_]:
    """bool [F] of pose_m [F, 51]: zeros stand for no hand."""
    return np.isfinite(pose).all(1) & pose.any(1)


def _list(meta: Mapping[str, Any], file: Path, name: str) -> list[Any]:
    value = field(meta, file, name)
    if not isinstance(value, list):
        raise RecordedError(f'{file}: {name} must be a list: get the file again')
    return value
