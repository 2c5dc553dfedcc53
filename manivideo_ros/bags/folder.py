"""Finds the files of a bag: a rosbag2 folder, one of its files, or a ROS 1 bag.

metadata.yaml may be absent, empty, or rebuilt with fields left out, which are then taken from the
files.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.files.errors import reason_of

METADATA = 'metadata.yaml'
MAGIC = b'\x89MCAP0\r\n'
PACKED = '.zstd'  # suffix of files that rosbag2 compressed
STORAGES = ('mcap', 'sqlite3')
_SUFFIXES = ('.mcap', '.db3')
ROS1 = '.bag'


class BagError(ValueError):
    """A bag that cannot be written or read; the text is one line."""


@dataclass
class BagFolder:
    """The files of a bag, in the order of its metadata or of the numbers in their names.

    empty: files without content; seconds: length by file name, if the metadata has it; custom_data:
    of the metadata, None if it was absent or rebuilt. notes: differences from a complete bag and
    what is read instead, one line each.
    """

    files: list[Path]
    empty: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    custom_data: dict[str, str] | None = None
    notes: list[str] = field(default_factory=list)


def is_bag(path: Path) -> bool:
    """Whether a path is a bag's folder or file, judged by file names."""
    return path.is_file() or (path / METADATA).is_file() or bool(_listed(path))


def find(path: Path) -> BagFolder:
    """The files of the bag at path. Raises BagError for a path that is no readable bag."""
    if path.is_file():
        found = BagFolder([path])
    elif not path.is_dir():
        raise BagError(f'{path}: no such bag: give its folder or its .mcap, .db3 or .bag file')
    else:
        found = _of_folder(path)
    _leave_out_empty(found)
    return found


def in_order(file: Path) -> list[Any]:
    """Sort key of a file name in which numbers compare by value."""
    return [int(part) if part.isdigit() else part for part in re.split(r'([0-9]+)', file.name)]


def custom_data_of(information: Any) -> dict[str, str] | None:
    """The custom data in a bag's metadata; None if it cannot have any.

    Versions before 8 have no such field, and `ros2 bag reindex` drops it with the distribution's
    name. Raises ValueError, TypeError or AttributeError for other content.
    """
    custom = {str(k): str(v) for k, v in dict(information.get('custom_data') or {}).items()}
    return custom if custom or information.get('ros_distro') else None


def _of_folder(path: Path) -> BagFolder:
    there, metadata = _listed(path), path / METADATA
    problem = 'there is no metadata.yaml'
    if metadata.is_file():
        try:
            return _by_metadata(path, metadata, there)
        except _UnreadableError as error:
            problem = f'metadata.yaml {error}'
    if not there:
        if any(path.glob(f'*{ROS1}')):
            raise BagError(f'{path}: holds ROS 1 bags: give one of its {ROS1} files')
        if metadata.is_file():
            raise BagError(
                f'{path}: {problem}, and there is no .mcap or .db3 file: record it again'
            )
        raise BagError(f'{path}: holds no .mcap or .db3 file: give the folder of a rosbag2')
    return BagFolder(there, notes=[f'{problem}; read from {_names(there)} instead'])


class _UnreadableError(Exception):
    """Unusable metadata; the text completes 'metadata.yaml ...'."""


def _by_metadata(path: Path, metadata: Path, there: list[Path]) -> BagFolder:
    """The files that the metadata name. Raises _UnreadableError, BagError."""
    try:
        content = metadata.read_bytes()
        if not content.strip(b'\0 \t\r\n'):
            raise _UnreadableError('is empty')
        info = load_yaml(content.decode())['rosbag2_bagfile_information']
        storage, mode = str(info['storage_identifier'] or ''), info.get('compression_mode') or ''
        form = str(info.get('compression_format') or '')
        named = [path / str(name) for name in list(info['relative_file_paths'])]
        seconds = {
            Path(str(file['path'])).name: int(file['duration']['nanoseconds']) * 1e-9
            for file in info.get('files') or []
        }
        custom_data = custom_data_of(info)
    except OSError as error:
        raise BagError(f'{metadata}: cannot be read ({error.strerror})') from None
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _UnreadableError(f'is not that of a bag ({reason_of(error)[:80]})') from None
    if storage not in (*STORAGES, '') or form not in ('zstd', ''):
        raise BagError(_foreign(path, f'{storage} {mode} {form}'.strip().lower()))
    folder = Path(os.path.abspath(path))  # not resolved: the folder may be a link
    for file in named:
        # An untrusted bag must not make files outside of it be read.
        if '\0' in str(file) or folder not in Path(os.path.abspath(file)).parents:
            raise BagError(
                f'{path}: metadata.yaml names {str(file)!r}, which is outside of it: remove '
                'metadata.yaml to read the files in the folder'
            )
    found = BagFolder([], seconds=seconds, custom_data=custom_data)
    if not storage and named:
        found.notes.append('metadata.yaml names no storage; read as the files are')
    found.files = _present(path, named, there, found)
    return found


def _present(path: Path, named: list[Path], there: list[Path], found: BagFolder) -> list[Path]:
    """The named files that exist, and unnamed ones in the folder that belong to the bag."""
    gone, files = [], []
    for file in named:
        # The recorder compresses a file once it is full, and may have been stopped before.
        plain = file.with_name(file.name.removesuffix(PACKED))
        present = next((f for f in (file, plain) if f.is_file()), None)
        if present is None:
            gone.append(file)
        else:
            files.append(present)
    if not files and not there:
        if not named:
            raise BagError(f'{path}: holds no .mcap or .db3 file: give the folder of a rosbag2')
        raise BagError(f'{gone[0]}: missing, though the metadata names it: copy it there')
    kind = {_pattern(file) for file in named}
    added = [f for f in there if f not in files and (not files or _pattern(f) in kind)]
    if gone:
        lost = f'{_names(gone)}{_lasting(gone, found.seconds)}'
        found.notes.append(
            f'metadata.yaml names {lost}, which is not there; read from {_names([*files, *added])}'
        )
    elif added:
        found.notes.append(f'metadata.yaml does not name {_names(added)}; read as well')
    return [*files, *added]


def _leave_out_empty(found: BagFolder) -> None:
    """Remove files without content, which loss of power leaves: no bytes, or zeros.

    Raises BagError if no file is left.
    """
    for file in found.files:
        try:
            with file.open('rb') as stream:
                head = stream.read(len(MAGIC))
        except OSError as error:
            raise BagError(f'{file}: cannot be read ({error.strerror})') from None
        if not head.strip(b'\0') or (len(head) < len(MAGIC) and MAGIC.startswith(head)):
            found.empty.append(file)
    found.files = [file for file in found.files if file not in found.empty]
    if not found.files:
        raise BagError(f'{found.empty[0]}: is empty: nothing was written to it; record it again')
    for file in found.empty:
        lost = _lasting([file], found.seconds)
        found.notes.append(f'{file.name} is empty{lost}; left out')


def _listed(path: Path) -> list[Path]:
    """The MCAP files in a folder, else the SQLite files; of a file and its compressed copy only
    the file.
    """
    # Names that begin with a dot are written by file systems (`._bag_0.mcap`).
    there = [f for f in path.glob('*') if f.name[0] != '.']
    kinds = [[f for f in there if f.name.removesuffix(PACKED).endswith(s)] for s in _SUFFIXES]
    files = next((kind for kind in kinds if kind), [])
    plain = {file.name for file in files}
    return sorted((f for f in files if f.name.removesuffix(PACKED) == f.name
                   or f.name.removesuffix(PACKED) not in plain), key=in_order)  # fmt: skip


def _pattern(file: Path) -> str:
    return re.sub('[0-9]+', '#', file.name.removesuffix(PACKED))


def state_of(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change (ns) of a bag's files: another state is another recording."""
    files = sorted(f for f in path.rglob('*') if f.is_file()) if path.is_dir() else [path]
    return tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.exists())


def _names(files: list[Path]) -> str:
    shown = [file.name for file in files]
    if len(shown) > 3:
        return f'{len(shown)} files ({shown[0]} to {shown[-1]})'
    return ', '.join(shown)


def _lasting(files: list[Path], seconds: dict[str, float]) -> str:
    known = [seconds[file.name] for file in files if file.name in seconds]
    return f' ({sum(known):.1f} s)' if known else ''


def _foreign(path: Path, storage: str) -> str:
    return (
        f'{path}: storage is {storage}, must be {" or ".join(STORAGES)}, compressed by zstd if at '
        'all: run `ros2 bag convert`, with output options that have `storage_id: mcap`'
    )
