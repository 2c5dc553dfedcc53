"""`package://` URIs: files of the ROS packages that are installed here."""

from __future__ import annotations

from pathlib import Path

SCHEME = 'package://'


def package_file(uri: str) -> Path:
    """The path that 'package://name/inside' stands for, whether there is such a file or not.

    Raises ValueError, one line that does not repeat the URI: no such package, or a path that leads
    out of it. Links of a symlink install may.
    """
    package, _, inside = uri.removeprefix(SCHEME).partition('/')
    try:
        from ament_index_python.packages import get_package_share_directory

        share = Path(get_package_share_directory(package)).resolve()
    except (ImportError, LookupError, OSError, ValueError):  # OSError: no ROS environment
        raise ValueError('its package is not installed here') from None
    if '..' in Path(inside).parts or Path(inside).is_absolute():
        raise ValueError(f'leads out of the package {package}')
    return share / inside
