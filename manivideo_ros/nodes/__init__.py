"""The nodes: each converts messages, calls the core and publishes."""

import sys

if sys.argv[:1] == ['-m'] and any(word.startswith(f'{__name__}.') for word in sys.orig_argv):
    # `python -m` looks for one of the nodes, and will import much before that can take signals.
    from manivideo_ros.process.start import end_at_once

    end_at_once()
