"""Storage format of arrays, hand states and masks in shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import SIDES, HandState, Side

HAND_FIELDS = {'theta': 45, 'betas': 10, 'wrist_rotation': 9, 'wrist_position': 3}
HAND_FLOATS = 1 + sum(HAND_FIELDS.values())
OLD_NAMES = {'hand_reference': 'hand_view', 'images': 'pictures'}  # file names of release 0.1


def array_file(folder: Path, name: str) -> Path:
    """The file of a stored array, under its current name or that of release 0.1."""
    file = folder / f'{name}.npy'
    old = folder / f'{OLD_NAMES.get(name, name)}.npy'
    return old if old.is_file() and not file.is_file() else file


def pack_hands(hands: Mapping[Side, HandState]) -> NDArray[np.float32]:
    """Hand states [2, 68] of a frame by side: 1 (present) or 0, then HAND_FIELDS."""
    out = np.zeros((2, HAND_FLOATS), np.float32)
    for side, state in hands.items():
        parts = [np.ravel(getattr(state, name)) for name in HAND_FIELDS]
        out[SIDES.index(side)] = np.concatenate([[1.0], *parts])
    return out


def unpack_hand(row: NDArray[np.float32]) -> HandState | None:
    """The state in a row [68] of `pack_hands`, None if absent."""
    if row[0] == 0:
        return None
    parts = np.split(row[1:], np.cumsum(list(HAND_FIELDS.values()))[:-1])
    return HandState(parts[0], parts[1], parts[2].reshape(3, 3), parts[3])


def pack_mask(mask: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Coverage [H, W], rounded to quarters, as two pixels per byte [H, W / 2]."""
    quarters = np.round(np.asarray(mask) * 4).astype(np.uint8)
    return np.asarray(quarters[:, 0::2] | (quarters[:, 1::2] << 4), np.uint8)


def unpack_mask(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Coverage [H, W] of `pack_mask`."""
    out = np.empty((packed.shape[0], 2 * packed.shape[1]), np.float32)
    out[:, 0::2], out[:, 1::2] = packed & 15, packed >> 4
    out *= 0.25
    return out
