"""The parsers that meet foreign bytes: a sound file of each, and what it may raise."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from manivideo_ros.hand.mano_file import FIELDS

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / 'manivideo_ros' / 'assets'


@dataclass(frozen=True)
class Parser:
    """make: writes a sound file into a folder and returns the one to corrupt. parse: reads it.

    errors: what parse is documented to raise; all else is a fault.
    """

    make: Callable[[Path], Path]
    parse: Callable[[Path], Any]
    errors: tuple[type[Exception], ...]


def parsers() -> dict[str, Parser]:
    """All of them by name; made here, so that a run imports what it needs."""
    from manivideo_ros.engine.spec import SpecError, load_spec
    from manivideo_ros.engine.tensorrt_cache import PlanCache, PlanCacheError
    from manivideo_ros.hand.mano_file import HandFileError, convert_mano
    from manivideo_ros.model.checkpoint import CheckpointError, read_config
    from manivideo_ros.motion.files import MotionError, load_motion
    from manivideo_ros.objects.mesh import MeshError, load_object
    from manivideo_ros.recording.bag import BagError, BagReader
    from manivideo_ros.references import load_background, load_hand_reference
    from manivideo_ros.training.config import TrainConfig, TrainConfigError

    def mesh(suffix: str) -> Parser:
        make = partial(_mesh, suffix=suffix)
        return Parser(make, lambda p: load_object(p, 1), (MeshError,))

    return {
        'motion': Parser(_bag_file, load_motion, (MotionError,)),
        'bag': Parser(_bag_file, lambda p: list(BagReader(p).messages()), (BagError,)),
        'bag_metadata': Parser(
            lambda folder: _bag_file(folder).with_name('metadata.yaml'),
            lambda p: list(BagReader(p.parent).messages()),
            (BagError,),
        ),
        'mano': Parser(_mano, lambda p: convert_mano(p, p.with_name('out.npz')), (HandFileError,)),
        'mano_npz': Parser(
            _mano_npz, lambda p: convert_mano(p, p.with_name('out.npz')), (HandFileError,)
        ),
        **{f'mesh_{suffix}': mesh(suffix) for suffix in ('obj', 'ply', 'stl', 'glb')},
        'checkpoint': Parser(_checkpoint, read_config, (CheckpointError,)),
        'plan_manifest': Parser(
            _plan, lambda p: PlanCache(p.parent).load('x', {'a': 'b'}), (PlanCacheError,)
        ),
        'engine_spec': Parser(_spec, load_spec, (SpecError,)),
        'training': Parser(_training, TrainConfig.read, (TrainConfigError,)),
        'background': Parser(_picture, load_background, (ValueError,)),
        'hand_parts': Parser(
            _parts, lambda p: load_hand_reference(p.with_name('hand.png')), (ValueError,)
        ),
    }


def _bag_file(folder: Path) -> Path:
    source = min((ASSETS / 'motion').glob('*/*.mcap'), key=lambda p: p.stat().st_size).parent
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return next(folder.glob('*.mcap'))


def _mano_arrays() -> dict[str, np.ndarray]:
    with np.load(ASSETS / 'hand' / 'right.npz') as data:
        return {key: np.asarray(data[key]) for key in data.files if key in FIELDS}


def _mano(folder: Path) -> Path:
    path = folder / 'MANO_RIGHT.pkl'
    path.write_bytes(pickle.dumps(_mano_arrays(), protocol=2))
    return path


def _mano_npz(folder: Path) -> Path:
    path = folder / 'hand.npz'
    np.savez(path, **_mano_arrays())
    return path


def _mesh(folder: Path, suffix: str) -> Path:
    import trimesh

    path = folder / f'box.{suffix}'
    trimesh.creation.box((0.1, 0.1, 0.1)).export(str(path))
    return path


def _checkpoint(folder: Path) -> Path:
    import torch

    from manivideo_ros.model.checkpoint import save_checkpoint
    from manivideo_ros.model.config import ModelConfig

    path = folder / 'x.safetensors'
    save_checkpoint({'a': torch.zeros(4)}, ModelConfig(), path)
    return path


def _plan(folder: Path) -> Path:
    from manivideo_ros.engine.tensorrt_cache import PlanCache

    return PlanCache(folder).store('x', b'plan', {'a': 'b'}).with_suffix('.json')


def _spec(folder: Path) -> Path:
    return Path(shutil.copy(ROOT / 'engines' / 'tiny.yaml', folder))


def _training(folder: Path) -> Path:
    return Path(shutil.copy(ROOT / 'config' / 'train' / 'tiny.yaml', folder))


def _picture(folder: Path) -> Path:
    path = folder / 'picture.png'
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(path)
    return path


def _parts(folder: Path) -> Path:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / 'hand.png')
    path = folder / 'hand.parts.png'
    Image.fromarray(np.ones((8, 8), np.uint8)).save(path)
    return path
