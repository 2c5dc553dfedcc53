"""The default hand: conventions, layers, forearm, mirror symmetry; and other hand files."""

from dataclasses import replace

import numpy as np
import pytest
from hand_files import mano_like, save_npz

from manivideo_ros.hand.arm.mesh import attach_forearm, wrist_loop
from manivideo_ros.hand.load import HANDS, load_hand, read_hand
from manivideo_ros.hand.model import PARENTS
from manivideo_ros.hand.partition import face_layers

SIDES = ('left', 'right')


def joints_of(hand):
    return hand.J_regressor.astype(np.float64) @ hand.v_template


@pytest.mark.parametrize('side', SIDES)
def test_arrays_have_mano_shapes_and_types(side):
    hand = load_hand(side)
    v, f = len(hand.v_template), len(hand.faces)
    assert (hand.name, hand.side, hand.parents) == ('default', side, PARENTS)
    assert hand.weights.shape == (v, 16)
    assert hand.J_regressor.shape == (16, v)
    assert hand.shapedirs.shape == (v, 3, 10)
    assert hand.posedirs.shape == (v, 3, 135)
    assert not hand.posedirs.any()
    assert hand.hands_mean.shape == (45,)
    assert hand.face_layer.shape == (f,)
    assert hand.corner_uv.shape == (f, 3, 2)
    assert hand.vertex_part.shape == (v,)
    assert hand.faces.dtype == hand.face_layer.dtype == np.int32
    assert hand.v_template.dtype == hand.weights.dtype == hand.corner_uv.dtype == np.float32
    np.testing.assert_allclose(hand.weights.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(hand.J_regressor.sum(1), 1, atol=1e-5)
    assert hand.weights.min() >= 0
    assert hand.J_regressor.min() >= 0


def test_files_are_small_and_have_a_notice():
    for side in SIDES:
        assert (HANDS / f'{side}.npz').stat().st_size < 300_000
    notice = (HANDS / 'NOTICE').read_text()
    assert 'CC0' in notice
    assert 'iwer' in notice
    assert 'Meta Platforms' in notice


def test_the_right_hand_points_along_minus_x_with_the_thumb_at_plus_z():
    joints = joints_of(load_hand('right'))
    for first in (1, 4, 7, 10):
        assert np.all(np.diff(joints[[0, first, first + 1, first + 2], 0]) < 0)
    order = joints[[13, 1, 4, 10, 7], 2]  # thumb, index, middle, ring, pinky
    assert np.all(np.diff(order[1:]) < 0)
    assert joints[15, 2] > joints[1, 2]
    assert np.linalg.norm(joints[4] - joints[0]) == pytest.approx(0.0955, abs=0.003)
    hand = load_hand('right')
    nails = np.flatnonzero(hand.vertex_part == 1)
    fingers = nails[hand.weights[nails, :13].sum(1) > 0.5]
    owner = hand.weights[fingers].argmax(1)
    assert set(owner) == {3, 6, 9, 12}
    assert np.mean(hand.v_template[fingers, 1] > joints[owner, 1]) > 0.9  # nails are on the back


def test_fingers_of_the_flat_hand_are_straight():
    joints = joints_of(load_hand('right'))
    for first in (1, 4, 7, 10, 13):
        a, b = joints[first + 1] - joints[first], joints[first + 2] - joints[first + 1]
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert np.degrees(np.arccos(min(cosine, 1))) < 3


def test_the_left_hand_is_the_mirrored_right_hand():
    left, right = load_hand('left'), load_hand('right')
    np.testing.assert_allclose(left.v_template, right.v_template * [-1, 1, 1], atol=1e-5)
    np.testing.assert_array_equal(left.weights, right.weights)
    a, b, c = left.v_template[left.faces].astype(np.float64).swapaxes(0, 1)
    volume = np.einsum('fc,fc->f', a, np.cross(b, c)).sum() / 6
    assert volume > 1e-4  # faces are oriented outwards


@pytest.mark.parametrize('side', SIDES)
def test_layers_correspond_to_the_skinning_weights(side):
    hand = read_hand(side)
    for layer, first in ((2, 13), (3, 1), (4, 4), (5, 10), (6, 7)):
        ids = np.unique(hand.faces[hand.face_layer == layer])
        assert hand.weights[ids][:, first : first + 3].sum(1).mean() > 0.8
        tip = hand.tip_vertices[layer - 2]
        assert tip in ids
        away = np.linalg.norm(hand.v_template - joints_of(hand)[0], axis=1)
        assert away[tip] > 0.95 * away[ids].max()
    assert set(np.unique(hand.face_layer)) == {1, 2, 3, 4, 5, 6}


def test_a_triangle_belongs_to_the_layer_of_most_of_its_vertices():
    weights = np.zeros((4, 16))
    weights[[0, 1, 2, 3], [1, 1, 4, 0]] = 1
    faces = np.array([[0, 1, 2], [2, 0, 1], [3, 0, 1], [3, 2, 2]])
    np.testing.assert_array_equal(face_layers(faces, weights), [3, 3, 3, 4])


@pytest.mark.parametrize('side', SIDES)
def test_the_forearm_closes_the_wrist(side):
    bare, hand = read_hand(side), load_hand(side)
    new = np.arange(len(bare.v_template), len(hand.v_template))
    np.testing.assert_array_equal(hand.v_template[: new[0]], bare.v_template)
    edges = hand.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(edges, axis=0)) == len(edges)  # consistently oriented
    keys = {tuple(e) for e in edges.tolist()}
    assert all((b, a) in keys for a, b in keys)  # closed
    np.testing.assert_array_equal(hand.weights[new, 0], 1)
    assert not hand.J_regressor[:, new].any()
    assert np.all(hand.face_layer[len(bare.faces) :] == 1)
    assert np.all(hand.vertex_part[new[-40:]] == 2)
    reach = np.abs(hand.v_template[new, 0] - joints_of(hand)[0, 0]).max()
    assert 0.5 < reach < 0.6
    assert hand.corner_uv.min() >= 0
    assert hand.corner_uv.max() <= 1


def open_edges(faces):
    edges = {tuple(e) for e in faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()}
    return sum((b, a) not in edges for a, b in edges)


@pytest.mark.parametrize('side', SIDES)
def test_the_forearm_fits_another_wrist(side):
    """Here the hand is cut obliquely."""
    hand = read_hand(side)
    places = hand.v_template[hand.faces].mean(1) @ np.array(
        [1 if side == 'right' else -1, 0.1, 0.1]
    )
    cut = replace(
        hand,
        faces=hand.faces[places < 0.083],
        face_layer=hand.face_layer[places < 0.083],
        corner_uv=hand.corner_uv[places < 0.083],
    )
    before = wrist_loop(hand.faces, hand.v_template, joints_of(hand)[0])
    after = wrist_loop(cut.faces, hand.v_template, joints_of(hand)[0])
    assert set(before.tolist()) != set(after.tolist())
    assert open_edges(cut.faces) == len(after)
    grown = attach_forearm(cut)
    assert open_edges(grown.faces) == 0
    with pytest.raises(ValueError, match='no open wrist loop'):
        attach_forearm(grown)


@pytest.mark.parametrize('side', SIDES)
def test_a_file_like_manos_replaces_the_default_hand(side, tmp_path):
    path = save_npz(tmp_path / 'mano.npz', mano_like(side))
    hand, default = load_hand(side, path), load_hand(side)
    assert hand.name == 'mano'
    assert hand.posedirs.any()
    np.testing.assert_array_equal(hand.face_layer, default.face_layer)
    # Texture coordinates are transferred from the default hand; here the mesh is 7% larger.
    apart = np.abs(hand.corner_uv - default.corner_uv).max((1, 2))
    assert np.mean(apart < 0.02) > 0.97
    nails, expected = hand.vertex_part == 1, default.vertex_part == 1
    assert (nails & expected).sum() > 0.8 * expected.sum()
    tips = hand.v_template[hand.tip_vertices] / 1.07
    np.testing.assert_allclose(tips, default.v_template[default.tip_vertices], atol=0.004)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda a: a.pop('weights'), "'weights' is missing"),
        (lambda a: a.update(shapedirs=a['shapedirs'][:, :, :4]), 'shapedirs has shape'),
        (lambda a: a['v_template'].__setitem__(0, np.nan), 'v_template has values that are not'),
        (lambda a: a['f'].__setitem__(0, 10**6), 'faces must be triangles'),
        (lambda a: a['kintree_table'][0].__setitem__(5, 0), "not MANO's 16-joint tree"),
    ],
)
def test_an_invalid_file_is_rejected_in_one_line(tmp_path, change, message):
    arrays = mano_like()
    change(arrays)
    path = save_npz(tmp_path / 'bad.npz', arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_hand('right', path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_wrong_side_a_missing_file_and_an_unknown_side_are_rejected(tmp_path):
    path = save_npz(tmp_path / 'right.npz', mano_like('right'))
    with pytest.raises(ValueError, match='not a left hand'):
        load_hand('left', path)
    with pytest.raises(ValueError, match='no such hand model file'):
        load_hand('left', tmp_path / 'none.npz')
    (tmp_path / 'text.npz').write_text('not an archive')
    with pytest.raises(ValueError, match='not a readable npz'):
        load_hand('left', tmp_path / 'text.npz')
    with pytest.raises(ValueError, match="'left' or 'right'"):
        load_hand('middle')
