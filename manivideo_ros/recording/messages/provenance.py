"""How an episode tells where it comes from: a JSON text in its bag, a file in a dataset."""

from __future__ import annotations

import json
from typing import Any

from manivideo_ros.recording.bags.bag import BagReader
from manivideo_ros.recording.messages.maker import DIAGNOSTICS, Maker

KEY = 'provenance'
"""Of a bag's custom data, under which the JSON lies."""


def provenance_of(reader: BagReader) -> dict[str, Any]:
    """What a bag says of its making.

    Where it says nothing, what the synthesizer's own reports in it say; without any,
    {'synthetic': False} if its recorder could have said more, {'synthetic': None} (not known) where
    that may be lost: metadata rebuilt, or of a recorder that keeps none.
    Raises ValueError for a text that is no JSON object.
    """
    text = reader.custom_data.get(KEY) or _reported(reader)
    if not text:
        return {'synthetic': False if reader.accounted else None}
    try:
        told = {'synthetic': None, **json.loads(text)}
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f'{reader.path}: its {KEY} is no JSON: make the episode again') from None
    if not isinstance(told['synthetic'], bool | None):
        raise ValueError(
            f'{reader.path}: its {KEY} has synthetic {told["synthetic"]!r}, must be true, false or '
            'null: make the episode again'
        )
    return told


def _reported(reader: BagReader) -> str:
    maker = Maker()
    topics = [topic for topic, kind in reader.topics.items() if kind == DIAGNOSTICS]
    for message in reader.messages(topics) if topics else ():
        maker.take(message.type_name, message.data)
    return maker.provenance


def text_of(provenance: dict[str, Any]) -> str:
    """The JSON that is kept: the same for the same content."""
    return json.dumps(provenance, sort_keys=True)
