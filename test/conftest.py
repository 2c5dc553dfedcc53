"""What tests share: an environment for ROS, and small inputs made once a session."""

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
# Exported graphs and compiled kernels, shared by all workers and the processes that tests start.
os.environ['XDG_CACHE_HOME'] = str(Path(__file__).resolve().parents[1] / 'build' / 'test_cache')

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from manivideo_ros.process.node_processes import environment, free_domain

# How long an example takes depends on what else the machine does.
settings.register_profile('suite', deadline=None)
settings.load_profile('suite')
ROOT = Path(__file__).resolve().parents[1]
# Workers look for a free domain at the same moment: each from another one on.
WORKER = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
os.environ['ROS_DOMAIN_ID'] = str(free_domain(20 + 30 * WORKER % 80))
# The files that take longest are started first, so that the workers end at about the same time.
LONGEST = (
    'test_nodes', 'test_graph', 'test_soak', 'test_training', 'test_launch', 'test_augmenter',
    'test_learned', 'test_augment', 'test_latent', 'test_commands', 'test_manners', 'test_demo',
    'test_half', 'test_oracle', 'test_ctrl_c', 'test_engine', 'test_ablation',
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Start the longest files first; `--no-loadscope-reorder` keeps this order."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else 99)


@pytest.fixture(scope='session')
def node_environment():
    """Environment of node processes that meet this process over DDS."""
    return environment(int(os.environ['ROS_DOMAIN_ID']))


@pytest.fixture(scope='session')
def shipped(tmp_path_factory):
    """A copy of the shipped weights, so that all streams of a run share one exported graph."""
    from manivideo_ros.model.checkpoint import SHIPPED

    return Path(shutil.copy(SHIPPED, tmp_path_factory.mktemp('checkpoint') / 'copy.safetensors'))


@pytest.fixture(scope='session')
def untrained(tmp_path_factory):
    """A checkpoint of the default size with random weights: its frames are its base images."""
    import torch

    from manivideo_ros.model.checkpoint import save_checkpoint
    from manivideo_ros.model.config import ModelConfig
    from manivideo_ros.model.patch.network import ManiVideoNet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('checkpoint') / 'untrained.safetensors'
    save_checkpoint(ManiVideoNet(ModelConfig()).state_dict(), ModelConfig(), path)
    return path


@pytest.fixture(scope='session')
def images(tmp_path_factory):
    """A plain background and a plain hand, as files by name of the node's parameter."""
    folder = tmp_path_factory.mktemp('images')
    plain = {'background': (120, 130, 140, 255), 'hand_reference': (200, 150, 120, 255)}
    for name, colour in plain.items():
        image = np.full((128, 128, 4), colour, np.uint8)
        image[0, 0, 3] = 255 if name == 'background' else 0  # transparency: its mask
        Image.fromarray(image).save(folder / f'{name}.png')
    return {name: str(folder / f'{name}.png') for name in plain}


@pytest.fixture(scope='session')
def motion():
    """Two seconds of two hands about a mug, seen by a camera of the default image's shape."""
    from manivideo_ros.geometry import Camera, look_at, pinhole
    from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack

    frames = 60
    swing = 0.05 * np.sin(np.linspace(0, 2 * np.pi, frames, endpoint=False))
    here = np.ones(frames, bool)
    still = np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1))

    def hand(x):
        position = np.stack([x + swing, np.zeros(frames), np.full(frames, 0.1)], 1)
        bent = np.full((frames, 45), 0.1, np.float32)
        return HandTrack(here, bent, np.zeros(10, np.float32), still, position.astype(np.float32))

    poses = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    poses[:, 2, 3] = 0.05
    view = look_at([0, -0.6, 0.4], [0, 0, 0.1])
    return Motion(
        (np.arange(1, frames + 1) * 1e9 / 30).astype(np.int64),
        {'left': hand(-0.2), 'right': hand(0.2)},
        {'mug': ObjectTrack('mug', 1.0, here, poses)},
        Camera(pinhole(320, 240, 0.8), view, 320, 240),
    )


@pytest.fixture(scope='session')
def motion_file(motion, tmp_path_factory):
    """The motion as a file."""
    from manivideo_ros.motion.files import save_motion

    path = tmp_path_factory.mktemp('motion') / 'mug'
    save_motion(motion, path)
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A small network's, with a cache of its own for what is exported and built of it."""
    from graphs import graph_file, save_small

    folder = tmp_path_factory.mktemp('weights')
    graph = graph_file(1, human=True)
    cache = folder / 'manivideo_ros'
    cache.mkdir()
    for file in (graph, graph.with_suffix('.json')):
        shutil.copy(file, cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(folder))
        yield save_small(folder, human=True)


@pytest.fixture(scope='session')
def human(tmp_path_factory):
    """A checkpoint of a small random network that knows people, and its engine specification."""
    import yaml
    from graphs import HUMAN, save_small

    from manivideo_ros.engine.spec import EngineSpec

    folder, config = tmp_path_factory.mktemp('human'), HUMAN
    checkpoint = save_small(folder, human=True)
    spec = EngineSpec(config.preset, '', config.image_size, config.layers, 1, 'fp32', 'onnxruntime')
    (folder / 'small.yaml').write_text(yaml.safe_dump(spec.as_dict()))
    files = {'checkpoint': checkpoint, 'engine': folder / 'small.yaml'}
    return {name: str(file) for name, file in files.items()}
