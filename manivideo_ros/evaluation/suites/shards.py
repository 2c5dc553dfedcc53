"""Measures a checkpoint on test shards: against its baselines, and with conditions removed.

    python -m manivideo_ros.evaluation.suites.shards --data DIR --checkpoint FILE [--limit N]
        [--sheet PNG]

One denoising step from pure noise, one frame of each scene; only pixels of hands and objects count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from manivideo_ros.data.shards import ShardDataset, ShardError
from manivideo_ros.drawing.views import ObjectViews, six_views
from manivideo_ros.evaluation.measures.baselines import COVERED, Baselines, to_bytes
from manivideo_ros.evaluation.measures.image import ClipQuality
from manivideo_ros.evaluation.sheets import contact_sheet
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.model.checkpoint import CheckpointError, load_checkpoint
from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet
from manivideo_ros.objects.mesh import ObjectMesh

CANDIDATES = {
    'generated': 'generated',
    'painted': 'base image, six views re-projected',
    'mean': 'base image, mean colours',
    'wrong_hand': 'wrong hand reference, also in the base',
    'wrong_hand_reference': 'wrong hand reference, base unchanged',
    'no_layers': 'H and D zeroed',
    'no_references': 'references dropped',
}
"""Descriptions of the measured images by name."""
NOISE_SEED = 0
SHEET_SCENES = 24


@torch.no_grad()
def generate(
    network: ManiVideoNet, references: dict[str, Tensor], frame: dict[str, Tensor]
) -> Tensor:
    """The image [3, H, W] of one frame of a shard, in one step from pure noise."""
    config = network.config
    noise = torch.Generator().manual_seed(NOISE_SEED)
    shape = (1, config.latent_channels, *config.latent_size)
    scene = network.encode_scene(
        *(references[key][None] for key in ('views', 'background', 'hand_reference', 'points'))
    )
    conditions = FrameConditions(
        frame['normal_map'][None],
        frame['occlusion_confidence'][None],
        frame['base'][None],
        frame['visible_normal'][None],
        frame['horizon'][None],
    )
    latents = torch.randn(shape, generator=noise)
    return network.denoise(latents, torch.ones(1), conditions, scene)[0][0]


def repaint(
    scenes: ShardDataset, scene: int, frame: int, wrong: HandReference
) -> dict[str, Tensor]:
    """Base images [3, H, W]: 'mean' in mean colours, 'wrong_hand' in another hand's colours."""
    surface = scenes.surfaces(scene)[len(SIDES) :]
    views = scenes.references(scene)['views']
    objects = [(mesh, _stored_views(mesh, views)) for mesh in map(_plain_mesh, surface)]
    baselines = Baselines(
        objects,
        {side: load_hand(side) for side in SIDES},
        np.array(scenes.array(scene, 'background')),
        {'mean': scenes.hand_reference(scene), 'wrong_hand': wrong},
    )
    poses = scenes.poses(scene, frame)
    return baselines.paint(scenes.camera(scene), [*poses[len(SIDES) :], *poses[: len(SIDES)]])[0]


def candidates(
    network: ManiVideoNet, scenes: ShardDataset, scene: int, frame: int, other: int
) -> dict[str, Tensor]:
    """The images [3, H, W] of CANDIDATES; the wrong hand is that of the scene `other`."""
    inputs, references = scenes.frame(scene, frame), scenes.references(scene)
    painted = repaint(scenes, scene, frame, scenes.hand_reference(other))
    wrong = {**references, 'hand_reference': scenes.references(other)['hand_reference']}
    blind = {key: torch.zeros_like(inputs[key]) for key in LAYER_MAPS}
    dropped = {key: torch.zeros_like(value) for key, value in references.items()}
    return {
        'truth': inputs['rgb'],
        'generated': generate(network, references, inputs),
        'painted': inputs['base'],
        'mean': painted['mean'],
        'wrong_hand': generate(network, wrong, {**inputs, 'base': painted['wrong_hand']}),
        'wrong_hand_reference': generate(network, wrong, inputs),
        'no_layers': generate(network, references, {**inputs, **blind}),
        'no_references': generate(network, dropped, inputs),
    }


def chosen_frames(scenes: ShardDataset, limit: int) -> Iterator[tuple[int, int, int]]:
    """(scene, frame, another scene), evenly spaced over the shards."""
    count = min(limit, len(scenes))
    for place, scene in enumerate(np.linspace(0, len(scenes) - 1, count).astype(int).tolist()):
        other = (scene + max(1, len(scenes) // 2)) % len(scenes)
        yield scene, place % scenes.frames_of(scene), other


def measure(
    network: ManiVideoNet, scenes: ShardDataset, limit: int, sheet: Path | None = None
) -> dict[str, tuple[float, float]]:
    """(PSNR in dB, SSIM) of CANDIDATES; the sheet shows ground truth, base and generated images."""
    quality = ClipQuality()
    rows: dict[str, list[np.ndarray]] = {'truth': [], 'painted': [], 'generated': []}
    for scene, frame, other in tqdm(list(chosen_frames(scenes, limit)), mininterval=5):
        mask = scenes.frame(scene, frame)['mask'][0].numpy() > COVERED
        images = {
            name: to_bytes(image)
            for name, image in candidates(network, scenes, scene, frame, other).items()
        }
        truth = images['truth']
        quality.add({name: images[name] for name in CANDIDATES}, truth, mask)
        for name, row in rows.items():
            if len(row) < SHEET_SCENES:
                row.append(images[name])
    if sheet is not None:
        titled = {'ground truth' if name == 'truth' else name: row for name, row in rows.items()}
        Image.fromarray(contact_sheet(titled)).save(sheet)
    return quality.result()


def table(result: dict[str, tuple[float, float]]) -> str:
    """The measures as text, each with its difference from the base image."""
    base_psnr, base_ssim = result['painted']
    return '\n'.join(
        f'{CANDIDATES[name]:45s} {psnr:6.2f} dB ({psnr - base_psnr:+5.2f})'
        f'   SSIM {ssim:.3f} ({ssim - base_ssim:+.3f})'
        for name, (psnr, ssim) in result.items()
    )


def _plain_mesh(surface) -> ObjectMesh:
    grey = np.full((1, 1, 3), 128, np.uint8)
    return ObjectMesh('stored', surface.vertices, surface.faces, surface.corner_uv, grey)


def _stored_views(mesh: ObjectMesh, views: Tensor) -> ObjectViews:
    """The stored views of an object with their geometry."""
    images = np.round(views.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    return replace(six_views(mesh, images.shape[1]), rgb=images)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Measure a checkpoint on test shards.')
    parser.add_argument('--data', type=Path, required=True, help='folder of shards')
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--limit', type=int, default=40, help='number of scenes')
    parser.add_argument('--sheet', type=Path, help='contact sheet to write')
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        result = measure(
            load_checkpoint(args.checkpoint), ShardDataset(args.data), args.limit, args.sheet
        )
    except (CheckpointError, ShardError) as error:
        print(error, file=sys.stderr)
        return 2
    print(table(result))
    return 0


if __name__ == '__main__':
    sys.exit(main())
