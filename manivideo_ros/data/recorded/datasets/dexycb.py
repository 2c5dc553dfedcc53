"""DexYCB (Chao et al., CVPR 2021): one hand grasps one of several YCB objects, 8 fixed cameras.

Layout, as published: `<date>-subject-NN/<date_time>/` with meta.yml, pose.npz and a folder per
camera serial of color_%06d.jpg and labels_%06d.npz; `calibration/` and `models/` beside the
subjects. pose.npz holds pose_y [F, n, 7] (quaternion xyzw, translation; absent: the identity) and
pose_m [F, h, 51] (global axis-angle, 45 principal components about the mean pose, translation;
absent: zeros), in the frame of the master camera, to which the extrinsics lead from each camera.

The motion's world is the table's AprilTag where it was calibrated (z up), else the master camera.
Without the genuine MANO the principal components cannot be used: hands are fitted to the labels'
joint_3d.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.files import (
    RecordedError,
    field,
    items,
    numbers,
    plain_name,
    read_image,
    read_npz,
    read_yaml,
    sequences_of,
)
from manivideo_ros.data.recorded.hands import (
    PublishedMano,
    label_keypoints,
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
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import HandTrack, Motion

FPS = 30.0
WIDTH, HEIGHT = 640, 480
HAND_LABEL = 255
FILES = ('color_%06d.jpg', 'labels_%06d.npz')
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
    """Metadata and calibration of a sequence ('<subject>/<date_time>').

    objects: classes (1-21) in the order of pose_y; rows: row of pose_m and joint_3d by side; betas:
    [10] by side. Raises RecordedError for a missing or damaged file.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        self.root, self.name = Path(root), name
        for part in name.split('/'):
            plain_name(part, self.root, 'the sequence')
        self.folder = self.root / name
        file = self.folder / 'meta.yml'
        meta = read_yaml(file)
        self.frames = int(numbers(field(meta, file, 'num_frames'), (), file, 'num_frames'))
        self.serials = [plain_name(s, file, 'serials') for s in items(meta, file, 'serials')]
        self.objects = numbers(items(meta, file, 'ycb_ids'), (None,), file, 'ycb_ids').astype(int)
        if not np.all((self.objects >= 1) & (self.objects <= len(YCB))):
            raise RecordedError(f'{file}: ycb_ids must be 1 to {len(YCB)}: get the file again')
        sides = items(meta, file, 'mano_sides')
        if not set(sides) <= set(SIDES):
            raise RecordedError(f'{file}: mano_sides must be left or right: get the file again')
        self.rows: dict[Side, int] = {side: row for row, side in enumerate(sides)}
        calibrations = items(meta, file, 'mano_calib')
        self.betas = {
            side: self._betas(plain_name(name, file, 'mano_calib'))
            for side, name in zip(sides, calibrations, strict=False)
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
            'pose_m': (self.frames, len(self.rows), 51),
        }
        return read_npz(self.folder / 'pose.npz', shapes)

    def presence(self) -> dict[Side, NDArray[np.bool_]]:
        """Frames [F] with a hand, by side."""
        poses = self.poses()['pose_m']
        return {side: _present(poses[:, row]) for side, row in self.rows.items()}

    def labels_file(self, serial: str, index: int) -> Path:
        """The labels of a frame."""
        return self.folder / serial / (FILES[1] % index)

    def joints(self, serial: str, index: int) -> NDArray:
        """joint_3d [h, 21, 3] of a frame's labels, in the camera's frame."""
        shape = (len(self.rows), 21, 3)
        return read_npz(self.labels_file(serial, index), {'joint_3d': shape})['joint_3d']

    def image_file(self, serial: str, index: int) -> Path:
        """The image of a frame."""
        return self.folder / serial / (FILES[0] % index)

    def meshes(self) -> dict[str, Path]:
        """The mesh files of the objects by id, metres, in the order of pose_y."""
        names = [YCB[label - 1] for label in self.objects]
        return {n: self.root / 'models' / n / 'textured_simple.obj' for n in names}

    def _betas(self, name: str) -> NDArray[np.float64]:
        file = self.root / 'calibration' / f'mano_{name}' / 'mano.yml'
        return numbers(field(read_yaml(file), file, 'betas'), (10,), file, 'betas')

    @cached_property
    def _calibration(self) -> tuple[Path, Mapping[str, Any]]:
        folder = self.root / 'calibration' / f'extrinsics_{self._extrinsics}'
        file = folder / 'extrinsics.yml'
        return file, read_yaml(file)

    def _transform(self, name: str) -> NDArray[np.floating]:
        """master_from_<name> [4, 4] of a camera or the tag."""
        file, extrinsics = self._calibration
        return master_from(extrinsics, file, name)


def sequences(root: str | Path) -> list[str]:
    """Sorted names '<subject>/<date_time>' of the sequences in a dataset's folder."""
    return sequences_of(Path(root), '-subject-')


def read_clip(
    root: str | Path,
    sequence: str,
    serial: str,
    mano: Mapping[Side, PublishedMano] | None = None,
) -> RecordedClip:
    """One camera's view of a sequence, with MANO poses, or without `mano` hands fitted to joints.

    Raises RecordedError for missing or damaged calibration, poses or labels.
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
    if mano:
        hands = _hands(found, poses['pose_m'], world, mano)
    else:
        keypoints = label_keypoints(
            partial(found.joints, serial), found.rows, found.presence(), camera.camera_from_world
        )
        hands = tracks_of_keypoints(times, keypoints)
    objects = {
        name: track_of_poses(mesh, poses['pose_y'][:, k], world)
        for k, (name, mesh) in enumerate(found.meshes().items())
    }
    name = f'{sequence}/{serial}'
    model = 'mano' if mano else 'default'
    return RecordedClip(
        name,
        Motion(times, hands, objects, camera, model, 'world', name),
        FPS,
        lambda index: read_image(found.image_file(serial, index)),
        lambda index: read_npz(found.labels_file(serial, index), {'seg': (None, None)})['seg'],
        {HAND_LABEL: next(iter(found.rows))} if found.rows else {},
        {int(label): YCB[label - 1] for label in found.objects},
    )


def _hands(
    found: Sequence, pose_m: NDArray, world: NDArray, mano: Mapping[Side, PublishedMano]
) -> dict[str, HandTrack]:
    """The published poses: 45 principal components about the mean pose (not the flat hand)."""
    hands: dict[str, HandTrack] = {}
    for side, row in found.rows.items():
        if side not in found.betas:
            file = found.folder / 'meta.yml'
            raise RecordedError(f'{file}: mano_calib has no {side} hand: get the file again')
        values = pose_m[:, row].astype(np.float64)
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


def _present(pose: NDArray) -> NDArray[np.bool_]:
    """bool [F] of one hand's pose_m [F, 51]: all zeros mean an absent hand."""
    return np.isfinite(pose).all(1) & pose.any(1)
