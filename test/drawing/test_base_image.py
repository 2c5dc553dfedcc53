"""The six views, their re-projection, and the base image."""

from dataclasses import replace

import mlo_scenes as scenes
import numpy as np
import pytest
import torch

from manivideo_ros.drawing.base_image import (
    FIXED_LIGHT,
    UNLIT,
    Lighting,
    Material,
    Painter,
    hand_material,
)
from manivideo_ros.drawing.views import VIEWS, object_material, reprojected_texture, six_views
from manivideo_ros.geometry import Camera, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import object_surface
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.objects.mesh import ObjectMesh

SIDE_COLOURS = np.array(
    [(220, 30, 30), (30, 200, 30), (40, 40, 220), (220, 200, 20), (200, 40, 200), (20, 200, 200)],
    np.uint8,
)


def block(size=(0.2, 0.1, 0.06), inside_out=False) -> ObjectMesh:
    """A box whose six sides, in the order of VIEWS, have SIDE_COLOURS."""
    x, y, z = np.array(size) / 2
    quads = {
        'front': [(-x, -y, -z), (x, -y, -z), (x, -y, z), (-x, -y, z)],
        'back': [(x, y, -z), (-x, y, -z), (-x, y, z), (x, y, z)],
        'left': [(-x, y, -z), (-x, -y, -z), (-x, -y, z), (-x, y, z)],
        'right': [(x, -y, -z), (x, y, -z), (x, y, z), (x, -y, z)],
        'top': [(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z)],
        'bottom': [(-x, y, -z), (x, y, -z), (x, -y, -z), (-x, -y, -z)],
    }
    vertices = np.array([quads[name] for name in VIEWS], np.float32).reshape(-1, 3)
    faces = (4 * np.arange(6)[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    uv = np.zeros((12, 3, 2), np.float32)
    uv[..., 0] = (np.repeat(np.arange(6), 2)[:, None] + 0.5) / 6
    uv[..., 1] = 0.5
    return ObjectMesh('block', vertices, faces.astype(np.int32), uv, SIDE_COLOURS[None])


def image(mesh, material, camera, lighting=UNLIT):
    rasterizer = Rasterizer([object_surface(mesh)], 2 * camera.width, 2 * camera.height, merge=True)
    base, mask = Painter(rasterizer, [material], lighting=lighting).paint(camera, [np.eye(4)])
    return base.permute(1, 2, 0).numpy().copy(), mask.numpy().copy()


def slanted_camera(size=64, distance=0.6):
    eye = distance * np.array([0.5, -0.7, 0.5])
    return Camera(pinhole(size, size, 0.5), look_at(eye, (0, 0, 0)), size, size)


def test_each_view_shows_its_side_at_the_same_scale():
    views = six_views(block(), 128)
    assert views.rgb.shape == (6, 128, 128, 3)
    pixel = 1.08 * 0.2 / 128
    for view, (width, height) in enumerate(
        [(0.2, 0.06), (0.2, 0.06), (0.1, 0.06), (0.1, 0.06), (0.2, 0.1), (0.2, 0.1)]
    ):
        assert np.array_equal(views.rgb[view, 64, 64], SIDE_COLOURS[view])
        assert views.coverage[view].sum() * pixel**2 == pytest.approx(width * height, rel=0.04)
        assert np.array_equal(views.rgb[view, 2, 2], [128, 128, 128])
        assert (views.depth[view] > 0).sum() >= (views.coverage[view] > 0.5).sum()


def test_views_are_upright():
    mesh = generate('mug', 0)  # its handle is at +x
    coverage = six_views(mesh, 64).coverage
    columns = [np.flatnonzero(coverage[view].any(0)) for view in range(2)]
    thin = [coverage[v][:, c].sum(0) for v, c in enumerate(columns)]
    assert thin[0][-8:].mean() < thin[0][:8].mean()
    assert thin[1][-8:].mean() > thin[1][:8].mean()


def test_reprojection_depends_only_on_the_views():
    mesh = block()
    views = six_views(mesh, 64)
    painted = image(mesh, Material(*reprojected_texture(mesh, views)), slanted_camera())[0]
    blank = replace(mesh, texture=np.zeros_like(mesh.texture))
    again = image(blank, Material(*reprojected_texture(blank, views)), slanted_camera())[0]
    assert np.array_equal(painted, again)
    inverted = replace(views, rgb=255 - views.rgb)
    other = image(mesh, Material(*reprojected_texture(mesh, inverted)), slanted_camera())
    inside = other[1] == 1
    assert np.abs(other[0] - (1 - painted))[inside].max() < 0.01


@pytest.mark.parametrize('name', ['box', 'can', 'ball', 'puzzle_cube'])
def test_reprojected_objects_resemble_the_original(name):
    mesh = generate(name, 0)
    camera = slanted_camera(96, 4 * float(mesh.extents.max()))
    truth, mask = image(mesh, Material(mesh.texture, mesh.corner_uv), camera)
    views = six_views(mesh)
    errors = {}
    for mode in ('painted', 'mean'):
        found = image(mesh, object_material(mesh, views, mode), camera)[0]
        errors[mode] = np.sqrt(np.mean((found - truth)[mask == 1] ** 2))
    assert errors['painted'] < 0.09
    assert errors['painted'] < 0.5 * errors['mean']


def test_the_inside_of_a_cup_does_not_show_colours_of_the_outside():
    mesh = generate('tumbler', 0)
    atlas, uv = reprojected_texture(mesh, six_views(mesh))
    camera = Camera(pinhole(64, 64, 0.5), look_at((0.0, -0.2, 0.35), (0, 0, 0.03)), 64, 64)
    truth, mask = image(mesh, Material(mesh.texture, mesh.corner_uv), camera)
    found, _ = image(mesh, Material(atlas, uv), camera)
    assert np.mean(np.abs(found - truth)[mask == 1].max(-1) > 0.25) < 0.12


def test_mean_mode_has_one_colour():
    mesh = block()
    material = object_material(mesh, six_views(mesh), 'mean')
    found, mask = image(mesh, material, slanted_camera())
    assert np.ptp(found[mask == 1], axis=0).max() < 1e-6
    with pytest.raises(ValueError, match='mode'):
        object_material(mesh, six_views(mesh), 'photo')


def test_hands_have_the_mean_colours_of_their_reference():
    image = np.zeros((128, 128, 3), np.uint8)
    parts = np.zeros((128, 128), np.uint8)
    colours = np.array([(200, 150, 120), (230, 180, 170), (40, 60, 110)], np.uint8)
    for part in range(3):
        image[40 * part : 40 * part + 40] = colours[part]
        parts[40 * part : 40 * part + 40] = part + 1
    reference = HandReference(image, parts)
    assert np.abs(reference.mean_colours() - colours / 255).max() < 1e-6
    hand = load_hand('right')
    material = hand_material(hand, reference)
    assert np.array_equal(material.texture[0], colours)
    column = np.floor(material.corner_uv[:, 0, 0] * 3).astype(int)
    assert set(column) == {0, 1, 2}
    assert np.array_equal(column, np.median(hand.vertex_part[hand.faces], axis=1))
    only_skin = HandReference(image, np.where(parts == 1, 1, 0).astype(np.uint8))
    assert np.abs(only_skin.mean_colours() - colours[0] / 255).max() < 1e-6
    assert (HandReference(image, np.zeros_like(parts)).mean_colours() == 0.5).all()


def expected_light(lighting: Lighting, normal):
    """The irradiance of camera-frame normals [..., 3], as defined in base_image_kernels.Light."""
    sun = np.array(lighting.direction) / np.linalg.norm(lighting.direction)
    upward = 0.5 - 0.5 * normal[..., 1]
    hemisphere = lighting.ground + (lighting.sky - lighting.ground) * upward
    return hemisphere + lighting.sun * np.maximum(normal @ sun, 0)


def test_shading_is_that_of_the_fixed_light_on_visible_normals():
    mesh = generate('ball', 0)
    white = Material(np.full((1, 1, 3), 160, np.uint8), np.full_like(mesh.corner_uv, 0.5))
    camera = slanted_camera(64)
    rasterizer = Rasterizer([object_surface(mesh)], 128, 128, merge=True)
    base, mask = Painter(rasterizer, [white]).paint(camera, [np.eye(4)])
    normal = np.moveaxis(rasterizer.render(camera, [np.eye(4)]).normal_map[0].numpy(), 0, -1)
    fine = 160 / 255 * np.sqrt(expected_light(FIXED_LIGHT, normal))
    expected = fine.reshape(64, 2, 64, 2).mean((1, 3))
    inside = mask.numpy() == 1
    assert np.abs(base[0].numpy() - np.minimum(expected, 1))[inside].max() < 1e-5
    row, col = np.nonzero(inside)
    upper_left = row + col < np.percentile(row + col, 20)
    lower_right = row + col > np.percentile(row + col, 80)
    shade = base[0].numpy()[row, col]
    assert shade[upper_left].mean() > shade[lower_right].mean() + 0.1


def test_the_mask_is_coverage_and_the_rest_is_background():
    mesh, camera = block(), slanted_camera()
    rasterizer = Rasterizer([object_surface(mesh)], 128, 128, merge=True)
    background = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    painter = Painter(rasterizer, [Material(mesh.texture, mesh.corner_uv)], background)
    plain = torch.from_numpy(background).permute(2, 0, 1) / 255
    moves = [rigid(np.eye(3), (0.05, 0, 0)), rigid(np.eye(3), (-0.08, 0, 0.02)), None]
    for pose in moves:
        base, mask = (tensor.clone() for tensor in painter.paint(camera, [pose]))
        drawn = rasterizer.render(camera, [pose]).face_index[0].numpy() >= 0
        assert np.array_equal(mask.numpy(), drawn.reshape(64, 2, 64, 2).mean((1, 3)))
        assert torch.equal(base[:, mask == 0], plain[:, mask == 0])
        assert torch.equal(base, painter.paint(camera, [pose])[0])
    assert not mask.any()
    painter.paint(camera, moves[:1])
    painter.set_materials([Material(mesh.texture, mesh.corner_uv)])
    assert torch.equal(painter.paint(camera, [None])[0], plain)
    painter.set_background(background[::-1])
    assert torch.equal(painter.paint(camera, [None])[0], plain.flip(1))


def test_base_images_are_bit_identical_for_any_number_of_threads():
    drawn, camera = scenes.surfaces(), scenes.camera(128)
    grey = HandReference(np.full((128, 128, 3), 150, np.uint8), np.ones((128, 128), np.uint8))
    materials = [hand_material(surface.hand, grey) for surface in drawn[:2]]
    materials.append(Material(scenes.mug().texture, scenes.mug().corner_uv))
    painters = [
        Painter(Rasterizer(drawn, 256, 256, threads=t, merge=True), materials) for t in (1, 2)
    ]
    for seed in (0, 1, 0):
        (one, cover), (two, again) = (p.paint(camera, scenes.poses(seed)) for p in painters)
        assert torch.equal(one, two)
        assert torch.equal(cover, again)


def test_a_non_contiguous_out_tensor_is_rejected():
    merged = Rasterizer([object_surface(block())], 64, 64, merge=True)
    material = Material(block().texture, block().corner_uv)
    with pytest.raises(ValueError, match='base: must be contiguous'):
        Painter(merged, [material], out=torch.zeros(3, 32, 64)[..., ::2])


def test_sizes_and_counts_that_do_not_fit_are_rejected():
    drawn = [object_surface(block())]
    material = Material(block().texture, block().corner_uv)
    with pytest.raises(ValueError, match='merge=True'):
        Painter(Rasterizer(drawn, 64, 64), [material])
    with pytest.raises(ValueError, match='even'):
        Painter(Rasterizer(drawn, 63, 64, merge=True), [material])
    merged = Rasterizer(drawn, 64, 64, merge=True)
    with pytest.raises(ValueError, match='2 materials for 1'):
        Painter(merged, [material, material])
    with pytest.raises(ValueError, match='background must be'):
        Painter(merged, [material], np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='empty mesh'):
        six_views(replace(block(), vertices=np.zeros((0, 3)), faces=np.zeros((0, 3), np.int32)))
