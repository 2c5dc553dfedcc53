"""What made the frames of a recording, read off the synthesizer's own reports in it."""

from __future__ import annotations

from manivideo_ros.recording.messages import decoded
from manivideo_ros.recording.provenance import text_of

DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
STATUS = 'manivideo: synthesizer'
TOLD = ('appearance_seed', 'backend', 'checkpoint_sha256', 'engine_sha256', 'preset', 'steps')


class Maker:
    """Looks through a recording's messages; `provenance`: the JSON to keep, '' without a report."""

    provenance = ''

    def take(self, type_name: str, data: bytes) -> None:
        """Look at one message, which may be of any type."""
        if type_name != DIAGNOSTICS:
            return
        try:
            message = decoded(data, type_name)
        except ValueError:
            return  # it is recorded as it came; it tells nothing
        for status in message.status:
            if status.name == STATUS:
                values = {pair.key: pair.value for pair in status.values}
                told = {key: values[key] for key in TOLD if key in values}
                self.provenance = text_of({'synthetic': True, **told})
