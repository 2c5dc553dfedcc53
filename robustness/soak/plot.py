"""Plots the samples of a run, one panel per quantity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, PANEL, LEFT, GAP = 900, 130, 70, 34
INKS = ((31, 95, 180), (220, 90, 30), (60, 150, 80))
PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ('synthesizer memory (MiB)', ('rss_mb', 'pss_mb', 'anon_mb')),
    ('recorder and player memory (MiB)', ('recorder_rss_mb', 'player_rss_mb')),
    ('file handles, threads, segments', ('handles', 'threads', 'segments')),
    ('latency (ms)', ('p50_ms', 'p95_ms')),
    ('rate (Hz)', ('rate_hz', 'poses_hz')),
    ('processor time per frame (ms)', ('cpu_ms_per_frame',)),
    ('processor time of a reference workload (ms)', ('reference_ms',)),
    ('processors: in use on the machine, waited for', ('machine_busy_cores', 'waiting_cores')),
)


def plot(samples: Sequence[dict[str, Any]], path: Path, warm_up_s: float = 0.0) -> None:
    """Write all panels as PNG; the warm-up is shaded."""
    image = Image.new('RGB', (WIDTH, len(PANELS) * (PANEL + GAP) + GAP), 'white')
    draw = ImageDraw.Draw(image)
    at = np.array([s['t_s'] for s in samples], float)
    for row, (title, names) in enumerate(PANELS):
        top = GAP + row * (PANEL + GAP)
        _panel(draw, top, title, names, at, samples, warm_up_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _panel(
    draw: ImageDraw.ImageDraw,
    top: int,
    title: str,
    names: Sequence[str],
    at: np.ndarray,
    samples: Sequence[dict[str, Any]],
    warm_up_s: float,
) -> None:
    font = ImageFont.load_default(13)
    curves = {n: np.array([s[n] for s in samples], float) for n in names}
    high = max(1e-9, 1.08 * max(float(np.nanmax(c, initial=0.0)) for c in curves.values()))
    span = max(1e-9, float(at[-1]))
    right, bottom = WIDTH - 16, top + PANEL

    def x(t: float) -> float:
        return LEFT + (right - LEFT) * t / span

    def y(v: float) -> float:
        return bottom - PANEL * v / high

    draw.rectangle((LEFT, top, x(min(warm_up_s, span)), bottom), fill=(238, 238, 238))
    draw.rectangle((LEFT, top, right, bottom), outline=(150, 150, 150))
    for share in (0.0, 0.5):
        draw.text((6, y(share * high) - 8), f'{share * high:.4g}', 'black', font)
    draw.text((6, top - 2), f'{high:.4g}', 'black', font)
    draw.text((LEFT, top - 18), title, 'black', font)
    edge = LEFT + 8 + draw.textlength(title, font)
    for (name, curve), ink in zip(curves.items(), INKS, strict=False):
        draw.text((edge + 12, top - 18), name, ink, font)
        edge += 12 + draw.textlength(name, font)
        points = [(x(t), y(v)) for t, v in zip(at, curve, strict=True) if np.isfinite(v)]
        draw.line(points, fill=ink, width=2)
    draw.text((right - 60, bottom + 2), f'{span / 60:.1f} min', 'black', font)
