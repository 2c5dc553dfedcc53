"""A stand-in for TensorRT: its plans are the graphs, which onnxruntime runs on CPU memory.

`DeferredQueue` is a stand-in for a CUDA stream. Enqueued work runs in order, but only when it is
waited for, so memory that is rewritten too early changes the frame. A capture records work, and its
replay enqueues it.
"""

import ctypes
import types
from contextlib import contextmanager

import numpy as np
import onnxruntime as ort
import torch

from manivideo_ros.engine.tensorrt.library import logger_of

QUEUES: dict[int, 'DeferredQueue'] = {}
NAMES = {'tensor(float)': 'FLOAT', 'tensor(uint8)': 'UINT8', 'tensor(bool)': 'BOOL'}
DTYPES = {'FLOAT': np.float32, 'UINT8': np.uint8, 'BOOL': np.bool_}


class DeferredQueue:
    """See Queue: a stream on which nothing runs until it is waited for."""

    def __init__(self) -> None:
        self.device = torch.device('cpu')
        self.handle = 1000 + len(QUEUES)
        QUEUES[self.handle] = self
        self.pending: list = []
        self.captures = self.replays = self.waits = self.copies = 0
        self._recording: list | None = None
        self._done = 0

    def enqueue(self, work) -> None:
        (self.pending if self._recording is None else self._recording).append(work)

    @contextmanager
    def entered(self):
        yield

    def host_tensor(self, shape, dtype):
        return torch.zeros(tuple(shape), dtype=dtype)

    def copy(self, target, source):
        self.copies += 1
        self.enqueue(lambda: target.copy_(source))

    def mark(self):
        until = self._done + len(self.pending)
        return lambda: self._run(until - self._done)

    def _run(self, count):
        now, self.pending = self.pending[: max(0, count)], self.pending[max(0, count) :]
        self._done += len(now)
        for work in now:
            work()

    def capture(self, work):
        assert self._recording is None, 'a capture inside a capture'
        self.captures += 1
        self._recording = recorded = []
        try:
            work()
        finally:
            self._recording = None

        def replay():
            self.replays += 1
            self.pending.extend(recorded)

        return replay

    def wait(self):
        assert self._recording is None, 'a capture that waits'
        self.waits += 1
        self._run(len(self.pending))


class Context:
    """An execution context: addresses by name, and runs on a queue by its handle."""

    def __init__(self, engine) -> None:
        self.engine, self.addresses, self.runs = engine, {}, 0
        engine.contexts.append(self)

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, handle):
        self.runs += 1
        if self.engine.fails:
            return False
        # As with CUDA, addresses are read when a run is enqueued, memory when it executes.
        addresses = dict(self.addresses)
        QUEUES[handle].enqueue(lambda: self._run(addresses))
        return True

    def _run(self, addresses):
        session = self.engine.session
        feed = {v.name: self._array(v, addresses).copy() for v in session.get_inputs()}
        for value, made in zip(session.get_outputs(), session.run(None, feed), strict=True):
            self._array(value, addresses)[...] = made

    def _array(self, value, addresses):
        dtype = np.dtype(DTYPES[NAMES[value.type]])
        size = int(np.prod(value.shape)) * dtype.itemsize
        raw = (ctypes.c_uint8 * size).from_address(addresses[value.name])
        return np.frombuffer(raw, dtype).reshape(value.shape)


class CudaEngine:
    """An engine whose plan is an ONNX graph."""

    def __init__(self, plan, log) -> None:
        self.session = ort.InferenceSession(plan, providers=['CPUExecutionProvider'])
        self.values = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.num_io_tensors, self.contexts, self.log = len(self.values), [], log
        self.fails = False

    def get_tensor_name(self, index):
        return self.values[index].name

    def _value(self, name):
        return next(value for value in self.values if value.name == name)

    def get_tensor_mode(self, name):
        return 'in' if name in {v.name for v in self.session.get_inputs()} else 'out'

    def get_tensor_shape(self, name):
        return self._value(name).shape

    def get_tensor_dtype(self, name):
        return types.SimpleNamespace(name=NAMES[self._value(name).type])

    def get_tensor_location(self, name):
        return 'device'

    def create_execution_context(self, config=None):
        self.log.append(config)
        return Context(self)


class RtxEngine(CudaEngine):
    """An engine of TensorRT for RTX, with a runtime configuration."""

    def create_runtime_config(self):
        made = types.SimpleNamespace(cuda_graph_strategy='disabled', cache=None)
        made.create_runtime_cache = RuntimeCache
        made.set_runtime_cache = lambda cache: setattr(made, 'cache', cache)
        return made


class RuntimeCache:
    """The cache of compiled kernels; here a constant."""

    def __init__(self):
        self.taken = None

    def deserialize(self, blob):
        self.taken = bytes(blob)
        return blob == b'kernels'

    def serialize(self):
        return memoryview(b'kernels')


def library(rtx: bool) -> types.ModuleType:
    """A module `tensorrt`, without names that only `tensorrt_rtx` has, or `tensorrt_rtx`.

    contexts: the configuration of each created context. engines: all loaded engines. builds: the
    built graphs.
    """
    trt = types.ModuleType('tensorrt_rtx' if rtx else 'tensorrt')
    trt.__version__ = '0.0.stand_in'
    trt.contexts, trt.engines, trt.builds = [], [], []
    trt.TensorIOMode = types.SimpleNamespace(INPUT='in', OUTPUT='out')
    trt.TensorLocation = types.SimpleNamespace(HOST='host', DEVICE='device')
    trt.NetworkDefinitionCreationFlag = types.SimpleNamespace(STRONGLY_TYPED=1)
    trt.BuilderFlag = types.SimpleNamespace(TF32='tf32')
    trt.ILogger = type('ILogger', (), {'ERROR': 1, 'INTERNAL_ERROR': 0})
    trt.IProgressMonitor = type('IProgressMonitor', (), {})

    class Runtime:
        def __init__(self, logger):
            pass

        def deserialize_cuda_engine(self, plan):
            trt.engines.append((RtxEngine if rtx else CudaEngine)(plan, trt.contexts))
            return trt.engines[-1]

    class Parser:
        def __init__(self, network, logger):
            self.network = network

        def parse(self, graph):
            self.network.graph = graph
            return True

    class Config:
        def clear_flag(self, flag):
            assert flag == 'tf32'

        def set_compute_capability(self, target, index):
            assert rtx and index < self.num_compute_capabilities

    class Builder:
        def __init__(self, logger):
            pass

        def create_network(self, flags):
            assert flags == 1 << 1
            return types.SimpleNamespace()

        def create_builder_config(self):
            return Config()

        def build_serialized_network(self, network, config):
            trt.builds.append(network.graph)
            monitor = config.progress_monitor
            monitor.phase_start('Building', None, 1)
            monitor.step_complete('Building', 0)
            monitor.phase_finish('Building')
            return network.graph

    trt.Runtime, trt.OnnxParser, trt.Builder = Runtime, Parser, Builder
    if rtx:
        names = ('NONE', 'CURRENT', 'SM75', 'SM80', 'SM86', 'SM89', 'SM120', 'SM121')
        trt.ComputeCapability = types.SimpleNamespace(__members__={n: n for n in names})
        trt.CudaGraphStrategy = types.SimpleNamespace(WHOLE_GRAPH_CAPTURE='whole')
        trt.EngineValidity = types.SimpleNamespace(INVALID='invalid')
        Runtime.get_engine_validity = lambda self, plan: ('valid', 0)
    logger_of(trt)
    return trt
