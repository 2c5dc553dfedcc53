"""Camera model from radiance to sRGB: blur, vignette, bloom, filmic curve and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

BRIGHTEST = 4.0
CURVE_STEPS = 8192


@dataclass(frozen=True)
class Response:
    """Parameters of a camera, constant over a scene; lengths in pixels of the image."""

    contrast: float  # 0 soft shoulder .. 1 filmic S-curve
    blur: float
    vignette: float  # share of light lost in the corners
    bloom: float
    shot_noise: float  # standard deviation at radiance 1
    read_noise: float
    saturation: float


def random_response(rng: np.random.Generator) -> Response:
    """A random camera, from a recent phone to an old webcam."""
    return Response(
        contrast=float(rng.uniform(0.2, 0.9)),
        blur=float(rng.uniform(0.25, 0.6)),
        vignette=float(rng.uniform(0.0, 0.3)),
        bloom=float(rng.uniform(0.0, 0.06)),
        shot_noise=float(rng.uniform(0.002, 0.009)),
        read_noise=float(rng.uniform(0.0005, 0.002)),
        saturation=float(rng.uniform(0.85, 1.1)),
    )


def filmic(x: NDArray, contrast: float) -> NDArray:
    """Display-linear 0..1 of exposed radiance: Reinhard blended with Narkowicz's ACES fit."""
    soft = x * (1 + x / 9.0) / (1 + x)  # Reinhard with white at 3
    y = 0.75 * x
    aces = y * (2.51 * y + 0.03) / (y * (2.43 * y + 0.59) + 0.14)
    return np.clip(soft * 1.25 * (1 - contrast) + aces * contrast, 0, 1)


def encode_srgb(linear: NDArray) -> NDArray[np.uint8]:
    """sRGB bytes of display-linear values in 0..1."""
    c = np.clip(linear, 0, 1)
    srgb = np.where(c <= 0.0031308, 12.92 * c, 1.055 * np.power(c, 1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)


def tone_curve(light: NDArray[np.float32], contrast: float) -> NDArray[np.uint8]:
    """sRGB bytes of exposed radiance 0..BRIGHTEST by the filmic curve, from a lookup table."""
    steps = np.linspace(0, 1, CURVE_STEPS) ** 2 * BRIGHTEST
    curve = encode_srgb(filmic(steps, contrast))
    at = np.sqrt(np.clip(light, 0, BRIGHTEST) / BRIGHTEST) * (CURVE_STEPS - 1) + 0.5
    return curve[at.astype(np.int32)]


@cache
def sensor_noise() -> NDArray[np.float32]:
    """Noise [768, 768, 3] with standard deviation of about 1 and correlated neighbours, cached."""
    noise = np.random.default_rng(0).standard_normal((768, 768, 3), dtype=np.float32)
    return cv2.GaussianBlur(noise, (3, 3), 0.5) * 1.4


def develop(
    exposed: NDArray[np.float32],
    response: Response,
    size: int | tuple[int, int],
    rng: np.random.Generator | None,
) -> NDArray[np.uint8]:
    """The image u8 [H, W, 3] of exposed light f32 [k * H, k * W, 3]; size: W and H, or both.

    exposed: radiance times exposure, clipped to BRIGHTEST before averaging to avoid aliasing of
    highlights. rng: for the sensor noise, None for no noise.
    """
    width, height = (size, size) if isinstance(size, int) else size
    light: NDArray = cv2.resize(exposed, (width, height), interpolation=cv2.INTER_AREA)
    if response.bloom > 0:
        small = cv2.resize(light, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        glow = cv2.GaussianBlur(small, (0, 0), height / 64)
        glow = cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)
        light += response.bloom * (glow - light)
    light = np.asarray(cv2.GaussianBlur(light, (3, 3), response.blur), np.float32)
    down, across = ((np.arange(n, dtype=np.float32) + 0.5) / n * 2 - 1 for n in (height, width))
    falloff = 1 - 0.5 * response.vignette * (down[:, None] ** 2 + across[None, :] ** 2)
    light *= falloff[..., None]
    grey = light.mean(-1, keepdims=True)
    light = np.maximum(grey + response.saturation * (light - grey), 0)
    if rng is not None:
        grain = sensor_noise()
        side = max(width, height)
        row, column = rng.integers(0, len(grain) - side if side < len(grain) else len(grain), 2)
        rows, columns = (np.arange(row, row + height), np.arange(column, column + width))
        noise = grain[rows[:, None] % len(grain), columns[None] % len(grain)]
        light += noise * np.sqrt(response.shot_noise**2 * light + response.read_noise**2)
    return tone_curve(light, response.contrast)
