"""Official MANO pickles: read without executing code, and converted for load_hand."""

import os
import pickle

import numpy as np
import pytest
from hand_files import mano_like, save_npz, save_official_like
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.cli import main
from manivideo_ros.hand.load import load_hand, read_hand
from manivideo_ros.hand.mano_file import convert_mano
from manivideo_ros.hand.model import HandFileError


@pytest.mark.parametrize('side', ['left', 'right'])
def test_a_pickle_like_the_official_ones_is_converted(side, tmp_path):
    arrays = mano_like(side)
    source = save_official_like(tmp_path / 'MANO.pkl', arrays)
    with pytest.raises((ImportError, AttributeError)):
        pickle.loads(source.read_bytes())  # it needs chumpy, as the official ones do
    out = tmp_path / 'mano.npz'
    assert convert_mano(source, out) == side
    hand = read_hand(side, out)
    for key in ('v_template', 'weights', 'J_regressor', 'shapedirs', 'posedirs', 'hands_mean'):
        np.testing.assert_allclose(getattr(hand, key), arrays[key], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(hand.faces, arrays['f'])
    assert load_hand(side, out).name == 'mano'


def test_an_smplx_npz_is_supported(tmp_path):
    source = save_npz(tmp_path / 'MANO_RIGHT.npz', mano_like('right'))
    assert convert_mano(source, tmp_path / 'out.npz') == 'right'
    read_hand('right', tmp_path / 'out.npz')
    read_hand('right', source)


def test_the_sign_error_of_the_left_hand_is_detected_and_fixed(tmp_path):
    arrays = mano_like('left')
    good = np.array(arrays['shapedirs'])
    arrays['shapedirs'] = good * np.array([-1, 1, 1])[:, None]  # as in the original MANO_LEFT
    source = save_official_like(tmp_path / 'left.pkl', arrays)
    right = save_official_like(tmp_path / 'right.pkl', mano_like('right'))

    def shapes(source, fix):
        out = tmp_path / 'out.npz'
        side = convert_mano(source, out, fix)
        return read_hand(side, out).shapedirs

    np.testing.assert_allclose(shapes(source, None), good, rtol=1e-6)
    np.testing.assert_allclose(shapes(source, True), good, rtol=1e-6)
    np.testing.assert_allclose(shapes(source, False), arrays['shapedirs'], rtol=1e-6)
    np.testing.assert_allclose(shapes(right, None), mano_like('right')['shapedirs'], rtol=1e-6)


class _Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def malicious(tmp_path):
    """Pickles that would execute code, each in another way."""
    mark = tmp_path / 'mark'
    command = f'touch {mark}'
    arrays = {'v_template': np.zeros((3, 3))}
    yield pickle.dumps({**arrays, 'f': _Call(os.system, command)}, 2), mark
    yield pickle.dumps({**arrays, 'f': _Call(eval, f'open({str(mark)!r}, "w")')}, 2), mark
    yield b'cos\nsystem\n(V' + command.encode() + b'\ntR.', mark
    yield b'\x80\x02cbuiltins\nexec\n(V' + f'open({str(mark)!r}, "w")'.encode() + b'\ntR.', mark
    # Names that look like chumpy's are stand-ins, never imports.
    yield b'cchumpy.os\nsystem\n(V' + command.encode() + b'\ntR.', mark
    # Through numpy, some of whose functions are dangerous.
    yield b'cnumpy\nload\n(V' + str(mark).encode() + b'\ntR.', mark
    yield b'cnumpy.testing._private.utils\nrunstring\n(V' + command.encode() + b'\n}tR.', mark
    # Attribute paths (protocol 4), and copyreg's constructor with an arbitrary class.
    yield b'\x80\x04\x8c\x05numpy\x8c\x12ndarray.__class__\x93.', mark
    yield b'ccopy_reg\n_reconstructor\n(csubprocess\nPopen\nc__builtin__\nobject\nNtR.', mark
    yield b'c__builtin__\ngetattr\n(c__builtin__\nobject\nV__subclasses__\ntR.', mark
    yield b'\x80\x02X\x01\x00\x00\x00aQ.', mark  # a persistent reference


def test_malicious_pickles_are_rejected_without_execution(tmp_path):
    out = tmp_path / 'out.npz'
    for number, (content, mark) in enumerate(malicious(tmp_path)):
        source = tmp_path / f'bad{number}.pkl'
        source.write_bytes(content)
        with pytest.raises(ValueError, match=str(source)) as caught:
            convert_mano(source, out)
        assert '\n' not in str(caught.value)
        assert not mark.exists(), f'pickle {number} ran'
        assert not out.exists()


def test_object_arrays_and_invalid_shapes_are_rejected(tmp_path):
    out = tmp_path / 'out.npz'
    for key, value in (
        ('v_template', np.array([{}, [], 'x'], object)),
        ('weights', np.array(['a', 'b'])),
        ('shapedirs', np.zeros(3, [('a', 'f4'), ('b', 'O')])),
        ('f', 'lbs'),
        ('J_regressor', {'x': 1}),
    ):
        source = tmp_path / 'odd.pkl'
        source.write_bytes(pickle.dumps(mano_like() | {key: value}, 2))
        with pytest.raises(ValueError, match=f'{key} cannot be read'):
            convert_mano(source, out)
    source.write_bytes(b'Fno number\rat all\n.')
    with pytest.raises(ValueError, match=r'MANO pickle \(.*no number') as caught:
        convert_mano(source, out)
    assert '\n' not in str(caught.value)
    for wrong in (
        {'v_template': np.zeros(3)},
        {'J_regressor': np.zeros((16, 3))},
        {'shapedirs': np.zeros((1, 3, 10))},
        {'shapedirs': np.float64(1)},
    ):
        source.write_bytes(pickle.dumps(mano_like() | wrong, 2))
        with pytest.raises(HandFileError, match=r'odd\.pkl: .* do not fit'):
            convert_mano(source, out)
    missing = mano_like()
    del missing['weights']
    (tmp_path / 'odd.pkl').write_bytes(pickle.dumps(missing, 2))
    with pytest.raises(ValueError, match="'weights' is missing"):
        convert_mano(tmp_path / 'odd.pkl', out)
    wrong = mano_like() | {'posedirs': np.zeros((5, 3, 135))}
    (tmp_path / 'odd.pkl').write_bytes(pickle.dumps(wrong, 2))
    with pytest.raises(ValueError, match='posedirs has shape'):
        convert_mano(tmp_path / 'odd.pkl', out)
    with pytest.raises(ValueError, match='no such file'):
        convert_mano(tmp_path / 'none.pkl', out)
    assert not out.exists()


def test_a_sparse_matrix_that_would_fill_memory_is_rejected(tmp_path):
    source = save_official_like(tmp_path / 'MANO_RIGHT.pkl', mano_like())
    sound = source.read_bytes()
    rows = b'K' + bytes([16]) + b'M'  # of `_shape`, as pickle writes 16 and a larger number
    assert sound.count(rows) == 1
    source.write_bytes(sound.replace(rows, b'J' + (2**31 - 1).to_bytes(4, 'little') + b'M'))
    with pytest.raises(HandFileError, match=r'MANO_RIGHT\.pkl: J_regressor .*2147483647x'):
        convert_mano(source, tmp_path / 'out.npz')


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damaged_pickle_is_named(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('damaged')
    small = {k: v for k, v in mano_like().items() if k in ('hands_mean', 'hands_components')}
    content = bytearray(pickle.dumps(small, 2))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    source = folder / 'damaged.pkl'
    source.write_bytes(bytes(content[:cut]))
    with pytest.raises(ValueError, match=r'damaged\.pkl'):
        convert_mano(source, folder / 'out.npz')


def test_the_command_converts_both_hands(tmp_path, capsys):
    files = [
        str(save_official_like(tmp_path / f'MANO_{side.upper()}.pkl', mano_like(side)))
        for side in ('left', 'right')
    ]
    assert main(['convert-mano', *files, '--out', str(tmp_path / 'mine')]) == 0
    for side in ('left', 'right'):
        assert load_hand(side, tmp_path / 'mine' / f'{side}.npz').name == 'mano'
    (tmp_path / 'no.pkl').write_bytes(b'no pickle')
    assert main(['convert-mano', str(tmp_path / 'no.pkl'), '--out', str(tmp_path / 'mine')]) == 2
    assert 'no.pkl' in capsys.readouterr().err
