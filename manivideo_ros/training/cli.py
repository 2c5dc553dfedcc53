"""`manivideo train STAGE`: image, temporal or distill; scenes are generated where none are.

Under `torchrun --nproc-per-node N -m manivideo_ros.training.cli STAGE ...` N processes share each
batch. A run goes on where its folder left off.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from manivideo_ros.data.rendering.light_views import LightViews, ball_normals, make_light_views
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.model.patch.light import LightNet
from manivideo_ros.training.batches import TrainingScenes
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.latent.encoded_scenes import with_latents
from manivideo_ros.training.loop import train
from manivideo_ros.training.networks import start
from manivideo_ros.training.patch.light import load_light, train_light
from manivideo_ros.training.processes import ALONE, Place, join, leave, wait_for_first
from manivideo_ros.training.saving import MODEL, describe_run, write_run
from manivideo_ros.training.sources import data_hash, lengths, make_missing, open_sources
from manivideo_ros.training.stages import STAGES, Stage
from manivideo_ros.training.trainer import TrainingError


def run_training(
    config: TrainConfig,
    stage: Stage,
    data: Path,
    out: Path,
    scenes: int = 2500,
    threads: int = 2,
    init: Path | None = None,
    place: Place = ALONE,
) -> Path:
    """Train on the sources under `data`, made now where they hold none; returns the checkpoint.

    Goes on where `out` left off. Raises ValueError for a folder or checkpoint that cannot be used
    and TrainingError where the run cannot go on.
    """
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    light = None
    if place.first:
        make_missing(config, data, scenes, threads)
        light = _light(config, data, out, threads, init, place)
    wait_for_first(place)
    if light is None:
        light = _light(config, data, out, threads, init, place)
    imaged = open_sources(config, data)
    sources: Mapping[str, TrainingScenes] = imaged
    if config.latent:
        sources = with_latents(imaged, config, data, place)
    run = describe_run(config, stage, data_hash(config, data), str(init or ''))
    if place.first:
        print(lengths(sources))
        write_run(out, run)
    train(start(config, stage, init, light, place), sources, out, run, stage)
    return out / MODEL


def _light(
    config: TrainConfig, data: Path, out: Path, threads: int, init: Path | None, place: Place
) -> LightNet | None:
    """What comes first, but where a checkpoint has it already, or no network asks for it."""
    if init is not None or config.latent:
        return None
    return learned_light(config, data, out / 'light.safetensors', threads, place.device)


def learned_light(
    config: TrainConfig, data: Path, out: Path, threads: int, device: torch.device | None = None
) -> LightNet:
    """The light net of `out`, learned now where there is none: on a device, the CPU for none."""
    if not out.exists():
        folder = data / 'light_views'
        if not folder.exists():
            make_light_views(folder, config.light_views, config.seed, 'train', threads)
        views = LightViews.open(folder)
        error = train_light(len(views), views.batch, ball_normals(), config, out, device)
        print(f'light: RMS error {error:.4f} of sRGB in 0..1 on hands held back')
    return load_light(config, out)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 2 for what cannot be read, 1 where training had to stop."""
    parser = argparse.ArgumentParser(prog='manivideo train', description=__doc__)
    parser.add_argument('stage', choices=STAGES, help='what to train')
    parser.add_argument('--config', type=Path, required=True, help='the run, as YAML')
    parser.add_argument('--data', type=Path, required=True, help='folder of the sources')
    parser.add_argument('--out', type=Path, required=True, help='folder of the checkpoints')
    parser.add_argument('--scenes', type=int, default=2500, help='to make of a kind without any')
    parser.add_argument('--threads', type=int, default=min(2, os.cpu_count() or 1), help='of torch')
    parser.add_argument('--device', default='', help='cpu or cuda; a GPU where there is one')
    parser.add_argument(
        '--init', help="a checkpoint whose weights to start from; 'shipped': the package's"
    )
    args = parser.parse_args(arguments)
    place = ALONE
    try:
        config = TrainConfig.read(args.config)
        init = SHIPPED if args.init == 'shipped' else Path(args.init) if args.init else None
        place = join(args.device)
        made = run_training(
            config, args.stage, args.data, args.out, args.scenes, args.threads, init, place
        )
        if place.first:
            print(made)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except torch.OutOfMemoryError as error:
        memory = str(error).splitlines()[0]
        print(f'error: {memory} Set micro_batch: 1 and gradient_checkpointing', file=sys.stderr)
        return 1
    except (TrainingError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    finally:
        leave(place)
    return 0


if __name__ == '__main__':
    sys.exit(main())
