"""A file cache of exported graphs, created on first use and keyed by what they depend on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnxruntime
import torch

from manivideo_ros import model
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.model.checkpoint import checkpoint_sha256, load_checkpoint
from manivideo_ros.process.folders import cache_root, temporary_root, why_not_writable

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
EXPORT = (HERE / 'export.py', HERE / 'stitch.py')
QUANTIZATION = (HERE / 'calibration.py', HERE / 'quantization.py')


def cache_folder() -> Path:
    """The folder of the graphs: $XDG_CACHE_HOME/manivideo_ros, or a temporary one if read-only."""
    try:
        folder = cache_root() / 'manivideo_ros'
    except ValueError:
        log.warning('no home folder is known (HOME is unset); caches go to %s', temporary_root())
        return temporary_root()
    if not why_not_writable(folder):
        return folder
    log.warning('cache folder %s is not writable; using %s', folder, temporary_root())
    return temporary_root()


def _source_hash() -> str:
    """A hash of the code that determines a graph."""
    return _hash_of([*sorted(Path(model.__path__[0]).rglob('*.py')), *EXPORT])


def _hash_of(files: Iterable[Path]) -> str:
    return hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()


def graph_sha256(graph: Path) -> str:
    """The hash that identifies a graph in manifests, reports and bags."""
    return hashlib.sha256(graph.read_bytes()).hexdigest()


def engine_sha256(spec: EngineSpec, backend: str) -> str:
    """The hash of the graph that a backend runs for a specification; '' for torch, without one.

    Raises CheckpointError, EngineError as `graph_of`.
    """
    if backend.startswith('torch'):
        return ''
    return graph_sha256(graph_for(spec, backend))


def graph_for(spec: EngineSpec, backend: str) -> Path:
    """The graph that a backend runs for a specification; for bf16, OpenVINO takes the fp32 graph.

    Raises CheckpointError, EngineError as `graph_of`.
    """
    return graph_of(spec.weights, spec.steps, graph_precision(spec, backend), spec.grid)


def graph_precision(spec: EngineSpec, backend: str) -> str:
    """The precision of the graph that a backend runs for a specification."""
    precision = spec.precision_on(backend)
    return 'fp32' if backend == 'openvino' and precision == 'bf16' else precision


def graph_of(
    checkpoint: Path,
    steps: int,
    precision: str = 'fp32',
    grid: tuple[int, int] | None = None,
) -> Path:
    """The exported graph of a checkpoint, from the cache or created now, which takes seconds.

    grid: width and height of the network's maps; None for those it was trained with.

    Raises CheckpointError for the checkpoint, EngineError if the graph cannot be written.
    """
    if not checkpoint.is_file():
        load_checkpoint(checkpoint)  # raises the error
    made_from: dict[str, object] = {
        'checkpoint_sha256': checkpoint_sha256(checkpoint),
        'steps': steps,
        'precision': precision,
        'grid': grid,
        'torch': torch.__version__,
        'onnxruntime': onnxruntime.__version__,
        'source': _source_hash(),
    }
    if precision == 'int8':
        made_from['calibration'] = _hash_of(QUANTIZATION)
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / f'{key}.onnx'
    try:
        with _one_process(path):
            if not _is_intact(path):
                _write(_create(checkpoint, steps, precision, grid), path, made_from)
    except OSError as error:
        path.with_suffix('.partial').unlink(missing_ok=True)
        raise EngineError(
            f'{path}: {error.strerror}: free space there, or set XDG_CACHE_HOME to another folder'
        ) from None
    return path


@contextmanager
def _one_process(path: Path) -> Iterator[None]:
    """Hold the lock of a file, so that one process creates it and the others wait for it."""
    with path.with_suffix('.lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info('waiting for another process that creates %s', path.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_intact(path: Path) -> bool:
    """Whether a graph exists and has the hash in its manifest."""
    manifest = path.with_suffix('.json')
    if not path.is_file() or not manifest.is_file():
        return False
    try:
        recorded = json.loads(manifest.read_text())['graph_sha256']
    except (ValueError, KeyError, TypeError, RecursionError):
        recorded = ''
    if recorded == graph_sha256(path):
        return True
    log.warning('cached graph %s is damaged; exporting it again', path)
    return False


def _write(graph: onnx.ModelProto, path: Path, made_from: dict[str, object]) -> None:
    from manivideo_ros.engine.graph import export

    export.save_graph(graph, path)
    manifest = {**made_from, 'graph_sha256': graph_sha256(path)}
    path.with_suffix('.json').write_text(json.dumps(manifest, indent=1))


def _create(
    checkpoint: Path, steps: int, precision: str, grid: tuple[int, int] | None
) -> onnx.ModelProto:
    if precision == 'int8':
        in_fp32 = graph_of(checkpoint, steps, grid=grid)
        log.info('calibrating %s for int8 (first use)', checkpoint.name)
        from manivideo_ros.engine.graph.quantization import quantized  # imports Warp

        return quantized(in_fp32, checkpoint)
    log.info('exporting %s to one graph (first use)', checkpoint.name)
    from manivideo_ros.engine.graph import export

    return export.build_graph(load_checkpoint(checkpoint, grid), steps, precision)
