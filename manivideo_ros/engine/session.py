"""A stream of frames: a scene's references, then conditions in and frames out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.engine.runner import DeviceRunner, ExchangedError, FallingBack, Runner

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


class StreamingSession:
    """One scene's stream on a runner, which keeps what lasts from frame to frame. Not thread-safe.

    What does not change from frame to frame is given to the runner once. The runner may be
    exchanged between two frames: the stream goes on, without its past.
    """

    def __init__(self, runner: Runner, seed: int = 0) -> None:
        self.runner = runner
        shapes = runner.shapes
        self.image_size = shapes['base'][-1]
        self.reference_size = shapes['hand_reference'][-1]
        self.background_size = shapes['background'][-1]
        self.layers = shapes['normal_map'][1]
        self.num_points = shapes['points'][1]
        self.human = 'skeleton' in shapes
        self._lasting: dict[str, NDArray[Any]] = {}
        self.set_seed(seed)
        if self.human:
            self._put_lasting(
                {
                    'skeleton': np.zeros(shapes['skeleton'], np.float32),
                    'has_skeleton': np.array(False),
                }
            )

    def set_seed(self, seed: int | tuple[int, int]) -> None:
        """Choose the stream's noise: it is the same in every frame until it is chosen again."""
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
        """Take a new scene's references; they are encoded with the next frame."""
        given = {
            'views': views,
            'background': background,
            'hand_reference': hand_reference,
            'points': points,
        }
        self._put_lasting({n: np.array(v[None], np.float32, order='C') for n, v in given.items()})
        self.reset()

    def exchange(self, runner: Runner) -> None:
        """Go on with another runner of the same network, from the next frame on."""
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
        """The next frame [H, W, 3], RGB; valid until the next call.

        Raises ValueError for a skeleton that the network has no guider for, EngineError where the
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
        """Where the frame's maps may be drawn on a GPU, [1, ...] by name; None on the CPU."""
        return getattr(self.runner, 'inputs', None)

    def step_drawn(
        self, draw: Callable[[], None] | None, skeleton: Floats | None = None
    ) -> NDArray[np.uint8]:
        """`step` of maps that were drawn into `inputs`, or that `draw` draws there.

        Raises as `step`, and ExchangedError where the maps must be drawn for another device.
        """
        drawn_into = self.inputs
        self._put_skeleton(skeleton)
        if self.inputs is not drawn_into:  # the device failed with the skeleton
            raise ExchangedError(f'{self.runner.backend} serves now')
        return cast(DeviceRunner, self.runner).run_drawn(draw)

    def fall_back(self, error: Exception) -> None:
        """Go on without the device that failed under who draws; raises where there is no other."""
        if not isinstance(self.runner, FallingBack):
            raise error
        self.runner.fall_back(error)

    def _put_lasting(self, values: dict[str, NDArray[Any]]) -> None:
        self._lasting.update(values)
        self.runner.put(values)

    def _put_skeleton(self, skeleton: Floats | None) -> None:
        """Give a skeleton, or that there is none any more, where that is new."""
        if skeleton is None:
            if self.human and self._lasting['has_skeleton']:
                self._put_lasting({'has_skeleton': np.array(False)})
            return
        if not self.human:
            raise ValueError('this network was made without human: it takes no skeleton')
        given = np.ascontiguousarray(skeleton[None])
        self._put_lasting({'skeleton': given, 'has_skeleton': np.array(True)})
