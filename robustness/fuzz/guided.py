"""`python -m robustness.fuzz.guided PARSER --seconds N`: coverage-guided fuzzing with Atheris.

Needs `pip install atheris`. Starts from valid files and simple corruptions of them; inputs that
reach new code are stored in `--corpus DIR`. Checks the same conditions as robustness/fuzz/run.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

# Warp kernels are compiled from their source, so they are not instrumented.
INSTRUMENTED = [
    'collada', 'manivideo_ros.files.bounded_yaml', 'manivideo_ros.data.human',
    'manivideo_ros.data.objaverse', 'manivideo_ros.data.recorded', 'manivideo_ros.engine.spec',
    'manivideo_ros.hand', 'manivideo_ros.inputs', 'manivideo_ros.messages',
    'manivideo_ros.motion.files', 'manivideo_ros.motion.recordings', 'manivideo_ros.motion.tracks',
    'manivideo_ros.objects',
    'manivideo_ros.recording', 'manivideo_ros.ros',
    'manivideo_ros.motion.pose_buffer', 'manivideo_ros.training.config', 'manivideo_ros.web',
    'mcap', 'rosbags', 'trimesh', 'yaml', 'http.server', 'urllib.parse', 'xml.etree',
]  # fmt: skip


def main(arguments: list[str]) -> None:
    """Fuzz one parser for some seconds; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog='robustness.fuzz.guided', description=__doc__)
    parser.add_argument('parser')
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--corpus', type=Path, default=None)
    args = parser.parse_args(arguments)
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from robustness.fuzz.run import BITS, corrupted, subject

        with subject(args.parser) as watched, tempfile.TemporaryDirectory() as made:
            corpus = args.corpus or Path(made).resolve() / 'corpus'
            corpus.mkdir(parents=True, exist_ok=True)
            (corpus / 'valid').write_bytes(watched.valid)
            for number, bits in enumerate(BITS):
                changed = corrupted(watched.valid, [('insert', number / len(BITS), bits)])
                (corpus / f'changed_{number}').write_bytes(changed)
            longest = max(4096, 2 * len(watched.valid))
            options = [f'-max_total_time={args.seconds}', f'-max_len={longest}', '-timeout=20']
            options += [f'-artifact_prefix={corpus.parent}/', '-rss_limit_mb=0', '-verbosity=1']
            atheris.Setup([sys.argv[0], *options, str(corpus)], watched.read)
            atheris.Fuzz()


if __name__ == '__main__':
    main(sys.argv[1:])
