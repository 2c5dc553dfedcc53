"""Output of C libraries on stderr is held back, filtered, or dropped for an error."""

import os

import pytest

from manivideo_ros.process.stderr import held_back


def test_lines_are_written_at_the_end_but_for_unwanted_ones(capfd):
    with held_back(lambda line: 'driver' not in line):
        os.write(2, b'one\nno driver\ntwo\n')
        assert capfd.readouterr().err == ''
    assert capfd.readouterr().err == 'one\ntwo\n'


@pytest.mark.parametrize(('on_error', 'output'), [(True, 'why\n'), (False, '')])
def test_an_error_may_replace_what_was_written(on_error, output, capfd):
    def fail():
        with held_back(on_error=on_error):
            os.write(2, b'why\n')
            raise ValueError('broken')

    with pytest.raises(ValueError, match='broken'):
        fail()
    assert capfd.readouterr().err == output
    os.write(2, b'after\n')
    assert capfd.readouterr().err == 'after\n'
