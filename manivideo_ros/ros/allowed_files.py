"""The files that requests may name: generated shapes, package:// URIs, files in allowed folders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from manivideo_ros.files.package_uri import SCHEME, package_file
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros.parameters import NodeParameters

LONGEST = 200  # characters of a name in a message
# Parameters that name files.
FILES = {
    'engine',
    'checkpoint',
    'hand_folder',
    'object_meshes',
    'scene',
    'background',
    'hand_reference',
    'robot',
    'robot_layers',
    'robot_packages',
}
# Raised for names with NUL, names that are too long, and circular links.
UNUSABLE = (OSError, RuntimeError, ValueError)


def resolve(
    name: str, shapes: Collection[str], folders: Iterable[str] | None, folder: bool = False
) -> str | Path:
    """The name of a shape, or the real path of a file.

    folders: the allowed folders, besides installed packages; None allows any file, for parameters
    that are set at startup. folder: whether it may be a folder, of whose files the same holds.
    Raises ValueError, one line, for a missing or refused file.
    """
    if name in shapes:
        return name
    if name.startswith(SCHEME):
        try:
            path = package_file(name)
        except ValueError as error:
            raise ValueError(f'{_short(name)}: {error}') from None
    elif folders is not None:
        path = under(name, folders, 'scene_folders')
        if folder and path.is_dir():
            for file in path.iterdir():
                under(str(file), folders, 'scene_folders')
    else:
        path = expanded(name)
    try:
        path = path.resolve()
        if path.is_file() or (folder and path.is_dir()):
            return path
    except UNUSABLE:
        pass
    known = f' (nor one of the shapes {", ".join(sorted(shapes))})' if shapes else ''
    raise ValueError(f'{_short(name)}: no such file{known}')


def under(name: str, folders: Iterable[str], parameter: str) -> Path:
    """The real path of a file, with links resolved; folders: the value of the parameter.

    Raises ValueError, one line, if it does not lie under one of them.
    """
    allowed = [expanded(folder).resolve() for folder in folders if folder]
    try:
        path = expanded(name)
        real = path.resolve()
    except UNUSABLE:
        raise ValueError(f'{_short(name)}: cannot be the name of a file') from None
    if not path.is_absolute() or not any(real.is_relative_to(folder) for folder in allowed):
        raise ValueError(
            f'{_short(name)}: not under an allowed folder: add it to the parameter {parameter}'
        )
    return real


def check_change_of_files(changed: Mapping[str, Any], now: NodeParameters) -> None:
    """Raise ValueError if a parameter is changed to a file that is not allowed at runtime.

    Any node may change parameters: files must lie under `scene_folders` or beside the present one.
    """
    for name in FILES & changed.keys():
        value, present = changed[name], getattr(now, name)
        values, presents = ([v] if isinstance(v, str) else list(v) for v in (value, present))
        beside = [str(Path(p).parent) for p in presents if '/' in p and not p.startswith(SCHEME)]
        for file in values:
            if _is_file(name, file):
                under(file, [*now.scene_folders, *beside], 'scene_folders')


def _is_file(parameter: str, value: str) -> bool:
    """Whether a parameter's value names a file outside installed packages."""
    if value == '' or value.startswith((SCHEME, 'data:')):
        return False
    if parameter == 'robot' and value in ('demo', 'robot_description'):
        return False
    if parameter == 'engine':
        return '/' in value or value.endswith(('.yaml', '.yml'))
    from manivideo_ros.objects.household.shapes import SHAPES

    return not (parameter == 'object_meshes' and value in SHAPES)


def _short(name: str) -> str:
    """A name from a request, on one line."""
    shown = name if len(name) <= LONGEST else f'{name[:LONGEST]}...'
    return shown if shown.isprintable() else repr(shown)
