"""Episodes as a robomimic HDF5 file: data/demo_i/{obs, actions, rewards, dones}."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from manivideo_ros.recording.episode import Episode, EpisodeError

FILE = 'demos.hdf5'
# robomimic wants an environment's name even of recordings; EnvType.GYM_TYPE is its plainest kind.
ENVIRONMENT = {'env_name': 'recorded', 'type': 2, 'env_kwargs': {}}


class RobomimicWriter:
    """Writes episodes into an empty folder; `close` completes it.

    Pictures are obs/camera_image u8 [F, H, W, 3], states obs/state and actions [F, N] of the type
    that was recorded; stamps_ns int64 [F] keeps each frame's stamp. Raises ValueError where h5py is
    missing, EpisodeError for an episode without actions.
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

    def add(self, episode: Episode) -> None:
        """Append an episode."""
        if episode.action is None:
            raise EpisodeError(
                f'{episode.path}: robomimic needs actions: name their topic with --action'
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
        pictures = None
        for index, picture in enumerate(episode.pictures()):
            if pictures is None:
                # One frame a chunk: learners draw them at random.
                shape = picture.shape
                pictures = demo.create_dataset(
                    'obs/camera_image', (frames, *shape), np.uint8,
                    chunks=(1, *shape), compression='gzip', compression_opts=1,
                )  # fmt: skip
            pictures[index] = picture
        self._total += frames

    def close(self) -> None:
        """Finish the file."""
        self._data.attrs['total'] = self._total
        self._file.close()
