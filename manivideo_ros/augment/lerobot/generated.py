"""The generated part of a variation of a LeRobot dataset: videos, and what meta/ has of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.augment.lerobot.bags import namespaces_of
from manivideo_ros.recording.episode import Episode, Topics
from manivideo_ros.recording.lerobot.features import FILES_PER_CHUNK
from manivideo_ros.recording.lerobot.scenes import scene_of
from manivideo_ros.recording.lerobot.statistics import Figures
from manivideo_ros.recording.lerobot.videos import EpisodeVideos, write_video
from manivideo_ros.recording.video import H264, Encoding

STATES = '.variations'


@dataclass
class Generated:
    """One variation's episodes, in their order.

    fingerprint: of what it was made from; places: of each episode's videos, for meta/episodes;
    figures: statistics of its images by key; scenes: for meta/scenes.json; files: by key, the
    number of the file after its last one.
    """

    fingerprint: str
    places: list[dict[str, float]] = field(default_factory=list)
    figures: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    provenance: list[dict[str, Any]] = field(default_factory=list)
    scenes: list[dict[str, Any] | None] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)

    def figures_of(self, key: str) -> list[Figures]:
        """The statistics of a camera's images in each episode."""
        return [
            {name: np.asarray(value) for name, value in own[key].items()} for own in self.figures
        ]


def generated_before(folder: Path, number: int, fingerprint: str) -> Generated | None:
    """A variation that an interrupted run completed with the same means; None without one."""
    try:
        found = Generated(**json.loads(_state(folder, number).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.fingerprint == fingerprint else None


def write_videos(
    folder: Path,
    number: int,
    fingerprint: str,
    episodes: Sequence[Path],
    lengths: Sequence[int],
    keys: Sequence[str],
    fps: int,
    first: Mapping[str, int],
    encodings: Mapping[str, Encoding] = {},
) -> Generated:
    """Write the videos of a variation's episodes, which are bags, and keep what is needed of them.

    number: of the variation; lengths: frames of each episode; first: number of each key's first
    file; encodings: by key, H264 for others. Raises ValueError (one line), OSError.
    """
    out, names = Generated(fingerprint), namespaces_of(keys)
    folder.mkdir(parents=True, exist_ok=True)
    for key in keys:
        remove_videos(folder, key, first.get(key, 0))
    videos = {key: EpisodeVideos(folder, key, fps, first.get(key, 0)) for key in keys}
    for path, frames in zip(episodes, lengths, strict=True):
        place: dict[str, float] = {}
        figures: dict[str, dict[str, Any]] = {}
        cameras: dict[str, Any] = {}
        scene = None
        for key in keys:
            topic = f'{names[key]}/image_raw'
            episode = Episode(path, Topics(topic))
            video = folder / f'{key}.mp4'
            _, colours = write_video(video, episode.images(), frames, fps, encodings.get(key, H264))
            place |= videos[key].add(video)
            video.unlink()
            figures[key] = {name: value.tolist() for name, value in colours.items()}
            scene = scene_of(episode.reader, topic, episode.stamps_ns, key)
            cameras |= {} if scene is None else scene.get('cameras', {})
        out.places.append(place)
        out.figures.append(figures)
        out.provenance.append(episode.provenance)
        out.scenes.append(None if scene is None else {**scene, 'cameras': cameras})
    for key, files in videos.items():
        files.close()
        out.files[key] = files.files
    state = _state(folder, number)
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text(json.dumps(asdict(out)))
    return out


def remove_videos(folder: Path, key: str, first: int) -> None:
    """Remove a camera's files from number `first` on, which an interrupted run has left."""
    for file in (folder / 'videos' / key).glob('chunk-*/file-*.mp4'):
        chunk, number = (int(name.rpartition('-')[2]) for name in (file.parent.name, file.stem))
        if chunk * FILES_PER_CHUNK + number >= first:
            file.unlink()


def _state(folder: Path, number: int) -> Path:
    return folder / STATES / f'{number:06d}.json'
