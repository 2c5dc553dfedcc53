"""How an episode tells where it comes from: a JSON text in its bag, a file in a dataset."""

from __future__ import annotations

import json
from typing import Any

from manivideo_ros.recording.bag import BagReader

KEY = 'provenance'
"""Of a bag's custom data, under which the JSON lies."""


def provenance_of(reader: BagReader) -> dict[str, Any]:
    """What a bag says of its making; {'synthetic': False} for one that says nothing.

    Raises ValueError for a text that is no JSON object.
    """
    text = reader.custom_data.get(KEY)
    if text is None:
        return {'synthetic': False}
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f'{reader.path}: its {KEY} is no JSON: make the episode again') from None


def text_of(provenance: dict[str, Any]) -> str:
    """The JSON that is kept: the same for the same content."""
    return json.dumps(provenance, sort_keys=True)
