"""The ground-truth renderer against an independent path tracer, Mitsuba 3.

    pip install mitsuba
    python -m experiments.path_tracer [--scenes 20] [--samples 128] [--sheet out/path_tracer.png]

Held-out scenes with matte materials and a table of one colour, so that what differs is the
transport of light: area lamps and their shadows, the surroundings and their occlusion, bounces
between surfaces. Both images are radiance times exposure; they are compared as they are shown, in
sRGB, over hands and objects and over the table within reach of their shadows.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from manivideo_ros.data.rendering.ground_truth import scene_materials
from manivideo_ros.data.rendering.kernels import MATERIAL_OBJECT
from manivideo_ros.data.rendering.renderer import LINEAR, SHADOW_SIZE, Renderer, SurfaceMaterial
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.room import Room, table_light
from manivideo_ros.data.scenes.scene import Scene, sample_scene
from manivideo_ros.geometry import Camera, invert_rigid, transform_points
from manivideo_ros.mlo.rasterizer import Rasterizer

SIZE = 192
NEAR = 0.06  # of the image's side, around hands and objects, in which the table is compared
FAR_TABLE = 24.0  # metres


def matte(scene: Scene) -> tuple[Scene, list[SurfaceMaterial]]:
    """The scene with a plain table, and its materials without gloss and scattering."""
    table = scene.room.table
    plain = np.full((4, 4, 3), table.albedo.mean((0, 1)), np.float32)
    room = replace(scene.room, table=replace(table, albedo=plain, gloss=0.0))
    irradiance = room.below / np.maximum(0.6 * table.albedo.mean((0, 1)), 1e-6)
    room = replace(room, below=table_light(irradiance, room.table))
    materials = [
        replace(m, kind=np.full_like(m.kind, int(MATERIAL_OBJECT)), gloss=0.0)
        for m in scene_materials(scene)
    ]
    return replace(scene, room=room), materials


def rendered(
    scene: Scene, materials: list[SurfaceMaterial]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
    """Light times exposure [S, S, 3] by this package, where hands and objects and the table are
    [S, S], and what the path tracer draws: vertices and normals in the world, faces, uv."""
    camera = scene.camera.resized(SIZE, SIZE)
    renderer = Renderer(SIZE, SIZE)
    renderer.set_view(scene.room, camera)
    surfaces = scene.surfaces()
    renderer.set_surfaces(surfaces, materials)
    view = Rasterizer(surfaces, SIZE, SIZE, threads=1, merge=True)
    shadow = Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)
    light = renderer.frame(view, shadow, scene.poses(0)).copy()
    view.render(camera, renderer._with_arms(scene.poses(0)))
    covered = view.buffers.face_index[0].numpy() >= 0
    back = invert_rigid(camera.camera_from_world)
    ends = np.cumsum([len(s.vertices) for s in surfaces])
    shown = [p is not None for p in scene.poses(0)]
    parts = {
        'vertices': transform_points(back, np.asarray(view.camera_vertices)),
        'normals': np.asarray(view.vertex_normals) @ back[:3, :3].T,
        'surfaces': [
            (int(end) - len(s.vertices), s, m)
            for end, s, m, is_shown in zip(ends, surfaces, materials, shown, strict=True)
            if is_shown
        ],
    }
    table = (renderer.table.depth.numpy() > 0) & ~covered
    return light, covered, table, parts


def traced(mi: Any, scene: Scene, parts: dict[str, Any], samples: int) -> NDArray[np.float32]:
    """Light times exposure [S, S, 3] of the same scene by the path tracer."""
    camera = scene.camera.resized(SIZE, SIZE)
    world: dict[str, Any] = {
        'type': 'scene',
        'integrator': {'type': 'path', 'max_depth': 6},
        'sensor': sensor(mi, camera, samples),
        'surroundings': surroundings(mi, scene.room),
        'table': table_of(mi, scene.room),
    }
    for index, lamp in enumerate(scene.room.lamps):
        world[f'lamp_{index}'] = {
            'type': 'sphere',
            'center': lamp.position.tolist(),
            'radius': float(lamp.radius),
            'emitter': {
                'type': 'area',
                'radiance': {'type': 'rgb', 'value': (lamp.intensity / lamp.radius**2).tolist()},
            },
        }
    for index, (start, surface, material) in enumerate(parts['surfaces']):
        corners = surface.faces.ravel() + start
        world[f'surface_{index}'] = mesh_of(
            mi,
            parts['vertices'][corners],
            parts['normals'][corners],
            surface.corner_uv.reshape(-1, 2),
            material.texture,
        )
    image = np.array(mi.render(mi.load_dict(world), spp=samples))
    return np.minimum(image[..., :3] * scene.room.exposure, 4.0).astype(np.float32)


def sensor(mi: Any, camera: Camera, samples: int) -> dict[str, Any]:
    """The camera: Mitsuba's looks along +z with x to the left and y up."""
    k = camera.intrinsics
    pose = invert_rigid(camera.camera_from_world) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    fov = np.degrees(2 * np.arctan(SIZE / (2 * k[0, 0])))
    return {
        'type': 'perspective',
        'fov': float(fov),
        'fov_axis': 'x',
        'near_clip': 0.01,
        'principal_point_offset_x': float(k[0, 2] / SIZE - 0.5),
        'principal_point_offset_y': float(k[1, 2] / SIZE - 0.5),
        'to_world': mi.ScalarTransform4f(pose),
        'film': {
            'type': 'hdrfilm',
            'width': SIZE,
            'height': SIZE,
            'rfilter': {'type': 'box'},
            'pixel_format': 'rgb',
        },
        'sampler': {'type': 'independent', 'sample_count': samples},
    }


def surroundings(mi: Any, room: Room) -> dict[str, Any]:
    """The panorama's upper half; below it is the table."""
    radiance = room.panorama.copy()
    radiance[len(radiance) // 2 :] = 0
    # Mitsuba's azimuth runs the other way round.
    image = np.ascontiguousarray(radiance[:, ::-1])
    turn = np.array([[0, 0, -1, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    return {
        'type': 'envmap',
        'bitmap': mi.Bitmap(image),
        'to_world': mi.ScalarTransform4f(turn),
    }


def table_of(mi: Any, room: Room) -> dict[str, Any]:
    """The half plane of the table, as a large rectangle."""
    cos, sin, edge = (float(v) for v in room.table_edge)
    middle = edge - FAR_TABLE / 2
    pose = np.array(
        [
            [cos * FAR_TABLE / 2, -sin * FAR_TABLE / 2, 0, cos * middle],
            [sin * FAR_TABLE / 2, cos * FAR_TABLE / 2, 0, sin * middle],
            [0, 0, 1, 0],
            [0, 0, 0, 1],
        ]
    )
    colour = room.table.albedo.mean((0, 1))
    return {
        'type': 'rectangle',
        'to_world': mi.ScalarTransform4f(pose),
        'bsdf': {'type': 'diffuse', 'reflectance': {'type': 'rgb', 'value': colour.tolist()}},
    }


def mesh_of(
    mi: Any,
    vertices: NDArray[np.floating],  # [3 F, 3] world
    normals: NDArray[np.floating],  # [3 F, 3]
    uv: NDArray[np.floating],  # [3 F, 2]
    texture: NDArray[np.uint8],  # [T, T, 3] sRGB
) -> Any:
    """A matte, two-sided mesh of separate triangles."""
    bitmap = mi.Bitmap(np.ascontiguousarray(LINEAR[texture], np.float32))
    matter = {
        'type': 'twosided',
        'bsdf': {
            'type': 'diffuse',
            'reflectance': {'type': 'bitmap', 'bitmap': bitmap, 'raw': True, 'wrap_mode': 'clamp'},
        },
    }
    properties = mi.Properties()
    properties['bsdf'] = mi.load_dict(matter)
    mesh = mi.Mesh(
        'surface', len(vertices), len(vertices) // 3, properties, has_vertex_normals=True,
        has_vertex_texcoords=True,
    )  # fmt: skip
    parameters = mi.traverse(mesh)
    parameters['vertex_positions'] = vertices.astype(np.float32).ravel()
    parameters['vertex_normals'] = normals.astype(np.float32).ravel()
    parameters['vertex_texcoords'] = uv.astype(np.float32).ravel()
    parameters['faces'] = np.arange(len(vertices), dtype=np.uint32)
    parameters.update()
    return mesh


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else '')
    parser.add_argument('--scenes', type=int, default=20)
    parser.add_argument('--samples', type=int, default=128, help='paths per pixel')
    parser.add_argument('--sheet', type=Path, help='PNG file: both images of each scene')
    args = parser.parse_args(arguments)
    try:
        import mitsuba as mi
    except ImportError:
        print('error: mitsuba is not installed: pip install mitsuba', file=sys.stderr)
        return 2
    mi.set_variant('scalar_rgb')
    inside, beside, ratios, rows = [], [], [], []
    seed = 0
    while len(inside) < args.scenes:
        seed += 1
        scene = sample_scene(seed, 'test')
        scene, materials = matte(scene)
        if not materials:
            continue
        ours, covered, table, parts = rendered(scene, materials)
        theirs = traced(mi, scene, parts, args.samples)
        width = int(2 * NEAR * SIZE) + 1
        near = cv2.dilate(covered.astype(np.uint8), np.ones((width, width), np.uint8)) > 0
        shown = [encode_srgb(np.clip(light, 0, 1)) for light in (ours, theirs)]
        for where, found in ((covered, inside), (near & table, beside)):
            if where.sum() > 50:
                found.append(peak_signal_noise_ratio(shown[1][where], shown[0][where]))
        ratios.append(float(np.median(ours[covered].mean(-1) / theirs[covered].mean(-1))))
        rows.append(np.concatenate(shown, 1))
        print(f'seed {seed}: hands and objects {inside[-1]:.1f} dB, brightness {ratios[-1]:.2f}')
    print(
        f'{len(inside)} scenes: hands and objects {np.mean(inside):.1f} dB '
        f'({min(inside):.1f} to {max(inside):.1f}), table beside them {np.mean(beside):.1f} dB '
        f'({min(beside):.1f} to {max(beside):.1f}), brightness relative to the path tracer '
        f'{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})'
    )
    if args.sheet:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        height = (len(rows) + 4) // 5 * 5
        rows += [np.zeros_like(rows[0])] * (height - len(rows))
        sheet = np.concatenate([np.concatenate(rows[i::5], 0) for i in range(5)], 1)
        cv2.imwrite(str(args.sheet), sheet[..., ::-1])
    return 0


if __name__ == '__main__':
    sys.exit(main())
