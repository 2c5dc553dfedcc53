"""Rows of shards: renders a scene with its labels, references and poses, and writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.packing import pack_hands, pack_mask
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.drawing.base_image import UNLIT, Painter, hand_material
from manivideo_ros.drawing.views import ObjectViews, six_views
from manivideo_ros.geometry import Array
from manivideo_ros.objects.mesh import ObjectMesh

Kind = Literal['hand_object', 'objaverse', 'human']
"""Kind of a scene: hands with an object, an object alone, a person given by the skeleton."""
MAX_OTHERS = 2  # objects of a generated scene in addition to the one with six views


def scene_row(
    renderer: GroundTruthRenderer, scene: Scene, kind: Kind = 'hand_object'
) -> dict[str, Any]:
    """The row of a scene for `write_shard`, at the renderer's size.

    The base image of a human scene is the background alone: only the skeleton locates the hands.
    """
    images = renderer.render(scene)
    reference = images.hand_reference
    materials = [hand_material(hand, reference) for hand in scene.hands.values()]
    if scene.asset is not None:
        materials.append(scene.asset.painted)
    materials += [asset.painted for _, _, asset in scene.others]
    painter = Painter(renderer.view, materials, images.background)
    plain = Painter(renderer.view, materials, images.background, UNLIT)
    camera = scene.camera.resized(*renderer.size)
    bases, unlit, masks, object_poses = [], [], [], []
    for i in range(len(scene.frames)):
        base, mask = painter.paint(camera, scene.poses(i))
        bases.append(images.background if kind == 'human' else image_bytes(base))
        base, _ = plain.paint(camera, scene.poses(i))
        unlit.append(images.background if kind == 'human' else image_bytes(base))
        masks.append(pack_mask(mask.numpy()))
        pose = scene.frames[i].world_from_object
        object_poses.append(np.eye(4) if pose is None else pose)
    return {
        'rgb': images.rgb,
        'background': images.background,
        'base': np.stack(bases),
        'unlit': np.stack(unlit),
        'mask': np.stack(masks),
        'hand_reference': reference.image,
        'hand_parts': reference.parts,
        'hands': np.stack([pack_hands(action.hands) for action in scene.frames]),
        'object_pose': np.stack(object_poses),
        'other_poses': np.stack([padded(action.others, MAX_OTHERS) for action in scene.frames]),
        'intrinsics': np.asarray(camera.intrinsics, np.float64),
        'camera_from_world': np.asarray(camera.camera_from_world, np.float64),
        'scene': {
            'kind': kind,
            'seed': scene.seed,
            'split': scene.split,
            'object': f'{scene.object_name}-{scene.object_seed}' if scene.asset else '',
            'others': [f'{name}-{number}' for name, number, _ in scene.others],
            'hands': list(scene.hands),
            'tone': scene.skin.tone,
            'table': scene.room.table.kind,
            'consecutive': scene.consecutive,
        },
    }


def image_bytes(
    image: torch.Tensor,  # [3, H, W] in 0..1
) -> NDArray[np.uint8]:
    """The image as bytes [H, W, 3]."""
    return np.round(255 * image.permute(1, 2, 0).numpy()).astype(np.uint8)


def padded(poses: Sequence[Array], count: int) -> NDArray[np.float64]:
    """Poses of the other objects, padded with identities to [count, 4, 4]."""
    return np.stack([*poses, *[np.eye(4)] * (count - len(poses))])


def write_objects(folder: Path, scene: Scene, row: dict[str, Any], view_size: int = 128) -> None:
    """Store the objects of a scene under their names in its row."""
    named = [(row['scene']['object'], scene.asset)] if scene.asset is not None else []
    others = zip(row['scene']['others'], scene.others, strict=True)
    for name, asset in [*named, *((name, asset) for name, (_, _, asset) in others)]:
        views = asset.views if view_size == 128 else six_views(asset.mesh, view_size)
        write_object(folder, name, asset.mesh, views, asset.points)


def write_shard(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write scenes as one shard: stacks the arrays of the rows, writes 'scene' to the JSON."""
    partial = folder.with_name(folder.name + '.partial')
    partial.mkdir(parents=True, exist_ok=True)
    for key in rows[0]:
        if key != 'scene':
            np.save(partial / f'{key}.npy', np.stack([row[key] for row in rows]))
    (partial / 'scenes.json').write_text(json.dumps([row['scene'] for row in rows], indent=0))
    partial.rename(folder)


def write_object(
    folder: Path, name: str, mesh: ObjectMesh, views: ObjectViews, points: NDArray[np.float32]
) -> None:
    """Store an object unless its file exists."""
    file = folder / 'objects' / f'{name}.npz'
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f'{name}.{os.getpid()}.tmp.npz')
    np.savez(partial, vertices=mesh.vertices, faces=mesh.faces, views=views.rgb, points=points)
    partial.rename(file)
