"""The structure of the package: its drawing, the size of its folders, the words of its prose."""

import ast
import re
from pathlib import Path

import pytest

from tools import architecture, words

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted({file.parent for file in (ROOT / 'manivideo_ros').rglob('*.py')})
MAX_MODULES = 15  # in a folder


def test_the_drawing_is_up_to_date():
    expected = architecture.drawing()
    assert architecture.OUT.read_text() == expected, 'run: python -m tools.architecture'


def test_an_import_cycle_is_an_error():
    with pytest.raises(ValueError, match='cycle: a, b'):
        architecture.levels({'a': {'b'}, 'b': {'a'}, 'c': set()})


def test_an_import_that_another_path_implies_is_not_drawn():
    imports = {'top': {'middle', 'low'}, 'middle': {'low'}, 'low': set()}
    assert architecture.levels(imports) == [['low'], ['middle'], ['top']]
    assert architecture.reduced(imports) == {('top', 'middle'), ('middle', 'low')}


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_folder_is_small_and_described_in_one_line(folder):
    assert len([f for f in folder.glob('*.py') if f.name != '__init__.py']) <= MAX_MODULES
    (doc,) = (ast.get_docstring(ast.parse((folder / '__init__.py').read_text())),)
    assert doc and '\n' not in doc.strip().split('\n\n')[0]


@pytest.mark.parametrize('document', ['CONTRIBUTING.md', 'docs/architecture.md'])
def test_files_that_are_named_to_contributors_exist(document):
    named = re.findall(r'`((?:[a-z_]+/)+[a-z_]+\.py)`', (ROOT / document).read_text())
    assert named
    for path in named:
        assert (ROOT / path).is_file() or (ROOT / 'manivideo_ros' / path).is_file(), path


def test_prose_uses_the_words_of_the_glossary():
    assert list(words.found(words.tracked())) == []


def test_only_words_in_prose_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(words, 'ROOT', tmp_path)
    file = tmp_path / 'module.py'
    file.write_text('"""What is told anew."""\n\ntold = 1  # of a picture\n')
    lines = [line.split(': ')[:2] for line in words.found([file])]
    assert lines == [['module.py:1', 'told'], ['module.py:1', 'anew'], ['module.py:3', 'picture']]
