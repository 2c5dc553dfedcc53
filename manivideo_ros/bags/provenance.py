"""What made the frames of an episode: JSON in a bag's custom data, a file in a dataset."""

from __future__ import annotations

import json
from typing import Any

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.messages.names import DIAGNOSTICS
from manivideo_ros.messages.types import decoded

KEY = 'provenance'
"""Of the JSON in a bag's custom data."""
STATUS = 'manivideo: synthesizer'
REPORTED = (
    'appearance_seed',  # in recordings of earlier releases: noise_seed
    'backend',
    'checkpoint_sha256',
    'engine_sha256',
    'noise_seed',
    'preset',
    'steps',
)


def status_name(namespace: str = '') -> str:
    """The name of a namespace's synthesizer on /diagnostics, a topic shared by all namespaces."""
    return STATUS if namespace.strip('/') == '' else f'{STATUS} ({namespace})'


class Maker:
    """Collects a synthesizer's diagnostics out of a recording's messages.

    namespace: whose synthesizer's are used, where there are several and it has one.
    """

    def __init__(self, namespace: str = '') -> None:
        self._own = status_name(namespace)
        self._found: dict[str, dict[str, str]] = {}

    @property
    def provenance(self) -> str:
        """JSON about the namespace's synthesizer, else about all others; '' without diagnostics.

        Of several, what they have in common, and under `synthesizers` the rest by their names.
        """
        made = {self._own: self._found[self._own]} if self._own in self._found else self._found
        if not made:
            return ''
        first, *others = made.values()
        common = {k: v for k, v in first.items() if all(each.get(k) == v for each in others)}
        found: dict[str, Any] = {'synthetic': True, **common}
        if others:
            found['synthesizers'] = {
                name: {k: v for k, v in each.items() if k not in common}
                for name, each in made.items()
            }
        return text_of(found)

    def take(self, type_name: str, data: bytes) -> None:
        """Take one message, which may be of any type."""
        if type_name != DIAGNOSTICS:
            return
        try:
            message = decoded(data, type_name)
        except ValueError:
            return
        for status in message.status:
            if status.name.startswith(STATUS):
                values = {pair.key: pair.value for pair in status.values}
                found = {key: values[key] for key in REPORTED if key in values}
                self._found[status.name] = found


def provenance_of(reader: BagReader) -> dict[str, Any]:
    """The provenance in a bag's custom data, else that of the synthesizer's diagnostics in it.

    Without either {'synthetic': False} if the bag's recorder keeps custom data, else, as after
    metadata was rebuilt, {'synthetic': None} (unknown). Raises ValueError for a text that is no
    JSON object.
    """
    text = reader.custom_data.get(KEY) or _reported(reader)
    if not text:
        return {'synthetic': False if reader.accounted else None}
    try:
        found = {'synthetic': None, **json.loads(text)}
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f'{reader.path}: its {KEY} is no JSON: make the episode again') from None
    if not isinstance(found['synthetic'], bool | None):
        raise ValueError(
            f'{reader.path}: its {KEY} has synthetic {found["synthetic"]!r}, must be true, false '
            'or null: make the episode again'
        )
    return found


def _reported(reader: BagReader) -> str:
    maker = Maker()
    topics = [topic for topic, kind in reader.topics.items() if kind == DIAGNOSTICS]
    for message in reader.messages(topics) if topics else ():
        maker.take(message.type_name, message.data)
    return maker.provenance


def text_of(provenance: dict[str, Any]) -> str:
    """The JSON of a provenance, the same for the same content."""
    return json.dumps(provenance, sort_keys=True)
