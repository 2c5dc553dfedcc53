"""The plan cache: plans are loaded again, or rejected with the field that differs."""

import json
import os

import pytest

from manivideo_ros.engine.tensorrt import plan_cache as tensorrt_cache
from manivideo_ros.engine.tensorrt.plan_cache import (
    KEY_FILE,
    NoPlanError,
    PlanCache,
    PlanCacheError,
    fields_of,
)

SPEC = {'preset': 'tiny', 'image_size': 256, 'precision': 'fp32', 'steps': 1}
TARGET = {
    'backend': 'tensorrt_rtx',
    'version': '1.7',
    'compute_capability': '8.6',
    'gpu': 'RTX A6000',
    'driver': '580.1',
}
FIELDS = fields_of(b'graph', 'c0ffee', SPEC, TARGET)
PLAN = bytes(range(256)) * 8


@pytest.fixture
def cache(tmp_path):
    cache = PlanCache(tmp_path / 'engines')
    cache.store('tiny', PLAN, FIELDS)
    return cache


def rejected(cache, fields=FIELDS):
    with pytest.raises(NoPlanError) as caught:
        cache.load('tiny', fields)
    assert caught.value.field in str(caught.value) or caught.value.field in ('plan', 'signature')
    return caught.value


def test_a_plan_is_loaded_if_its_fields_match(cache):
    assert PlanCache(cache.folder).load('tiny', FIELDS) == PLAN
    assert {p.name for p in cache.folder.iterdir()} == {'tiny.plan', 'tiny.json', KEY_FILE}
    assert json.loads((cache.folder / 'tiny.json').read_text())['made_from'] == FIELDS


def test_a_plan_that_was_never_built_is_reported_as_missing(tmp_path):
    missing = rejected(PlanCache(tmp_path / 'nowhere'))
    assert missing.field == 'plan' and 'not built yet' in str(missing)


@pytest.mark.parametrize('field', sorted(FIELDS))
def test_a_changed_field_is_named(cache, field):
    error = rejected(cache, {**FIELDS, field: 'another'})
    assert error.field == field
    assert f'{field} was {FIELDS[field]}, is now another' in str(error)


def test_a_field_on_one_side_only_is_named(cache):
    assert rejected(cache, {**FIELDS, 'layers': '7'}).field == 'layers'
    assert rejected(cache, {k: v for k, v in FIELDS.items() if k != 'gpu'}).field == 'gpu'


def test_the_fields_depend_on_the_graph_and_the_checkpoint():
    assert fields_of(b'grapf', 'c0ffee', SPEC, TARGET)['graph_sha256'] != FIELDS['graph_sha256']
    assert FIELDS['checkpoint_sha256'] == 'c0ffee'
    assert FIELDS.items() >= {'steps': '1', **TARGET}.items()


def test_a_truncated_plan_is_rejected(cache):
    cache.plan_file('tiny').write_bytes(PLAN[:-1])
    assert rejected(cache).field == 'bytes'


def test_a_modified_plan_is_rejected(cache):
    cache.plan_file('tiny').write_bytes(PLAN[:-1] + b'!')
    assert rejected(cache).field == 'signature'


def test_a_rewritten_manifest_is_rejected(cache):
    path = cache.folder / 'tiny.json'
    other = {**FIELDS, 'gpu': 'RTX 5090'}
    path.write_text(json.dumps({**json.loads(path.read_text()), 'made_from': other}))
    assert rejected(cache, other).field == 'signature'


@pytest.mark.parametrize('content', ['', '{"made_from": 3}', '[]', '\0'])
def test_a_damaged_manifest_is_rejected(cache, content):
    (cache.folder / 'tiny.json').write_text(content)
    with pytest.raises(NoPlanError, match=r'tiny.json: damaged'):
        cache.load('tiny', FIELDS)


def test_an_engine_of_another_machine_is_rejected_even_with_its_key(cache, monkeypatch):
    monkeypatch.setattr(tensorrt_cache, 'machine_id', lambda: 'other')
    assert rejected(cache).field == 'machine'
    path = cache.folder / 'tiny.json'  # and one that claims to be of this machine
    path.write_text(json.dumps({**json.loads(path.read_text()), 'machine': 'other'}))
    assert rejected(cache).field == 'signature'


def test_an_engine_signed_by_another_key_is_rejected(cache):
    (cache.folder / KEY_FILE).unlink()
    assert rejected(cache).field == 'signature'
    cache.store('tiny', PLAN, FIELDS)
    assert cache.load('tiny', FIELDS) == PLAN


def test_the_key_is_readable_for_its_user_only(cache):
    key = cache.folder / KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    key.chmod(0o644)
    with pytest.raises(PlanCacheError, match=f'{KEY_FILE}: others can read it.*remove it'):
        cache.load('tiny', FIELDS)


def test_a_plan_built_from_something_else_replaces_the_old_one(cache):
    newer = {**FIELDS, 'driver': '590'}
    assert 'driver was 580.1, is now 590' in str(rejected(cache, newer))
    cache.store('tiny', b'newer', newer)
    assert cache.load('tiny', newer) == b'newer'
    assert rejected(cache).field == 'driver'


def test_a_failed_write_leaves_the_previous_plan(cache, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(PlanCacheError, match=r'No space left.*XDG_CACHE_HOME'):
        cache.store('tiny', b'newer', FIELDS)
    assert len(list(cache.folder.iterdir())) == 3
    assert cache.load('tiny', FIELDS) == PLAN


def test_an_unusable_folder_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    cache = PlanCache(tmp_path / 'file' / 'engines')
    with pytest.raises(PlanCacheError, match='XDG_CACHE_HOME'):
        cache.store('tiny', PLAN, FIELDS)
    with pytest.raises(PlanCacheError, match='XDG_CACHE_HOME'):
        cache.load('tiny', FIELDS)
