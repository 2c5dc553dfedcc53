"""Temporal error: surface points tracked by their geometry, not by images."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from evaluation_samples import short_motion

from manivideo_ros.drawing.base_image import UNLIT, Material, Painter, hand_material
from manivideo_ros.evaluation.measures.baselines import to_bytes
from manivideo_ros.evaluation.measures.temporal import (
    ClipSteadiness,
    Correspondence,
    SurfaceFlow,
    barycentric,
    warped_difference,
)
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import hand_surface, object_surface
from manivideo_ros.objects.household.shapes import generate

SIZE, FRAMES = 128, 4


@pytest.fixture(scope='module')
def clip():
    """Unlit images [F, SIZE, SIZE, 3] of a jar and two moving hands, and their flow."""
    motion = short_motion(FRAMES)
    hands = {side: load_hand(side) for side in motion.hands}
    jar = generate('jar')
    surfaces = [object_surface(jar), *(hand_surface(hand) for hand in hands.values())]
    skin = HandReference(
        np.full((128, 128, 3), (200, 150, 120), np.uint8), np.ones((128, 128), np.uint8)
    )
    materials = [Material(jar.texture, jar.corner_uv)]
    materials += [hand_material(hand, skin) for hand in hands.values()]
    wide = Rasterizer(surfaces, 2 * SIZE, 2 * SIZE, threads=1, merge=True)
    painter = Painter(wide, materials, np.zeros((SIZE, SIZE, 3), np.uint8), UNLIT)
    camera = Camera(pinhole(SIZE, SIZE, 0.6), look_at((0.05, -0.5, 0.3), (0, 0, 0.1)), SIZE, SIZE)
    flow = SurfaceFlow(surfaces, SIZE)
    images, seen = [], []
    for index in range(FRAMES):
        sample = motion.frame(index)
        poses = [sample.objects['thing'], *(sample.hands[side] for side in hands)]
        images.append(to_bytes(painter.paint(camera, poses)[0]))
        seen.append(flow.see(camera, poses))
    return images, seen, flow, camera, poses


@pytest.fixture(scope='module')
def points(clip):
    _, seen, flow, *_ = clip
    return [flow.between(*pair) for pair in pairwise(seen)]


def test_colours_attached_to_a_surface_have_a_small_error(clip, points):
    images, seen, *_ = clip
    for i, pair in enumerate(points):
        assert len(pair.rows) > 0.5 * (seen[i + 1].face >= 0).sum()
        standing = np.stack([pair.columns, pair.rows], -1).astype(np.float32)
        moved = np.linalg.norm(pair.before - standing, axis=1)
        assert np.median(moved) > 2
        warped = warped_difference(images[i], images[i + 1], pair)
        still = warped_difference(images[i], images[i + 1], pair._replace(before=standing))
        assert warped < 0.5 * still
        for aside in ((0.7, 0), (-0.7, 0), (0, 0.7), (0, -0.7)):  # no subpixel bias
            shifted = pair._replace(before=pair.before + np.array(aside, np.float32))
            assert warped < warped_difference(images[i], images[i + 1], shifted)


def result_of(clip, points, **candidates):
    steadiness = ClipSteadiness()
    for i, pair in enumerate(points):
        before, now = ({n: p[k] for n, p in candidates.items()} for k in (i, i + 1))
        steadiness.add(before, now, tuple(clip[0][i : i + 2]), pair)
    return steadiness.result()


def test_flicker_has_a_ratio_above_1_and_ground_truth_1(clip, points):
    images = clip[0]
    flicker = [np.clip(p + (-1.0) ** i * 10, 0, 255).astype(np.uint8) for i, p in enumerate(images)]
    steady = [np.clip(p + 10.0, 0, 255).astype(np.uint8) for p in images]
    result = result_of(clip, points, truth=images, flicker=flicker, steady=steady)
    assert result['truth'].ratio == pytest.approx(1)
    assert result['truth'].error == result['truth'].truth
    assert result['flicker'].ratio > 3
    assert result['steady'].ratio == pytest.approx(1, abs=0.1)


def test_texture_fixed_to_the_screen_is_an_error(clip, points):
    images = clip[0]
    stuck = [images[0]] * FRAMES
    assert result_of(clip, points, stuck=stuck)['stuck'].ratio > 1.5


def test_points_hidden_or_absent_before_are_excluded(clip):
    _, seen, flow, camera, poses = clip
    without_jar = flow.see(camera, [None, *poses[1:]])
    pair = flow.between(without_jar, seen[-1])
    jar_faces = len(flow._view.surfaces[0].faces)
    assert len(pair.rows) > 0
    assert (seen[-1].face[pair.rows, pair.columns] >= jar_faces).all()
    nothing = flow.see(camera, [None] * 3)
    assert np.isnan(warped_difference(clip[0][0], clip[0][1], flow.between(nothing, seen[-1])))
    # Points hidden before: the same poses with the jar moved towards the camera.
    near = poses[0].copy()
    near[:3, 3] += 0.15 * np.array([0.1, -1.0, 0.4])
    covered = flow.see(camera, [near, *poses[1:]])
    hidden = (covered.face >= 0) & (covered.face < jar_faces)
    back = flow.between(covered, seen[-1])
    x, y = np.round(back.before).astype(int).T
    of_hands = seen[-1].face[back.rows, back.columns] >= jar_faces
    assert not hidden[y[of_hands], x[of_hands]].any()


def test_the_same_frame_flows_to_itself(clip):
    _, seen, flow, *_ = clip
    pair = flow.between(seen[0], seen[0])
    assert np.allclose(pair.before, np.stack([pair.columns, pair.rows], -1), atol=1e-2)


def test_a_camera_shift_is_tracked(clip):
    _, seen, flow, camera, poses = clip
    aside = replace(
        camera, intrinsics=np.array(camera.intrinsics) + np.array([0, 0, 3.0]) * [[1], [0], [0]]
    )
    pair = flow.between(flow.see(aside, poses), seen[-1])
    assert np.allclose(pair.before - np.stack([pair.columns, pair.rows], -1), (3, 0), atol=1e-2)


def test_barycentric_weights_of_a_point():
    corners = np.array([[[0, 0, 1.0], [1, 0, 2.0], [0, 1, 3.0]]])
    place = np.array([0.2, 0.3, 0.5]) @ corners[0]
    assert barycentric(corners, place[None] * 0.7)[0] == pytest.approx([0.2, 0.3, 0.5])


def test_more_points_than_one_remap_allows_are_warped(clip):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 300, 300, 3), dtype=np.uint8)
    rows, columns = (grid.ravel() for grid in np.mgrid[:299, :299])
    before = np.stack([columns + 1, rows], -1).astype(np.float32)
    now = np.roll(images[0], -1, 1)
    assert warped_difference(images[0], now, Correspondence(rows, columns, before)) == 0
    assert warped_difference(*images, Correspondence(rows, columns, before)) > 50
