"""The rasterizer compared with a float64 numpy reference, and with Embree through trimesh."""

from dataclasses import replace

import mlo_reference as reference
import mlo_scenes as scenes
import numpy as np
import pytest
import torch
import trimesh
from mlo_cuda import as_on_cuda

from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.arm.bones import arm_axis, arm_bones
from manivideo_ros.hand.arm.direction import with_arm
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.mlo.rasterizer import DEPTH_RANGE, Rasterizer


def posed(surfaces, camera, poses):
    """Camera-frame vertices [V, 3] of all surfaces, float64, posed by hand.lbs."""
    parts = []
    for surface, pose in zip(surfaces, poses, strict=True):
        if surface.hand is None:
            world = transform_points(pose, surface.vertices)
        else:
            fields = (pose.theta, pose.betas, pose.wrist_rotation, pose.wrist_position)
            arguments = [torch.as_tensor(np.asarray(x, np.float64))[None] for x in fields]
            axis = arm_axis(surface.hand)
            arm = torch.as_tensor(arm_bones(with_arm(pose, axis, camera), axis))[None]
            world = lbs(surface.hand, *arguments, arm=arm)[0][0].numpy()
        parts.append(transform_points(camera.camera_from_world, world))
    return np.concatenate(parts)


@pytest.mark.parametrize('elbow', [(0.3, -0.2, 0.1), (0.28, 0.1, 0.2)])
def test_given_elbows_are_posed_as_by_the_reference(elbow):
    surfaces, camera, (right, *others) = scenes.surfaces(), scenes.camera(128), scenes.poses(4)
    poses = [replace(right, elbow=np.array(elbow)), *others]
    rasterizer = Rasterizer(surfaces, 128, 128)
    rasterizer.render(camera, poses)
    vertices = posed(surfaces, camera, poses)
    assert np.abs(rasterizer.camera_vertices.numpy() - vertices).max() < 2e-6
    kept = right.wrist_position + 0.4 * (np.array(elbow) - right.wrist_position)
    near = vertices - transform_points(camera.camera_from_world, kept[None])
    assert np.linalg.norm(near, axis=1).min() < 0.06  # the forearm leads there


def reference_layers(rasterizer, camera, vertices):
    layers = len(rasterizer.layer_names)
    normals = reference.vertex_normals(vertices, rasterizer.faces)
    depth, face, normal = [], [], []
    for layer in range(layers):
        chosen = rasterizer.face_layer == layer
        z, f, w = reference.render_layer(camera, vertices, rasterizer.faces, chosen)
        depth.append(z)
        face.append(f)
        normal.append(reference.shaded_normals(camera, vertices, normals, rasterizer.faces, f, w))
    return np.stack(depth), np.stack(face), np.stack(normal)


def degrees_apart(a, b):
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


@pytest.mark.parametrize(('num_layers', 'device'), [(7, 'cpu'), (13, 'cpu'), (7, 'as on cuda')])
def test_every_output_matches_the_numpy_reference(num_layers, device, monkeypatch):
    stream = as_on_cuda(monkeypatch) if device == 'as on cuda' else None
    surfaces, camera, poses = scenes.surfaces(num_layers), scenes.camera(128), scenes.poses(3)
    rasterizer = Rasterizer(surfaces, 128, 128, num_layers)
    buffers = rasterizer.render(camera, poses)
    if stream:
        stream.finish()
    vertices = posed(surfaces, camera, poses)
    assert np.abs(rasterizer.camera_vertices.numpy() - vertices).max() < 1e-6
    depth, face, normal = reference_layers(rasterizer, camera, vertices)

    present = np.isfinite(depth)
    drawn = buffers.depth.numpy() > 0
    assert (present != drawn).sum() <= 2
    both = present & drawn
    assert np.abs(buffers.depth.numpy() - depth)[both].max() < 1e-5
    assert (buffers.face_index.numpy() != face).sum() <= 4
    same = both & (buffers.face_index.numpy() == face)
    ours = np.moveaxis(buffers.normal_map.numpy(), 1, -1)
    assert degrees_apart(ours, normal)[same].max() < 0.5
    assert np.abs(np.linalg.norm(ours, axis=-1)[drawn] - 1).max() < 1e-5
    assert not ours[~drawn].any()
    assert np.sum(ours * reference.rays(camera), -1).max() < 1e-6

    confidence = reference.graded_confidence(depth)
    assert np.abs(buffers.occlusion_confidence.numpy() - confidence)[both].max() < 1e-3
    nearest = np.where(present.any(0), np.argmin(depth, 0), -1)
    assert (buffers.nearest_layer.numpy() != nearest).sum() <= 2
    seen = np.moveaxis(buffers.visible_normal.numpy(), 0, -1)
    rows, cols = np.nonzero(buffers.nearest_layer.numpy() >= 0)
    assert np.array_equal(
        seen[rows, cols], ours[buffers.nearest_layer.numpy()[rows, cols], rows, cols]
    )


def test_the_depth_mode_of_the_confidence_matches_its_formula():
    rasterizer = Rasterizer(scenes.surfaces(), 128, 128, confidence='depth')
    buffers = rasterizer.render(scenes.camera(128), scenes.poses(1))
    depth = buffers.depth.numpy()
    expected = reference.depth_confidence(np.where(depth > 0, depth, np.inf), *DEPTH_RANGE)
    assert np.abs(buffers.occlusion_confidence.numpy() - expected).max() < 1e-6


def embree_faces(camera, vertices, faces):
    """The first face hit by each pixel's ray [H, W], -1 for none."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    directions = reference.rays(camera).reshape(-1, 3)
    hits = mesh.ray.intersects_first(np.zeros_like(directions), directions)
    return hits.reshape(camera.height, camera.width)


@pytest.mark.parametrize('size', [256, 512, 1024])
def test_pixels_depths_and_normals_match_embree(size):
    assert trimesh.ray.has_embree
    surfaces, camera, poses = scenes.surfaces(), scenes.camera(size), scenes.poses(size)
    rasterizer = Rasterizer(surfaces, size, size)
    buffers = rasterizer.render(camera, poses)
    vertices = rasterizer.camera_vertices.numpy().astype(np.float64)
    normals = rasterizer.vertex_normals.numpy().astype(np.float64)
    differing = 0
    for layer in range(7):
        chosen = np.flatnonzero(rasterizer.face_layer == layer)
        hit = embree_faces(camera, vertices, rasterizer.faces[chosen])
        ours = buffers.face_index[layer].numpy()
        differing += int(((hit >= 0) != (ours >= 0)).sum())
        row, col = np.nonzero((hit >= 0) & (ours >= 0))
        corner = vertices[rasterizer.faces[chosen[hit[row, col]]]]
        ray = reference.rays(camera)[row, col]
        across = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        facing = np.abs(np.sum(across * ray, -1)) / np.linalg.norm(across, axis=-1)
        z = np.sum(across * corner[:, 0], -1) / np.sum(across * ray, -1)
        apart = np.abs(z - buffers.depth[layer].numpy()[row, col])
        away_from_silhouettes = facing > 0.1
        # A ray along an edge may hit either face, at the same depth.
        differing += int((apart[away_from_silhouettes] > 1e-5).sum())
        face = np.full(hit.shape, -1)
        face[row, col] = chosen[hit[row, col]]
        weights = np.zeros((*hit.shape, 3))
        weights[row, col] = trimesh.triangles.points_to_barycentric(corner, z[:, None] * ray)
        expected = reference.shaded_normals(
            camera, vertices, normals, rasterizer.faces, face, weights
        )[row, col]
        found = np.moveaxis(buffers.normal_map[layer].numpy(), 0, -1)[row, col]
        sure = away_from_silhouettes & (apart < 1e-5)
        turned = degrees_apart(found, expected) >= 0.5
        same = face[row, col] == ours[row, col]
        assert not (turned & sure & same).any()
        # Of two faces at one depth, either may be hit, and they may face different ways.
        differing += int((turned & sure & ~same).sum())
    assert differing <= 2e-5 * size * size
