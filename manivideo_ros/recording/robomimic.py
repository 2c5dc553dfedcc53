"""Episodes as a robomimic HDF5 file: data/demo_i/{obs, actions, rewards, dones}."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.recording.episode import Episode, EpisodeError

LOGGER = logging.getLogger(__name__)
FILE = 'demos.hdf5'
# Filter keys by the provenance's `synthetic`.
KINDS = {True: 'synthetic', False: 'recorded', None: 'unknown'}
# robomimic requires an environment even for recordings; type 2 is EnvType.GYM_TYPE.
ENVIRONMENT = {'env_name': 'recorded', 'type': 2, 'env_kwargs': {}}


class RobomimicWriter:
    """Writes episodes into an empty folder; `close` completes it.

    Images are obs/camera_image u8 [F, H, W, 3], states obs/state and actions [F, N] of the recorded
    dtype; stamps_ns int64 [F] are the frames' stamps. next_obs is a view of obs, one frame ahead;
    the last frame's is its own. Filter keys are mask/synthetic, mask/recorded and mask/unknown.
    Raises ValueError if h5py is missing, EpisodeError for an episode without actions or with other
    columns than the first.
    """

    def __init__(self, folder: Path, task: str) -> None:
        try:
            import h5py
        except ImportError:
            raise ValueError(
                "robomimic needs h5py: pip install 'manivideo_ros[robomimic]'"
            ) from None
        self._file = h5py.File(folder / FILE, 'w')
        self._data = self._file.create_group('data')
        self._data.attrs['env_args'] = json.dumps(ENVIRONMENT)
        self._data.attrs['task'] = task
        self._total = 0
        self._kinds: dict[str, list[str]] = {name: [] for name in KINDS.values()}
        self._largest = 0.0
        self._names: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def add(self, episode: Episode) -> None:
        """Append an episode."""
        if episode.action is None:
            raise EpisodeError(
                f'{episode.path}: robomimic needs actions: name their topic with --action'
            )
        if self._names is not None:
            episode.order_columns(*self._names)
        names = (episode.state.names, episode.action.names)
        self._names = self._names or names
        if names != self._names:
            raise EpisodeError(
                f'{episode.path}: its states and actions are not those of the first episode: '
                'export episodes of one kind'
            )
        frames = len(episode)
        demo = self._data.create_group(f'demo_{len(self._data)}')
        demo.attrs['num_samples'] = frames
        demo.attrs['provenance'] = json.dumps(episode.provenance, sort_keys=True)
        demo.attrs['state_names'] = json.dumps(episode.state.names)
        demo.attrs['action_names'] = json.dumps(episode.action.names)
        demo['actions'] = episode.action.values
        demo['obs/state'] = episode.state.values
        demo['stamps_ns'] = episode.stamps_ns
        demo['rewards'] = np.zeros(frames)
        demo['dones'] = (np.arange(frames) == frames - 1).astype(np.int64)
        images = None
        for index, image in enumerate(episode.images()):
            if images is None:
                # One frame a chunk: learners draw them at random.
                shape = image.shape
                images = demo.create_dataset(
                    'obs/camera_image', (frames, *shape), np.uint8,
                    chunks=(1, *shape), compression='gzip', compression_opts=1,
                )  # fmt: skip
            images[index] = image
        for name in demo['obs']:
            _add_next(demo, name)
        self._total += frames
        self._kinds[KINDS[episode.provenance['synthetic']]].append(demo.name.rpartition('/')[2])
        self._largest = max(self._largest, float(np.abs(episode.action.values).max()))

    def close(self) -> None:
        """Complete the file."""
        self._data.attrs['total'] = self._total
        for kind, demos in self._kinds.items():
            if demos:
                self._file[f'mask/{kind}'] = np.array(demos, 'S')
        self._file.close()
        if self._largest > 1:
            LOGGER.warning(
                'actions reach %.4g and are kept as recorded: robomimic expects -1..1; scale them '
                'before training',
                self._largest,
            )


def _add_next(demo: Any, name: str) -> None:
    """next_obs/name: a view of obs/name, one frame ahead."""
    import h5py

    now = demo[f'obs/{name}']
    source = h5py.VirtualSource('.', now.name, now.shape, now.dtype)  # '.': the same file
    layout = h5py.VirtualLayout(now.shape, now.dtype)
    if len(now) > 1:
        layout[:-1] = source[1:]
    layout[-1:] = source[-1:]
    demo.create_virtual_dataset(f'next_obs/{name}', layout)
