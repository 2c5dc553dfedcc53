"""Camera model from radiance to sRGB: blur, vignette, bloom, filmic curve and sensor noise; and how
a clip is taken: drifting exposure, motion blur, rolling shutter, compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.video.decoder import VideoDecoder
from manivideo_ros.video.encoder import VideoEncoder

BRIGHTEST = 4.0
INSTANTS = 4  # that are rendered for one blurred frame
BLURRED_SHARE = 0.6  # of clips that move while the shutter is open
VIDEO_SHARE = 0.5  # of consecutive frames that are taken as H.264
PERIOD_NS = 33_333_333  # between frames of a video
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


@dataclass(frozen=True, eq=False)
class Capture:
    """How the images of a scene of F frames are taken, beside the camera's `Response`.

    gain [F, 3]: exposure and white balance of each frame, reference_gain [3]: of the hand
    reference, relative to the background's. open: share of a frame's time during which a row is
    exposed; readout: share after which the last row starts (rolling shutter); both 0 for sharp
    frames. quality: of the JPEG files. grown: pixels by which the reference's mask is too large.
    video: constant rate factor of the H.264 video that the frames are taken as; 0 for JPEG files.
    """

    gain: NDArray[np.float32]
    reference_gain: NDArray[np.float32]
    open: float
    readout: float
    quality: int
    grown: int
    video: int = 0

    def filmed(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames [F, H, W, 3] after compression, as JPEG files or as one H.264 video."""
        if not self.video:
            return np.stack([self.developed(frame) for frame in frames])
        encoder, decoder = VideoEncoder(self.video), VideoDecoder()
        height, width = frames.shape[1:3]
        packets = [encoder.encode(frame, n * PERIOD_NS).data for n, frame in enumerate(frames)]
        return np.stack([decoder.decode(packet)[:height, :width] for packet in packets])

    def developed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image [H, W, 3] after compression as JPEG."""
        options = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        _, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]), options)
        bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return np.ascontiguousarray(bgr[..., ::-1])

    def masked(self, parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The parts [H, W] of a hand reference as a mask that misses shows them."""
        if self.grown == 0:
            return parts
        size = 2 * abs(self.grown) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        if self.grown > 0:  # what it takes in beside the hand is skin to it
            return np.where(parts == 0, (cv2.dilate(parts, kernel) > 0).astype(np.uint8), parts)
        return np.where(cv2.erode((parts > 0).astype(np.uint8), kernel) > 0, parts, 0).astype('u1')

    def instants(self, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Times [K] in frames after a frame's start, and their weights [K, rows] for each row."""
        if self.open == 0 and self.readout == 0:
            return np.zeros(1), np.ones((1, rows), np.float32)
        times = np.linspace(0, self.open + self.readout, INSTANTS)
        start = self.readout * (np.arange(rows) + 0.5) / rows
        # Linear interpolation between the instants, integrated over the time that a row is open.
        fine = start[:, None] + self.open * (np.arange(16) + 0.5) / 16
        hats = 1 - np.abs(fine[None] - times[:, None, None]) / (times[1] - times[0])
        weights = np.maximum(hats, 0).sum(-1)
        return times, (weights / weights.sum(0)).astype(np.float32)


def random_capture(rng: np.random.Generator, frames: int, consecutive: bool) -> Capture:
    """A random way of recording; only consecutive frames can be blurred by their motion."""
    step = rng.normal(0, 0.012 if consecutive else 0.03, (frames, 1))
    tint = rng.normal(0, 0.004 if consecutive else 0.01, (frames, 3))
    drift = np.cumsum(step + tint, 0) if consecutive else step + tint
    blurred = consecutive and rng.random() < BLURRED_SHARE
    return Capture(
        np.exp(drift).astype(np.float32),
        np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.015, 3)).astype(np.float32),
        float(rng.uniform(0.1, 0.7)) if blurred else 0.0,
        float(rng.uniform(0.0, 0.5)) if blurred and rng.random() < 0.5 else 0.0,
        int(rng.integers(55, 98)),
        int(rng.choice([-2, -1, 0, 1, 2], p=[0.1, 0.1, 0.5, 0.2, 0.1])),
        int(rng.integers(18, 33)) if consecutive and rng.random() < VIDEO_SHARE else 0,
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
