"""Whether the values of a topic are those of two publishers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FAST_NS = 200_000_000  # median period up to which values that alternate are of two publishers
BACK = 0.1  # distance of a value to that before the last one, relative to the last two steps
SHARE, FEWEST = 0.6, 8  # share and number of values that are near the one before the last


def mixed(
    times: NDArray[np.int64],
    values: NDArray,  # [M, N]
    floats: NDArray[np.bool_],  # [N]
) -> tuple[int, int] | None:
    """Row and column at which values begin to alternate between those of two publishers.

    None: they do not. Numbers that are no floats may alternate by themselves, as a heartbeat does,
    and so may slow commands, as those of a gripper.
    """
    if len(times) < FEWEST + 2 or not floats.any() or np.median(np.diff(times)) > FAST_NS:
        return None
    columns = np.flatnonzero(floats)
    numbers = values[:, columns].astype(np.float64)
    with np.errstate(invalid='ignore'):
        steps = np.abs(np.diff(numbers, axis=0))
        least = np.minimum(steps[:-1], steps[1:])
        back = (least > 0) & (np.abs(numbers[2:] - numbers[:-2]) < BACK * least)
    share = back.mean(0)
    worst = int(np.argmax(share))
    if share[worst] < SHARE or back[:, worst].sum() < FEWEST:
        return None
    return int(np.argmax(back[:, worst])) + 1, int(columns[worst])
