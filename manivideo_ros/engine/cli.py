"""`manivideo export`: export a checkpoint to the ONNX graph that a stream runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from manivideo_ros.engine.graph.export import build_graph, save_graph
from manivideo_ros.model.checkpoint import SHIPPED, load_checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 2 for a checkpoint that cannot be used."""
    parser = argparse.ArgumentParser(prog='manivideo export', description=__doc__)
    parser.add_argument('graph', type=Path, help='the .onnx file to write')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED, help='weights (safetensors)')
    parser.add_argument('--steps', type=int, default=1, help='denoising steps in the graph')
    args = parser.parse_args(arguments)
    try:
        if args.steps < 1:
            raise ValueError(f'--steps: {args.steps} is less than 1')
        save_graph(build_graph(load_checkpoint(args.checkpoint), args.steps), args.graph)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(args.graph)
    return 0


if __name__ == '__main__':
    sys.exit(main())
