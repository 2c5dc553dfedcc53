"""Distances between images, and between sets of images, in the features of a fixed network.

The network ships with the package (assets/estimation/features.npz): four stages of 3x3 convolution,
ReLU and 2x2 average pooling, with random orthogonal filters that are not trained
(tools/build_features.py). Random features at several scales separate blur, noise and wrong texture
from small shifts better than pixels do, and they need no pretrained weights. They are not LPIPS and
not FID, and their values are not comparable with these. `lpips_distance` and `fid` are the
published measures, by their standard implementations where these and their weights are installed.

All measures are restricted to the mask: outside it both images are set to the same grey.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.files.errors import reason_of
from manivideo_ros.geometry import Array

WEIGHTS = ASSETS / 'estimation' / 'features.npz'
GREY = 128
CELL = 16
"""Side in pixels of the cells that the Frechet distance samples: one pixel of the last stage."""
COVERED = 0.5
"""Minimum share of a cell inside the mask for it to be a sample."""


@cache
def _filters() -> tuple[torch.Tensor, ...]:
    with np.load(WEIGHTS, allow_pickle=False) as arrays:
        return tuple(torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files)


def only_masked(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image [H, W, 3], grey outside the mask [H, W]."""
    return np.where(mask[..., None], image, np.uint8(GREY))


@torch.no_grad()
def feature_maps(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> list[torch.Tensor]:
    """Features [C, H / 2^s, W / 2^s] of the stages s = 1..4 of an image inside its mask.

    Raises ValueError if a side is not a multiple of CELL pixels.
    """
    height, width = mask.shape
    if height % CELL or width % CELL:
        raise ValueError(f'images must have sides of a multiple of {CELL}, got {width}x{height}')
    x = torch.from_numpy(only_masked(image, mask).astype(np.float32)).permute(2, 0, 1)[None]
    x = (x - GREY) / GREY
    maps = []
    for weight in _filters():
        x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode='replicate'), weight))
        x = F.avg_pool2d(x, 2)
        maps.append(x[0])
    return maps


def feature_distance(
    image: NDArray[np.uint8],  # [H, W, 3]
    truth: NDArray[np.uint8],  # [H, W, 3]
    mask: NDArray[np.bool_],  # [H, W]
) -> float:
    """Distance of two images over the mask: 0 for equal images; NaN for an empty mask.

    The mean over the mask of the squared difference of unit-length features, summed over the
    stages: the form of Zhang et al. 2018 with other features and without learned weights.
    """
    if not mask.any():
        return float('nan')
    return distance_of_maps(feature_maps(image, mask), feature_maps(truth, mask), mask)


def distance_of_maps(
    first: Sequence[torch.Tensor], second: Sequence[torch.Tensor], mask: NDArray[np.bool_]
) -> float:
    """`feature_distance` of two images, given their feature_maps inside the mask."""
    if not mask.any():
        return float('nan')
    weight = torch.from_numpy(mask.astype(np.float32))[None, None]
    total = 0.0
    for a, b in zip(first, second, strict=True):
        weight = F.avg_pool2d(weight, 2)
        squared = ((_unit(a) - _unit(b)) ** 2).sum(0)
        total += float((squared * weight[0, 0]).sum() / weight.sum())
    return total


def _unit(features: torch.Tensor) -> torch.Tensor:
    """Features [C, H, W] scaled to length 1 per pixel; near-zero features stay near zero."""
    return features / (features.norm(dim=0, keepdim=True) + 1e-3)


class FeatureStatistics:
    """Mean and covariance of the features of hands and objects over many frames.

    A sample is a cell of CELL x CELL pixels inside the mask: the features of all stages, averaged
    over the cell. Sums are kept so that clips can be merged with `extend`.
    """

    def __init__(self) -> None:
        size = sum(len(weight) for weight in _filters())
        self.count = 0
        self._sum = np.zeros(size)
        self._products = np.zeros((size, size))

    def add(self, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        """Add one frame [H, W, 3] and its mask [H, W]."""
        self.add_maps(feature_maps(image, mask), mask)

    def add_maps(self, maps: Sequence[torch.Tensor], mask: NDArray[np.bool_]) -> None:
        """Add the feature_maps of one frame inside its mask [H, W]."""
        side = (mask.shape[0] // CELL, mask.shape[1] // CELL)
        share = mask.reshape(side[0], CELL, side[1], CELL).mean((1, 3))
        pooled = [F.adaptive_avg_pool2d(f, side) for f in maps]
        samples = torch.cat(pooled).permute(1, 2, 0).numpy()[share >= COVERED].astype(np.float64)
        self.count += len(samples)
        self._sum += samples.sum(0)
        self._products += samples.T @ samples

    def extend(self, other: FeatureStatistics) -> None:
        """Add all frames of another instance."""
        self.count += other.count
        self._sum += other._sum
        self._products += other._products

    def mean(self) -> Array:
        """Mean [C]."""
        return self._sum / self.count

    def covariance(self) -> Array:
        """Covariance [C, C] over the samples."""
        mean = self.mean()
        return self._products / self.count - np.outer(mean, mean)


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Frechet distance of two sets of features modelled as Gaussians (Dowson and Landau 1982).

    NaN if either has fewer samples than twice the features, where the covariance is degenerate.
    The distance is biased upwards for small sets: compare only sets of the same frames.
    """
    a, b = first.covariance, second.covariance
    if min(first.count, second.count) < 2 * len(first._sum):
        return float('nan')
    shift = first.mean() - second.mean()
    root = _square_root(a())
    both = np.linalg.eigvalsh(root @ b() @ root)
    spread = np.trace(a()) + np.trace(b()) - 2 * np.sqrt(np.clip(both, 0, None)).sum()
    return float(shift @ shift + max(spread, 0.0))


def lpips_distance(
    images: Sequence[NDArray[np.uint8]],  # [H, W, 3] each
    truths: Sequence[NDArray[np.uint8]],
    masks: Sequence[NDArray[np.bool_]],  # [H, W] each
    weights: str | Path | None,
) -> float | str:
    """LPIPS 0.1 (AlexNet) averaged over the masks, computed by the package lpips.

    weights: state dict of torchvision's AlexNet trained on ImageNet; the package provides its own
    linear layers. Returns the reason as text where the package or the weights are missing.
    """
    if weights is None:
        return 'no AlexNet weights given'
    try:
        import lpips
    except ImportError:
        return 'package lpips is not installed'
    try:
        state = torch.load(weights, map_location='cpu', weights_only=True)
        model = lpips.LPIPS(net='alex', spatial=True, pnet_rand=True, verbose=False)
        trunk = model.net.state_dict()  # 'slice2.3.weight' is 'features.3.weight' of AlexNet
        names = {name: f'features.{name.split(".", 1)[1]}' for name in trunk}
        model.net.load_state_dict({name: state[theirs] for name, theirs in names.items()})
    except Exception as error:
        return _unusable(weights, 'AlexNet', error)
    sums = np.zeros(2)
    for image, truth, mask in zip(images, truths, masks, strict=True):
        pair = [torch.from_numpy(only_masked(p, mask)).permute(2, 0, 1) for p in (image, truth)]
        with torch.no_grad():
            distance = model(*(p[None] / 127.5 - 1 for p in pair))[0, 0].numpy()
        sums += distance[mask].sum(), mask.sum()
    return float(sums[0] / sums[1]) if sums[1] else 'no pixel of a hand or an object'


def fid(
    images: Sequence[NDArray[np.uint8]],  # [H, W, 3] each
    truths: Sequence[NDArray[np.uint8]],
    masks: Sequence[NDArray[np.bool_]],  # [H, W] each
    weights: str | Path | None,
) -> float | str:
    """FID over images that are grey outside their masks, computed by the package torch-fidelity.

    weights: file of the original FID's InceptionV3 as torch-fidelity publishes it. Returns the
    reason as text where the package or the weights are missing.
    """
    if weights is None:
        return 'no InceptionV3 weights given'
    if len(images) < 2:
        return 'fewer than two images'
    try:
        import torch_fidelity
    except ImportError:
        return 'package torch-fidelity is not installed'
    inputs: list[Any] = [_Images(p, masks) for p in (images, truths)]
    # torch-fidelity unpickles its weights file: pass a copy that holds nothing but tensors.
    with tempfile.TemporaryDirectory() as folder:
        checked = Path(folder) / 'inception.pth'
        try:
            torch.save(torch.load(weights, map_location='cpu', weights_only=True), checked)
            figures = torch_fidelity.calculate_metrics(
                input1=inputs[0],
                input2=inputs[1],
                fid=True,
                cuda=False,
                cache=False,
                save_cpu_ram=True,  # no worker processes
                verbose=False,
                feature_extractor_weights_path=str(checked),
            )
        except Exception as error:
            return _unusable(weights, 'InceptionV3', error)
    return float(figures['frechet_inception_distance'])


class _Images(torch.utils.data.Dataset):
    """Images uint8 [3, H, W] that are grey outside their masks."""

    def __init__(self, images: Sequence[NDArray], masks: Sequence[NDArray]) -> None:
        self._pairs = list(zip(images, masks, strict=True))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(only_masked(*self._pairs[index])).permute(2, 0, 1)


def _unusable(weights: str | Path, name: str, error: Exception) -> str:
    return f'{weights}: not usable as the weights of {name} ({reason_of(error)})'


def _square_root(matrix: Array) -> Array:
    """Square root [C, C] of a symmetric positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
