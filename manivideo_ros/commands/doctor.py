"""`manivideo doctor`: checks what the package needs on this machine, and suggests fixes."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from manivideo_ros.files.errors import reason_of
from manivideo_ros.process.folders import cache_root, expanded, temporary_root, why_not_writable
from manivideo_ros.process.start import BUILD

OK, NOTE, BAD = 'ok', 'note', 'bad'
OLDEST_PYTHON = (3, 11)
SHM_BYTES = 48 * 2**20
SUPPORTED = ('jazzy', 'kilted')


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, its state, what was found, and how to fix it."""

    name: str
    state: str
    found: str
    fix: str = ''


def interpreter() -> Finding:
    """The Python version, and whether it runs in a virtual environment."""
    version = platform.python_version()
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding('interpreter', BAD, version, 'make PYTHON=python3.11 venv')
    if sys.prefix == sys.base_prefix:
        return Finding('interpreter', NOTE, f'{version}, no environment', 'make venv')
    return Finding('interpreter', OK, f'{version} in {sys.prefix}')


def compiler() -> Finding:
    """The C++ compiler and Python headers that build the interfaces."""
    found = shutil.which(os.environ.get('CXX', 'c++'))
    headers = Path(sysconfig.get_path('include')) / 'Python.h'
    if found is None:
        return Finding('compiler', BAD, 'no C++ compiler', 'sudo apt install g++')
    if not headers.is_file():
        python = f'python{sys.version_info.major}.{sys.version_info.minor}'
        return Finding('compiler', BAD, f'{found}, no Python.h', f'sudo apt install {python}-dev')
    return Finding('compiler', OK, found)


def distribution() -> Finding:
    """The ROS 2 distribution and the interfaces of this package."""
    name = os.environ.get('ROS_DISTRO', '')
    origin = f'{name} sourced' if name else 'wheels'
    if importlib.util.find_spec('rclpy') is None:
        fix = 'source /opt/ros/jazzy/setup.bash, or: make venv'
        return Finding('ROS 2', BAD, 'rclpy cannot be imported', fix)
    try:
        importlib.import_module('manivideo_ros.msg').HandPoses()
    except Exception as error:
        reason = reason_of(error)
        return Finding('ROS 2', BAD, f'{origin}; interfaces: {reason}', BUILD)
    if name and name not in SUPPORTED:
        fix = f'use one of {", ".join(SUPPORTED)}'
        return Finding('ROS 2', NOTE, f'{origin}: not tested', fix)
    return Finding('ROS 2', OK, f'{origin}, interfaces built')


def middleware() -> Finding:
    """The RMW implementation, and whether its shared memory holds images."""
    try:
        name = importlib.import_module('rclpy.utilities').get_rmw_implementation_identifier()
    except Exception as error:
        reason = reason_of(error)
        return Finding('RMW', BAD, reason, 'unset RMW_IMPLEMENTATION or install that RMW')
    variables = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    if name == 'rmw_fastrtps_cpp' and not any(os.environ.get(v) for v in variables):
        profile = 'share/manivideo_ros/config/fastdds.xml'
        return Finding('RMW', NOTE, name, f'for large images: {variables[0]}=.../{profile}')
    return Finding('RMW', OK, name)


def cv_bridge() -> Finding:
    """Whether cv_bridge works with this numpy; it does not if it was built for numpy 1."""
    from manivideo_ros.ros.stream.camera_images import cv_bridge_works

    numpy = importlib.import_module('numpy').__version__
    if importlib.util.find_spec('cv_bridge') is None:
        return Finding('numpy', OK, f'{numpy}; no cv_bridge, not needed')
    if not cv_bridge_works():
        fix = 'other nodes that use cv_bridge need numpy<2 in their environment; this one does not'
        return Finding('numpy', NOTE, f'{numpy} does not work with cv_bridge', fix)
    return Finding('numpy', OK, f'{numpy} works with cv_bridge')


def shared_memory() -> Finding:
    """/dev/shm, which transports images between processes."""
    try:
        usage = shutil.disk_usage('/dev/shm')
    except OSError:
        return Finding('/dev/shm', NOTE, 'absent', 'none needed: images use UDP, which is slower')
    free = f'{usage.free / 2**20:.0f} MiB free of {usage.total / 2**20:.0f}'
    if usage.free < SHM_BYTES:
        fix = 'remove /dev/shm/fastrtps_* while no node runs, or start Docker with --shm-size=256m'
        return Finding('/dev/shm', BAD, free, fix)
    others = owners(Path('/dev/shm')) - {os.geteuid()}
    if others:
        users = ', '.join(str(uid) for uid in sorted(others))
        fix = 'for nodes of both users: FASTDDS_BUILTIN_TRANSPORTS=UDPv4'
        return Finding('/dev/shm', NOTE, f'{free}, segments of user {users}', fix)
    return Finding('/dev/shm', OK, free)


def owners(folder: Path) -> set[int]:
    """The users whose nodes have shared memory here, by the file names of Fast DDS."""
    found: set[int] = set()
    for name in ('fastrtps', 'fastdds'):
        for file in folder.glob(f'{name}_*'):
            with suppress(FileNotFoundError):  # the node ended meanwhile
                found.add(file.stat().st_uid)
    return found


def gpu() -> Finding:
    """GPU, driver, and whether PyTorch, Warp and TensorRT can use them."""
    tool = shutil.which('nvidia-smi')
    torch = importlib.import_module('torch')
    if tool is None and not torch.cuda.is_available():
        return Finding('GPU', OK, 'no NVIDIA driver; the default model runs on the CPU')
    found = '' if tool is None else _asked(tool)
    if isinstance(found, Finding):
        return found
    if not torch.cuda.is_available():
        version = torch.__version__.partition('+')[0]
        why = 'has no CUDA' if torch.version.cuda is None else 'finds no CUDA device'
        fix = (
            f'to use the GPU: pip install --force-reinstall torch=={version}, the build for CUDA'
            if torch.version.cuda is None
            else f'to use the GPU: update the driver to one for CUDA {torch.version.cuda}'
        )
        return Finding('GPU', NOTE, f'{found}; torch {torch.__version__} {why}', fix)
    capability = '{}.{}'.format(*torch.cuda.get_device_capability())
    found = f'{found or torch.cuda.get_device_name()}, compute capability {capability}'
    warp = importlib.import_module('warp')
    importlib.import_module('manivideo_ros.mlo.warp_runtime').prepare_warp()
    if not warp.is_cuda_available():
        fix = 'update the driver: engines on the GPU render with Warp'
        return Finding('GPU', NOTE, f'{found}; Warp {warp.__version__} finds no CUDA device', fix)
    found += f'; Warp {warp.__version__} on {warp.get_cuda_device().name}'
    return _with_tensorrt(found, capability)


def _asked(nvidia_smi: str) -> str | Finding:
    """Name and driver of the first GPU by nvidia-smi, or a finding if it fails."""
    query = [nvidia_smi, '--query-gpu=name,driver_version', '--format=csv,noheader']
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Finding('GPU', NOTE, 'nvidia-smi does not answer', 'reinstall the driver, reboot')
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reason = (done.stdout + done.stderr).strip().splitlines() or ['no answer']
        return Finding('GPU', NOTE, reason[0], 'reinstall the driver or reboot')
    name, _, driver = lines[0].partition(', ')
    return f'{name}, driver {driver}'


def _with_tensorrt(found: str, capability: str) -> Finding:
    """The finding, with the TensorRT package for the GPU."""
    from manivideo_ros.engine.tensorrt.library import package_for

    package = package_for(capability)
    if importlib.util.find_spec(package.replace('-', '_')) is not None:
        return Finding('GPU', OK, f'{found}; {package}')
    return Finding('GPU', OK, found, f'for the fastest engine on this GPU: pip install {package}')


def cpu_engine() -> Finding:
    """The backend of the default engine on the CPU."""
    from manivideo_ros.engine.processor import ON_X86, reduced_precision, reduced_reason

    precision = reduced_precision()
    if precision != 'fp32':
        return Finding('CPU engine', OK, f'OpenVINO in {precision}; {reduced_reason()}')
    if not ON_X86:
        return Finding('CPU engine', OK, 'onnxruntime in fp32')
    return Finding('CPU engine', NOTE, f'fp32: {reduced_reason()}', 'pip install openvino')


def caches() -> Finding:
    """The folders of exported graphs, compiled kernels and logs."""
    try:
        root, logs = cache_root(), logs_root()
    except ValueError:
        found = f'no home folder is known (HOME is unset): caches go to {temporary_root()}'
        fix = 'set HOME, or XDG_CACHE_HOME and ROS_LOG_DIR: nodes need a log folder to start'
        return Finding('caches', NOTE, found, fix)
    for folder, variable in ((root, 'XDG_CACHE_HOME'), (logs, 'ROS_LOG_DIR')):
        if why := why_not_writable(folder):
            fix = f'set {variable} to a folder that can be written'
            return Finding('caches', BAD, f'{folder}: {why}', fix)
    return Finding('caches', OK, f'{root}, {logs}')


def logs_root() -> Path:
    """The log folder of ROS 2. Raises ValueError if no home folder is known."""
    chosen = os.environ.get('ROS_LOG_DIR') or os.environ.get('ROS_HOME')
    return Path(chosen) if chosen else expanded('~/.ros')


def weights() -> Finding:
    """The shipped weights."""
    try:
        from manivideo_ros.model.checkpoint import SHIPPED, read_config

        config = read_config(SHIPPED)
    except (ImportError, ValueError) as error:
        return Finding('weights', BAD, reason_of(error), 'make venv; git checkout')
    return Finding('weights', OK, f'{config.preset}, {SHIPPED.stat().st_size / 2**20:.0f} MiB')


CHECKS: tuple[Callable[[], Finding], ...] = (
    interpreter,
    compiler,
    distribution,
    middleware,
    cv_bridge,
    shared_memory,
    gpu,
    cpu_engine,
    caches,
    weights,
)


def main(arguments: list[str]) -> int:
    """The command line."""
    argparse.ArgumentParser(prog='manivideo doctor', description=__doc__).parse_args(arguments)
    return run()


def run() -> int:
    """Print all findings; returns 1 if any is bad."""
    findings = [check() for check in CHECKS]
    width = max(len(f.name) for f in findings)
    for finding in findings:
        print(f'{finding.state:<4}  {finding.name:<{width}}  {finding.found}')
        if finding.fix:
            print(f'{"":<4}  {"":<{width}}  -> {finding.fix}')
    return int(any(f.state == BAD for f in findings))
