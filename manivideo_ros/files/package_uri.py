"""`package://` URIs: files of installed ROS packages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

SCHEME = 'package://'


def package_file(uri: str) -> Path:
    """The path of 'package://name/inside', whether or not it exists; percent-decoded if the
    literal name does not exist.

    Raises ValueError, one line without the URI, for a package that is not installed and a path
    with `..`. Symbolic links may lead out of the package, as those of a symlink install do.
    """
    package, _, inside = uri.removeprefix(SCHEME).partition('/')
    try:
        from ament_index_python.packages import get_package_share_directory

        share = Path(get_package_share_directory(package)).resolve()
    except (ImportError, LookupError, OSError, ValueError):  # OSError: no ROS environment
        raise ValueError('its package is not installed here') from None
    if any('..' in Path(p).parts or Path(p).is_absolute() for p in (inside, unquote(inside))):
        raise ValueError(f'leads out of the package {package}')
    try:
        return share / (inside if (share / inside).exists() else unquote(inside))
    except OSError:  # the name is too long for a file
        return share / inside


def package_of(uri: str) -> str:
    """The URI of the package alone."""
    return SCHEME + uri.removeprefix(SCHEME).partition('/')[0]
