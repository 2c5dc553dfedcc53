"""The skin texture and the light of a recorded hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manivideo_ros.data.recorded.background import Background
from manivideo_ros.data.recorded.skin import arm_colours, fitted_skin
from manivideo_ros.data.recorded.skin_samples import (
    SIZE,
    FrameSamples,
    exposure,
    skin_texels,
    texel_surface,
)
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.room import harmonic_basis
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState

HAND = load_hand('right')
TEXELS = skin_texels(HAND)
PALM = Rotation.from_matrix([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
LIGHT = np.zeros((9, 3))
LIGHT[0] = 1.0
LIGHT[1], LIGHT[3] = [-0.25, -0.2, -0.2], [0.3, 0.3, 0.25]  # brighter from above and the right
SKIN = np.array([0.5, 0.32, 0.25])


def albedo():
    """A checked pattern over the texture's skin [T, 3]."""
    row, column = TEXELS.place // SIZE, TEXELS.place % SIZE
    checks = 1 + 0.15 * np.sign(np.sin(row / 5) * np.sin(column / 5))
    return SKIN * checks[:, None]


def frames(turns):
    """What a camera sees of the palm, turned by rotation vectors."""
    out = []
    for turn in turns:
        pose = (Rotation.from_rotvec(turn) * PALM).as_matrix()
        state = HandState(np.zeros(45), np.zeros(10), pose, np.array([0.0, 0.1, 0.5]))
        points, normals = texel_surface(HAND, state, np.eye(4), TEXELS)
        cosine = -(normals * points).sum(1) / np.linalg.norm(points, axis=1)
        seen = np.flatnonzero(cosine > 0.25)
        shade = harmonic_basis(normals[seen]) @ LIGHT
        out.append(FrameSamples(seen, normals[seen], cosine[seen], albedo()[seen] * shade))
    return out


@pytest.fixture(scope='module')
def skin():
    turns = [(0, 0, 0), (0.2, 0.3, 0), (-0.3, -0.2, 0.2), (0.1, -0.4, -0.2)]
    return fitted_skin(frames(turns), HAND, TEXELS, np.array([10, 200, 30], np.uint8))


def test_the_pattern_of_the_skin_is_found_again(skin):
    seen = skin.seen.reshape(-1)[TEXELS.place]
    assert 0.4 < seen.mean() < 0.9  # the back of the hand was not in view
    facing = harmonic_basis(np.array([[0.0, 0.0, -1.0]])) @ LIGHT
    shown = skin.texture.reshape(-1, 3)[TEXELS.place[seen]].astype(float)
    true = encode_srgb(np.clip(albedo()[seen] * facing, 0, 1)).astype(float)
    assert np.corrcoef(shown[:, 1], true[:, 1])[0, 1] > 0.8
    assert np.abs(shown.mean(0) - true.mean(0)).max() < 12


def test_frames_of_differing_exposure_do_not_smear_the_skin_once_it_is_divided_out():
    turns = [(0, 0, 0), (0.5, 0.6, 0), (-0.6, -0.5, 0.2), (0.3, -0.8, -0.2)]
    drift, nearly = [0.8, 1.2, 0.9, 1.1], [1.02, 0.98, 0.98, 1.02]  # as exactly as it is found

    def error(gains):
        """How far the skin is from its pattern, as a share of it; of one brightness in all."""
        taken = [replace(f, colour=f.colour * g) for f, g in zip(frames(turns), gains, strict=True)]
        skin = fitted_skin(taken, HAND, TEXELS, None)
        seen = skin.seen.reshape(-1)[TEXELS.place]
        shown = srgb_to_linear(skin.texture.reshape(-1, 3)[TEXELS.place[seen]] / 255)
        relative = shown / albedo()[seen]
        return (relative.std(0) / relative.mean(0)).mean()

    smeared, evened, exact = error(drift), error(nearly), error([1, 1, 1, 1])
    assert evened < 0.8 * smeared and evened - exact < 0.2 * (smeared - exact)


def test_what_was_not_seen_has_the_tone_of_what_was(skin):
    texture = skin.texture.reshape(-1, 3)[TEXELS.place].astype(float)
    seen = skin.seen.reshape(-1)[TEXELS.place]
    assert np.abs(texture[seen].mean(0) - texture[~seen].mean(0)).max() < 40
    assert texture[~seen].std() > 0.5  # a generated skin, not one colour


def test_the_light_is_brighter_where_the_images_are(skin):
    to_right, up = skin.light.towards[0], -skin.light.towards[1]
    assert to_right > 0.2 and up > 0.2
    assert (skin.light.lamp > 0).all() and (skin.light.ambient > 0).all()


def test_the_forearm_has_its_own_colour(skin):
    green = (skin.texture == (10, 200, 30)).all(-1)
    assert green.sum() > 1000


def test_a_bare_arm_fades_from_the_wrist_to_its_own_colour():
    texture = np.zeros((SIZE * SIZE, 3))
    # The skin is redder on the side of the palm.
    palm = HAND.v_template[HAND.faces[TEXELS.face]].mean(1)[:, 1] < 0
    texture[TEXELS.place] = np.where(palm[:, None], (190, 130, 110), (170, 130, 110))
    places, colours = arm_colours(texture, np.array([165, 135, 115], np.uint8), HAND, TEXELS)
    assert len(places) == len(colours) > 1000
    assert (colours == (165, 135, 115)).all(1).mean() > 0.3, 'far from the wrist'
    red = colours[:, 0]
    assert red.max() > 185, 'the palm side begins as the palm'
    assert colours.min() >= 110 and red.max() <= 190
    # A sleeve is cloth up to its edge.
    _, sleeve = arm_colours(texture, np.array([30, 60, 160], np.uint8), HAND, TEXELS)
    assert (sleeve == (30, 60, 160)).all()


def test_too_few_samples_give_no_skin():
    few = [FrameSamples(f.texel[:50], f.normal[:50], f.cosine[:50], f.colour[:50])
           for f in frames([(0, 0, 0)])]  # fmt: skip
    assert fitted_skin(few, HAND, TEXELS, None) is None
    assert fitted_skin([], HAND, TEXELS, None) is None


def test_the_exposure_of_a_frame_is_that_of_its_background():
    room = np.full((60, 80, 3), 100, np.uint8)
    behind = Background(room, np.ones((60, 80), bool))
    labels = np.zeros((60, 80), int)
    labels[:30] = 1
    image = room.copy()
    image[30:] = 120
    gain = exposure(image, labels, behind)
    linear = ((np.array([120, 100]) / 255 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(gain, linear[0] / linear[1], rtol=1e-3)
    labels[:] = 1  # nothing of the background is seen
    np.testing.assert_array_equal(exposure(image, labels, behind), np.ones(3))
