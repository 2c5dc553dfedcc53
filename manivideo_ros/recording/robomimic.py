"""Episodes as a robomimic HDF5 file: data/demo_i/{obs, actions, rewards, dones}."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.episode import Episode, EpisodeError
from manivideo_ros.recording.options import TASK, Options

LOGGER = logging.getLogger(__name__)
FILE, DEMO = 'demos.hdf5', 'demo'
# Filter keys by the provenance's `synthetic`.
KINDS = {True: 'synthetic', False: 'recorded', None: 'unknown'}
# robomimic requires an environment even for recordings; type 2 is EnvType.GYM_TYPE.
ENVIRONMENT = {'env_name': 'recorded', 'type': 2, 'env_kwargs': {}}


def write_demo(episode: Episode, folder: Path, options: Options) -> dict[str, Any]:
    """Write an episode as the group DEMO of a file.

    Images are obs/camera_image u8 [F, H, W, 3] (of several cameras each by its key), states
    obs/state and actions [F, N] of the recorded dtype; stamps_ns int64 [F] are the frames' stamps.
    Raises ValueError if h5py is missing, EpisodeError for an episode without actions.
    """
    h5py = _h5py()
    if episode.action is None:
        raise EpisodeError(
            f'{episode.path}: robomimic needs actions: name their topic with --action'
        )
    frames = len(episode)
    sizes = {}
    with h5py.File(folder / FILE, 'w') as file:
        demo = file.create_group(DEMO)
        demo.attrs['num_samples'] = frames
        demo.attrs['provenance'] = json.dumps(episode.provenance, sort_keys=True)
        demo['actions'] = episode.action.values
        demo['obs/state'] = episode.state.values
        demo['stamps_ns'] = episode.stamps_ns
        demo['rewards'] = np.zeros(frames)
        demo['dones'] = (np.arange(frames) == frames - 1).astype(np.int64)
        for name, values in episode.features.items():
            demo[f'obs/{name}'] = values.values
        others = {key: episode.camera(topic) for key, topic in episode.asked.cameras}
        for key, images in {options.key: episode.images(), **others}.items():
            name = f'{key.rpartition(".")[2]}_image'
            sizes[name] = _add_images(demo, name, images, episode)
    return {
        'sizes': sizes,
        'names': {'state': list(episode.state.names), 'action': list(episode.action.names)},
        'kind': KINDS[episode.provenance['synthetic']],
        'largest': float(np.abs(episode.action.values).max()),
    }


class RobomimicJoiner:
    """Joins episodes in an empty folder; `close` completes the file.

    next_obs is a view of obs, one frame ahead; the last frame's is its own. Filter keys are
    mask/synthetic, mask/recorded and mask/unknown. Raises ValueError if h5py is missing,
    EpisodeError for an episode with other columns or another size of images than the first.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        self._file = _h5py().File(folder / FILE, 'w')
        self._data = self._file.create_group('data')
        self._data.attrs['env_args'] = json.dumps(ENVIRONMENT)
        self._data.attrs['task'] = options.task or TASK
        self._total = 0
        self._kinds: dict[str, list[str]] = {name: [] for name in KINDS.values()}
        self._largest = 0.0
        self._first: dict[str, Any] = {}

    def add(self, folder: Path, piece: dict[str, Any], name: str) -> None:
        """Append an episode."""
        self._first = self._first or piece
        self._check(piece, name)
        title = f'demo_{len(self._data)}'
        with _h5py().File(folder / FILE) as source:
            source.copy(DEMO, self._data, title)
        demo = self._data[title]
        for path, kind in (('obs/state', 'state'), ('actions', 'action')):
            wanted, given = self._first['names'][kind], piece['names'][kind]
            if given != wanted:
                demo[path][...] = demo[path][:][:, [given.index(each) for each in wanted]]
            demo.attrs[f'{kind}_names'] = json.dumps(wanted)
        for each in list(demo['obs']):
            _add_next(demo, each)
        self._total += int(demo.attrs['num_samples'])
        self._kinds[piece['kind']].append(title)
        self._largest = max(self._largest, piece['largest'])

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

    def _check(self, piece: dict[str, Any], name: str) -> None:
        """Raise EpisodeError for an episode that is not as the first one."""
        for kind, names in self._first['names'].items():
            if sorted(piece['names'][kind]) != sorted(names):
                raise EpisodeError(
                    f'{name}: its states and actions are not those of the first episode: export '
                    'episodes of one kind'
                )
        for image, size in self._first['sizes'].items():
            own = piece['sizes'].get(image)
            if own != size:
                raise EpisodeError(
                    f'{name}: obs/{image}: images are {own[1]}x{own[0]} where the first '
                    f"episode's are {size[1]}x{size[0]}: export episodes of one size"
                    if own
                    else f'{name}: obs/{image}: has no images of this camera'
                )


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ValueError("robomimic needs h5py: pip install 'manivideo_ros[robomimic]'") from None
    return h5py


def _add_images(
    demo: Any, name: str, images: Iterator[NDArray[np.uint8]], episode: Episode
) -> list[int]:
    """Add obs/name; returns the height and width. Raises EpisodeError for several sizes."""
    data = None
    for index, image in enumerate(images):
        if data is None:
            # One frame a chunk: learners draw them at random.
            data = demo.create_dataset(
                f'obs/{name}', (len(episode), *image.shape), np.uint8,
                chunks=(1, *image.shape), compression='gzip', compression_opts=1,
            )  # fmt: skip
        if data.shape[1:] != image.shape:
            raise EpisodeError(
                f'{episode.part}: obs/{name}: image {index} is {image.shape[1]}x{image.shape[0]} '
                f'where the first is {data.shape[2]}x{data.shape[1]}: record one size'
            )
        data[index] = image
    return [int(n) for n in data.shape[1:3]] if data is not None else []


def _add_next(demo: Any, name: str) -> None:
    """next_obs/name: a view of obs/name, one frame ahead."""
    h5py = _h5py()
    now = demo[f'obs/{name}']
    source = h5py.VirtualSource('.', now.name, now.shape, now.dtype)  # '.': the same file
    layout = h5py.VirtualLayout(now.shape, now.dtype)
    if len(now) > 1:
        layout[:-1] = source[1:]
    layout[-1:] = source[-1:]
    demo.create_virtual_dataset(f'next_obs/{name}', layout)
