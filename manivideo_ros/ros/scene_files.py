"""Which files others may name: generated shapes, package:// URIs, what lies in allowed folders."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

SCHEME = 'package://'


def resolve(name: str, shapes: Collection[str], folders: Iterable[str] | None) -> str | Path:
    """The shape's name, or the real path of the file that `name` stands for.

    folders: where files must lie besides installed packages (None: anywhere, for what the
    operator's own parameters name). Raises ValueError, one line, for what is not there or refused.
    """
    if name in shapes:
        return name
    if name.startswith(SCHEME):
        package, _, inside = name.removeprefix(SCHEME).partition('/')
        try:
            allowed = [Path(get_package_share_directory(package)).resolve()]
        except (PackageNotFoundError, ValueError):
            raise ValueError(f'{name}: package {package!r} is not installed here') from None
        path = _inside_package(allowed[0], inside)
        folders = None
    else:
        path, allowed = Path(name).expanduser(), []
    if folders is not None:
        path = under(name, folders, 'scene_folders')
    if not path.is_file():
        known = f' (nor one of the shapes {", ".join(sorted(shapes))})' if shapes else ''
        raise ValueError(f'{name}: no such file{known}')
    return path.resolve()


def under(name: str, folders: Iterable[str], parameter: str) -> Path:
    """The real path that `name` stands for, wherever links lead; folders: the parameter's value.

    Raises ValueError, one line, for what does not lie under one of them.
    """
    allowed = [Path(folder).expanduser().resolve() for folder in folders if folder]
    path = Path(name).expanduser()
    real = path.resolve()
    if not path.is_absolute() or not any(real.is_relative_to(folder) for folder in allowed):
        raise ValueError(
            f'{name}: not under an allowed folder: add it to the parameter {parameter}'
        )
    return real


def _inside_package(share: Path, inside: str) -> Path:
    """A path below a share folder by its name there; links of a symlink install may lead out."""
    if '..' in Path(inside).parts or Path(inside).is_absolute():
        raise ValueError(f'{SCHEME}{share.name}/{inside}: leads out of the package')
    return share / inside
