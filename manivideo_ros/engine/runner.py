"""The interface of backends: a runner executes the network with its caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.model.config import LatentTrunk, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

OTHER_BACKEND = 'or use another backend, as auto does'
CORRECTION, FRAME = 'correction', 'frame'
"""Outputs of a graph: of a network that corrects a base image, and of one without."""
SCENE_INPUTS = ('views', 'background', 'hand_reference', 'points')


Made = NDArray[Any]
"""The correction float32 [6, H, W] of the base image, its gain and residual, each RGB; of a network
without a base image the frame uint8 [H, W, 3], RGB."""
Finish = Callable[['Tensor'], 'Tensor']


def unchanged(made: Tensor) -> Tensor:
    """No further work on what the network made."""
    return made


class EngineError(RuntimeError):
    """Raised when an engine cannot load or fails at run time; the message suggests a fix."""


class ExchangedError(EngineError):
    """Another backend runs from now on; the frame has to be drawn again, for its device."""


class Runner(Protocol):
    """The network of one stream on one device, with its temporal caches. Not thread-safe."""

    @property
    def backend(self) -> str:
        """The backend's name in specifications."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the inputs that `put` takes, by the graph's names."""

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Set contiguous inputs, which keep their values until they are set again.

        The arrays must not change until `run` returns. After an input of the scene (SCENE_INPUTS)
        the next frame computes the scene's features again. Raises EngineError.
        """

    def run(self) -> Made:
        """What the network makes of the inputs; valid until the next run. Raises EngineError."""

    def forget(self) -> None:
        """Forget the past frames. Raises EngineError."""


class DeviceRunner(Runner, Protocol):
    """A runner whose inputs are GPU tensors that a renderer can draw into directly."""

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """The maps that the network reads, float32 [1, ...] by name.

        Their addresses never change, and the mapping stays the same object.
        """

    def run_drawn(self, draw: Callable[[], None] | None, finish: Finish = unchanged) -> Made:
        """`run`, after `draw` has enqueued the work that writes the frame's maps to the inputs.

        `draw` is captured once in a CUDA graph and then replayed. None: the maps are already
        there. finish: enqueues work on what the network made, a GPU tensor, and returns the tensor
        whose content is the result. Raises EngineError.
        """


@runtime_checkable
class FallingBack(Protocol):
    """A runner that can switch to another backend."""

    def fall_back(self, error: Exception) -> None:
        """Switch to the next backend that works, after an error of the current one.

        Raises EngineError if none is left.
        """


def input_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs that a runner's `put` takes, by the graph's names."""
    (width, height), view = config.size, config.reference_size
    # Latent models compare the background with their frames, cell by cell.
    background = width if isinstance(config.trunk, LatentTrunk) else view
    shapes: dict[str, tuple[int, ...]] = {
        'latents': (1, config.latent_channels, *config.latent_size),
        'normal_map': (1, config.layers, 3, height, width),
        'occlusion_confidence': (1, config.layers, height, width),
        'visible_normal': (1, 3, height, width),
        'horizon': (1, HORIZON_DIRECTIONS, height // 2, width // 2),
        'base': (1, 3, height, width),
        'views': (1, 6, 3, view, view),
        'background': (1, 3, background, background),
        'hand_reference': (1, 3, view, view),
        'points': (1, config.num_points, 3),
    }
    return (
        {**shapes, 'skeleton': (1, 3, height, width), 'has_skeleton': ()}
        if config.human
        else shapes
    )


def caches_of(inputs: Iterable[str], outputs: Iterable[str]) -> dict[str, str]:
    """The input to which each output `next_*` is fed back: `*`, or `cached_*` for the scene's."""
    known = set(inputs)
    return {
        name: name[5:] if name[5:] in known else 'cached_' + name[5:]
        for name in outputs
        if name.startswith('next_')
    }


def given_inputs(names: Iterable[str], caches: Iterable[str]) -> list[str]:
    """The inputs of a graph that `put` takes: all but its caches and `refresh_scene`."""
    kept = set(caches)
    return [name for name in names if name not in kept and name != 'refresh_scene']


def require_device(device: str) -> None:
    """Raise EngineError if torch or Warp has no such device: 'cpu' or 'cuda'.

    Both are checked because Warp draws the maps on the network's GPU, and each of the two
    libraries has its own requirements of the driver.
    """
    if device == 'cpu':
        return
    import torch

    from manivideo_ros.mlo.warp_runtime import WarpDeviceError, require_warp

    if not torch.cuda.is_available():
        raise EngineError(
            f'torch {torch.__version__} finds no CUDA device: install a torch built for CUDA '
            f'and the driver, {OTHER_BACKEND}'
        )
    try:
        require_warp(device)
    except WarpDeviceError as error:
        raise EngineError(str(error)) from None


def made_by(outputs: Iterable[str]) -> str:
    """The output of a graph that `run` returns: CORRECTION or FRAME."""
    return CORRECTION if CORRECTION in set(outputs) else FRAME


def at_grid_size(made: Made, base: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The frame uint8 [H, W, 3] of what a network made of a base image [3, H, W] in 0..1.

    At the size of the network's maps; the reference of drawing/compositor.py.
    """
    if made.dtype == np.uint8:
        return made
    image = base * made[:3] + made[3:]
    shown: NDArray[np.uint8] = (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(shown.transpose(1, 2, 0))
