"""The nodes, which convert messages, call the core and publish."""

import sys

if sys.argv[:1] == ['-m'] and any(word.startswith(f'{__name__}.') for word in sys.orig_argv):
    # `python -m` runs a node, whose imports take long before it can handle signals.
    from manivideo_ros.process.start import end_at_once

    end_at_once()
