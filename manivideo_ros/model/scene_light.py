"""The light of a scene, estimated from its hand reference by a checkpoint's light net."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.camera.background import to_reference
from manivideo_ros.camera.light import Light
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.model.checkpoint import load_light_net

if TYPE_CHECKING:
    from manivideo_ros.model.patch.light import LightNet


def estimated_light(checkpoint: Path, reference: HandReference) -> Light | None:
    """The light of a hand reference in its camera's frame; None for a latent model.

    Raises CheckpointError.
    """
    network = _light_net(checkpoint)
    return None if network is None else light_of(network, reference.image)


@torch.no_grad()
def light_of(
    network: LightNet,
    image: NDArray[np.uint8],  # [R, R, 3] of a hand
) -> Light:
    """The light of a hand reference, in its camera's frame."""
    from manivideo_ros.model.patch.light import lamp_and_ambient

    reference = to_reference(image[None], network.reference_size)
    return lamp_and_ambient(network(torch.from_numpy(reference)))


@lru_cache(maxsize=2)
def _light_net(checkpoint: Path) -> LightNet | None:
    return load_light_net(checkpoint)
