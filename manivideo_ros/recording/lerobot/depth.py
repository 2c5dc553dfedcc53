"""Depth in 12 bits, as lerobot 0.6 stores it in video (lerobot.datasets.depth_utils)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.lerobot.features import DEPTH_RANGE

LARGEST = 4095


def quantized(
    depth: NDArray[np.floating], info: Mapping[str, Any] | None = None
) -> NDArray[np.uint16]:
    """Codes [H, W] of depths [H, W] in m; unknown ones (0 or NaN) are code 0.

    info: of the feature, with its range as `video.depth_min` and so on.
    """
    low, high, shift, logarithmic = _range(info)
    metres = np.where(np.isfinite(depth), depth, 0).astype(np.float32)
    if logarithmic:
        ends = np.log(low + shift), np.log(high + shift)
        share = (np.log(np.maximum(metres + shift, 1e-9)) - ends[0]) / (ends[1] - ends[0])
    else:
        share = (metres - low) / (high - low)
    return np.rint(share * LARGEST).clip(0, LARGEST).astype(np.uint16)


def metres_of(codes: NDArray[np.integer], info: Mapping[str, Any]) -> NDArray[np.float32]:
    """Depths [H, W] in m of codes [H, W]; 0 for the lowest, which unknown depths have."""
    low, high, shift, logarithmic = _range(info)
    share = codes.astype(np.float32) / LARGEST
    if logarithmic:
        ends = np.log(low + shift), np.log(high + shift)
        depth = np.exp(share * (ends[1] - ends[0]) + ends[0]) - shift
    else:
        depth = share * (high - low) + low
    return np.where(codes == 0, 0, depth).astype(np.float32)


def _range(info: Mapping[str, Any] | None) -> tuple[float, float, float, bool]:
    found = {name: (info or {}).get(f'video.{name}', value) for name, value in DEPTH_RANGE.items()}
    return (
        float(found['depth_min']), float(found['depth_max']), float(found['shift']),
        bool(found['use_log']),
    )  # fmt: skip
