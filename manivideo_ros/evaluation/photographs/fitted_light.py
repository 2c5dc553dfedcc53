"""One light and one colour for each surface, fitted to recorded images: what references alone give.

Irradiance is a second-order function of the normal (Ramamoorthi and Hanrahan, SIGGRAPH 2001), in
linear light, without shadows. Light and colour are fitted together: nine coefficients a channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.bag import ARM, DrawnLabels
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.room import harmonic_basis
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.evaluation.suites.clips import ClipInputs, FramesOf, RgbImage
from manivideo_ros.geometry import Array
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side

FRAMES = 24
MOST_PIXELS = 4000
"""Of each surface in each frame."""
EDGE = 4
"""Pixels of an outline that are left out: poses are not exact, but grazing normals are needed."""
RIDGE = 0.003
"""Weight of small coefficients: outlines show hardly any grazing normals."""


def fitted_light(before: RecordedClip, hands: Mapping[Side, HandModel]) -> FramesOf:
    """The method that shades surfaces in the light of recorded images."""
    shades = _fit(before, DrawnLabels(before.motion, hands))

    def frames(inputs: ClipInputs) -> Iterator[RgbImage]:
        view = DrawnLabels(replace(inputs.motion, camera=inputs.camera), inputs.hands)
        for index in range(len(inputs.motion)):
            labels, normals, _ = view.view(index)
            image = np.array(inputs.background)
            for value, shade in shades.items():
                inside = (labels == value) & normals.any(-1)  # not beside a forearm
                image[inside] = encode_srgb(np.clip(harmonic_basis(normals[inside]) @ shade, 0, 1))
            yield image

    return frames


def _fit(clip: RecordedClip, drawn: DrawnLabels) -> dict[int, Array]:
    """Coefficients [9, 3] by label; a forearm has those of its hand's mean."""
    kernel = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    random = np.random.default_rng(0)
    normals: dict[int, list[Array]] = {}
    colours: dict[int, list[NDArray[np.uint8]]] = {}
    chosen = np.unique(np.linspace(0, len(clip) - 1, min(FRAMES, len(clip))).astype(int))
    for index in chosen.tolist():
        labels, normal, _ = drawn.view(index)
        image = clip.image(index)
        for value in np.unique(labels[labels > 0]).tolist():
            inner = cv2.erode((labels == value).astype(np.uint8), kernel) > 0
            places = np.flatnonzero(inner)
            places = random.choice(places, min(len(places), MOST_PIXELS), replace=False)
            normals.setdefault(value, []).append(normal.reshape(-1, 3)[places])
            colours.setdefault(value, []).append(image.reshape(-1, 3)[places])
    out = {}
    for value in normals:
        functions = harmonic_basis(np.concatenate(normals[value]).astype(np.float64))
        light = srgb_to_linear(np.concatenate(colours[value]) / 255)
        if len(functions):
            penalty = RIDGE * len(functions) * np.eye(9)
            out[value] = np.linalg.solve(functions.T @ functions + penalty, functions.T @ light)
    if ARM not in out and out:
        out[ARM] = next(iter(out.values()))
    return out
