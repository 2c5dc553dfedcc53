"""A stream of frames: the scene's references once, then conditions in and frames out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.engine.runner import (
    DeviceRunner,
    ExchangedError,
    FallingBack,
    Finish,
    Made,
    Runner,
    at_grid_size,
    unchanged,
)

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


class StreamingSession:
    """A stream on a runner. Not thread-safe.

    References, noise and skeletons are sent to the runner only when they change. The runner can be
    exchanged between two frames; the stream then continues without its past frames.
    """

    def __init__(self, runner: Runner, seed: int = 0) -> None:
        self.runner = runner
        shapes = runner.shapes
        self.size = shapes['base'][-1], shapes['base'][-2]  # width and height of the maps
        self.reference_size = shapes['hand_reference'][-1]
        self.background_size = shapes['background'][-1]
        self.layers = shapes['normal_map'][1]
        self.num_points = shapes['points'][1]
        self.human = 'skeleton' in shapes
        self._lasting: dict[str, NDArray[Any]] = {}
        self.set_seed(seed)
        if self.human:
            no_skeleton = np.zeros(shapes['skeleton'], np.float32)
            self._put_lasting({'skeleton': no_skeleton, 'has_skeleton': np.array(False)})

    def set_seed(self, seed: int | tuple[int, int]) -> None:
        """Choose the stream's noise, which is the same in every frame."""
        shape = self.runner.shapes['latents']
        self.latents = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        self._put_lasting({'latents': self.latents})

    def set_scene(
        self,
        views: Floats,  # [6, 3, R, R] in [0, 1]
        background: Floats,  # [3, B, B]
        hand_reference: Floats,  # [3, R, R]
        points: Floats,  # [P, 3] m, object frame
    ) -> None:
        """Set a new scene's references, encoded with the next frame, and forget past frames."""
        references = {
            'views': views,
            'background': background,
            'hand_reference': hand_reference,
            'points': points,
        }
        self._put_lasting({name: _batched(value) for name, value in references.items()})
        self.reset()

    def exchange(self, runner: Runner) -> None:
        """Switch to another runner of the same network, from the next frame on."""
        runner.put(self._lasting)
        runner.forget()
        self.runner = runner

    def reset(self) -> None:
        """Forget the past frames."""
        self.runner.forget()

    def step(
        self,
        normal_map: Floats,  # [L, 3, H, W]
        occlusion_confidence: Floats,  # [L, H, W]
        visible_normal: Floats,  # [3, H, W]
        horizon: Floats,  # [8, H/2, W/2]
        base: Floats,  # [3, H, W] in [0, 1]
        skeleton: Floats | None = None,  # [3, H, W] in [0, 1], for a network with `human`
    ) -> NDArray[np.uint8]:
        """The next frame [H, W, 3] at the size of the maps, RGB; valid until the next call.

        Raises as `predict`.
        """
        maps = (normal_map, occlusion_confidence, visible_normal, horizon, base)
        return at_grid_size(self.predict(*maps, skeleton=skeleton), base)

    def predict(
        self,
        normal_map: Floats,  # [L, 3, H, W]
        occlusion_confidence: Floats,  # [L, H, W]
        visible_normal: Floats,  # [3, H, W]
        horizon: Floats,  # [8, H/2, W/2]
        base: Floats,  # [3, H, W] in [0, 1]
        skeleton: Floats | None = None,  # [3, H, W] in [0, 1], for a network with `human`
    ) -> Made:
        """What the network makes of the next frame's maps; valid until the next call.

        Raises ValueError for a skeleton if the network has no skeleton guider, EngineError if the
        runner fails.
        """
        maps = {
            'normal_map': normal_map,
            'occlusion_confidence': occlusion_confidence,
            'visible_normal': visible_normal,
            'horizon': horizon,
            'base': base,
        }
        self._put_skeleton(skeleton)
        self.runner.put({n: np.ascontiguousarray(v[None]) for n, v in maps.items()})
        return self.runner.run()

    @property
    def inputs(self) -> Mapping[str, Tensor] | None:
        """GPU tensors [1, ...] by name, into which the frame's maps can be drawn; None on a CPU."""
        return getattr(self.runner, 'inputs', None)

    def predict_drawn(
        self,
        draw: Callable[[], None] | None,
        skeleton: Floats | None = None,
        finish: Finish = unchanged,
    ) -> Made:
        """`predict` with maps that are in `inputs` already, or that `draw` draws there.

        finish: as for DeviceRunner.run_drawn. Raises as `predict`, and ExchangedError if the maps
        must be drawn for another device.
        """
        drawn_into = self.inputs
        self._put_skeleton(skeleton)
        if self.inputs is not drawn_into:  # the device failed on the skeleton
            raise ExchangedError(f'{self.runner.backend} serves now')
        return cast(DeviceRunner, self.runner).run_drawn(draw, finish)

    def fall_back(self, error: Exception) -> None:
        """Switch to another backend after drawing failed on the device; raises if none is left."""
        if not isinstance(self.runner, FallingBack):
            raise error
        self.runner.fall_back(error)

    def _put_lasting(self, values: dict[str, NDArray[Any]]) -> None:
        """Send the runner those of the values that have changed."""
        sent = self._lasting
        changed = {
            n: v for n, v in values.items() if n not in sent or not np.array_equal(sent[n], v)
        }
        if changed:
            self.runner.put(changed)
            sent.update(changed)

    def _put_skeleton(self, skeleton: Floats | None) -> None:
        if skeleton is not None:
            if not self.human:
                raise ValueError('this network was made without human: it takes no skeleton')
            self._put_lasting({'skeleton': _batched(skeleton), 'has_skeleton': np.array(True)})
        elif self.human:
            self._put_lasting({'has_skeleton': np.array(False)})


def _batched(value: Floats) -> Floats:
    """A contiguous copy [1, ...], which does not change when the caller's array does."""
    return np.array(value[None], np.float32, order='C')
