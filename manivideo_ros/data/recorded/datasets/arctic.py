"""ARCTIC (Fan et al., CVPR 2023): both hands on an articulated object, 8 fixed cameras, 1 worn.

Layout, as published (the folder is arctic_data/data): `raw_seqs/sNN/<object>_<use>.mano.npy` (by
hand: rot [F, 3], pose [F, 45], trans [F, 3], shape), `.object.npy` [F, 7], `.egocam.dist.npy`;
`meta/misc.json` (cameras, image sizes, ioi_offset by subject), `meta/object_vtemplates/<object>/`;
`images/sNN/<sequence>/<view>/%05d.jpg`, view 0 worn and 1 to 8 fixed. The frame of an image is its
number minus ioi_offset. View 0 of `cropped_images` is the whole image at 0.3 of its size; the other
views there are cropped frame by frame, so they have no common camera and are not read.

- Hands: 45 axis-angles relative to MANO's *mean* pose (flat_hand_mean=False): public code that
  poses these parameters builds its layers like this, and the raw values are far from a flat hand's.
  Metres. The files have no joints: the user's MANO is required.
- Objects: [articulation in radians, axis-angle, translation in *millimetres*], meshes also in
  millimetres, cameras and hands in metres (as stated by several public users, one of whom verified
  it by projection into the images). Two rigid tracks: the bottom has the pose; the top is first
  rotated by the articulation about (0, 0, -1) through the origin.
- View 0 moves: its motion is in the camera's frame. Its images are undistorted with the eight
  published distortion coefficients (OpenCV's rational model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.datasets.pickled import read_pickled
from manivideo_ros.data.recorded.files import (
    RecordedError,
    field,
    folders,
    numbers,
    plain_name,
    read_image,
    read_npy,
    read_yaml,
)
from manivideo_ros.data.recorded.hands import PublishedMano, check_betas, track_of_mano
from manivideo_ros.data.recorded.objects import published_intrinsics, stamps
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, rigid
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack

FPS = 30.0
VIEWS = 9
MILLIMETRE = 1e-3
HINGE = np.array([0.0, 0.0, -1.0])
CROPPED_SCALE = 0.3


@dataclass(frozen=True, eq=False)
class View:
    """One camera of a sequence: K as published, for images of `size` (width, height).

    camera_from_world [F, 4, 4]; distortion [8] of the worn camera, else None. The image of a frame
    has the number frame + offset and `scale` times `size`.
    """

    k: NDArray[np.float64]
    size: tuple[int, int]
    camera_from_world: NDArray[np.floating]
    distortion: NDArray[np.float64] | None
    folder: Path
    offset: int
    scale: float

    def image_file(self, frame: int) -> Path:
        """The image of an annotated frame."""
        return self.folder / f'{frame + self.offset:05d}.jpg'

    def image(self, frame: int) -> NDArray[np.uint8]:
        """The undistorted image of an annotated frame."""
        image = read_image(self.image_file(frame))
        if self.distortion is None:
            return image
        # OpenCV has pixel centres at integers, this package at half-integers.
        k = self.intrinsics() - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        return np.asarray(cv2.undistort(image, k, self.distortion), np.uint8)

    def intrinsics(self) -> NDArray[np.float64]:
        """Intrinsics [3, 3] of the images on disk."""
        whole = published_intrinsics(
            self.k[0, 0], self.k[1, 1], float(self.k[0, 2]), float(self.k[1, 2])
        )
        return np.diag([self.scale, self.scale, 1.0]) @ whole


class Sequence:
    """The annotations of a sequence ('sNN/<object>_<use>').

    object: [F, 7] as published. Raises RecordedError for missing or damaged files.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        self.root, self.name = Path(root), name
        self.subject, _, take = name.partition('/')
        for part in (self.subject, take):
            plain_name(part, self.root, 'the sequence')
        self.take = take
        self.base = self.root / 'raw_seqs' / self.subject
        file = self.base / f'{take}.object.npy'
        self.object_name = take.partition('_')[0]
        self.object = read_npy(file, (None, 7)).astype(np.float64)

    def __len__(self) -> int:
        return len(self.object)

    def hand(self, side: Side) -> dict[str, NDArray[np.float64]]:
        """rot [F, 3], pose [F, 45], trans [F, 3] and shape [10] of a hand."""
        file = self.base / f'{self.take}.mano.npy'
        content = field(read_pickled(file), file, side)
        shapes = {'rot': 3, 'pose': 45, 'trans': 3}
        found = {}
        for key, width in shapes.items():
            values = np.asarray(field(content, file, key))
            if values.shape != (len(self), width) or values.dtype.kind != 'f':
                raise RecordedError(
                    f'{file}: {side}.{key} must be [{len(self)}, {width}],'
                    f' got {list(values.shape)}: get the file again'
                )
            found[key] = values.astype(np.float64)
        found['shape'] = check_betas(field(content, file, 'shape'), file)
        return found

    def view(self, index: int) -> View:
        """A camera: 0 is worn, 1 to 8 are fixed. Raises ValueError for any other number."""
        if not 0 <= index < VIEWS:
            raise ValueError(f'{self.name}: view {index} is not in 0..{VIEWS - 1}')
        misc = self.root / 'meta' / 'misc.json'
        content = field(read_yaml(misc), misc, self.subject)
        offset = int(numbers(field(content, misc, 'ioi_offset'), (), misc, 'ioi_offset'))
        sizes = numbers(field(content, misc, 'image_size'), (VIEWS, 2), misc, 'image_size')
        width, height = sizes[index].astype(int).tolist()
        folder, scale = self.root / 'images' / self.subject / self.take / str(index), 1.0
        if index == 0 and not folder.is_dir():
            cropped = self.root / 'cropped_images' / self.subject / self.take / '0'
            if cropped.is_dir():
                folder, scale = cropped, CROPPED_SCALE
        if index > 0:
            cameras = {'intris_mat': (VIEWS - 1, 3, 3), 'world2cam': (VIEWS - 1, 4, 4)}
            ks, poses = (numbers(field(content, misc, n), s, misc, n) for n, s in cameras.items())
            fixed = np.broadcast_to(poses[index - 1], (len(self), 4, 4))
            return View(ks[index - 1], (width, height), fixed, None, folder, offset, scale)
        file = self.base / f'{self.take}.egocam.dist.npy'
        worn = read_pickled(file)
        shapes: dict[str, tuple[int, ...]] = {
            'R_k_cam_np': (len(self), 3, 3),
            'T_k_cam_np': (len(self), 3, 1),
            'intrinsics': (3, 3),
        }
        turn, place, k = (numbers(field(worn, file, n), s, file, n) for n, s in shapes.items())
        distortion = np.asarray(field(worn, file, 'dist8'), np.float64).reshape(-1)
        distortion = numbers(distortion, (8,), file, 'dist8')
        pose = rigid(turn, place[..., 0])
        return View(k, (width, height), pose, distortion, folder, offset, scale)

    def mesh(self, part: str) -> Path:
        """The mesh of a part ('top' or 'bottom'), millimetres."""
        folder = self.root / 'meta' / 'object_vtemplates' / self.object_name
        return folder / f'{part}.obj'


def sequences(root: str | Path) -> list[str]:
    """Names 'sNN/<object>_<use>' of the sequences in arctic_data/data, sorted."""
    raw = Path(root) / 'raw_seqs'
    return [
        f'{subject}/{file.name.removesuffix(".object.npy")}'
        for subject in folders(raw)
        for file in sorted((raw / subject).glob('*.object.npy'))
    ]


def read_clip(
    root: str | Path, sequence: str, view: int, mano: Mapping[Side, PublishedMano] | None
) -> RecordedClip:
    """One view (0: worn, 1 to 8: fixed) of the frames that have images, or of all if none has.

    mano: the user's (`read_published_mano`). Raises RecordedError for missing or damaged
    annotations, or if mano is None.
    """
    found = Sequence(root, sequence)
    if not mano:
        raise RecordedError(
            f'{found.base}: ARCTIC has only MANO parameters: convert your MANO files with'
            ' `manivideo convert-mano` and give their folder'
        )
    seen = found.view(view)
    names = {f.name for f in seen.folder.glob('*.jpg')} if seen.folder.is_dir() else set()
    every = range(len(found))
    kept = np.array([i for i in every if not names or seen.image_file(i).name in names], int)
    if len(kept) == 0:
        raise RecordedError(f'{seen.folder}: no image of an annotated frame: get the images again')
    worn = view == 0
    frame = seen.camera_from_world[kept] if worn else np.eye(4)
    pose = np.eye(4) if worn else seen.camera_from_world[0]
    size = (round(seen.size[0] * seen.scale), round(seen.size[1] * seen.scale))
    name = f'{sequence}/{view}'
    motion = Motion(
        stamps(kept, FPS),
        {side: _hand(found.hand(side), mano[side], kept, frame) for side in SIDES},
        _parts(found, kept, frame),
        Camera(seen.intrinsics(), pose, *size),
        'mano',
        'camera' if worn else 'world',
        name,
    )
    return RecordedClip(name, motion, FPS, lambda index: seen.image(int(kept[index])))


def _hand(
    values: Mapping[str, Any], mano: PublishedMano, kept: NDArray[np.integer], frame: NDArray
) -> HandTrack:
    rot, pose, trans = (values[key][kept] for key in ('rot', 'pose', 'trans'))
    whole = np.concatenate([rot, pose], 1)
    present = np.isfinite(whole).all(1) & np.isfinite(trans).all(1) & whole.any(1)
    return track_of_mano(
        mano, whole, trans, values['shape'], present, frame, pca=False, flat_hand_mean=False
    )


def _parts(found: Sequence, kept: NDArray[np.integer], frame: NDArray) -> dict[str, ObjectTrack]:
    """The two rigid parts, absent where the pose is not finite or all zeros."""
    values = found.object[kept]
    present = np.isfinite(values).all(1) & values.any(1)
    values = np.where(present[:, None], values, 0.0)
    bottom = frame @ rigid(axis_angle_to_matrix(values[:, 1:4]), values[:, 4:] * MILLIMETRE)
    hinge = rigid(axis_angle_to_matrix(values[:, :1] * HINGE), np.zeros(3))
    parts = {'bottom': bottom, 'top': bottom @ hinge}
    return {
        f'{found.object_name}_{part}': ObjectTrack(
            str(found.mesh(part)),
            MILLIMETRE,
            present,
            np.where(present[:, None, None], poses, np.eye(4)).astype(np.float32),
        )
        for part, poses in parts.items()
    }
