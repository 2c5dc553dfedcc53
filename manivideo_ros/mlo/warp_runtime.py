"""Set-up of NVIDIA Warp: logging, kernel cache, and torch's devices and streams."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter
from types import ModuleType

import torch
import warp as wp

from manivideo_ros.process.folders import cache_root, temporary_root, why_not_writable
from manivideo_ros.process.stderr import held_back

log = logging.getLogger(__name__)

# Written by C code on every machine without a GPU, where nothing is wrong.
NO_DRIVER = 'Could not find or load the NVIDIA CUDA driver'

wp.config.log_level = wp.LOG_WARNING

SECONDS_PER_MODULE = 4
"""Approximate time to compile the kernels of one module on one core."""


class WarpDeviceError(RuntimeError):
    """Raised if Warp cannot draw on a device that torch has."""


def _default_cache() -> Path:
    """The folder of Warp's kernel cache."""
    chosen = wp.config.kernel_cache_dir or os.environ.get('WARP_CACHE_PATH')
    if chosen:
        return Path(chosen)
    try:
        return cache_root() / 'warp'
    except ValueError:  # no home folder is known: Warp would create a folder named ~
        wp.config.kernel_cache_dir = str(temporary_root() / 'warp')
        return Path(wp.config.kernel_cache_dir)


@cache
def prepare_warp() -> None:
    """Initialise Warp once.

    If the cache folder is not writable, warns and uses a temporary one; kernels are then compiled
    in every process, which takes some seconds.
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
    with held_back(lambda line: NO_DRIVER not in line):
        wp.init()


def require_warp(device: str) -> None:
    """Raise WarpDeviceError with the reason if Warp cannot draw on a device of torch.

    Warp's wheel may be built for a newer CUDA release than torch's, and need a newer driver.
    """
    prepare_warp()
    if device == 'cpu':
        return
    instead = 'or choose a backend that computes on the CPU'
    count, built = wp.get_cuda_device_count(), wp.get_cuda_toolkit_version()
    if built is None:
        raise WarpDeviceError(
            f'{device}: this build of Warp {wp.__version__} has no CUDA. Install the wheel of '
            f'warp-lang for this platform, {instead}'
        )
    if count == 0:
        driver = wp.get_cuda_driver_version()
        found = f'supports CUDA {driver[0]}.{driver[1]}' if driver else 'cannot be loaded by Warp'
        raise WarpDeviceError(
            f'{device}: the NVIDIA driver {found}; Warp {wp.__version__} needs one for CUDA '
            f'{built[0]}.0 or newer. Update it (nvidia-smi shows what it supports), {instead}'
        )
    number = int(torch_name(device).partition(':')[2])
    if number >= count:
        raise WarpDeviceError(
            f'{device}: the last GPU that Warp has is cuda:{count - 1}. Choose another, {instead}'
        )


def torch_name(device: str) -> str:
    """The device with its index; 'cuda' is torch's current GPU.

    torch and Warp use the same indices, those of the driver, which reads CUDA_VISIBLE_DEVICES once
    per process.
    """
    return f'cuda:{torch.cuda.current_device()}' if device == 'cuda' else device


def require_contiguous(name: str, tensor: torch.Tensor) -> None:
    """Raise ValueError if a tensor to draw into is not contiguous: flattening would copy it."""
    if not tensor.is_contiguous():
        raise ValueError(
            f'{name}: must be contiguous to be drawn into, has strides {tuple(tensor.stride())} '
            f'for shape {tuple(tensor.shape)}'
        )


def load_kernels(device: str, *modules: ModuleType) -> None:
    """Load the kernels of modules on a device before the first frame.

    Kernels that are not in the cache are compiled in parallel, which is logged before and after: it
    takes seconds, and cannot be captured in a CUDA graph.
    """
    prepare_warp()
    missing = [module for module in modules if not _compiled(device, module.__name__)]
    if not missing:
        return
    names = ', '.join(module.__name__.rpartition('.')[2] for module in missing)
    log.info(
        'compiling kernels for %s (%s): about %d s on one idle core, once; kept in %s',
        device, names, SECONDS_PER_MODULE * len(missing), wp.config.kernel_cache_dir,
    )  # fmt: skip
    started = perf_counter()
    wp.force_load(device, [wp.get_module(module.__name__) for module in missing])
    log.info('compiled kernels for %s in %.1f s', device, perf_counter() - started)
    _compiled.cache_clear()


@cache
def _compiled(device: str, module: str) -> bool:
    """Whether the kernel cache contains a module's binary for a device."""
    target, kernels = wp.get_device(device), wp.get_module(module)
    variant = 1 if target.is_cpu else kernels.options['block_dim']
    folder = Path(wp.config.kernel_cache_dir) / kernels.get_module_identifier(variant)
    ending = '*.o' if target.is_cpu else f'*.sm{target.get_cuda_compile_arch()}*'
    return any(folder.glob(ending))


@contextmanager
def on_torch_stream(device: str) -> Iterator[None]:
    """Let Warp enqueue on torch's current stream of a device; does nothing on the CPU."""
    if device == 'cpu':
        yield
        return
    stream = torch.cuda.current_stream(device)
    # A second Warp stream on the same handle would unregister it on destruction.
    if wp.get_stream(device).cuda_stream == stream.cuda_stream:
        yield
        return
    with wp.ScopedStream(wp.stream_from_torch(stream), sync_enter=False):
        yield
