"""Reads Objaverse in the layout of the `objaverse` package; does not download anything.

FOLDER/hf-objaverse-v1/object-paths.json.gz        {uid: 'glbs/000-023/<uid>.glb'}
FOLDER/hf-objaverse-v1/metadata/000-023.json.gz    {uid: {name, license, user, viewerUrl, ...}}
FOLDER/hf-objaverse-v1/lvis-annotations.json.gz    {category: [uid, ...]}; may be absent
FOLDER/hf-objaverse-v1/glbs/000-023/<uid>.glb
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manivideo_ros.data.mixture import held_out
from manivideo_ros.data.scenes.library import Split

VERSION = 'hf-objaverse-v1'
LICENCES = ('cc0', 'by')
"""Licences accepted by default, as named in the metadata: CC0 and CC BY."""

_UID = re.compile(r'[0-9A-Za-z_-]{1,64}')
_PATH = re.compile(r'glbs/([0-9A-Za-z_-]+)/[0-9A-Za-z_-]+\.glb')


class ObjaverseError(ValueError):
    """A copy of Objaverse is not usable; one line names file and field and suggests a fix."""


@dataclass(frozen=True)
class ObjaverseObject:
    """An object on disk. licence: as in the metadata ('by', 'cc0', 'by-nc-sa', ...).

    category: of LVIS, empty if it has none.
    """

    uid: str
    path: Path
    licence: str
    name: str
    author: str
    page: str
    category: str

    @property
    def credit(self) -> str:
        """The attribution that CC BY requires: title, author, licence, source."""
        return f'"{self.name}" by {self.author}, CC {self.licence.upper()}, {self.page}'


def read_catalogue(
    folder: Path | str, licences: Collection[str] = LICENCES, split: Split | None = None
) -> list[ObjaverseObject]:
    """The objects of a folder whose file exists and whose licence is allowed, sorted by uid.

    split: only training objects, or only the 3% held out. Age-restricted objects are skipped.
    Raises ObjaverseError for a file that is missing or not as published, an object without a
    licence, or a path outside the folder.
    """
    root = Path(folder) / VERSION
    present: dict[str, dict[str, Path]] = {}
    for uid, stated in _read(root / 'object-paths.json.gz').items():
        part, path = _inside(root, uid, stated)
        if path.is_file():
            present.setdefault(part, {})[uid] = path
    categories = _categories(root / 'lvis-annotations.json.gz')
    out = []
    for part, paths in present.items():
        file = root / 'metadata' / f'{part}.json.gz'
        metadata = _read(file)
        for uid, path in paths.items():
            if split is not None and held_out(uid) != (split == 'test'):
                continue
            entry = metadata.get(uid)
            licence = entry.get('license') if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(licence, str) or not licence:
                raise ObjaverseError(
                    f'{file}: no license for object {uid}; fetch the file again or delete {path}'
                )
            if licence not in licences or entry.get('isAgeRestricted'):
                continue
            _check_links(root, uid, path)
            user = entry.get('user') or {}
            author = user.get('displayName') or user.get('username') or 'an unnamed author'
            out.append(
                ObjaverseObject(
                    uid,
                    path,
                    licence,
                    str(entry.get('name') or uid),
                    str(author),
                    str(entry.get('viewerUrl') or f'https://sketchfab.com/3d-models/{uid}'),
                    categories.get(uid, ''),
                )
            )
    return sorted(out, key=lambda item: item.uid)


def _inside(root: Path, uid: str, stated: Any) -> tuple[str, Path]:
    """Part ('000-023') and file of an object. Raises ObjaverseError for a malformed uid or path."""
    match = _PATH.fullmatch(stated) if isinstance(stated, str) else None
    if match is None or not _UID.fullmatch(uid):
        raise ObjaverseError(
            f'{root}/object-paths.json.gz: path of object {uid!r} is {stated!r}, not '
            "'glbs/<part>/<uid>.glb' inside the folder; fetch the file again"
        )
    return match[1], root / stated


def _check_links(root: Path, uid: str, path: Path) -> None:
    """Reject a symbolic link to outside the folder."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise ObjaverseError(
            f'{path}: object {uid} is a link out of {root}; copy the file, or give the folder '
            'that contains it'
        )


def _categories(file: Path) -> dict[str, str]:
    """LVIS category by uid; empty if the file is absent."""
    if not file.is_file():
        return {}
    return {uid: name for name, uids in _read(file).items() for uid in uids}


def _read(file: Path) -> dict[str, Any]:
    """The dictionary of a gzipped JSON file."""
    try:
        with gzip.open(file, 'rb') as opened:
            content = json.load(opened)
    except FileNotFoundError:
        raise ObjaverseError(
            f'{file}: not found; fetch it with the objaverse package (load_objects, '
            'load_annotations)'
        ) from None
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise ObjaverseError(f'{file}: cannot be read ({error}); fetch it again') from None
    if not isinstance(content, dict):
        raise ObjaverseError(f'{file}: must hold one JSON object; fetch it again')
    return content
