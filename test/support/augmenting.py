"""What tests share: augmenting."""

from __future__ import annotations

import hashlib
from pathlib import Path

from manivideo_ros.augment.cli import main


def augment(recording, out, checkpoint, variations, *more):
    arguments = [recording, '--out', out, '--checkpoint', checkpoint, '--variations', variations]
    return main([str(a) for a in (*arguments, *more)])


def hashes(out: Path) -> dict[str, str]:
    files = [file for file in sorted(out.glob('*/*')) if not file.parent.name.startswith('.')]
    return {str(f.relative_to(out)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
