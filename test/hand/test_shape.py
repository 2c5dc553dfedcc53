"""A calibrated hand shape: for hands that have none of their own, and its file."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intakes import hand

from manivideo_ros.hand.shape import HandShape, read_shape, write_shape

WIDE = np.linspace(-1, 1, 10).astype(np.float32)
numbers = st.lists(st.floats(-5, 5, width=32), min_size=10, max_size=10)


def test_hands_without_a_shape_get_it_and_others_keep_theirs():
    own = np.full(10, 0.3, np.float32)
    given = {'left': hand(), 'right': replace(hand(), betas=own)}
    shown = HandShape('default', {'left': WIDE, 'right': WIDE}).on(given)
    np.testing.assert_array_equal(shown['left'].betas, WIDE)
    assert shown['right'] is given['right'] and shown.keys() == given.keys()
    assert HandShape('default', {'right': WIDE}).on({'left': given['left']}) == {
        'left': given['left']
    }


@given(betas=st.dictionaries(st.sampled_from(['left', 'right']), numbers))
def test_the_file_gives_back_the_shape(tmp_path_factory, betas):
    path = tmp_path_factory.mktemp('shape') / 'hand_shape.json'
    write_shape(path, HandShape('mano', {s: np.array(b, np.float32) for s, b in betas.items()}))
    found = read_shape(path)
    assert found.model == 'mano' and found.betas.keys() == betas.keys()
    for side, expected in betas.items():
        np.testing.assert_allclose(found.betas[side], expected, atol=1e-6)


@pytest.mark.parametrize(
    ('content', 'why'),
    [
        ('{', 'is not the JSON of a hand shape'),
        ('[]', 'is not the JSON of a hand shape'),
        ({'betas': {}}, 'must have a model'),
        ({'model': 'default', 'betas': {'middle': [0] * 10}}, 'betas by side'),
        (
            {'model': 'default', 'betas': {'left': [0] * 9}},
            r'left: must be finite numbers of shape',
        ),
        ({'model': 'default', 'betas': {'left': ['NaN'] * 10}}, 'left: must be finite numbers'),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, why):
    path = tmp_path / 'hand_shape.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=why) as error:
        read_shape(path)
    assert str(path) in str(error.value)
