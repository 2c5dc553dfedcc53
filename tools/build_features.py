"""Builds assets/estimation/features.npz, the fixed filters of evaluation/measures/features.py.

    python tools/build_features.py

Random orthogonal 3x3 filters from a seed, without training. The first stage has one filter for the
mean of each colour channel; its other filters have zero mean. numpy's legacy generator is used, as
its streams do not change between versions.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

CHANNELS = (3, 16, 32, 64, 96)
SEED = 20
FILE = Path(__file__).resolve().parents[1] / 'manivideo_ros/assets/estimation/features.npz'


def orthogonal(random: np.random.RandomState, rows: int, columns: int) -> np.ndarray:
    """A matrix [rows, columns] with orthonormal rows, or columns if there are more rows."""
    tall = random.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def filters() -> dict[str, np.ndarray]:
    """Filters f16 [out, in, 3, 3] by stage."""
    random = np.random.RandomState(SEED)
    out = {}
    for stage, (inputs, outputs) in enumerate(pairwise(CHANNELS), 1):
        weight = orthogonal(random, outputs, 9 * inputs).reshape(outputs, inputs, 3, 3)
        if stage == 1:
            weight -= weight.mean((2, 3), keepdims=True)
            weight[:3] = np.eye(3)[:, :, None, None] / 9
        # Compensates for ReLU, which halves the energy of its input.
        out[f'stage{stage}'] = (weight * np.sqrt(2)).astype(np.float16)
    return out


if __name__ == '__main__':
    np.savez_compressed(FILE, **filters())
