"""What made the frames of a recording, read off the synthesizer's own reports in it."""

from __future__ import annotations

import json

from manivideo_ros.recording.messages.types import decoded

DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
STATUS = 'manivideo: synthesizer'
TOLD = ('appearance_seed', 'backend', 'checkpoint_sha256', 'engine_sha256', 'preset', 'steps')


def status_name(namespace: str = '') -> str:
    """What the synthesizer of a namespace calls itself on /diagnostics, which all share."""
    return STATUS if namespace.strip('/') == '' else f'{STATUS} ({namespace})'


class Maker:
    """Looks through a recording's messages; `provenance`: the JSON to keep, '' without a report.

    namespace: whose synthesizer's reports count, where there are several.
    """

    def __init__(self, namespace: str = '') -> None:
        self._own = status_name(namespace)
        self._found: dict[str, str] = {}

    @property
    def provenance(self) -> str:
        """Of the namespace's own synthesizer, or of another that is the only one."""
        only = next(iter(self._found.values())) if len(self._found) == 1 else ''
        return self._found.get(self._own, only)

    def take(self, type_name: str, data: bytes) -> None:
        """Look at one message, which may be of any type."""
        if type_name != DIAGNOSTICS:
            return
        try:
            message = decoded(data, type_name)
        except ValueError:
            return  # it is recorded as it came; it tells nothing
        for status in message.status:
            if status.name.startswith(STATUS):
                values = {pair.key: pair.value for pair in status.values}
                told = {key: values[key] for key in TOLD if key in values}
                self._found[status.name] = json.dumps({'synthetic': True, **told}, sort_keys=True)
