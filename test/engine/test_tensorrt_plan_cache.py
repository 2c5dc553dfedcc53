"""Plans on disk: found again, or refused with the field that differs."""

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
    kept = PlanCache(tmp_path / 'engines')
    kept.store('tiny', PLAN, FIELDS)
    return kept


def refused(cache, fields=FIELDS):
    with pytest.raises(NoPlanError) as caught:
        cache.load('tiny', fields)
    assert caught.value.field in str(caught.value) or caught.value.field in ('plan', 'signature')
    return caught.value


def test_a_plan_is_found_by_what_it_was_made_from(cache):
    assert PlanCache(cache.folder).load('tiny', FIELDS) == PLAN
    assert {p.name for p in cache.folder.iterdir()} == {'tiny.plan', 'tiny.json', KEY_FILE}
    assert json.loads((cache.folder / 'tiny.json').read_text())['made_from'] == FIELDS


def test_a_plan_that_was_never_built_is_told_so(tmp_path):
    missing = refused(PlanCache(tmp_path / 'nowhere'))
    assert missing.field == 'plan' and 'not built yet' in str(missing)


@pytest.mark.parametrize('field', sorted(FIELDS))
def test_what_has_changed_since_is_named(cache, field):
    told = refused(cache, {**FIELDS, field: 'another'})
    assert told.field == field
    assert f'{field} was {FIELDS[field]}, is now another' in str(told)


def test_a_field_that_only_one_side_has_is_named(cache):
    assert refused(cache, {**FIELDS, 'layers': '7'}).field == 'layers'
    assert refused(cache, {k: v for k, v in FIELDS.items() if k != 'gpu'}).field == 'gpu'


def test_the_fields_follow_the_graph_and_the_checkpoint():
    assert fields_of(b'grapf', 'c0ffee', SPEC, TARGET)['graph_sha256'] != FIELDS['graph_sha256']
    assert FIELDS['checkpoint_sha256'] == 'c0ffee'
    assert FIELDS.items() >= {'steps': '1', **TARGET}.items()


def test_a_truncated_plan_is_refused(cache):
    cache.plan_file('tiny').write_bytes(PLAN[:-1])
    assert refused(cache).field == 'bytes'


def test_a_tampered_plan_is_refused(cache):
    cache.plan_file('tiny').write_bytes(PLAN[:-1] + b'!')
    assert refused(cache).field == 'signature'


def test_a_manifest_that_was_rewritten_is_refused(cache):
    path = cache.folder / 'tiny.json'
    other = {**FIELDS, 'gpu': 'RTX 5090'}
    path.write_text(json.dumps({**json.loads(path.read_text()), 'made_from': other}))
    assert refused(cache, other).field == 'signature'


@pytest.mark.parametrize('content', ['', '{"made_from": 3}', '[]', '\0'])
def test_a_damaged_manifest_is_refused(cache, content):
    (cache.folder / 'tiny.json').write_text(content)
    with pytest.raises(NoPlanError, match=r'tiny.json: damaged'):
        cache.load('tiny', FIELDS)


def test_an_engine_of_another_machine_is_refused_its_key_included(cache, monkeypatch):
    monkeypatch.setattr(tensorrt_cache, 'machine_id', lambda: 'other')
    assert refused(cache).field == 'machine'
    path = cache.folder / 'tiny.json'  # and one that claims to be from here
    path.write_text(json.dumps({**json.loads(path.read_text()), 'machine': 'other'}))
    assert refused(cache).field == 'signature'


def test_an_engine_signed_by_another_key_is_refused(cache):
    (cache.folder / KEY_FILE).unlink()
    assert refused(cache).field == 'signature'
    cache.store('tiny', PLAN, FIELDS)
    assert cache.load('tiny', FIELDS) == PLAN


def test_the_key_is_the_users_alone(cache):
    key = cache.folder / KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    key.chmod(0o644)
    with pytest.raises(PlanCacheError, match=f'{KEY_FILE}: others can read it.*remove it'):
        cache.load('tiny', FIELDS)


def test_a_plan_is_built_once_and_again_when_its_origin_changes(cache, caplog):
    caplog.set_level('INFO')
    builds = []

    def build():
        builds.append(1)
        return b'newer'

    assert cache.plan_of('tiny', FIELDS, build) == PLAN and not builds
    newer = {**FIELDS, 'driver': '590'}
    assert [cache.plan_of('tiny', newer, build) for _ in range(2)] == [b'newer'] * 2
    assert builds == [1]
    assert 'driver was 580.1, is now 590' in caplog.text


def test_a_plan_that_cannot_be_kept_serves_with_a_warning(tmp_path, caplog):
    (tmp_path / 'file').write_text('')
    cache = PlanCache(tmp_path / 'file' / 'engines')
    assert cache.plan_of('tiny', FIELDS, lambda: PLAN) == PLAN
    assert 'is not kept' in caplog.text and 'XDG_CACHE_HOME' in caplog.text


def test_a_write_that_fails_leaves_the_plan_of_before(cache, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(PlanCacheError, match=r'No space left.*XDG_CACHE_HOME'):
        cache.store('tiny', b'newer', FIELDS)
    assert len(list(cache.folder.iterdir())) == 3
    assert cache.load('tiny', FIELDS) == PLAN


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(PlanCacheError, match='XDG_CACHE_HOME'):
        PlanCache(tmp_path / 'file' / 'engines').store('tiny', PLAN, FIELDS)
