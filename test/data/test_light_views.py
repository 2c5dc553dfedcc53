"""The light of a scene: its label, the hand references, and the network trained on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.rendering.light_views import (
    DIM,
    FILLS,
    KEYS,
    LightViews,
    ball_colours,
    ball_light,
    ball_normals,
    lights_of,
    make_light_views,
    random_mixture,
    render_lights,
    sample_light_scene,
)
from manivideo_ros.data.scenes.camera_response import random_response
from manivideo_ros.data.scenes.library import generator
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.room import Lamp, random_room, table_irradiance, table_light
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.light import POWERS, LightNet, grey_at
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch import light as light_stage
from manivideo_ros.training.patch.light import (
    MEASURED,
    load_light,
    measure_light,
    moved,
    train_light,
)


@pytest.fixture(scope='module')
def renderer():
    return GroundTruthRenderer()


def grey_ball(room, response, place, world_from_camera):
    return ball_colours(ball_light(room, place, world_from_camera), room.exposure, response)


def test_the_ball_is_brightest_towards_the_lamp():
    rng = np.random.default_rng(3)
    room, response = random_room(rng), random_response(rng)
    lamp = room.lamps[0]
    alone = replace(room, lamps=(lamp,), harmonics=0 * room.harmonics, below=0 * room.below)
    towards = lamp.position / np.linalg.norm(lamp.position)
    camera = look_at(3 * towards, np.zeros(3), (0, 1, 0))  # the lamp is behind the camera
    ball = grey_ball(alone, response, np.zeros(3), camera[:3, :3].T)
    straightness = -ball_normals()[:, 2]
    assert np.all(ball[straightness.argmax()] >= ball.max(0) - 1 / 255)
    assert np.all(ball[straightness.argmin()] < 0.5 * ball.max(0))


def test_the_ball_rotates_with_the_camera():
    """A rotation by pi about the optical axis rotates the ball's image by pi."""
    rng = np.random.default_rng(4)
    room, response = random_room(rng), random_response(rng)
    camera = look_at((0.3, -0.5, 0.4), (0, 0, 0))[:3, :3]
    turned = np.diag([-1.0, -1.0, 1.0]) @ camera
    ball = grey_ball(room, response, np.zeros(3), camera.T)
    other = grey_ball(room, response, np.zeros(3), turned.T)
    normals = ball_normals()
    for i in range(0, 64, 7):
        partner = np.linalg.norm(normals * [-1, -1, 1] - normals[i], axis=1).argmin()
        assert np.abs(ball[i] - other[partner]).max() < 0.15


@given(seed=st.integers(0, 10_000), elevation=st.floats(-0.2, 1.5), roll=st.floats(-3, 3))
def test_the_hand_is_upright_in_the_scenes_camera(seed, elevation, roll):
    rng = np.random.default_rng(seed)
    eye = np.array([np.cos(elevation), 0, np.sin(elevation)])
    up = (0, np.sin(roll), np.cos(roll))
    scene = Camera(pinhole(256, 256, 0.8), look_at(eye, np.zeros(3), up), 256, 256)
    view = random_reference_pose(rng, ['left', 'right'], np.zeros(10), scene)
    turn = np.asarray(scene.camera_from_world)[:3, :3]
    np.testing.assert_allclose(view.camera.camera_from_world[:3, :3], turn, atol=1e-9)
    # The normal of the back of the hand is the wrist's y; fingers point along -x (right) or x.
    in_camera = turn @ view.state.wrist_rotation
    fingers = in_camera[:, 0] * (-1 if view.side == 'right' else 1)
    assert in_camera[2, 1] < -0.8
    assert fingers[1] < -0.8
    centre, depth = view.camera.project(np.asarray(view.state.wrist_position)[None])
    assert depth[0] > 0.1
    assert np.all((centre > 0) & (centre < 128))
    eye_of_view = -turn.T @ view.camera.camera_from_world[:3, 3]
    assert eye_of_view[2] > 0.04


def test_a_mixture_of_renders_is_the_render_of_the_mixture(renderer):
    """Light is linear before exposure."""
    scene = sample_light_scene(12)
    images, balls, tables = render_lights(renderer, scene)
    mixture = random_mixture(np.random.default_rng(1))
    mixture[KEYS] = [0.3, 0.2, 0.1]  # a fill, too
    rooms = [room for room, _ in lights_of(scene)]
    lamps = tuple(
        Lamp(lamp.position, lamp.radius, lamp.intensity * colour)
        for lamp, colour in zip([r.lamps[0] for r in rooms], mixture, strict=True)
        if lamp.intensity.any() and colour.any()
    )
    harmonics = sum(r.harmonics * m for r, m in zip(rooms, mixture, strict=True))
    panorama = sum(r.panorama * m for r, m in zip(rooms, mixture, strict=True))
    irradiance = table_irradiance(lamps, harmonics)
    np.testing.assert_allclose((mixture * tables).sum(0), irradiance, rtol=1e-4)
    below = table_light(irradiance, scene.room.table)
    whole = replace(
        rooms[0], lamps=lamps, harmonics=harmonics, below=below, panorama=panorama,
        soft_panorama=panorama,
    )  # fmt: skip
    light = next(renderer.hand_light(scene, [whole])) / DIM
    rendered = light.reshape(128, 2, 128, 2, 3).mean((1, 3))
    mixed = np.einsum('lhwc,lc->hwc', images.astype('f4'), mixture)
    # In penumbrae, shadow taps cause small differences.
    assert np.abs(mixed - rendered).mean() < 0.002
    assert np.quantile(np.abs(mixed - rendered), 0.999) < 0.03
    turn = np.asarray(scene.reference_pose.camera.camera_from_world)[:3, :3].T
    ball = ball_light(whole, np.asarray(scene.reference_pose.state.wrist_position), turn)
    np.testing.assert_allclose(np.einsum('lkc,lc->kc', balls, mixture), ball, atol=0.01)


def test_a_mixture_has_one_key_at_most_two_fills_and_one_room():
    for seed in range(50):
        lit = random_mixture(np.random.default_rng(seed)).any(1)
        assert lit[:KEYS].sum() == 1
        assert lit[KEYS : KEYS + FILLS].sum() <= 2
        assert lit[KEYS + FILLS :].sum() == 1


def test_light_views_are_deterministic(tmp_path, renderer):
    make_light_views(tmp_path / 'views', 2, 11, 'train', workers=1)
    views = LightViews.open(tmp_path / 'views')
    assert len(views) == 2
    images, balls, tables = render_lights(renderer, sample_light_scene(12))
    np.testing.assert_array_equal(views.images[1], images)
    np.testing.assert_array_equal(views.balls[1], balls)
    np.testing.assert_array_equal(views.tables[1], tables)
    batch, shown = views.batch(np.array([1, 1, 0]), np.random.default_rng(2))
    assert batch.shape == (3, 128, 128, 3)
    assert batch.dtype == np.uint8
    assert shown.shape == (3, 64, 3)
    assert 0 <= shown.min() < shown.max() <= 1
    assert not np.array_equal(batch[0], batch[1])  # another light
    again, _ = views.batch(np.array([1, 1, 0]), np.random.default_rng(2))
    np.testing.assert_array_equal(again, batch)
    # Splits have different random streams.
    assert not np.array_equal(
        generator('test', 5, 12).random(4), generator('train', 5, 12).random(4)
    )


def test_the_monomials_are_independent_on_the_half_ball():
    at = torch.from_numpy(ball_normals()).T[None]
    one_by_one = torch.eye(len(POWERS)).unsqueeze(-1).expand(-1, -1, 3)
    basis = torch.stack([grey_at(at, light[None])[0, 0] for light in one_by_one])
    assert torch.linalg.matrix_rank(basis) == len(POWERS)
    image = torch.zeros(1, 3, 8, 8)
    image[:, 2] = -1
    flat = grey_at(image, one_by_one[POWERS.index((0, 0, 1))][None])
    assert flat.shape == (1, 3, 8, 8)
    assert torch.all(flat == -1)


def test_the_light_is_learned_from_images(tmp_path):
    """Discs lit from random directions: a minimal version of the light network's task."""
    rng = np.random.default_rng(0)
    normals = ball_normals()
    y, x = (np.mgrid[:32, :32] + 0.5) / 16 - 1
    z = -np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    sun = rng.standard_normal((300, 3)) * [1, 1, 0.3] - [0, 0, 0.7]
    sun /= np.linalg.norm(sun, axis=1, keepdims=True)
    lit = 0.2 + 0.7 * np.maximum(np.einsum('hwc,nc->nhw', np.stack([x, y, z], -1), sun), 0)
    images = np.repeat((255 * lit[..., None]).astype(np.uint8), 3, -1)
    balls = np.repeat(0.2 + 0.7 * np.maximum(sun @ normals.T, 0)[..., None], 3, -1).astype('f4')
    model = ModelConfig(reference_size=32)
    config = TrainConfig(model=model, light_iterations=120, light_batch=16, precision='fp32')
    file = tmp_path / 'light.safetensors'

    def draw(indices, rng):
        return images[indices], balls[indices]

    error = train_light(len(images), draw, normals, config, file)
    spread = float(np.sqrt(np.square(balls - balls.mean((0, 1))).mean()))
    assert error < 0.4 * spread
    again, held_back = load_light(config, file), draw(np.arange(MEASURED) % 15, rng)
    assert measure_light(again, *held_back, normals) == pytest.approx(error)
    assert isinstance(again, LightNet)
    assert not again.training


def test_views_are_moved_on_their_own_device():
    views, at = moved(
        torch.zeros(2, 3, 8, 8, device='meta'),
        torch.zeros(3, 5, device='meta'),
        np.random.default_rng(0),
    )
    assert views.device.type == at.device.type == 'meta'


def test_a_moved_view_of_a_ball_has_its_colours_at_the_rotated_normals(monkeypatch):
    monkeypatch.setattr(light_stage, 'TURN', 0.7)
    monkeypatch.setattr(light_stage, 'SCALE', 0.0)
    monkeypatch.setattr(light_stage, 'SHIFT', 0.0)
    side = (torch.arange(128) + 0.5) / 64 - 1
    y, x = torch.meshgrid(side, side, indexing='ij')
    view = torch.stack([0.5 + 0.4 * x, 0.5 + 0.4 * y, 0.5 + 0.2 * (x - y)])  # any smooth light
    normals = torch.from_numpy(ball_normals()).T
    normals = normals[:, normals[:2].norm(dim=0) < 0.7]
    views, at = moved(view.expand(5, -1, -1, -1), normals, np.random.default_rng(0))

    def colour(images, normals):  # of a ball that fills the image, in orthographic projection
        return torch.nn.functional.grid_sample(
            images, normals[:, :2].transpose(1, 2)[:, None], align_corners=False
        )[:, :, 0]

    expected = colour(view[None], normals[None]).expand(5, -1, -1)
    torch.testing.assert_close(colour(views, at), expected, atol=2e-3, rtol=0)
    assert (at[0, 0] - normals[0]).abs().max() > 0.05
    torch.testing.assert_close(at.norm(dim=1), torch.ones_like(at[:, 0]))
