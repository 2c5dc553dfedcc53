"""Statistics of a feature over its frames, as in lerobot.datasets.compute_stats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
Figures = dict[str, NDArray]


def figures_of(values: NDArray) -> Figures:
    """min, max, mean, std [N], count [1] and quantiles q01..q99 [N] of values [F, N]."""
    values = np.asarray(values, np.float64)
    out = {
        'min': values.min(0),
        'max': values.max(0),
        'mean': values.mean(0),
        'std': values.std(0),
        'count': np.array([len(values)]),
    }
    for quantile in QUANTILES:
        out[f'q{round(100 * quantile):02d}'] = np.quantile(values, quantile, axis=0)
    return out


def sample(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels [N, 3] of an image [H, W, 3] that count in the statistics."""
    return image[::4, ::4].reshape(-1, 3).copy()


def image_figures(samples: Sequence[NDArray], largest: float = 255.0) -> Figures:
    """The same per channel of images scaled to 0..1, as [C, 1, 1]; count: of images.

    samples: [N, C] of each image, as `sample` returns them; largest: value that becomes 1.
    """
    # A channel at a time: as floats they take eight times their memory.
    count = samples[0].shape[1]
    channels = [
        figures_of(np.concatenate([s[:, c] for s in samples]) / largest) for c in range(count)
    ]
    out = {name: np.array([c[name] for c in channels]).reshape(count, 1, 1) for name in channels[0]
           if name != 'count'}  # fmt: skip
    return {**out, 'count': np.array([len(samples)])}


def together(parts: Sequence[Figures]) -> Figures:
    """The statistics of all frames from those of the episodes; quantiles as weighted means."""
    counts = np.array([part['count'][0] for part in parts], np.float64)
    weights = counts / counts.sum()

    def mean(name: str) -> NDArray:
        return np.asarray(sum(w * part[name] for w, part in zip(weights, parts, strict=True)))

    middle = mean('mean')
    spread = sum(
        w * (part['std'] ** 2 + (part['mean'] - middle) ** 2)
        for w, part in zip(weights, parts, strict=True)
    )
    out = {
        'min': np.min([part['min'] for part in parts], axis=0),
        'max': np.max([part['max'] for part in parts], axis=0),
        'mean': middle,
        'std': np.sqrt(spread),
        'count': np.array([int(counts.sum())]),
    }
    return out | {name: mean(name) for name in parts[0] if name.startswith('q')}
