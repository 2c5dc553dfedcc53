"""What a stream runs its frames on: one graph with its caches, whatever library is behind it."""

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
SCENE_INPUTS = ('views', 'background', 'hand_reference', 'points')


class EngineError(RuntimeError):
    """What keeps an engine from being loaded or from going on; one line, with the mend."""


class ExchangedError(EngineError):
    """Another backend serves from now on; the frame has to be drawn again, for its device."""


class Runner(Protocol):
    """The graph of one stream on one device. Not thread-safe.

    Its caches stay inside, on the device, in two sets that are read and written in turn.
    """

    @property
    def backend(self) -> str:
        """As specifications name it."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of what `put` takes, by the graph's names."""

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Give inputs, contiguous, which hold until they are given again.

        They may be read where they lie until `run` returns. After inputs of the scene its features
        are computed again with the next frame. Raises EngineError.
        """

    def run(self) -> NDArray[np.uint8]:
        """The next frame [H, W, 3], RGB; valid until the next run. Raises EngineError."""

    def forget(self) -> None:
        """Forget the past frames. Raises EngineError."""


class DeviceRunner(Runner, Protocol):
    """A runner whose inputs are tensors on a GPU, which whoever draws may write straight into."""

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """The tensors [1, ...], float32, of the maps that the network reads, by name.

        They stay where they are, and the mapping stays the same object.
        """

    def run_drawn(self, draw: Callable[[], None] | None) -> NDArray[np.uint8]:
        """`run`, after `draw` has enqueued what writes the frame's maps into the inputs.

        It is captured with its first frame, and replayed afterwards. None: the maps are there.
        Raises EngineError.
        """


@runtime_checkable
class FallingBack(Protocol):
    """A runner that has others to go on with."""

    def fall_back(self, error: Exception) -> None:
        """Go on with the next that works, after an error of what serves now.

        Raises EngineError where none is left.
        """


def input_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Of what a runner's `put` takes for a network of either family, by the graph's names."""
    size, view, cells = config.image_size, config.reference_size, config.trunk_size
    # A network in latents compares the background with its frames, cell by cell.
    background = size if isinstance(config.trunk, LatentTrunk) else view
    shapes: dict[str, tuple[int, ...]] = {
        'latents': (1, config.latent_channels, cells, cells),
        'normal_map': (1, config.layers, 3, size, size),
        'occlusion_confidence': (1, config.layers, size, size),
        'visible_normal': (1, 3, size, size),
        'horizon': (1, HORIZON_DIRECTIONS, size // 2, size // 2),
        'base': (1, 3, size, size),
        'views': (1, 6, 3, view, view),
        'background': (1, 3, background, background),
        'hand_reference': (1, 3, view, view),
        'points': (1, config.num_points, 3),
    }
    return (
        {**shapes, 'skeleton': (1, 3, size, size), 'has_skeleton': ()} if config.human else shapes
    )


def caches_of(inputs: Iterable[str], outputs: Iterable[str]) -> dict[str, str]:
    """The input that is given back each output `next_*`: `*` or, of the scene, `cached_*`."""
    known = set(inputs)
    return {
        name: name[5:] if name[5:] in known else 'cached_' + name[5:]
        for name in outputs
        if name.startswith('next_')
    }


def given_inputs(names: Iterable[str], caches: Iterable[str]) -> list[str]:
    """What `put` takes of a graph's inputs: neither its caches nor what the runner itself knows."""
    kept = set(caches)
    return [name for name in names if name not in kept and name != 'refresh_scene']


def require_device(device: str) -> None:
    """Raise EngineError where torch or Warp has no such device: 'cpu' or 'cuda'.

    A network on a GPU has its maps drawn there, and the two libraries need drivers of their own.
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


def one_line(error: Exception) -> str:
    """What a library says of an error, on one line and not at any length."""
    return ' '.join(str(error).split())[:300]
