"""NVIDIA Warp made ready: quiet, forward passes only, and a kernel cache that can be written."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import warp as wp

from manivideo_ros.folders import cache_root, temporary_root, why_not_writable

wp.config.log_level = wp.LOG_WARNING


def _default_cache() -> Path:
    """Where Warp would keep compiled kernels."""
    chosen = wp.config.kernel_cache_dir or os.environ.get('WARP_CACHE_PATH')
    if chosen:
        return Path(chosen)
    try:
        return cache_root() / 'warp'
    except ValueError:  # no home folder is known: Warp would make one that is called ~
        wp.config.kernel_cache_dir = str(temporary_root() / 'warp')
        return Path(wp.config.kernel_cache_dir)


@cache
def prepare_warp() -> None:
    """Initialise Warp once. A cache folder that cannot be written gives one warning and a new one.

    Kernels then compile again in every process, which takes some seconds.
    """
    folder = _default_cache()
    if why_not_writable(folder):
        instead = tempfile.mkdtemp(prefix='manivideo_warp_')
        warnings.warn(
            f'kernel cache folder {folder} cannot be written: compiling into {instead}; set '
            'WARP_CACHE_PATH to a folder that can be kept',
            RuntimeWarning,
            stacklevel=2,
        )
        wp.config.kernel_cache_dir = instead
    with _without_driver_notice():
        wp.init()


@contextmanager
def _without_driver_notice() -> Iterator[None]:
    """Keep Warp's line about a missing CUDA driver off stderr; other lines come out afterwards.

    It is written by C code on every start of a machine without a GPU, where nothing is wrong.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as lines:
        os.dup2(lines.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            lines.seek(0)
            for line in lines.read().decode(errors='replace').splitlines(keepends=True):
                if 'Could not find or load the NVIDIA CUDA driver' not in line:
                    sys.stderr.write(line)
