"""HO-Cap (Wang et al. 2024): one or two hands with several objects, 8 fixed RealSense cameras.

Layout, as published: `subject_N/<date_time>/` with meta.yaml (or meta.json), poses_o.npy
(n, F, 7: quaternion xyzw, translation), poses_m.npy (2, F, 51: row 0 the right hand, row 1 the
left; global axis-angle, 45 principal components, translation; absent: -1) and a folder per camera
of color_%06d.jpg and label_%06d.npz (hand_joints_3d [2, 21, 3] in the camera's frame, seg_mask);
`calibration/{intrinsics,extrinsics,mano}/*.yaml` and `models/` beside the subjects. The world of
the poses is the tag 'tag_1', to which the extrinsics lead through the master camera.

flat_hand_mean=True is assumed, unlike DexYCB's; public users of the dataset disagree about it.
`check` with the MANO files measures it against the labels' joints. The headset's view, which
moves, is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
    read_npy,
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
FLAT_HAND_MEAN = True
ROWS: dict[Side, int] = {'right': 0, 'left': 1}
# seg_mask: the k-th object of object_ids is k + 1, at most four; then the hands.
HAND_LABELS = {5: 'right', 6: 'left'}


class Sequence:
    """What meta.yaml and the calibration say of a sequence ('subject_N/<date_time>').

    frames; serials; objects: ids in the order of poses_o; sides; betas [10] of the subject, None
    where mano/<subject>.yaml is missing. Raises RecordedError for a missing or damaged file.
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
        camera = field(meta, file, 'realsense')
        self.serials = self._names(field(camera, file, 'serials'), 'realsense.serials')
        size = [field(camera, file, 'width'), field(camera, file, 'height')]
        self.width, self.height = numbers(size, (2,), file, 'realsense').astype(int).tolist()
        self.objects = self._names(field(meta, file, 'object_ids'), 'object_ids')
        sides = self._names(field(meta, file, 'mano_sides'), 'mano_sides')
        if not set(sides) <= set(ROWS):
            raise RecordedError(f'{file}: mano_sides must be left or right: get the file again')
        self.sides: list[Side] = [side for side in ROWS if side in sides]
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

    def labels_file(self, serial: str, index: int) -> Path:
        """The labels of a frame."""
        return self.folder / serial / f'label_{index:06d}.npz'

    def image_file(self, serial: str, index: int) -> Path:
        """The image of a frame."""
        return self.folder / serial / f'color_{index:06d}.jpg'

    def mesh(self, name: str) -> Path:
        """The mesh file of an object, metres."""
        return self.root / 'models' / name / 'textured_mesh.obj'

    def _names(self, values: object, name: str) -> list[str]:
        if not isinstance(values, list):
            raise RecordedError(f'{self.file}: {name} must be a list: get the file again')
        return [plain_name(value, self.file, name) for value in values]


def sequences(root: str | Path) -> list[str]:
    """Names 'subject_N/<date_time>' of the sequences in a dataset's folder, sorted."""
    root = Path(root)
    subjects = [name for name in folders(root) if name.startswith('subject_')]
    return [f'{subject}/{name}' for subject in subjects for name in folders(root / subject)]


def read_clip(
    root: str | Path,
    sequence: str,
    serial: str,
    mano: Mapping[Side, PublishedMano] | None = None,
    *,
    flat_hand_mean: bool = FLAT_HAND_MEAN,
) -> RecordedClip:
    """One camera's view of a sequence; with the user's MANO its poses, else hands fitted to joints.

    Raises RecordedError for what is missing or damaged of the calibration, poses and labels.
    """
    found = Sequence(root, sequence)
    if serial not in found.serials:
        raise RecordedError(
            f'{found.file}: realsense.serials has no camera {serial!r}:'
            f' give one of {", ".join(found.serials)}'
        )
    camera, world = found.camera(serial), np.eye(4)
    times = stamps(np.arange(found.frames), FPS)
    poses = found.hand_poses().astype(np.float64)
    present = {side: _present(poses[ROWS[side]]) for side in found.sides}
    hands: dict[str, HandTrack]
    if mano:
        betas = found.betas()
        hands = {
            side: track_of_mano(
                mano[side],
                poses[ROWS[side], :, :48],
                poses[ROWS[side], :, 48:],
                betas,
                present[side],
                world,
                pca=True,
                flat_hand_mean=flat_hand_mean,
            )
            for side in found.sides
        }
    else:
        hands = tracks_of_keypoints(times, _joints(found, serial, camera, present))
    placed = found.object_poses()
    objects = {
        name: track_of_poses(found.mesh(name), placed[k], world)
        for k, name in enumerate(found.objects)
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


def _joints(
    found: Sequence, serial: str, camera: Camera, present: Mapping[Side, NDArray[np.bool_]]
) -> dict[str, NDArray]:
    """hand_joints_3d [F, 21, 3] of the labels by side, in the world; NaN where absent."""
    points: dict[str, NDArray] = {s: np.full((found.frames, 21, 3), np.nan) for s in found.sides}
    for index in range(found.frames):
        if any(there[index] for there in present.values()):
            file = found.labels_file(serial, index)
            joints = read_npz(file, {'hand_joints_3d': (2, 21, 3)})['hand_joints_3d']
            for side, there in present.items():
                if there[index]:
                    seen = keypoints_in_world(joints[ROWS[side]], camera.camera_from_world)
                    points[side][index] = seen
    return points


def _present(pose: NDArray) -> NDArray[np.bool_]:
    """bool [F] of one hand's [F, 51]: -1 throughout, or zeros, stands for no hand."""
    return np.isfinite(pose).all(1) & pose.any(1) & ~(pose == -1).all(1)
