"""HO-Cap (Wang et al. 2024): one or two hands with several objects, 8 fixed RealSense cameras.

Layout, as published: `subject_N/<date_time>/` with meta.yaml (or meta.json), poses_o.npy
(n, F, 7: quaternion xyzw, translation), poses_m.npy (2, F, 51: row 0 the right hand, row 1 the
left; global axis-angle, 45 principal components, translation; absent: -1) and a folder per camera
of color_%06d.jpg and label_%06d.npz (hand_joints_3d [2, 21, 3] in the camera's frame, seg_mask);
`calibration/{intrinsics,extrinsics,mano}/*.yaml` and `models/` beside the subjects. The world of
the poses is the tag 'tag_1', to which the extrinsics lead through the master camera.

flat_hand_mean=True is assumed, unlike for DexYCB; public users of the dataset disagree about it.
`manivideo data check --hands` compares both with the labels' joints. The moving headset view is not
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
    read_npy,
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
from manivideo_ros.hand.state import Side
from manivideo_ros.motion.motion import HandTrack, Motion

FPS = 30.0
FLAT_HAND_MEAN = True
ROWS: dict[Side, int] = {'right': 0, 'left': 1}
FILES = ('color_%06d.jpg', 'label_%06d.npz')
# seg_mask: the k-th of at most four object_ids has the label k + 1; then the hands.
HAND_LABELS = {5: 'right', 6: 'left'}


class Sequence:
    """Metadata and calibration of a sequence ('subject_N/<date_time>').

    objects: ids in the order of poses_o; rows: row of poses_m and hand_joints_3d by side. Raises
    RecordedError for a missing or damaged file.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        self.root, self.name = Path(root), name
        for part in name.split('/'):
            plain_name(part, self.root, 'the sequence')
        self.folder = self.root / name
        file = self.folder / 'meta.yaml'
        if not file.exists() and file.with_suffix('.json').exists():
            file = file.with_suffix('.json')
        self.file = file
        meta = read_yaml(file)
        self.frames = int(numbers(field(meta, file, 'num_frames'), (), file, 'num_frames'))
        self.serials = _names(meta, file, 'realsense', 'serials')
        size = [field(meta, file, 'realsense', name) for name in ('width', 'height')]
        self.width, self.height = numbers(size, (2,), file, 'realsense').astype(int).tolist()
        self.objects = _names(meta, file, 'object_ids')
        sides = _names(meta, file, 'mano_sides')
        if not set(sides) <= set(ROWS):
            raise RecordedError(f'{file}: mano_sides must be left or right: get the file again')
        self.rows: dict[Side, int] = {side: row for side, row in ROWS.items() if side in sides}
        self._extrinsics = plain_name(field(meta, file, 'extrinsics'), file, 'extrinsics')

    def camera(self, serial: str) -> Camera:
        """The camera of a serial in the poses' world."""
        calibration = self.root / 'calibration'
        intrinsics = color_intrinsics(calibration / 'intrinsics' / f'{serial}.yaml')
        name = self._extrinsics.removesuffix('.yaml')
        file = calibration / 'extrinsics' / f'{name}.yaml'
        extrinsics = read_yaml(file)
        master_from_camera = master_from(extrinsics, file, serial)
        master_from_world = master_from(extrinsics, file, 'tag_1')
        camera_from_world = invert_rigid(master_from_camera) @ master_from_world
        return Camera(intrinsics, camera_from_world, self.width, self.height)

    def betas(self) -> NDArray[np.float64]:
        """The subject's betas [10]."""
        subject = self.name.partition('/')[0]
        file = self.root / 'calibration' / 'mano' / f'{subject}.yaml'
        return numbers(field(read_yaml(file), file, 'betas'), (10,), file, 'betas')

    def object_poses(self) -> NDArray:
        """poses_o (n, F, 7) as published."""
        return read_npy(self.folder / 'poses_o.npy', (len(self.objects), self.frames, 7))

    def hand_poses(self) -> NDArray:
        """poses_m (2, F, 51) as published."""
        return read_npy(self.folder / 'poses_m.npy', (2, self.frames, 51))

    def presence(self) -> dict[Side, NDArray[np.bool_]]:
        """Frames [F] with a hand, by side."""
        poses = self.hand_poses()
        return {side: _present(poses[row]) for side, row in self.rows.items()}

    def labels_file(self, serial: str, index: int) -> Path:
        """The labels of a frame."""
        return self.folder / serial / (FILES[1] % index)

    def joints(self, serial: str, index: int) -> NDArray:
        """hand_joints_3d [2, 21, 3] of a frame's labels, in the camera's frame."""
        shapes = {'hand_joints_3d': (2, 21, 3)}
        return read_npz(self.labels_file(serial, index), shapes)['hand_joints_3d']

    def image_file(self, serial: str, index: int) -> Path:
        """The image of a frame."""
        return self.folder / serial / (FILES[0] % index)

    def meshes(self) -> dict[str, Path]:
        """The mesh files of the objects by id, metres, in the order of poses_o."""
        return {n: self.root / 'models' / n / 'textured_mesh.obj' for n in self.objects}


def _names(meta: Mapping[str, Any], file: Path, *names: str) -> list[str]:
    return [plain_name(value, file, names[-1]) for value in items(meta, file, *names)]


def sequences(root: str | Path) -> list[str]:
    """Sorted names 'subject_N/<date_time>' of the sequences in a dataset's folder."""
    return sequences_of(Path(root), '^subject_')


def read_clip(
    root: str | Path,
    sequence: str,
    serial: str,
    mano: Mapping[Side, PublishedMano] | None = None,
    *,
    flat_hand_mean: bool = FLAT_HAND_MEAN,
) -> RecordedClip:
    """One camera's view of a sequence, with MANO poses, or without `mano` hands fitted to joints.

    Raises RecordedError for missing or damaged calibration, poses or labels.
    """
    found = Sequence(root, sequence)
    if serial not in found.serials:
        raise RecordedError(
            f'{found.file}: realsense.serials has no camera {serial!r}:'
            f' give one of {", ".join(found.serials)}'
        )
    camera, world = found.camera(serial), np.eye(4)
    times = stamps(np.arange(found.frames), FPS)
    present = found.presence()
    hands: dict[str, HandTrack]
    if mano:
        betas, poses = found.betas(), found.hand_poses().astype(np.float64)
        hands = {
            side: track_of_mano(
                mano[side],
                poses[row, :, :48],
                poses[row, :, 48:],
                betas,
                present[side],
                world,
                pca=True,
                flat_hand_mean=flat_hand_mean,
            )
            for side, row in found.rows.items()
        }
    else:
        keypoints = label_keypoints(
            partial(found.joints, serial), found.rows, present, camera.camera_from_world
        )
        hands = tracks_of_keypoints(times, keypoints)
    placed = found.object_poses()
    objects = {
        name: track_of_poses(mesh, placed[k], world)
        for k, (name, mesh) in enumerate(found.meshes().items())
    }
    name = f'{sequence}/{serial}'
    model = 'mano' if mano else 'default'

    def labels(index: int) -> NDArray:
        return read_npz(found.labels_file(serial, index), {'seg_mask': (None, None)})['seg_mask']

    return RecordedClip(
        name,
        Motion(times, hands, objects, camera, model, 'world', name),
        FPS,
        lambda index: read_image(found.image_file(serial, index)),
        labels,
        HAND_LABELS,
        {k + 1: name for k, name in enumerate(found.objects)},
    )


def _present(pose: NDArray) -> NDArray[np.bool_]:
    """bool [F] of one hand's poses_m [F, 51]: all -1 or all zeros mean an absent hand."""
    return np.isfinite(pose).all(1) & pose.any(1) & ~(pose == -1).all(1)
