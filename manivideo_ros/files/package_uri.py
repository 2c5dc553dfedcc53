"""`package://` URIs: files of the ROS packages that are installed here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

SCHEME = 'package://'


def package_file(uri: str) -> Path:
    """The path that 'package://name/inside' stands for, whether there is such a file or not;
    percent-decoded where there is none of the literal name.

    Raises ValueError, one line that does not repeat the URI: no such package, or a path that leads
    out of it. Links of a symlink install may.
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
    except OSError:  # Too long a name for a file
        return share / inside


def package_of(uri: str) -> str:
    """The URI of the package alone."""
    return SCHEME + uri.removeprefix(SCHEME).partition('/')[0]
