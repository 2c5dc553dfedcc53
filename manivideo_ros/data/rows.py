"""Rows of shards: renders a scene with its labels, references and poses, and writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.packing import pack_hands, pack_mask
from manivideo_ros.data.relight import measured_plane
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.robots.stored import pack_robots, write_robot
from manivideo_ros.data.scenes.library import generator
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.drawing.base_image import (
    UNLIT,
    Material,
    Painter,
    hand_material,
    robot_material,
)
from manivideo_ros.drawing.people.arms import joined_arms
from manivideo_ros.drawing.people.painting import PersonColours, Support, paint_person
from manivideo_ros.drawing.views import ObjectViews, six_views
from manivideo_ros.geometry import Array
from manivideo_ros.objects.mesh import ObjectMesh

Kind = Literal['hand_object', 'robot', 'objaverse', 'human', 'person']
"""Kind of a scene: hands with an object, robot hands with one, an object alone, a person given by
the skeleton alone, a person given by hands, object and skeleton."""
PLANE = 17  # number of the random stream of measured planes
MAX_OTHERS = 2  # objects of a generated scene in addition to the one with six views


def scene_row(
    renderer: GroundTruthRenderer, scene: Scene, kind: Kind = 'hand_object'
) -> dict[str, Any]:
    """The row of a scene for `write_shard`, at the renderer's size.

    The base image of a human scene is the background alone: only the skeleton locates the hands.
    That of a person shows them behind hands and object, with the arms that the skeleton shows.
    """
    images = renderer.render(scene)
    reference = images.hand_reference
    materials = [hand_material(hand, reference) for hand in scene.hands.values()]
    materials += [robot_material(robot.model) for robot in scene.robots.values()]
    if scene.asset is not None:
        materials.append(scene.asset.painted)
    materials += [asset.painted for _, _, asset in scene.others]
    if scene.body is not None:  # which no label shows
        materials.append(Material(scene.body.mesh.texture, scene.body.mesh.corner_uv))
    painter = Painter(renderer.view, materials, images.background)
    plain = Painter(renderer.view, materials, images.background, UNLIT)
    camera = scene.camera.resized(*renderer.size)
    bases, unlit, masks, object_poses, shown = [], [], [], [], []
    labels = [scene.label(i) for i in range(len(scene.frames))]
    skeletons = skeletons_at(scene, renderer.size)
    plane = measured_plane(generator(scene.split, PLANE, scene.seed))
    support = Support.of(camera, plane)
    for i, action in enumerate(labels):
        poses = scene.poses_of(action)
        if skeletons is not None:
            joined, own = joined_arms(action.hands, scene.hands, camera, skeletons[i])
            poses = scene.poses_of(replace(action, hands=joined))
            colours = PersonColours.of(reference)
            behind, covered = paint_person(images.background, skeletons[i], colours, own, support)
            painter.set_background(behind)
            plain.set_background(behind)
            shown.append(np.maximum(covered, renderer.coverage(scene.poses(i))))
        base, mask = painter.paint(camera, poses)
        bases.append(images.background if kind == 'human' else image_bytes(base))
        base, _ = plain.paint(camera, poses)
        unlit.append(images.background if kind == 'human' else image_bytes(base))
        masks.append(pack_mask(mask.numpy()))
        if skeletons is not None:
            shown[-1] = pack_mask(np.maximum(shown[-1], mask.numpy()))
        pose = action.world_from_object
        object_poses.append(np.eye(4) if pose is None else pose)
    links: dict[str, Any] = {}
    if skeletons is not None:
        links = {
            'skeletons': np.stack(skeletons),
            'person_mask': np.stack(shown),
            'plane': np.full(4, np.nan) if plane is None else plane,
        }
    if kind == 'robot':
        links['robot_links'] = np.stack([pack_robots(action.robots) for action in labels])
    return {
        'rgb': images.rgb,
        'background': images.background,
        'base': np.stack(bases),
        'unlit': np.stack(unlit),
        'mask': np.stack(masks),
        'hand_reference': reference.image,
        'hand_parts': reference.parts,
        'hands': np.stack([pack_hands(action.hands) for action in labels]),
        **links,
        'object_pose': np.stack(object_poses),
        'other_poses': np.stack([padded(action.others, MAX_OTHERS) for action in labels]),
        'intrinsics': np.asarray(camera.intrinsics, np.float64),
        'camera_from_world': np.asarray(camera.camera_from_world, np.float64),
        'scene': {
            'kind': kind,
            'seed': scene.seed,
            'split': scene.split,
            'object': f'{scene.object_name}-{scene.object_seed}' if scene.asset else '',
            'others': [f'{name}-{number}' for name, number, _ in scene.others],
            'hands': list(scene.hands),
            'robots': {side: robot.name for side, robot in scene.robots.items()},
            'bare': scene.bare,
            'tone': scene.skin.tone,
            'table': scene.room.table.kind,
            'consecutive': scene.consecutive,
        },
    }


def skeletons_at(
    scene: Scene,
    size: tuple[int, int],  # width and height
) -> list[NDArray[np.float32]] | None:
    """The skeletons of a scene in pixels of images of a size."""
    if scene.skeletons is None:
        return None
    scale = np.array([size[0] / scene.camera.width, size[1] / scene.camera.height, 1], np.float32)
    return [skeleton * scale for skeleton in scene.skeletons]


def image_bytes(
    image: torch.Tensor,  # [3, H, W] in 0..1
) -> NDArray[np.uint8]:
    """The image as bytes [H, W, 3]."""
    return np.round(255 * image.permute(1, 2, 0).numpy()).astype(np.uint8)


def padded(poses: Sequence[Array], count: int) -> NDArray[np.float64]:
    """Poses of the other objects, padded with identities to [count, 4, 4]."""
    return np.stack([*poses, *[np.eye(4)] * (count - len(poses))])


def write_robots(folder: Path, scene: Scene) -> None:
    """Store the robots of a scene under their names in its row."""
    for robot in scene.robots.values():
        write_robot(folder, robot.name, robot.model)


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
