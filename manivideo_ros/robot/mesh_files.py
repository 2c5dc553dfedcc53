"""Finds the files that a URDF names, inside the folders that it may read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from manivideo_ros.files.package_uri import SCHEME, package_file
from manivideo_ros.process.folders import expanded

LONGEST = 200  # characters of a name in a message


@dataclass(frozen=True)
class MeshFiles:
    """Where the files of a URDF are.

    packages: folders of packages, or of folders that are named as packages, besides installed ones
    and those of ROS_PACKAGE_PATH. beside: the folder of the URDF file, None for a description that
    comes from a topic; then names outside packages lie in no allowed folder.
    """

    packages: Sequence[Path] = ()
    beside: Path | None = None

    @classmethod
    def of(cls, urdf: Path | None, packages: Sequence[str] = ()) -> MeshFiles:
        """Those of a URDF file and folders that the user names. Raises ValueError."""
        folders = [expanded(folder).resolve() for folder in packages if folder]
        for folder in folders:
            if not folder.is_dir():
                raise ValueError(f'{folder}: no such folder')
        return cls(tuple(folders), None if urdf is None else urdf.resolve().parent)

    def find(self, name: str) -> tuple[Path, Path]:
        """The file of a name, and the folder below which the files that it names may lie.

        Raises ValueError, one line, for a file that is missing or lies in no allowed folder.
        """
        shown = name if len(name) <= LONGEST and name.isprintable() else repr(name[:LONGEST])
        refused = False
        for path, package in self._candidates(name):
            try:
                if not path.is_file():
                    continue
                allowed = self._allowed(path, package)
            except (OSError, RuntimeError, ValueError):  # too long, circular links, NUL
                continue
            if allowed:
                return path, package or path.parent
            refused = True
        if refused:
            raise ValueError(f'{shown}: lies in no allowed folder: name its package folder')
        if name.startswith(SCHEME):
            named = name.removeprefix(SCHEME).partition('/')[0]
            raise ValueError(
                f'{shown}: no such file; its package {named!r} is searched for in installed '
                'packages, ROS_PACKAGE_PATH and the package folders'
            )
        raise ValueError(f'{shown}: no such file')

    def _candidates(self, name: str) -> Iterator[tuple[Path, Path | None]]:
        """Paths of a name, with the package that it names."""
        if name.startswith(SCHEME):
            package, _, inside = name.removeprefix(SCHEME).partition('/')
            for folder in self._packages(package):
                yield folder / inside, folder
                yield folder / unquote(inside), folder
            with contextlib.suppress(ValueError):
                yield package_file(name), package_file(SCHEME + package)
            return
        inside = name.removeprefix('file://')
        for form in dict.fromkeys((inside, unquote(inside))):
            if Path(form).is_absolute():
                yield Path(form), None
            elif self.beside is not None:
                yield self.beside / form, None

    def _packages(self, package: str) -> Iterator[Path]:
        if package in ('', '.', '..'):
            return
        stated = os.environ.get('ROS_PACKAGE_PATH', '')
        for folder in [*self.packages, *(Path(p) for p in stated.split(os.pathsep) if p)]:
            if folder.name == package:
                yield folder
            yield folder / package
        if self.beside is not None:  # a package that holds the URDF itself
            yield from (p for p in self.beside.parents if p.name == package)
            if self.beside.name == package:
                yield self.beside

    def _allowed(self, path: Path, package: Path | None) -> bool:
        """Whether a file lies in the package that is named, or in a folder that is allowed.

        Links of a package may lead out of it, as those of a symlink install do.
        """
        if package is not None:
            return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(package))
        folders = list(self.packages)
        if self.beside is not None:
            folders.append(_package_root(self.beside))
        return any(path.resolve().is_relative_to(folder) for folder in folders)


def _package_root(folder: Path) -> Path:
    """The package that holds a folder; the folder's parent where no package.xml says which."""
    for parent in (folder, *folder.parents):
        if (parent / 'package.xml').is_file():
            return parent
    return folder.parent if len(folder.parents) > 1 else folder
