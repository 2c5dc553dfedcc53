"""Stored scenes: a folder of shards to write and to train from.

    DIR/objects/<name>-<seed>.npz     vertices, faces, views, points of every object that appears
    DIR/shard_000150/*.npy            one array per kind, its first axis the scenes of the shard
    DIR/shard_000150/scenes.json      per scene: seed, split, object, hands, consecutive

Pictures are stored; H and D are not: they are rasterised again from the stored poses on loading.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.library import ObjectAsset
from manivideo_ros.data.scene import Scene
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.model import SIDES, load_hand
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import HandReference, HandState, Surface, SurfacePose, hand_surface

REFERENCE_SIZE = 128
NO_OBJECT_VIEW = 128  # grey of a view that shows no object
MAX_OTHERS = 2  # objects of a scene besides the one with six views
HAND_FIELDS = {'theta': 45, 'betas': 10, 'wrist_rotation': 9, 'wrist_position': 3}
HAND_FLOATS = 1 + sum(HAND_FIELDS.values())


class ShardError(ValueError):
    """A folder of shards that cannot be read; one line names the file and the mend."""


def pack_hands(scene: Scene, frame: int) -> NDArray[np.float32]:
    """Hand states [2, 68] of a frame by side: 1 or 0 (absent), then HAND_FIELDS."""
    out = np.zeros((2, HAND_FLOATS), np.float32)
    for side, state in scene.frames[frame].hands.items():
        parts = [np.ravel(getattr(state, name)) for name in HAND_FIELDS]
        out[SIDES.index(side)] = np.concatenate([[1.0], *parts])
    return out


def unpack_hand(row: NDArray[np.float32]) -> HandState | None:
    """The state that a row [68] of `pack_hands` holds."""
    if row[0] == 0:
        return None
    parts = np.split(row[1:], np.cumsum(list(HAND_FIELDS.values()))[:-1])
    return HandState(parts[0], parts[1], parts[2].reshape(3, 3), parts[3])


def pack_mask(mask: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Coverage [H, W] in quarters as two pixels a byte [H, W / 2]."""
    quarters = np.round(np.asarray(mask) * 4).astype(np.uint8)
    return np.asarray(quarters[:, 0::2] | (quarters[:, 1::2] << 4), np.uint8)


def unpack_mask(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Coverage [H, W] of `pack_mask`."""
    out = np.empty((packed.shape[0], 2 * packed.shape[1]), np.float32)
    out[:, 0::2], out[:, 1::2] = packed & 15, packed >> 4
    out *= 0.25
    return out


def write_shard(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write scenes as one shard: arrays of each row are stacked, its 'scene' goes to the JSON."""
    partial = folder.with_name(folder.name + '.partial')
    partial.mkdir(parents=True, exist_ok=True)
    for key in rows[0]:
        if key != 'scene':
            np.save(partial / f'{key}.npy', np.stack([row[key] for row in rows]))
    (partial / 'scenes.json').write_text(json.dumps([row['scene'] for row in rows], indent=0))
    partial.rename(folder)


def write_object(folder: Path, name: str, asset: ObjectAsset) -> None:
    """Store an object once for all scenes that show it."""
    file = folder / 'objects' / f'{name}.npz'
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f'{name}.{os.getpid()}.tmp.npz')
    np.savez(
        partial,
        vertices=asset.mesh.vertices,
        faces=asset.mesh.faces,
        views=asset.views.rgb,
        points=asset.points,
    )
    partial.rename(file)


class ShardDataset:
    """Scenes of a folder of shards, for training/batches.py; single-threaded, cheap to pickle.

    Raises ShardError where the folder holds no complete shard.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.shards = sorted(p for p in self.folder.glob('shard_*') if p.suffix != '.partial')
        self.scenes: list[dict[str, Any]] = []
        self.place: list[tuple[int, int]] = []
        for number, shard in enumerate(self.shards):
            try:
                scenes = json.loads((shard / 'scenes.json').read_text())
            except (OSError, ValueError) as error:
                raise ShardError(
                    f'{shard}/scenes.json cannot be read ({error}): delete the shard'
                ) from None
            self.place += [(number, i) for i in range(len(scenes))]
            self.scenes += scenes
        if not self.scenes:
            raise ShardError(
                f'{self.folder}: no shards here; make some with manivideo_ros.data.generator'
            )
        self.consecutive = np.array([scene['consecutive'] for scene in self.scenes])

    def __len__(self) -> int:
        return len(self.scenes)

    def __getstate__(self) -> dict[str, Any]:
        return {'folder': self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state['folder'])  # type: ignore[misc]

    def array(self, scene: int, key: str) -> NDArray:
        """One scene's part of a stored array: rgb, background, base, mask, hand_view, hand_parts,
        hands, object_pose, other_poses, intrinsics, camera_from_world."""
        shard, row = self.place[scene]
        return _open(self.shards[shard] / f'{key}.npy')[row]

    def frames_of(self, scene: int) -> int:
        """How many frames a scene has."""
        return len(self.array(scene, 'hands'))

    def camera(self, scene: int) -> Camera:
        """The scene's camera."""
        height, width = self.array(scene, 'background').shape[:2]
        matrix = self.array(scene, 'camera_from_world')
        return Camera(self.array(scene, 'intrinsics'), matrix, width, height)

    def surfaces(self, scene: int) -> list[Surface]:
        """Both hands, then the scene's objects."""
        out = [hand_surface(load_hand(side)) for side in SIDES]
        return out + [_object(self.folder, name)[0] for name in self._objects(scene)]

    def _objects(self, scene: int) -> list[str]:
        """Files of the scene's objects, the one with six views first."""
        entry = self.scenes[scene]
        return ([entry['object']] if entry['object'] else []) + entry.get('others', [])

    def poses(self, scene: int, frame: int) -> list[SurfacePose]:
        """Poses of `surfaces` in a frame."""
        out: list[SurfacePose] = [unpack_hand(row) for row in self.array(scene, 'hands')[frame]]
        if self.scenes[scene]['object']:
            out.append(np.asarray(self.array(scene, 'object_pose')[frame]))
        others = self.scenes[scene].get('others', [])
        return out + [self.array(scene, 'other_poses')[frame][i] for i in range(len(others))]

    def hand_reference(self, scene: int) -> HandReference:
        """The scene's hand reference."""
        parts = np.asarray(self.array(scene, 'hand_parts'))
        return HandReference(np.asarray(self.array(scene, 'hand_view')), parts)

    def references(self, scene: int) -> dict[str, torch.Tensor]:
        """views [6, 3, 128, 128], background and hand_view [3, 128, 128], points [2048, 3]."""
        size, name = (REFERENCE_SIZE, REFERENCE_SIZE), self.scenes[scene]['object']
        if name:
            _, views, points = _object(self.folder, name)
        else:
            views = np.full((6, *size, 3), NO_OBJECT_VIEW, np.uint8)
            points = np.zeros((2048, 3), np.float32)
        background = cv2.resize(
            np.asarray(self.array(scene, 'background')), size, interpolation=cv2.INTER_AREA
        )
        return {
            'views': picture_tensor(views),
            'background': picture_tensor(background),
            'hand_view': picture_tensor(self.array(scene, 'hand_view')),
            'points': torch.from_numpy(points.copy()),
        }

    def frame(self, scene: int, frame: int) -> dict[str, torch.Tensor]:
        """normal_map [7, 3, H, W], occlusion_confidence [7, H, W], base and rgb [3, H, W], mask
        [1, H, W] (coverage of hands and object)."""
        camera = self.camera(scene)
        rasterizer = self._rasterizer(scene, camera.width, camera.height)
        layers = rasterizer.render(camera, self.poses(scene, frame))
        mask = unpack_mask(np.asarray(self.array(scene, 'mask')[frame]))
        return {
            'normal_map': layers.normal_map.clone(),
            'occlusion_confidence': layers.occlusion_confidence.clone(),
            'base': picture_tensor(self.array(scene, 'base')[frame]),
            'rgb': picture_tensor(self.array(scene, 'rgb')[frame]),
            'mask': torch.from_numpy(mask)[None],
        }

    def _rasterizer(self, scene: int, width: int, height: int) -> Rasterizer:
        """The rasteriser of the scene's object, kept for the frames that follow."""
        key = (tuple(self._objects(scene)), width, height)
        kept: dict[tuple[tuple[str, ...], int, int], Rasterizer] = self.__dict__.setdefault(
            '_kept', {}
        )
        if key not in kept:
            while len(kept) >= KEPT_RASTERIZERS:
                kept.pop(next(iter(kept)))
            kept[key] = Rasterizer(self.surfaces(scene), width, height, threads=1)
        return kept[key]


KEPT_RASTERIZERS = 8


@lru_cache(maxsize=768)  # each holds a file open
def _open(file: Path) -> NDArray:
    try:
        return np.load(file, mmap_mode='r')
    except (OSError, ValueError) as error:
        raise ShardError(f'{file} cannot be read ({error}): delete its shard') from None


@lru_cache(maxsize=1024)
def _object(folder: Path, name: str) -> tuple[Surface, NDArray[np.uint8], NDArray[np.float32]]:
    """Surface, six views and points of a stored object."""
    file = folder / 'objects' / f'{name}.npz'
    try:
        with np.load(file) as data:
            faces = data['faces']
            uv = np.zeros((len(faces), 3, 2), np.float32)
            surface = Surface(data['vertices'], faces, np.zeros(len(faces), np.int32), uv)
            return surface, data['views'], data['points']
    except (OSError, ValueError, KeyError) as error:
        raise ShardError(f'{file} cannot be read ({error}): make the shards again') from None


def picture_tensor(image: NDArray) -> torch.Tensor:
    """Pictures uint8 [..., H, W, 3] as float32 [..., 3, H, W] in 0..1."""
    channels_first = np.ascontiguousarray(np.moveaxis(image, -1, -3))
    return torch.from_numpy(channels_first).float() / 255
