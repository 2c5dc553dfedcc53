"""The precisions of this processor, as OpenVINO's CPU plugin reports them."""

from __future__ import annotations

import importlib
import platform
from functools import lru_cache
from types import ModuleType

from manivideo_ros.engine.runner import OTHER_BACKEND, EngineError

ON_X86 = platform.machine().lower() in ('x86_64', 'amd64')
"""x86-64, where OpenVINO is installed with the package and is the faster CPU backend."""


def openvino_module() -> ModuleType:
    """OpenVINO. Raises EngineError if it cannot be imported."""
    try:
        return importlib.import_module('openvino')
    except (ImportError, RuntimeError, OSError) as error:  # it also needs a home folder
        raise EngineError(
            f'OpenVINO cannot be imported ({error}): pip install openvino and set HOME, '
            f'{OTHER_BACKEND}'
        ) from None


@lru_cache(maxsize=1)
def capabilities() -> tuple[str, ...]:
    """The CPU's precisions in OpenVINO's names, such as 'BF16', 'FP32', 'INT8'.

    Raises EngineError if OpenVINO is not installed.
    """
    openvino = openvino_module()
    return tuple(sorted(openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')))


def reduced_precision() -> str:
    """The fastest precision of this CPU: bf16 if it supports it, else int8.

    'fp32' if neither is reported, or OpenVINO is not installed.
    """
    try:
        reported = capabilities()
    except EngineError:
        return 'fp32'
    return next((p for p in ('bf16', 'int8') if p.upper() in reported), 'fp32')


def reduced_reason() -> str:
    """Why `reduced_precision` was chosen, in one line."""
    try:
        return f'OpenVINO reports {", ".join(capabilities())} on this processor'
    except EngineError as error:
        return str(error)


def require_precision(precision: str) -> None:
    """Raise EngineError if OpenVINO is not installed or does not support a precision here."""
    reported = capabilities()
    if precision != 'fp32' and precision.upper() not in reported:
        raise EngineError(
            f'OpenVINO reports no {precision} on this processor ({", ".join(reported)}): set '
            f'precision to {reduced_precision()}, {OTHER_BACKEND}'
        )
