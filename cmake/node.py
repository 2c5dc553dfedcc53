"""Runs the node that the first argument names; started by the executables of the nodes."""

import sys

if __name__ == '__main__':  # spawned processes import this file
    try:
        from manivideo_ros.process.start import node
    except ImportError as error:
        print(f'error: {error} (by {sys.executable}): activate the environment that the package '
              'was installed for, and source the workspace', file=sys.stderr)  # fmt: skip
        sys.exit(2)
    sys.exit(node(sys.argv.pop(1)))
