"""Checks the videos: size, codec, number and times of frames, against what the episodes need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np

from manivideo_ros.files.errors import reason_of
from manivideo_ros.recording.lerobot.check.findings import Findings
from manivideo_ros.recording.lerobot.check.layout import COPY, Layout
from manivideo_ros.recording.lerobot.features import info_of, size_of

TOLERANCE_S = 1e-4
SECONDS_OF_KEYS = 1.0  # between key frames, above which random access is slow


def check_videos(layout: Layout, found: Findings) -> None:
    """Check every video of every camera."""
    for key in layout.videos:
        ends: dict[str, float] = {}
        for entry in layout.entries:
            if key in entry.clips:
                clip = entry.clips[key]
                ends[clip.file] = max(ends.get(clip.file, 0.0), clip.end_s)
        for name, end_s in ends.items():
            if (layout.folder / name).is_file():
                _check_video(layout, key, name, end_s, found)


def _check_video(layout: Layout, key: str, name: str, end_s: float, found: Findings) -> None:
    try:
        stream, times, keys = _read(layout.folder / name)
    except (OSError, ValueError, LookupError, AttributeError, av.FFmpegError) as error:
        found.error(f'{name}', f'cannot be read ({reason_of(error)})', COPY)
        return
    feature = layout.features[key]
    info, size = info_of(feature), size_of(feature)
    if stream['size'] != size:
        found.error(name, f'is {stream["size"][0]}x{stream["size"][1]}, {key} has '
                    f'{size[0]}x{size[1]}', 'set its shape, or encode it again')  # fmt: skip
    for field, own in (('video.codec', stream['codec']), ('video.pix_fmt', stream['pixels'])):
        wanted = info.get(field)
        if wanted and own != {'libsvtav1': 'av1'}.get(wanted, wanted):
            found.error(name, f'{field} is {own}, {key} has {wanted}', f'set {field} to {own}',
                        field)  # fmt: skip
    needed = round(end_s * layout.fps)
    if len(times) < needed:
        found.error(name, f'has {len(times)} frames, its episodes need {needed}',
                    'encode it again, or remove the episodes that are not in it')  # fmt: skip
    elif len(times) > needed:
        found.warning(name, f'has {len(times)} frames, its episodes need {needed}',
                      'the last ones are not used')  # fmt: skip
    count = min(len(times), needed)
    off = np.abs(times[:count] - np.arange(count) / layout.fps)
    if count and off.max() > TOLERANCE_S:
        worst = int(np.argmax(off > TOLERANCE_S))
        right = worst / layout.fps
        found.error(name, f'frame {worst} is at {times[worst]:.4f} s, frame / fps is {right:.4f}',
                    f'encode it at {layout.fps:g} frames/s')  # fmt: skip
    longest = np.diff([*keys, len(times)]).max() if len(keys) else len(times)
    if len(times) and longest / layout.fps > SECONDS_OF_KEYS:
        found.warning(
            name, f'has {longest} frames from one key frame to the next',
            'encode it with a key frame every 2 frames: training reads at random'
        )  # fmt: skip


def _read(path: Path) -> tuple[dict[str, Any], np.ndarray, list[int]]:
    """What the stream is; times [F] of its frames, s, in order; indices of its key frames.

    The first image is decoded, the others are counted.
    """
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        own = {'size': (stream.width, stream.height), 'pixels': stream.pix_fmt,
               'codec': stream.codec_context.codec.canonical_name}  # fmt: skip
        if next(container.decode(stream), None) is None:
            raise ValueError('no image can be decoded')
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [(float(p.pts * stream.time_base), p.is_keyframe)
                   for p in container.demux(stream) if p.pts is not None]  # fmt: skip
    packets.sort()
    return own, np.array([t for t, _ in packets]), [k for k, (_, key) in enumerate(packets) if key]
