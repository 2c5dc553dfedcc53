"""What the pose filter leaves of white noise, and its delay, on the shipped motions at 30 Hz.

`python -m benchmarks.pose_filter` prints the tables and writes benchmarks/results/pose_filter.json:
at the speed of the motions, and played three times as fast. The noise of every wrist, object and
joint is 3 mm and 3 degrees (root mean square length and angle), white from frame to frame. The One
Euro filter (Casiez, Roussel and Vogel, CHI 2012) is measured beside it on positions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.report import RESULTS, check, write_results
from manivideo_ros.geometry import axis_angle_to_matrix
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_filter import POINTS, ROTATIONS, Filter
from manivideo_ros.motion.shipped import MOTIONS, motion_named

METRES, DEGREES, HZ, SEEDS = 0.003, 3.0, 30.0, 5
WARM_UP = 15  # frames that are not counted
LAGS_S = np.arange(-0.02, 0.051, 0.01)
MOST_LEFT, MOST_MS, MOST_MM, MOST_DEGREES = 0.35, 15.0, 1.0, 0.5
Run = Callable[[np.ndarray], np.ndarray]  # filters [F, N, ...]


def stacked(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Positions [F, N, 3] of wrists and objects, and rotations [F, M, 3, 3] with all joints."""
    hands, objects = motion.hands.values(), motion.objects.values()
    positions = [h.wrist_position for h in hands] + [o.poses[:, :3, 3] for o in objects]
    rotations = [h.wrist_rotation[:, None] for h in hands]
    rotations += [o.poses[:, None, :3, :3] for o in objects]
    rotations += [axis_angle_to_matrix(h.theta.reshape(len(motion), -1, 3)) for h in hands]
    return np.stack(positions, 1).astype(float), np.concatenate(rotations, 1).astype(float)


def filtered(make: Callable[[], Filter | OneEuro]) -> Run:
    """Runs a filter over frames at HZ."""

    def run(measured: np.ndarray) -> np.ndarray:
        fresh = make()
        return np.stack([fresh.add(round(1e9 * k / HZ), each) for k, each in enumerate(measured)])

    return run


class OneEuro:
    """The One Euro filter of points [N, 3]: cut-off 1 Hz and 40 Hz per m/s, derivative 1 Hz."""

    def __init__(self) -> None:
        self.point = self.velocity = self.before = np.zeros(0)

    def add(self, _: int, measured: np.ndarray) -> np.ndarray:
        """The filtered points [N, 3] of the next frame."""
        if not len(self.point):
            self.point, self.velocity, self.before = measured, 0 * measured, measured
        speed = (measured - self.before) * HZ
        self.velocity = self.velocity + _share(1.0) * (speed - self.velocity)
        cut_off = 1.0 + 40.0 * np.linalg.norm(self.velocity, axis=-1, keepdims=True)
        self.point, self.before = self.point + _share(cut_off) * (measured - self.point), measured
        return self.point


def _share(cut_off):
    return 1 / (1 + HZ / (2 * np.pi * cut_off))


def delay_ms(output: np.ndarray, at_lags: list[np.ndarray], difference: Callable) -> float:
    """The lag of the clean motion that is nearest to the output, between samples by a parabola."""
    costs = [np.mean(difference(clean, output)[WARM_UP:] ** 2) for clean in at_lags]
    i = int(np.clip(np.argmin(costs), 1, len(costs) - 2))
    a, b, c = costs[i - 1 : i + 2]
    return 1e3 * (LAGS_S[i] + (LAGS_S[1] - LAGS_S[0]) * 0.5 * (a - c) / (a - 2 * b + c))


def measure(run: Run, clean: np.ndarray, at_lags: list[np.ndarray], noise: float, space) -> dict:
    """Shares that remain of the noise, the delay that is added, and errors of exact poses."""
    difference, add = space.apart, space.moved
    offset = np.random.default_rng(0).normal(size=(*clean.shape[:2], SEEDS, 3)) * noise / 3**0.5
    offset = offset.reshape(len(clean), -1, 3)
    many = np.repeat(clean, SEEDS, 1)
    at_lags = [np.repeat(each, SEEDS, 1) for each in at_lags]
    noisy = add(many, offset)
    output = run(noisy)
    left, all_of_it = difference(many, output)[WARM_UP:], offset[WARM_UP:]
    exact = np.linalg.norm(difference(clean, run(clean)), axis=-1)

    def share(order: int) -> float:
        of_noise = (np.diff(each, order, axis=0) for each in (left, all_of_it))
        return float(np.divide(*(np.sqrt(np.mean(each**2)) for each in of_noise)))

    return {
        'frame_to_frame': share(1),
        'second_difference': share(2),
        'rms': share(0),
        'delay_ms': float(
            delay_ms(output, at_lags, difference) - delay_ms(noisy, at_lags, difference)
        ),
        'exact_mean': float(exact.mean()),
    }


def row(name: str, speed: float) -> dict:
    """Measures of one motion: its positions, its rotations, and positions by One Euro."""
    motion = motion_named(name)
    motion = replace(motion, stamps_ns=(motion.stamps_ns / speed).astype(np.int64))
    first, last = motion.stamps_ns[[0, -1]]
    stamps = first + (1e9 * np.arange(int((last - first) * 1e-9 * HZ)) / HZ).astype(np.int64)
    clean = stacked(motion.resampled(stamps))
    lagged = [stacked(motion.resampled(stamps - round(1e9 * lag))) for lag in LAGS_S]
    at_lags = list(zip(*lagged, strict=True))
    noise = METRES, np.radians(DEGREES)
    points = [clean[0], at_lags[0], noise[0], POINTS]
    return {
        'name': name,
        'speed': speed,
        'positions': measure(filtered(lambda: Filter(POINTS)), *points),
        'rotations': measure(
            filtered(lambda: Filter(ROTATIONS)), clean[1], at_lags[1], noise[1], ROTATIONS
        ),
        'one_euro': measure(filtered(OneEuro), *points),
    }


def main() -> int:
    """Measure, print, write the results; 1 if a limit is missed at the speed of the motions."""
    names = sorted(path.name for path in MOTIONS.iterdir())
    rows = [row(name, speed) for speed in (1.0, 3.0) for name in names]
    print(f'{"":34}left: step, 2nd, rms   delay, ms   exact, mm or degrees')
    for each in rows:
        for part, scale in (('positions', 1e3), ('rotations', np.degrees(1)), ('one_euro', 1e3)):
            m = each[part]
            print(
                f'{each["name"]:14} x{each["speed"]:g} {part:12}{m["frame_to_frame"]:11.2f}'
                f'{m["second_difference"]:6.2f}{m["rms"]:6.2f}{m["delay_ms"]:12.1f}'
                f'{scale * m["exact_mean"]:12.3f}'
            )
    write_results(RESULTS / 'pose_filter.json', {'rows': rows})
    ours = [each[part] for each in rows[: len(names)] for part in ('positions', 'rotations')]
    left = float(np.mean([each['frame_to_frame'] for each in ours]))
    slowest = max(each['delay_ms'] for each in ours)
    millimetres = max(1e3 * each['exact_mean'] for each in ours[::2])
    degrees = float(np.degrees(max(each['exact_mean'] for each in ours[1::2])))
    passed = [
        check('noise left from frame to frame', f'{left:.2f} <= {MOST_LEFT}', left <= MOST_LEFT),
        check('longest delay, ms', f'{slowest:.1f} <= {MOST_MS}', slowest <= MOST_MS),
        check('exact positions, mm', f'{millimetres:.3f} <= {MOST_MM}', millimetres <= MOST_MM),
        check('exact rotations', f'{degrees:.3f} <= {MOST_DEGREES}', degrees <= MOST_DEGREES),
    ]
    return 0 if all(passed) else 1


if __name__ == '__main__':
    sys.exit(main())
