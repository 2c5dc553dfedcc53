"""What is measured: drawings, and networks with random weights (as fast as trained ones)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from benchmarks.mlo import OBJECT
from manivideo_ros.drawing.base_image import hand_material
from manivideo_ros.drawing.drawing import Drawing
from manivideo_ros.drawing.image_drawing import Surroundings
from manivideo_ros.drawing.views import object_material, six_views
from manivideo_ros.engine.pytorch.latent_runner import LatentRunner
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.pytorch.stream import TorchStream
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.surfaces import hand_surface, object_surface
from manivideo_ros.model.build import build_network
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent.autoencoder import autoencoder
from manivideo_ros.model.patch.network import ManiVideoNet
from manivideo_ros.objects.household.shapes import generate

FRAMES, WARM_UP = 200, 20
Results = tuple[list[dict], list[tuple[str, str, bool]]]
"""Rows of figures; name, comparison and outcome of each threshold check."""


def precision_on(device: str) -> str:
    """Precision in which the networks are measured."""
    return 'fp16' if device == 'cuda' else 'fp32'


def rates(device: str, precision: str) -> tuple[float, float]:
    """Operations and bytes per second that this device reaches in large products and copies."""
    side, count = (8192, 2**28) if device == 'cuda' else (512, 2**22)
    dtype = torch.float16 if precision == 'fp16' else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = timed(lambda: torch.matmul(a, b), device, 10)
    block = torch.zeros(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(block)
    copied = timed(lambda: target.copy_(block), device, 10)
    return 2 * side**3 / float(np.median(product)), 2 * count / float(np.median(copied))


def config_of(preset: str, device: str) -> ModelConfig:
    """A preset at the size of its threshold; latent models are much smaller on a CPU."""
    config = ModelConfig.of(preset)
    if preset == 'tiny':
        return config
    if device == 'cuda':
        return replace(config, image_size=512, reference_size=256)
    trunk = replace(
        config.latent_trunk, block_out_channels=(32, 32, 32, 32), cross_attention_dim=32,
        vae_channels=(32, 32, 32, 32), token_side=2,
    )  # fmt: skip
    return replace(config, image_size=128, reference_size=64, trunk=trunk)


def runner_of(
    config: ModelConfig, steps: int, precision: str, device: str
) -> tuple[TorchStream, list[torch.nn.Module]]:
    """A runner with random weights, and the modules that compute every frame."""
    # Without gradients, which the hooks of FlopCounterMode would count.
    network = build_network(config).eval().requires_grad_(False)
    if isinstance(network, ManiVideoNet):
        return TorchRunner(network, steps, precision, device), [network]
    vae = autoencoder(config).requires_grad_(False)
    runner = LatentRunner(network, vae, steps, precision, device)
    conditions = [network.guider, network.mlo_embedder, network.geometry]
    return runner, [network.unet, *conditions, vae.decoder, vae.post_quant_conv]


def reference_skin() -> HandReference:
    """A plain grey hand reference."""
    return HandReference(np.full((64, 64, 3), 150, np.uint8), np.zeros((64, 64), np.uint8))


def drawing_of(size: int, device: str, inputs: Mapping[str, torch.Tensor] | None = None) -> Drawing:
    """Drawing of the two hands and the object of the MLO benchmark on a device."""
    mesh = generate(OBJECT)
    hands = [load_hand(side) for side in ('right', 'left')]
    materials = [hand_material(hand, reference_skin()) for hand in hands]
    materials.append(object_material(mesh, six_views(mesh, 64)))
    surfaces = [*(hand_surface(hand, 7) for hand in hands), object_surface(mesh)]
    background = np.full((size, size, 3), 128, np.uint8)
    if inputs is None:
        shapes = {'normal_map': (1, 7, 3, size, size), 'base': (1, 3, size, size)}
        inputs = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
    drawing = Drawing(surfaces, materials, materials, (size, size), (size, size), 7, 1, inputs)
    drawing.surround(Surroundings(background))
    return drawing


def timed(run: Callable[[], object], device: str, count: int) -> np.ndarray:
    """Seconds [count] of runs, each synchronized with the device."""
    wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
    out = []
    for _ in range(count + (WARM_UP if device == 'cuda' else 1)):
        wait()
        started = time.perf_counter()
        run()
        wait()
        out.append(time.perf_counter() - started)
    return np.array(out[-count:])
