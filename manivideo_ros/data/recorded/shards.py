"""Converts recorded clips to training shards: cropped, with base images, background and references.

Slow steps are done once: fitting hands, extracting backgrounds, painting meshes. Poses and meshes
are stored as for generated scenes; H and D are rasterized on loading.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.data.packing import pack_hands, pack_mask
from manivideo_ros.data.recorded.background import median_background
from manivideo_ros.data.recorded.bag import BagView
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.crop import Box, clip_box, cropped, cropped_image
from manivideo_ros.data.recorded.datasets.listing import View
from manivideo_ros.data.recorded.hand_reference import cropped_hand_reference
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.data.rendering.ground_truth import one_thread
from manivideo_ros.data.rows import image_bytes, padded, write_object, write_shard
from manivideo_ros.data.scenes.library import Split
from manivideo_ros.drawing.base_image import (
    FIXED_LIGHT,
    UNLIT,
    Lighting,
    Material,
    Painter,
    hand_material,
)
from manivideo_ros.drawing.views import ObjectViews, object_material, six_views
from manivideo_ros.files.errors import reason_of
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES, Side
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.motion import MotionSample
from manivideo_ros.objects.mesh import ObjectMesh, surface_points
from manivideo_ros.objects.named import load_mesh

MAX_OTHERS = 6  # objects in addition to the one with six views; HO-Cap has at most four
UNSEEN = HandReference(np.full((128, 128, 3), 128, np.uint8), np.zeros((128, 128), np.uint8))


@dataclass(frozen=True)
class RecordedRecipe:
    """How clips are converted to shards.

    hands: folder of the user's MANO, None to fit the default hand to labelled joints;
    flat_hand_mean: as for View.read; frames: per scene; every: keep every n-th scene of a clip;
    size: side of the images, pixels.
    """

    hands: Path | None = None
    flat_hand_mean: bool | None = None
    frames: int = 24
    every: int = 1
    size: int = 256


@dataclass(frozen=True, eq=False)
class Item:
    """An object of a clip with its references."""

    mesh: ObjectMesh
    views: ObjectViews
    material: Material


class ClipPainter:
    """Paints base images and masks of a clip's frames."""

    def __init__(
        self, clip: RecordedClip, hands: Mapping[Side, HandModel], camera: Camera, size: int
    ) -> None:
        self.clip, self.hands, self.camera = clip, hands, camera
        tracks = clip.motion.objects
        # The object that moves most comes first: only its six views are a reference.
        moved = {n: np.ptp(t.poses[t.present, :3, 3], 0).max(initial=0) for n, t in tracks.items()}
        self.names = sorted(tracks, key=lambda name: -moved[name])
        self.items = [load_item(str(tracks[n].mesh), tracks[n].scale) for n in self.names]
        surfaces = [hand_surface(hand) for hand in hands.values()]
        surfaces += [object_surface(item.mesh) for item in self.items]
        self.rasterizer = Rasterizer(surfaces, 2 * size, 2 * size, threads=1, merge=True)

    def poses(self, sample: MotionSample) -> list[SurfacePose]:
        """Poses of the hands, then of the objects; None where absent."""
        out: list[SurfacePose] = [sample.hands.get(side) for side in self.hands]
        return [*out, *(sample.objects.get(name) for name in self.names)]

    def painter(
        self,
        reference: HandReference,
        background: NDArray[np.uint8],
        lighting: Lighting = FIXED_LIGHT,
    ) -> Painter:
        """A painter with the colours of a hand reference and a background."""
        materials = [hand_material(hand, reference) for hand in self.hands.values()]
        materials += [item.material for item in self.items]
        return Painter(self.rasterizer, materials, background, lighting)


@lru_cache(maxsize=64)
def load_item(mesh: str, scale: float) -> Item:
    """An object's mesh and its references, cached. Raises MeshError."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # large meshes are simplified
        loaded = load_mesh(mesh, scale)
    views = six_views(loaded)
    return Item(loaded, views, object_material(loaded, views))


def clip_rows(
    clip: RecordedClip, recipe: RecordedRecipe, split: Split
) -> tuple[list[dict[str, Any]], dict[str, Item]]:
    """Rows of a clip for write_shard, and its objects by their names in the rows.

    Scenes without a hand in any frame are skipped. Raises RecordedError and MeshError, ValueError
    for MANO poses without `recipe.hands`.
    """
    box, size = clip_box(clip.motion), recipe.size
    camera = cropped(clip.camera, box, size)
    mano = clip.hand_model != 'default'
    if mano and recipe.hands is None:
        raise ValueError(f'{clip.name}: hand model {clip.hand_model!r} needs the folder of hands')
    hands: dict[Side, HandModel] = {
        side: load_hand(side, recipe.hands / f'{side}.npz' if mano and recipe.hands else None)
        for side in SIDES
    }
    painting = ClipPainter(clip, hands, camera, size)
    background = _background(clip, painting, box, size)
    names = [f'{Path(clip.motion.objects[n].mesh).parent.name}_{n}' for n in painting.names]
    rows = []
    for first in range(0, len(clip) - recipe.frames + 1, recipe.frames * recipe.every):
        samples = [clip.motion.frame(first + i) for i in range(recipe.frames)]
        sides = [side for side in SIDES if any(side in s.hands for s in samples)]
        if not sides:
            continue
        seen = cropped_hand_reference(clip, sides[-1], first + recipe.frames // 2, hands[sides[-1]])
        reference = seen or UNSEEN
        painters = [painting.painter(reference, background, each) for each in (FIXED_LIGHT, UNLIT)]
        row = _frames(clip, painting, painters, samples, first, box)
        rows.append(
            row
            | {
                'background': background,
                'hand_reference': reference.image,
                'hand_parts': reference.parts,
                'intrinsics': np.asarray(camera.intrinsics, np.float64),
                'camera_from_world': np.asarray(camera.camera_from_world, np.float64),
                'scene': {
                    'kind': 'hand_object',
                    'split': split,
                    'clip': clip.name,
                    'first': first,
                    'object': names[0] if names else '',
                    'others': names[1:],
                    'hands': sides,
                    'hand_model': clip.hand_model,
                    'consecutive': True,
                },
            }
        )
    return rows, dict(zip(names, painting.items, strict=True))


def _frames(
    clip: RecordedClip,
    painting: ClipPainter,
    painters: Sequence[Painter],  # in the fixed light, and unlit
    samples: list[MotionSample],
    first: int,
    box: Box,
) -> dict[str, NDArray]:
    """The arrays of a scene with one entry per frame."""
    painter, plain = painters
    size = painter.width
    rgb, bases, unlit, masks, mains, others = [], [], [], [], [], []
    for i, sample in enumerate(samples):
        base, mask = painter.paint(painting.camera, painting.poses(sample))
        labels = clip.segmentation(first + i)
        covered = mask.numpy()
        if labels is not None:
            covered = cropped_image((labels != 0).astype(np.uint8), box, size).astype('f4')
        rgb.append(cropped_image(clip.image(first + i), box, size))
        bases.append(image_bytes(base))
        unlit.append(image_bytes(plain.paint(painting.camera, painting.poses(sample))[0]))
        masks.append(pack_mask(covered))
        absent = np.full((4, 4), np.nan)
        poses = [np.asarray(sample.objects.get(n, absent), np.float64) for n in painting.names]
        mains.append(poses[0] if poses else np.eye(4))
        others.append(padded(poses[1:], MAX_OTHERS))
    states = [{side: s.hands[side] for side in SIDES if side in s.hands} for s in samples]
    stored: dict[str, list[Any]] = {
        'rgb': rgb,
        'base': bases,
        'unlit': unlit,
        'mask': masks,
        'hands': [pack_hands(state) for state in states],
        'object_pose': mains,
        'other_poses': others,
    }
    return {name: np.stack(values) for name, values in stored.items()}


def _background(
    clip: RecordedClip, painting: ClipPainter, box: Box, size: int
) -> NDArray[np.uint8]:
    """The clip's background [S, S, 3]; without labels, the rendered coverage replaces them."""
    if clip.read_labels is not None:
        return cropped_image(median_background(clip).image, box, size)
    painter = painting.painter(UNSEEN, np.full((size, size, 3), 128, np.uint8))

    def covered(index: int) -> NDArray[np.uint8]:
        mask = painter.paint(painting.camera, painting.poses(clip.motion.frame(index)))[1]
        inside = cv2.resize((mask.numpy() > 0).astype(np.uint8), (box.side, box.side))
        out = np.zeros((clip.camera.height, clip.camera.width), np.uint8)
        out[box.top : box.top + box.side, box.left : box.left + box.side] = inside
        return out

    return cropped_image(median_background(replace(clip, read_labels=covered)).image, box, size)


def make_clip_shard(job: tuple[int, View | BagView, Path, Split, RecordedRecipe]) -> str:
    """Write the shard of one view unless it exists; returns '' or why the view was skipped."""
    number, view, out, split, recipe = job
    folder = out / f'shard_{number:06d}'
    if folder.exists():
        return ''
    one_thread()
    try:
        mano = read_published_mano(recipe.hands) if recipe.hands else None
        rows, items = clip_rows(view.read(mano, recipe.flat_hand_mean), recipe, split)
    except ValueError as error:
        return reason_of(error, None)
    if not rows:
        return f'{view.sequence}/{view.camera}: no scene of {recipe.frames} frames has a hand'
    for name, item in items.items():
        views = item.views if recipe.size <= 256 else six_views(item.mesh, recipe.size // 2)
        write_object(out, name, item.mesh, views, surface_points(item.mesh))
    write_shard(folder, rows)
    return ''


def make_clip_shards(
    views: Sequence[View | BagView],
    out: Path,
    split: Split,
    recipe: RecordedRecipe,
    workers: int = 1,
) -> list[str]:
    """Write one shard per view under out; returns one line for each skipped view."""
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(number, view, out, split, recipe) for number, view in enumerate(views)]

    def results() -> Iterator[str]:
        if workers <= 1:
            yield from map(make_clip_shard, jobs)
            return
        with multiprocessing.get_context('spawn').Pool(workers) as pool:
            yield from pool.imap_unordered(make_clip_shard, jobs)

    bar = tqdm(results(), total=len(jobs), unit='view', mininterval=5)
    return [problem for problem in bar if problem]
