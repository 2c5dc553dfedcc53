"""Which files others may name: generated shapes, package:// URIs, what lies in allowed folders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from manivideo_ros.files.package_uri import SCHEME, package_file
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros.parameters import NodeParameters

LONGEST = 200  # characters of a name that are repeated
# Parameters that name files.
FILES = {
    'engine',
    'checkpoint',
    'hand_folder',
    'object_meshes',
    'background',
    'hand_reference',
}
# What Python raises on names with NUL, too long, or of links that go round in circles.
UNUSABLE = (OSError, RuntimeError, ValueError)


def resolve(name: str, shapes: Collection[str], folders: Iterable[str] | None) -> str | Path:
    """The shape's name, or the real path of the file that `name` stands for.

    folders: where files must lie besides installed packages (None: anywhere, for what the
    operator's own parameters name). Raises ValueError, one line, for what is not there or refused.
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
    else:
        path = expanded(name)
    try:
        path = path.resolve()
        if path.is_file():
            return path
    except UNUSABLE:
        pass
    known = f' (nor one of the shapes {", ".join(sorted(shapes))})' if shapes else ''
    raise ValueError(f'{_short(name)}: no such file{known}')


def under(name: str, folders: Iterable[str], parameter: str) -> Path:
    """The real path that `name` stands for, wherever links lead; folders: the parameter's value.

    Raises ValueError, one line, for what does not lie under one of them.
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
    """Raise ValueError where a parameter that is changed while the node runs names a file that lies
    neither under `scene_folders` nor beside the present one: anybody may ask for it.
    """
    for name in FILES & changed.keys():
        value, present = changed[name], getattr(now, name)
        values, presents = ([v] if isinstance(v, str) else list(v) for v in (value, present))
        beside = [str(Path(p).parent) for p in presents if '/' in p and not p.startswith(SCHEME)]
        for file in values:
            if _is_file(name, file):
                under(file, [*now.scene_folders, *beside], 'scene_folders')


def _is_file(parameter: str, value: str) -> bool:
    """Whether a parameter's value names a file outside of the installed packages."""
    if value == '' or value.startswith((SCHEME, 'data:')):
        return False
    if parameter == 'engine':
        return '/' in value or value.endswith(('.yaml', '.yml'))
    from manivideo_ros.objects.household.shapes import SHAPES

    return not (parameter == 'object_meshes' and value in SHAPES)


def _short(name: str) -> str:
    """A name that others chose, on one line."""
    shown = name if len(name) <= LONGEST else f'{name[:LONGEST]}...'
    return shown if shown.isprintable() else repr(shown)
