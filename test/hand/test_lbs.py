"""Linear blend skinning, compared with smplx."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hand_files import mano_like, save_npz

from manivideo_ros.hand.lbs import keypoints21, lbs, rest_joints, rotation_matrices
from manivideo_ros.hand.load import load_hand, read_hand

SIDES = ('left', 'right')


def smplx_layer(hand, batch):
    smplx = pytest.importorskip('smplx')
    parents = np.array([hand.parents, range(16)], np.int64)
    data = SimpleNamespace(
        v_template=hand.v_template,
        f=hand.faces,
        weights=hand.weights,
        J_regressor=hand.J_regressor,
        kintree_table=parents,
        shapedirs=hand.shapedirs,
        posedirs=hand.posedirs,
        hands_components=np.eye(45, dtype=np.float32),
        hands_mean=hand.hands_mean,
    )
    return smplx.MANO(
        model_path='',
        is_rhand=hand.side == 'right',
        data_struct=data,
        use_pca=False,
        flat_hand_mean=True,
        batch_size=batch,
    )


def random_pose(batch, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    turn = normal(batch, 3)
    return 0.5 * normal(batch, 45), normal(batch, 10), turn, normal(batch, 3)


@pytest.mark.parametrize('side', SIDES)
@pytest.mark.parametrize('source', ['default', 'mano-like'])
def test_skinning_matches_smplx(side, source, tmp_path):
    path = None if source == 'default' else save_npz(tmp_path / 'm.npz', mano_like(side, 3))
    hand = read_hand(side, path)
    assert hand.posedirs.any() == (source == 'mano-like')
    theta, betas, turn, place = random_pose(6)
    with torch.no_grad():
        out = smplx_layer(hand, 6)(
            betas=betas, global_orient=turn, hand_pose=theta, transl=torch.zeros(6, 3)
        )
        vertices, joints = lbs(hand, theta, betas, rotation_matrices(turn), place)
    # smplx rotates about joint 0, which keeps its position of the rest pose.
    shift = place - out.joints[:, 0]
    assert (vertices - out.vertices - shift[:, None]).abs().max() < 1e-5
    assert (joints - out.joints[:, :16] - shift[:, None]).abs().max() < 1e-5


@pytest.mark.parametrize('side', SIDES)
def test_the_wrist_is_at_its_position_and_zero_is_the_template(side):
    hand = load_hand(side)
    theta, betas, turn, place = random_pose(3)
    vertices, joints = lbs(hand, theta, betas, rotation_matrices(turn), place)
    assert torch.equal(joints[:, 0], place)
    assert vertices.shape == (3, len(hand.v_template), 3)
    zero = torch.zeros(1, 45)
    rest = rest_joints(hand, torch.zeros(1, 10))
    vertices, joints = lbs(hand, zero, torch.zeros(1, 10), torch.eye(3)[None], rest[:, 0])
    np.testing.assert_allclose(vertices[0], hand.v_template, atol=2e-7)
    np.testing.assert_allclose(joints, rest, atol=2e-7)


def test_left_and_right_are_mirrored():
    theta, betas, turn, place = random_pose(2)
    flip = torch.tensor([1.0, -1.0, -1.0])
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    right, _ = lbs(load_hand('right'), theta, betas, rotation_matrices(turn), place)
    left, _ = lbs(
        load_hand('left'),
        theta * flip.repeat(15),
        betas,
        rotation_matrices(turn * flip),
        place * mirror,
    )
    np.testing.assert_allclose(left, right * mirror, atol=1e-5)


def test_flexion_moves_the_fingertips_towards_the_palm():
    hand = load_hand('right')
    theta = torch.zeros(2, 15, 3)
    theta[1, :12, 2] = 1.2
    vertices, joints = lbs(
        hand, theta.flatten(1), torch.zeros(2, 10), torch.eye(3).expand(2, 3, 3), torch.zeros(2, 3)
    )
    points = keypoints21(hand, vertices, joints)
    tips = points[:, [8, 12, 16, 20]]
    assert torch.all(tips[1, :, 1] < tips[0, :, 1] - 0.01)  # towards the palm, -y
    assert torch.all(tips[1].norm(dim=-1) < tips[0].norm(dim=-1) - 0.04)


def test_keypoints_are_in_mediapipe_order():
    hand = load_hand('right')
    vertices, joints = lbs(
        hand, torch.zeros(1, 45), torch.zeros(1, 10), torch.eye(3)[None], torch.zeros(1, 3)
    )
    points = keypoints21(hand, vertices, joints)[0]
    assert points.shape == (21, 3)
    order = [0, 13, 14, 15, None, 1, 2, 3, None, 4, 5, 6, None, 10, 11, 12, None, 7, 8, 9, None]
    for k, joint in enumerate(order):
        if joint is None:
            assert 0.01 < (points[k] - points[k - 1]).norm() < 0.04
        else:
            assert torch.equal(points[k], joints[0, joint])


def test_gradients_are_finite_at_the_flat_hand():
    theta = torch.zeros(1, 45, requires_grad=True)
    vertices, _ = lbs(
        load_hand('left'), theta, torch.zeros(1, 10), torch.eye(3)[None], torch.zeros(1, 3)
    )
    vertices.square().sum().backward()
    assert torch.isfinite(theta.grad).all()
    assert theta.grad.abs().max() > 0


def test_the_first_shape_direction_is_size():
    hand = load_hand('right')
    betas = torch.zeros(3, 10)
    betas[:, 0] = torch.tensor([-2.0, 0.0, 2.0])
    joints = rest_joints(hand, betas)
    length = (joints[:, 6] - joints[:, 0]).norm(dim=-1)
    assert length[2] / length[1] == pytest.approx(1.12, abs=0.005)
    assert length[0] / length[1] == pytest.approx(0.88, abs=0.005)
