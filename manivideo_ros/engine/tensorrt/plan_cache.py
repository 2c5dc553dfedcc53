"""A file cache of TensorRT plans, each with a signed manifest of what it was built from.

A plan contains executable code, so only plans built on this machine are loaded: the manifest
records the machine and has a signature over itself and the plan, by a key that only the user can
read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import platform
import secrets
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

KEY_FILE = 'machine.key'


class PlanCacheError(RuntimeError):
    """Raised for a cache that cannot be used; the message names the file and a fix."""


class NoPlanError(PlanCacheError):
    """Raised if there is no valid plan; `field` names what differs, is missing or not trusted."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def machine_id() -> str:
    """A hash that identifies this machine; its id itself is confidential (machine-id(5))."""
    try:
        known = Path('/etc/machine-id').read_text().strip()
    except OSError:
        known = ''
    identity = known or f'{platform.node()} {uuid.getnode():x}'
    return hashlib.sha256(f'manivideo_ros {identity}'.encode()).hexdigest()[:32]


def fields_of(
    graph: bytes, checkpoint_sha256: str, spec: Mapping[str, object], target: Mapping[str, object]
) -> dict[str, str]:
    """What a plan depends on: checkpoint, graph, builder, specification and target.

    The graph's bytes include shapes, types and weights. spec, target: flat.
    """
    sources = (Path(__file__).with_name(f'{name}.py') for name in ('builder', 'graphs'))
    builder = b''.join(source.read_bytes() for source in sources)
    made_from = {
        'checkpoint_sha256': checkpoint_sha256,
        'graph_sha256': hashlib.sha256(graph).hexdigest(),
        'builder_sha256': hashlib.sha256(builder).hexdigest(),  # covers flags and parts
        **spec,
        **target,
    }
    return {name: str(value) for name, value in made_from.items()}


class PlanCache:
    """Plans in one folder, one per name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan_file(self, name: str) -> Path:
        """The file of a plan; its manifest is the .json file beside it."""
        return self.folder / f'{name}.plan'

    def load(self, name: str, made_from: Mapping[str, str]) -> bytes:
        """The cached plan of that name, built on this machine from exactly `made_from`.

        Raises NoPlanError if there is none, or it is damaged, of another machine or built from
        something else; PlanCacheError if other users could have read the key.
        """
        path = self.plan_file(name)
        try:
            plan = path.read_bytes()
            kept = json.loads(path.with_suffix('.json').read_bytes())
        except FileNotFoundError:
            raise NoPlanError('plan', f'{path}: not built yet') from None
        except OSError as error:
            raise _unusable(path, error) from None
        except (ValueError, RecursionError):
            kept = None
        if not isinstance(kept, dict) or not isinstance(kept.get('made_from'), dict):
            raise NoPlanError('manifest', f'{path.with_suffix(".json")}: damaged; build again')
        if kept.get('machine') != machine_id():
            raise NoPlanError(
                'machine', f'{path}: built by another machine, so it is not loaded; build again'
            )
        if len(plan) != kept.get('bytes'):
            raise NoPlanError(
                'bytes', f'{path}: has {len(plan)} bytes of {kept.get("bytes")}; build again'
            )
        try:
            signature = self._signature(plan, kept['made_from'])
        except OSError as error:
            raise _unusable(self.folder / KEY_FILE, error) from None
        if not hmac.compare_digest(
            signature.encode(), str(kept.get('signature')).encode(errors='replace')
        ):
            raise NoPlanError(
                'signature', f'{path}: not as this machine wrote it, so not loaded; build again'
            )
        for field in {**made_from, **kept['made_from']}:
            then, now = kept['made_from'].get(field), made_from.get(field)
            if then != now:
                message = f'{path}: {field} was {then}, is now {now}; build again'
                raise NoPlanError(field, message)
        return plan

    def store(self, name: str, plan: bytes, made_from: Mapping[str, str]) -> Path:
        """Store a plan atomically, replacing the one of that name.

        Raises PlanCacheError if the folder cannot be written or the disk is full.
        """
        path = self.plan_file(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            manifest = {
                'made_from': dict(made_from),
                'machine': machine_id(),
                'bytes': len(plan),
                'signature': self._signature(plan, made_from),
            }
            # Between the two writes, a reader finds a plan whose signature does not match.
            _write(path, plan)
            _write(path.with_suffix('.json'), json.dumps(manifest, indent=1).encode())
            self._failure_file(name).unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(path, error) from None
        return path

    def remove(self, name: str) -> None:
        """Remove the plan of that name, if there is one."""
        for path in (self.plan_file(name), self.plan_file(name).with_suffix('.json')):
            with suppress(OSError):
                path.unlink()

    def keep_failure(self, name: str, made_from: Mapping[str, str], error: str) -> None:
        """Record why a plan could not be built; `store` or another `made_from` invalidates it.

        Raises PlanCacheError if the folder cannot be written or the disk is full.
        """
        path = self._failure_file(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            record = {'made_from': dict(made_from), 'error': error}
            _write(path, json.dumps(record, indent=1).encode())
        except OSError as failed:
            raise _unusable(path, failed) from None

    def failure_of(self, name: str, made_from: Mapping[str, str]) -> str:
        """Why the last build from exactly `made_from` failed; '' if none failed."""
        try:
            record = json.loads(self._failure_file(name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return ''
        same = isinstance(record, dict) and record.get('made_from') == dict(made_from)
        return ' '.join(str(record.get('error')).split())[:300] if same else ''

    def _failure_file(self, name: str) -> Path:
        return self.folder / f'{name}.failed'

    def _signature(self, plan: bytes, made_from: Mapping[str, str]) -> str:
        signed = json.dumps([machine_id(), dict(made_from)], sort_keys=True).encode()
        digest = hmac.new(self._key(), signed, hashlib.sha256)
        digest.update(b'\0' + plan)
        return digest.hexdigest()

    def _key(self) -> bytes:
        """The key of this folder, created on first use."""
        path = self.folder / KEY_FILE
        if not path.exists():
            with suppress(FileExistsError):  # another process created it first
                _write(path, secrets.token_bytes(32), replace=False)
        state = path.stat()
        if state.st_uid != os.getuid() or state.st_mode & 0o077:
            raise PlanCacheError(
                f'{path}: others can read it, so its signatures prove nothing: remove it, and '
                'build again'
            )
        return path.read_bytes()


def _unusable(path: Path, error: OSError) -> PlanCacheError:
    return PlanCacheError(
        f'{path}: {error.strerror}: free space and make the folder readable and writable for you, '
        'or set XDG_CACHE_HOME to another folder'
    )


def _write(path: Path, content: bytes, replace: bool = True) -> None:
    """Write a file atomically, readable for its owner only; FileExistsError unless `replace`."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(partial, path)
        else:
            os.link(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)
