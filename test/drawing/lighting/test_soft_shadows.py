"""The shares of lamp and dome that a hand sees, held to rays to its triangles."""

import numpy as np
import pytest
import torch
import warp as wp
from scipy.spatial.transform import Rotation

from manivideo_ros.camera.light import Light
from manivideo_ros.data.relight import Relight
from manivideo_ros.drawing.lighting.kernels import LIFT
from manivideo_ros.drawing.lighting.light_maps import axes_of, up_of
from manivideo_ros.geometry import Camera, pinhole
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import hand_surface

WIDTH, HEIGHT = 192, 192
PALM = Rotation.from_matrix([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
CAMERA = Camera(pinhole(WIDTH, HEIGHT, 0.5), np.eye(4), WIDTH, HEIGHT)
BEND = [0.0, 0.0, -1.0]  # of each joint: fingers over the palm
RAYS = 96
NONE = np.full(3, 1e-6)


@wp.kernel
def hidden_rays(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    towards: wp.array(dtype=wp.vec3),
    free: wp.array(dtype=wp.float32),
):
    """The share of rays, by their cosines, that meet no triangle, one thread per point."""
    i = wp.tid()
    total = wp.float32(0.0)
    seen = wp.float32(0.0)
    for k in range(towards.shape[0]):
        cosine = wp.dot(normals[i], towards[k])
        if cosine > 0.0:
            total += cosine
            if not wp.mesh_query_ray(mesh, points[i], towards[k], 1.0).result:
                seen += cosine
    free[i] = wp.where(total > 0.0, seen / wp.max(total, 1.0e-6), 1.0)


class Hand:
    """A half-closed hand whose palm a camera sees."""

    def __init__(self):
        surface = hand_surface(load_hand('right'))
        bent = np.tile(BEND, 15)
        turned = Rotation.from_rotvec([0.2, 0.3, 0.0]) * PALM
        self.state = HandState(bent, np.zeros(10), turned.as_matrix(), np.array([0.0, 0.08, 0.5]))
        self.rasterizer = Rasterizer([surface], WIDTH, HEIGHT, threads=1)
        self.relight = Relight(self.rasterizer)
        self.faces = surface.faces
        self.rasterizer.render(CAMERA, [self.state])

    def drawn(self, light):
        """The share of a light that reaches each cell [H, W], black surfaces around."""
        black, covered = torch.zeros(3, HEIGHT, WIDTH), torch.ones(HEIGHT, WIDTH)
        self.relight(CAMERA, [self.state], light, None, black, covered, black)
        return (1 + self.relight._lit.opened.numpy()[..., 0].astype(float)) ** 2

    def found(self, towards):
        """That share by rays [N], where the hand is seen [H, W], and its normals [N, 3]."""
        shape = HEIGHT, WIDTH
        arrays = {name: array.numpy() for name, array in self.rasterizer.arrays.items()}
        layer = arrays['nearest_layer'].reshape(shape)
        row, column = np.nonzero(layer >= 0)
        depth = arrays['depth'].reshape(-1, *shape)[layer[row, column], row, column]
        pixels = np.stack([column + 0.5, row + 0.5, np.ones(len(row))])
        points = (np.linalg.inv(CAMERA.intrinsics) @ pixels * depth).T
        normals = arrays['visible_normal'].reshape(3, *shape)[:, row, column].T
        vertices = self.relight._maps.arrays['vertices']
        mesh = wp.Mesh(vertices, wp.array(self.faces.reshape(-1), dtype=wp.int32, device='cpu'))
        lifted = points + float(LIFT) * normals
        given = [
            wp.array(np.float32(each), dtype=wp.vec3, device='cpu')
            for each in (lifted, normals, towards)
        ]
        free = wp.zeros(len(points), dtype=wp.float32, device='cpu')
        wp.launch(hidden_rays, len(points), [mesh.id, *given, free], device='cpu')
        return free.numpy(), layer >= 0, normals


@pytest.fixture(scope='module')
def hand():
    return Hand()


def spiral(count):
    """Points [N, 2] of a unit disc."""
    index = np.arange(count) + 0.5
    radius, angle = np.sqrt(index / count), 2.39996 * index
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


@pytest.mark.parametrize('size', [0.1, 0.25, 0.5])
@pytest.mark.parametrize('towards', [(0.1, -0.2, -1.0), (0.6, -0.5, -0.7)])
def test_the_shadows_of_a_lamp_are_as_soft_as_it_is_large(hand, towards, size):
    towards = np.array(towards) / np.linalg.norm(towards)
    across, along, _ = axes_of(towards)
    discs = np.tan(size) * spiral(RAYS)
    rays = towards + discs[:, :1] * across + discs[:, 1:] * along
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    true, seen, normals = hand.found(rays)
    lit = normals @ towards > 0.1
    drawn = hand.drawn(Light(towards, np.ones(3), NONE, size))[seen]
    assert true[lit].min() < 0.05, 'something is in shadow'
    error = drawn[lit] - true[lit]
    assert np.abs(error).mean() < 0.09 and abs(error.mean()) < 0.05
    assert np.corrcoef(drawn[lit], true[lit])[0, 1] > 0.85


def test_the_inside_of_a_hand_sees_less_of_the_dome(hand):
    across, along, up = axes_of(up_of(CAMERA))
    discs = spiral(RAYS)
    high = np.sqrt(1 - (discs**2).sum(1, keepdims=True))
    true, seen, _ = hand.found(discs[:, :1] * across + discs[:, 1:] * along + high * up)
    drawn = hand.drawn(Light(np.array([0.0, 0.0, -1.0]), NONE, np.ones(3), 0.1))[seen]
    # Black surfaces reflect nothing, but the published fit of bounces is not the identity there.
    true = np.maximum(true, ((-0.3324 * true + 0.6417) * true + 0.6903) * true)
    assert true.min() < 0.3
    error = drawn - true
    assert np.abs(error).mean() < 0.1 and abs(error.mean()) < 0.05
    assert np.corrcoef(drawn, true)[0, 1] > 0.8
