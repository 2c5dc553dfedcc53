"""Parts of a shape, each with its own image, and their assembly into one mesh and one atlas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.objects.atlas import pack_square
from manivideo_ros.objects.mesh import ObjectMesh

ATLAS = 512
PAD = 2


@dataclass(frozen=True, eq=False)
class Part:
    """vertices [V, 3] m, faces [F, 3], corner_uv [F, 3, 2] within an image u8 [h, w, 3]."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    corner_uv: NDArray[np.float64]
    image: NDArray[np.uint8]

    def moved(self, x: float = 0, y: float = 0, z: float = 0) -> Part:
        """The part shifted by metres."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turned(self, axis: str, degrees: float) -> Part:
        """The part turned about an axis 'x', 'y' or 'z' of its frame."""
        i, j = {'x': (1, 2), 'y': (2, 0), 'z': (0, 1)}[axis]
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        vertices = self.vertices.copy()
        vertices[:, i] = c * self.vertices[:, i] - s * self.vertices[:, j]
        vertices[:, j] = s * self.vertices[:, i] + c * self.vertices[:, j]
        return replace(self, vertices=vertices)

    def inside_out(self) -> Part:
        """The part with its faces reversed."""
        return replace(self, faces=self.faces[:, ::-1], corner_uv=self.corner_uv[:, ::-1])

    def warped(self, warp: Callable[[NDArray[np.float64]], ArrayLike]) -> Part:
        """The part with an orientation-preserving function applied to its vertices [V, 3]."""
        return replace(self, vertices=np.asarray(warp(self.vertices), np.float64))


def montage(
    images: Sequence[NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
    """An atlas of images, and the place (u, v, du, dv) of each, from texel centre to centre."""
    unique = list({id(p): p for p in images}.values())
    sizes = [(p.shape[1] + 2 * PAD, p.shape[0] + 2 * PAD) for p in unique]
    corners, _ = pack_square(sizes)
    width = max(x + w for (x, _), (w, _) in zip(corners, sizes, strict=True))
    height = max(y + h for (_, y), (_, h) in zip(corners, sizes, strict=True))
    out = np.full((height, width, 3), 128, np.uint8)
    places = {}
    for pixels, (x, y), (w, h) in zip(unique, corners, sizes, strict=True):
        out[y : y + h, x : x + w] = np.pad(pixels, ((PAD, PAD), (PAD, PAD), (0, 0)), mode='edge')
        box = np.array([x + PAD, y + PAD, w - 2 * PAD - 1, h - 2 * PAD - 1], np.float64)
        places[id(pixels)] = box / [width - 1, height - 1, width - 1, height - 1]
    return out, [places[id(p)] for p in images]


def assemble(name: str, parts: Sequence[Part], gloss: float) -> ObjectMesh:
    """One mesh of the parts, its bounding box centred at the origin; images in one atlas.

    Parts that hold the same image object share its place. Coordinates address texel centres, so
    that bilinear sampling stays inside an image.
    """
    pixels, places = montage([part.image for part in parts])
    size = 256 if max(pixels.shape) <= 256 else ATLAS
    if max(pixels.shape) > ATLAS:
        raise ValueError(f'shape {name}: images need {pixels.shape[:2]}, the atlas has {ATLAS} px')
    texture = np.full((size, size, 3), 128, np.uint8)
    texture[: pixels.shape[0], : pixels.shape[1]] = pixels
    reach = np.array([pixels.shape[1] - 1, pixels.shape[0] - 1])
    corner_uv = [
        ((place[:2] + np.clip(part.corner_uv, 0, 1) * place[2:]) * reach + 0.5) / size
        for part, place in zip(parts, places, strict=True)
    ]
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    vertices = vertices - 0.5 * (vertices.min(0) + vertices.max(0))
    faces = np.concatenate([part.faces + s for part, s in zip(parts, starts, strict=False)])
    return ObjectMesh(
        name=name,
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        corner_uv=np.concatenate(corner_uv).astype(np.float32),
        texture=texture,
        gloss=gloss,
    )
