"""`manivideo train STAGE`: run a stage of training; missing scenes are generated.

With `torchrun --nproc-per-node N -m manivideo_ros.training.cli STAGE ...` N processes share each
batch. A run resumes from the checkpoint in its folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from manivideo_ros.data.rendering.light_views import LightViews, ball_normals, make_light_views
from manivideo_ros.data.scenes.panoramas import panorama_files
from manivideo_ros.model.checkpoint import SHIPPED, load_light_net
from manivideo_ros.model.patch.light import LightNet
from manivideo_ros.training.batches import TrainingScenes
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.held_out import HeldOut
from manivideo_ros.training.latent.encoded_scenes import with_latents
from manivideo_ros.training.loop import train
from manivideo_ros.training.networks import start
from manivideo_ros.training.patch.light import load_light, train_light
from manivideo_ros.training.processes import ALONE, Place, join, leave, wait_for_first
from manivideo_ros.training.saving import BEST, MODEL, describe_run, write_run
from manivideo_ros.training.sources import (
    data_hash,
    lengths,
    make_missing,
    open_source,
    open_sources,
)
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
    """Train on the sources in `data`, generating missing scenes; returns the checkpoint.

    Resumes from the checkpoint in `out`. Raises ValueError for an unusable folder or checkpoint,
    TrainingError if the run cannot continue.
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
    lit_by = None
    if config.model.base == 'lit':
        lit_by = light if light is not None or init is None else load_light_net(init)
    imaged = open_sources(config, data, lit_by)
    sources: Mapping[str, TrainingScenes] = imaged
    if config.latent:
        sources = with_latents(imaged, config, data, place)
    run = describe_run(config, stage, data_hash(config, data), init)
    if place.first:
        print(lengths(sources))
        write_run(out, run)
    held_out = None
    if config.held_out:
        if place.world > 1:
            raise ValueError('held_out: runs that end by a held-out measure have one process')
        held_out = HeldOut(open_source(config.held_out, data, config, lit_by), config)
    train(start(config, stage, init, light, place), sources, out, run, stage, held_out)
    return out / (BEST if held_out and (out / BEST).exists() else MODEL)


def _light(
    config: TrainConfig, data: Path, out: Path, threads: int, init: Path | None, place: Place
) -> LightNet | None:
    """The light net to train, or trained; None where a checkpoint keeps its own, or for latents."""
    if config.latent or (init is not None and not config.tune_light):
        if config.panoramas:
            raise ValueError(
                'panoramas: no light estimator is trained: leave it out, or set tune_light'
            )
        return None
    first = load_light_net(init) if init is not None else None
    return learned_light(config, data, out / 'light.safetensors', threads, place.device, first)


def learned_light(
    config: TrainConfig,
    data: Path,
    out: Path,
    threads: int,
    device: torch.device | None = None,
    first: LightNet | None = None,
) -> LightNet:
    """The light net in the file `out`, trained now if it is missing.

    device: None for the CPU. first: initial weights. Raises ValueError for a folder without
    panoramas.
    """
    if not out.exists():
        folder = data / 'light_views'
        if not folder.exists():
            around = panorama_files(Path(config.panoramas), 'train') if config.panoramas else []
            make_light_views(folder, config.light_views, config.seed, 'train', threads, around)
        views = LightViews.open(folder)
        if views.measured != bool(config.panoramas):
            made = 'with' if views.measured else 'without'
            raise ValueError(
                f'{folder}: was made {made} panoramas, which `panoramas` does not say: remove it'
            )
        error = train_light(len(views), views.batch, ball_normals(), config, out, device, first)
        print(f'light: RMS error {error:.4f} of sRGB in 0..1 on held-out hands')
    return load_light(config, out)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 2 for invalid input, 1 if training had to stop."""
    parser = argparse.ArgumentParser(prog='manivideo train', description=__doc__)
    parser.add_argument('stage', choices=STAGES, help='the stage of training')
    parser.add_argument('--config', type=Path, required=True, help='YAML file of the run')
    parser.add_argument('--data', type=Path, required=True, help='folder of the sources')
    parser.add_argument('--out', type=Path, required=True, help='folder for the checkpoints')
    parser.add_argument(
        '--scenes', type=int, default=2500, help='scenes to generate of each kind without any'
    )
    parser.add_argument(
        '--threads', type=int, default=min(2, os.cpu_count() or 1), help='CPU threads of torch'
    )
    parser.add_argument('--device', default='', help='cpu or cuda; default: a GPU if there is one')
    parser.add_argument(
        '--init', help="checkpoint with the initial weights; 'shipped': the package's weights"
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
