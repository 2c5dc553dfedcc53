"""A stream of frames through one exported graph, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class StreamingSession:
    """One scene's stream: conditions in, uint8 frame out, caches kept inside.

    Caches live in two sets of buffers that the graph reads and writes in turn. Not thread-safe.
    """

    def __init__(self, graph: Path, threads: int = 2, seed: int = 0) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Spinning workers would take the cores from the renderer and the middleware.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        self.session = ort.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
        shapes = {i.name: tuple(i.shape) for i in self.session.get_inputs()}
        outputs = {o.name: tuple(o.shape) for o in self.session.get_outputs()}
        self.frame = np.zeros(outputs['frame'], np.uint8)
        # The cache that output `next_x` becomes: `x`, or for the scene's features `cached_x`.
        self._cache_of = {
            name: name[5:] if name[5:] in shapes else 'cached_' + name[5:]
            for name in outputs
            if name.startswith('next_')
        }
        self._buffers = [
            {cache: np.zeros(shapes[cache], np.float32) for cache in self._cache_of.values()}
            for _ in range(2)
        ]
        self._scene = {
            name: np.zeros(shapes[name], np.float32)
            for name in ('views', 'background', 'hand_view', 'points')
        }
        self._refresh = True
        self._latents_shape = shapes['latents']
        self.image_size = shapes['base'][-1]
        self.reference_size = shapes['hand_view'][-1]
        self.layers = shapes['normal_map'][1]
        self.num_points = shapes['points'][1]
        self.human = 'skeleton' in shapes
        self._no_skeleton = np.zeros(shapes.get('skeleton', ()), np.float32)
        self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Choose the stream's noise: it is the same in every frame."""
        shape = self._latents_shape
        self.latents = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

    def set_scene(
        self,
        views: Floats,  # [6, 3, R, R] in [0, 1]
        background: Floats,  # [3, R, R]
        hand_view: Floats,  # [3, R, R]
        points: Floats,  # [P, 3] m, object frame
    ) -> None:
        """Take a new scene's references; they are encoded with the next frame."""
        given = {'views': views, 'background': background, 'hand_view': hand_view, 'points': points}
        for name, value in given.items():
            self._scene[name][0] = value
        self._refresh = True
        self.reset()

    def reset(self) -> None:
        """Forget the past frames."""
        self._buffers[0]['valid'][:] = 0

    def step(
        self,
        normal_map: Floats,  # [L, 3, H, W]
        occlusion_confidence: Floats,  # [L, H, W]
        visible_normal: Floats,  # [3, H, W]
        horizon: Floats,  # [8, H/2, W/2]
        base: Floats,  # [3, H, W] in [0, 1]
        skeleton: Floats | None = None,  # [3, H, W] in [0, 1], for a network with `human`
    ) -> NDArray[np.uint8]:
        """The next frame [H, W, 3], RGB; valid until the next call.

        Raises ValueError for a skeleton that the network has no guider for.
        """
        now, then = self._buffers
        inputs = {
            'latents': self.latents,
            'normal_map': normal_map[None],
            'occlusion_confidence': occlusion_confidence[None],
            'visible_normal': visible_normal[None],
            'horizon': horizon[None],
            'base': base[None],
            'refresh_scene': np.array(self._refresh),
            **self._scene,
            **self._skeleton_inputs(skeleton),
            **now,
        }
        binding = self.session.io_binding()
        for name, value in inputs.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        _bind_output(binding, 'frame', self.frame)
        for output, cache in self._cache_of.items():
            _bind_output(binding, output, then[cache])
        self.session.run_with_iobinding(binding)
        self._buffers.reverse()
        self._refresh = False
        return self.frame

    def _skeleton_inputs(self, skeleton: Floats | None) -> dict[str, np.ndarray]:
        if not self.human:
            if skeleton is not None:
                raise ValueError('this network was made without human: it takes no skeleton')
            return {}
        given = self._no_skeleton if skeleton is None else skeleton[None]
        return {'skeleton': given, 'has_skeleton': np.array(skeleton is not None)}


def _bind_output(binding: ort.IOBinding, name: str, array: np.ndarray) -> None:
    binding.bind_output(name, 'cpu', 0, array.dtype.type, array.shape, array.ctypes.data)
