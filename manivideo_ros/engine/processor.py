"""What this processor computes in, as OpenVINO's CPU plugin reports it."""

from __future__ import annotations

import importlib
import platform
from functools import lru_cache
from types import ModuleType

from manivideo_ros.engine.runner import OTHER_BACKEND, EngineError

ON_X86 = platform.machine().lower() in ('x86_64', 'amd64')
"""Whether OpenVINO is installed with the package, and the faster of the CPU's backends."""


def openvino_module() -> ModuleType:
    """OpenVINO. Raises EngineError where it cannot be imported."""
    try:
        return importlib.import_module('openvino')
    except (ImportError, RuntimeError, OSError) as error:  # it looks for a home folder, too
        raise EngineError(
            f'OpenVINO cannot be imported ({error}): pip install openvino and set HOME, '
            f'{OTHER_BACKEND}'
        ) from None


@lru_cache(maxsize=1)
def capabilities() -> tuple[str, ...]:
    """OpenVINO's names of what the CPU computes in, as 'BF16', 'FP32', 'INT8'.

    Raises EngineError where OpenVINO is not installed.
    """
    openvino = openvino_module()
    return tuple(sorted(openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')))


def reduced_precision() -> str:
    """What replaces fp32 where speed is asked for: bf16 where the CPU computes in it, else int8.

    'fp32' where neither is reported, or OpenVINO is not installed.
    """
    try:
        reported = capabilities()
    except EngineError:
        return 'fp32'
    return next((p for p in ('bf16', 'int8') if p.upper() in reported), 'fp32')


def reduced_reason() -> str:
    """Why `reduced_precision` is what it is, one line."""
    try:
        return f'OpenVINO reports {", ".join(capabilities())} on this processor'
    except EngineError as error:
        return str(error)


def require_precision(precision: str) -> None:
    """Raise EngineError where OpenVINO is absent, or computes in something else on this CPU."""
    reported = capabilities()
    if precision != 'fp32' and precision.upper() not in reported:
        raise EngineError(
            f'OpenVINO reports no {precision} on this processor ({", ".join(reported)}): set '
            f'precision to {reduced_precision()}, {OTHER_BACKEND}'
        )
