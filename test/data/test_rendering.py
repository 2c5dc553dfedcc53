"""Ground-truth images: deterministic for a seed, with plausible light and shadows."""

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.scenes.library import object_asset
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.data.scenes.scene import Scene, sample_scene
from manivideo_ros.geometry import Camera, invert_rigid, look_at, pinhole, rigid, transform_points


@pytest.fixture(scope='module')
def renderer() -> GroundTruthRenderer:
    return GroundTruthRenderer()


@pytest.fixture(scope='module')
def two_hands() -> Scene:
    """A scene with two hands and an object."""
    scene = sample_scene(6)
    assert len(scene.hands) == 2 and scene.asset is not None
    return scene


def on_table(scene: Scene) -> Scene:
    """The scene with only a can on the table, viewed from a distance and from above."""
    asset = object_asset('can', 0)
    pose = rigid(np.eye(3), [0, 0, -asset.mesh.vertices[:, 2].min()])
    eye = np.append(-0.9 * scene.room.table_edge[:2], 1.1)
    camera = Camera(pinhole(256, 256, 0.9), look_at(eye, [0, 0, 0]), 256, 256)
    response = replace(scene.response, bloom=0.0)
    return replace(
        scene,
        hands={},
        asset=asset,
        others=(),
        camera=camera,
        response=response,
        frames=[Action({}, pose)],
    )


def table_distance(scene: Scene) -> np.ndarray:
    """Distance [256, 256] of each pixel's table point from the can's axis; inf off the table."""
    camera = scene.camera
    rows, columns = np.mgrid[:256, :256] + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(camera.intrinsics).T
    world = invert_rigid(camera.camera_from_world)
    eye, ends = world[:3, 3], transform_points(world, rays.reshape(-1, 3))
    direction = ends - eye
    points = eye - direction * (eye[2] / direction[:, 2:])
    edge = scene.room.table_edge
    off = (direction[:, 2] > -1e-3) | (points[:, :2] @ edge[:2] > edge[2] - 0.02)
    return np.where(off, np.inf, np.linalg.norm(points[:, :2], axis=1)).reshape(256, 256)


def test_the_same_seed_gives_the_same_images(
    renderer: GroundTruthRenderer, two_hands: Scene
) -> None:
    first = renderer.render(two_hands)
    renderer.render(sample_scene(0))
    again = renderer.render(sample_scene(two_hands.seed))
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.background, again.background)
    np.testing.assert_array_equal(first.hand_reference.image, again.hand_reference.image)
    np.testing.assert_array_equal(first.hand_reference.parts, again.hand_reference.parts)


def test_other_seeds_give_other_images(renderer: GroundTruthRenderer) -> None:
    images = [renderer.start(sample_scene(s)).astype(int) for s in (1, 2, 3)]
    assert np.abs(images[0] - images[1]).mean() > 5
    assert np.abs(images[0] - images[2]).mean() > 5


@pytest.mark.parametrize('seed', [0, 3])
def test_ground_truth_equals_the_background_away_from_objects(
    renderer: GroundTruthRenderer, seed: int
) -> None:
    scene = on_table(sample_scene(seed))
    background = renderer.start(scene).astype(float)
    truth = renderer.frame(0).astype(float)
    distance = table_distance(scene)
    # Lamps are at least 20 degrees above the table: the shadow of a 12 cm can ends within 0.4 m.
    far = np.isfinite(distance) & (distance > 0.45)
    assert far.sum() > 500
    assert abs((truth - background)[far].mean()) < 0.5
    assert np.abs(truth - background)[far].mean() < 6  # sensor noise


@pytest.mark.parametrize('seed', [0, 3])
def test_objects_on_the_table_have_shadows(renderer: GroundTruthRenderer, seed: int) -> None:
    scene = on_table(sample_scene(seed))
    background = renderer.start(scene).astype(float).mean(-1)
    truth = renderer.frame(0).astype(float).mean(-1)
    covered = renderer.view.buffers.face_index[0].numpy().reshape(256, 2, 256, 2) >= 0
    bare = ~covered.any((1, 3))
    near = bare & (table_distance(scene) < 0.06)
    around = bare & (table_distance(scene) < 0.12)
    assert truth[near].mean() < 0.93 * background[near].mean()
    assert np.quantile(truth[near] / (background[near] + 1), 0.1) < 0.85
    # Few pixels get brighter, by indirect light from the can.
    assert np.quantile(truth[around] - background[around], 0.98) < 20


def test_the_parts_of_the_hand_reference_have_skin_nails_and_sleeve(
    renderer: GroundTruthRenderer,
) -> None:
    seen = np.zeros(4, int)
    for seed in range(3):
        reference = renderer.hand_reference(sample_scene(seed))
        assert reference.image.shape == (128, 128, 3) and reference.parts.shape == (128, 128)
        seen += np.bincount(reference.parts.ravel(), minlength=4)
        assert 0.08 < (reference.parts > 0).mean() < 0.9
    assert np.all(seen[1:] > 20)


def test_images_use_most_of_the_value_range(renderer: GroundTruthRenderer) -> None:
    values = np.concatenate([renderer.start(sample_scene(s)).ravel() for s in range(6)])
    assert 50 < values.mean() < 190
    assert (values == 255).mean() < 0.1 and (values < 3).mean() < 0.1
