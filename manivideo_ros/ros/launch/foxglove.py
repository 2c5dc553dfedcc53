"""The Foxglove layout for a namespace; Foxglove needs fully qualified topic names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory

from manivideo_ros.process.folders import cache_root, temporary_root, why_not_writable

LAYOUT = 'foxglove_layout.json'
GLOBAL = ('/diagnostics', '/tf', '/tf_static')  # the same in every namespace


def layout_file(namespace: str) -> Path:
    """The layout of a namespace: the shipped one, or a file that is written for it."""
    shipped = Path(get_package_share_directory('manivideo_ros')) / 'config' / LAYOUT
    inside = namespace.strip('/')
    if not inside:
        return shipped
    try:
        folder = cache_root() / 'manivideo_ros'
        folder = temporary_root() if why_not_writable(folder) else folder
    except ValueError:
        folder = temporary_root()
    out = folder / f'foxglove_layout_{inside.replace("/", "_")}.json'
    layout = in_namespace(json.loads(shipped.read_text()), inside)
    out.write_text(json.dumps(layout, indent=2) + '\n')
    return out


def in_namespace(layout: Any, namespace: str) -> Any:
    """A layout, or a part of one, with the topics of a namespace."""
    if isinstance(layout, dict):
        return {in_namespace(k, namespace): in_namespace(v, namespace) for k, v in layout.items()}
    if isinstance(layout, list):
        return [in_namespace(entry, namespace) for entry in layout]
    if isinstance(layout, str) and layout.startswith('/') and layout not in GLOBAL:
        return f'/{namespace.strip("/")}{layout}'
    return layout
