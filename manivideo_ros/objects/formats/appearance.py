"""Bakes a mesh file's images and colours into one texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from manivideo_ros.objects.atlas import pack_square
from manivideo_ros.objects.formats.mesh_file import Piece

LARGEST_ATLAS = 2048
MOST_REPEATS = 8


def bake(
    pieces: Sequence[Piece], origin: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], float]:
    """Texture [T, T, 3], corner_uv [G, 3, 2] (v down) and mean gloss of chosen faces.

    origin [G]: indices of the faces over all pieces in order. Images are packed in an atlas; each
    triple of colours of an untextured face is a 2x2 tile, in which bilinear lookup between texel
    centres is the linear interpolation of its three corners.
    """
    starts = np.cumsum([0, *(len(piece.faces) for piece in pieces)])
    images: list[NDArray[np.uint8]] = []
    targets: list[NDArray[np.int64]] = []  # rows of the result that use each image
    coordinates: list[NDArray[np.float64]] = []  # in the image, v down
    coloured, colours = [], []
    textured: dict[
        bytes, tuple[NDArray[np.uint8], list[NDArray[np.integer]], list[NDArray[np.floating]]]
    ] = {}
    for piece, start in zip(pieces, starts, strict=False):
        row = np.flatnonzero((origin >= start) & (origin < start + len(piece.faces)))
        face = origin[row] - start
        if piece.image is not None and piece.corner_uv is not None:
            key = bytes(str(piece.image.shape), 'ascii') + piece.image.tobytes()
            _, rows, uvs = textured.setdefault(key, (piece.image, [], []))
            rows.append(row)
            uvs.append(piece.corner_uv[face])
        elif piece.corner_rgb is not None:
            coloured.append(row)
            colours.append(piece.corner_rgb[face])
    for image, rows, uvs in textured.values():
        pixels, across = _unrepeated(image, np.concatenate(uvs))
        images.append(pixels)
        targets.append(np.concatenate(rows))
        coordinates.append(across)
    if coloured:
        tiles, across = _tiles(np.concatenate(colours))
        images.append(tiles)
        targets.append(np.concatenate(coloured))
        coordinates.append(across)
    texture, places = _atlas(images)
    corner_uv = np.zeros((len(origin), 3, 2), np.float32)
    for row, uv, place in zip(targets, coordinates, places, strict=True):
        texel = np.clip(uv * place[2:], 0.5, place[2:] - 0.5)
        corner_uv[row] = (texel + place[:2]) / len(texture)
    gloss = np.array([piece.gloss for piece in pieces])
    share = np.bincount(np.searchsorted(starts, origin, 'right') - 1, minlength=len(pieces))
    return texture, corner_uv, float(np.average(gloss, weights=share))


def _unrepeated(
    image: NDArray[np.uint8], uv: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """An image with as many repeats as the widest face spans, and the coordinates in it."""
    low, high = uv.min(1, keepdims=True), uv.max(1, keepdims=True)
    uv = uv - np.where((low < -1e-4) | (high > 1 + 1e-4), np.floor(low + 1e-4), 0.0)
    repeats = np.clip(np.ceil(uv.max((0, 1)) - 1e-3), 1, MOST_REPEATS).astype(int)
    across = np.stack([uv[..., 0], repeats[1] - uv[..., 1]], -1) / repeats
    return np.tile(image, (repeats[1], repeats[0], 1)), across


def _tiles(corner_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """An image of 2x2 tiles for the distinct corner_rgb [N, 3, 3], and the coordinates in it."""
    triples, of = np.unique(corner_rgb.reshape(-1, 9), axis=0, return_inverse=True)
    a, b, c = np.moveaxis(triples.reshape(-1, 3, 3).astype(np.int64), 1, 0)
    tiles = np.clip(np.stack([a, b, c, b + c - a], 1), 0, 255).astype(np.uint8)
    side = int(np.ceil(np.sqrt(len(tiles))))
    grid = np.zeros((side * side, 4, 3), np.uint8)
    grid[: len(tiles)] = tiles
    image = grid.reshape(side, side, 2, 2, 3).swapaxes(1, 2).reshape(2 * side, 2 * side, 3)
    place = 2.0 * np.stack([of.reshape(-1) % side, of.reshape(-1) // side], -1)
    texel = place[:, None] + np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]])
    return image, texel / (2 * side)


def _atlas(
    images: list[NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
    """A square image of all, and the place (x, y, w, h) of each in texels.

    The largest image is halved until all fit LARGEST_ATLAS. Colour tiles, the last image, cannot be
    reduced and need not be: those of MAX_TRIANGLES faces have 634 texels a side.
    """
    while True:
        corners, side = pack_square([(p.shape[1], p.shape[0]) for p in images])
        if side <= LARGEST_ATLAS:
            break
        largest = max(range(len(images)), key=lambda i: images[i].size)
        h, w = images[largest].shape[:2]
        half = PillowImage.fromarray(images[largest]).resize(
            (max(1, w // 2), max(1, h // 2)), PillowImage.Resampling.BOX
        )
        images[largest] = np.asarray(half)
    texture = np.full((side, side, 3), 128, np.uint8)
    places = []
    for image, (x, y) in zip(images, corners, strict=True):
        h, w = image.shape[:2]
        texture[y : y + h, x : x + w] = image
        places.append(np.array([x, y, w, h], np.float64))
    return texture, places
